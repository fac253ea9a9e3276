//! Functions that a socket's provider has and no library exports.
//!
//! Linking them from `mswsock.dll` would ask for the same pointers at each call. They are asked for
//! once per provider, which is to say per address family: sockets are opened for TCP alone.

use std::mem::size_of;
use std::os::windows::io::OwnedSocket;
use std::ptr::null_mut;
use std::sync::OnceLock;

use windows_sys::Win32::Networking::WinSock::{
    AF_INET, LPFN_ACCEPTEX, LPFN_CONNECTEX, LPFN_DISCONNECTEX, LPFN_GETACCEPTEXSOCKADDRS,
    LPFN_TRANSMITFILE, SIO_GET_EXTENSION_FUNCTION_POINTER, SO_PROTOCOL_INFOW, SOL_SOCKET,
    WSAID_ACCEPTEX, WSAID_CONNECTEX, WSAID_DISCONNECTEX, WSAID_GETACCEPTEXSOCKADDRS,
    WSAID_TRANSMITFILE, WSAIoctl, WSAPROTOCOL_INFOW, XP1_IFS_HANDLES,
};
use windows_sys::core::GUID;

use super::{answered, raw};
use crate::iocp::code::Code;

/// The functions of one provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extensions {
    pub(super) accept_ex: LPFN_ACCEPTEX,
    pub(super) accept_addresses: LPFN_GETACCEPTEXSOCKADDRS,
    pub(super) connect_ex: LPFN_CONNECTEX,
    /// Not every provider has these two; nothing but recycling needs them.
    pub(super) disconnect_ex: LPFN_DISCONNECTEX,
    pub(super) transmit_file: LPFN_TRANSMITFILE,
    /// Whether its sockets are handles of the file system's, which is where skipping packets works
    /// (Microsoft's KB 2568167).
    real_handles: bool,
}

/// The functions of the provider that a socket has.
pub(super) fn of(socket: &OwnedSocket) -> Result<&'static Extensions, Code> {
    static V4: OnceLock<Extensions> = OnceLock::new();
    static V6: OnceLock<Extensions> = OnceLock::new();
    let is_v4 = protocol(socket)?.iAddressFamily == i32::from(AF_INET);
    let known = if is_v4 { &V4 } else { &V6 };
    if let Some(known) = known.get() {
        return Ok(known);
    }
    let extensions = ask(socket)?;
    Ok(known.get_or_init(|| extensions))
}

/// Whether a socket's provider has real handles; false if it cannot be asked.
pub(super) fn has_real_handles(socket: &OwnedSocket) -> bool {
    of(socket).is_ok_and(|extensions| extensions.real_handles)
}

fn ask(socket: &OwnedSocket) -> Result<Extensions, Code> {
    // SAFETY: the type is that of the function that the name stands for, here and below.
    let accept_ex = unsafe { pointer(socket, &WSAID_ACCEPTEX) }?;
    // SAFETY: as above.
    let accept_addresses = unsafe { pointer(socket, &WSAID_GETACCEPTEXSOCKADDRS) }?;
    // SAFETY: as above.
    let connect_ex = unsafe { pointer(socket, &WSAID_CONNECTEX) }?;
    // SAFETY: as above.
    let disconnect_ex = unsafe { pointer(socket, &WSAID_DISCONNECTEX) }.unwrap_or(None);
    // SAFETY: as above.
    let transmit_file = unsafe { pointer(socket, &WSAID_TRANSMITFILE) }.unwrap_or(None);
    let real_handles = protocol(socket)?.dwServiceFlags1 & XP1_IFS_HANDLES != 0;
    Ok(Extensions {
        accept_ex,
        accept_addresses,
        connect_ex,
        disconnect_ex,
        transmit_file,
        real_handles,
    })
}

/// Asks a socket's provider for a function.
///
/// # Safety
/// `F` is an optional pointer to the function that `name` stands for.
unsafe fn pointer<F: Copy + Default>(socket: &OwnedSocket, name: &GUID) -> Result<F, Code> {
    let mut function = F::default();
    let mut bytes = 0;
    // SAFETY: `name` is read and `function` written, both with their own sizes, during the call.
    let answer = unsafe {
        WSAIoctl(
            raw(socket),
            SIO_GET_EXTENSION_FUNCTION_POINTER,
            std::ptr::from_ref(name).cast(),
            size::<GUID>(),
            (&raw mut function).cast(),
            size::<F>(),
            &raw mut bytes,
            null_mut(),
            None,
        )
    };
    answered(answer).map(|()| function)
}

/// What the provider of a socket says about itself.
fn protocol(socket: &OwnedSocket) -> Result<WSAPROTOCOL_INFOW, Code> {
    let mut info = WSAPROTOCOL_INFOW::default();
    // SAFETY: the structure consists of numbers, and as many bytes are written as it has.
    unsafe {
        super::sockets::get_option(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, &mut info)?;
    }
    Ok(info)
}

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}
