//! Functions that Winsock's provider has and no library exports.
//!
//! `mswsock.lib` has an `AcceptEx` to link with, which asks for this pointer again at each call, since each call
//! might be for a socket of another provider. Ours are all of one, so it is asked once.

use std::ptr::null_mut;

use windows_sys::Win32::Networking::WinSock::{
    LPFN_ACCEPTEX, LPFN_DISCONNECTEX, SIO_GET_EXTENSION_FUNCTION_POINTER, SOCKET, WSAID_ACCEPTEX,
    WSAID_DISCONNECTEX, WSAIoctl,
};
use windows_sys::core::GUID;

use crate::ModelError;
use crate::windows::winsock::{failed, length};

/// The functions of one provider; none is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extensions {
    pub(super) accept_ex: LPFN_ACCEPTEX,
    pub(super) disconnect_ex: LPFN_DISCONNECTEX,
}

impl Extensions {
    /// Those of the provider that this socket has.
    pub(super) fn of(socket: SOCKET) -> Result<Self, ModelError> {
        // SAFETY: the type is that of the function that the name stands for.
        let accept_ex = unsafe { pointer(socket, &WSAID_ACCEPTEX) }?;
        // SAFETY: as above.
        let disconnect_ex = unsafe { pointer(socket, &WSAID_DISCONNECTEX) }?;
        Ok(Self { accept_ex, disconnect_ex })
    }
}

/// # Safety
/// `F` is an optional pointer to the function that `name` stands for.
unsafe fn pointer<F: Copy + Default>(socket: SOCKET, name: &GUID) -> Result<F, ModelError> {
    let (mut function, mut bytes) = (F::default(), 0);
    // SAFETY: `name` is read and `function` written, both with their own sizes, during the call.
    let answer = unsafe {
        WSAIoctl(
            socket,
            SIO_GET_EXTENSION_FUNCTION_POINTER,
            std::ptr::from_ref(name).cast(),
            length(size_of::<GUID>()),
            (&raw mut function).cast(),
            length(size_of::<F>()),
            &raw mut bytes,
            null_mut(),
            None,
        )
    };
    if answer == 0 { Ok(function) } else { Err(failed("WSAIoctl")) }
}
