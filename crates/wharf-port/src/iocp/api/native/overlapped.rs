//! Calls that the kernel finishes later: from the call to the packet it owns what they point at.

use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::windows::io::OwnedSocket;
use std::ptr::{null, null_mut};

use socket2::SockAddr;
use windows_sys::Win32::Foundation::ERROR_IO_PENDING;
use windows_sys::Win32::Networking::WinSock::{
    SOCKADDR, TF_DISCONNECT, TF_REUSE_SOCKET, WSABUF, WSAEOPNOTSUPP, WSARecv, WSASend,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::{Disconnect, Slice, Started, extensions, last_error, raw};
use crate::iocp::GATHER_MAX;
use crate::iocp::api::ADDRESS_BYTES;
use crate::iocp::code::Code;

/// What a call that answers true at success has come to.
fn started(answer: i32, bytes: u32) -> Result<Started, Code> {
    if answer != 0 {
        return Ok(Started::Done(bytes));
    }
    match last_error() {
        Code(ERROR_IO_PENDING) => Ok(Started::Pending),
        code => Err(code),
    }
}

const ADDRESS_LENGTH: u32 = 44;
const _: () = assert!(ADDRESS_LENGTH as usize == ADDRESS_BYTES);

const UNSUPPORTED: Code = Code(WSAEOPNOTSUPP.cast_unsigned());

/// # Safety
/// See `Api::accept_ex`.
pub(super) unsafe fn accept_ex(
    listener: &OwnedSocket,
    socket: &OwnedSocket,
    output: *mut u8,
    first: u32,
    operation: *mut OVERLAPPED,
) -> Result<Started, Code> {
    let accept_ex = extensions::of(listener)?.accept_ex.ok_or(UNSUPPORTED)?;
    let mut bytes = 0;
    // SAFETY: the caller keeps `output` and `operation` until the packet; both sockets are open.
    let answer = unsafe {
        accept_ex(
            raw(listener),
            raw(socket),
            output.cast(),
            first,
            ADDRESS_LENGTH,
            ADDRESS_LENGTH,
            &raw mut bytes,
            operation,
        )
    };
    started(answer, bytes)
}

pub(super) fn accepted_addresses(
    listener: &OwnedSocket,
    output: &[u8],
    first: u32,
) -> Option<(SocketAddr, SocketAddr)> {
    let addresses = extensions::of(listener).ok()?.accept_addresses?;
    assert!(output.len() >= first as usize + 2 * ADDRESS_BYTES, "too little room for addresses");
    let (mut local, mut local_len) = (null_mut(), 0);
    let (mut peer, mut peer_len) = (null_mut(), 0);
    // SAFETY: `output` is as long as the call to `AcceptEx` was told (asserted), and is only read.
    unsafe {
        addresses(
            output.as_ptr().cast(),
            first,
            ADDRESS_LENGTH,
            ADDRESS_LENGTH,
            &raw mut local,
            &raw mut local_len,
            &raw mut peer,
            &raw mut peer_len,
        );
    }
    // SAFETY: the pointers lie within `output`, with as many bytes behind them as the lengths say.
    let local = unsafe { address(local, local_len) }?;
    // SAFETY: as above.
    let peer = unsafe { address(peer, peer_len) }?;
    Some((local, peer))
}

/// # Safety
/// `length` bytes may be read behind `address`, unless it is null.
unsafe fn address(address: *const SOCKADDR, length: i32) -> Option<SocketAddr> {
    if address.is_null() {
        return None;
    }
    let length = usize::try_from(length).ok()?.min(ADDRESS_BYTES);
    let fill = |storage: *mut socket2::SockAddrStorage, room: *mut i32| {
        // SAFETY: the caller promises the bytes; the storage is longer than any address.
        unsafe { std::ptr::copy_nonoverlapping(address.cast::<u8>(), storage.cast(), length) };
        // SAFETY: it points at a number of the caller's.
        unsafe { *room = i32::try_from(length).unwrap_or(0) };
        Ok(())
    };
    // SAFETY: the closure writes an address and its length.
    let ((), address) = unsafe { SockAddr::try_init(fill) }.ok()?;
    address.as_socket()
}

/// # Safety
/// See `Api::connect_ex`.
pub(super) unsafe fn connect_ex(
    socket: &OwnedSocket,
    address: SocketAddr,
    operation: *mut OVERLAPPED,
) -> Result<Started, Code> {
    let connect_ex = extensions::of(socket)?.connect_ex.ok_or(UNSUPPORTED)?;
    let address = SockAddr::from(address);
    // SAFETY: the address is copied during the call; the caller keeps `operation` until the packet.
    let answer = unsafe {
        connect_ex(
            raw(socket),
            address.as_ptr().cast(),
            address.len(),
            null(),
            0,
            null_mut(),
            operation,
        )
    };
    started(answer, 0)
}

/// # Safety
/// See `Api::disconnect_ex`.
pub(super) unsafe fn disconnect_ex(
    socket: &OwnedSocket,
    how: Disconnect,
    operation: *mut OVERLAPPED,
) -> Result<Started, Code> {
    let extensions = extensions::of(socket)?;
    let answer = match how {
        Disconnect::DisconnectEx => {
            let disconnect = extensions.disconnect_ex.ok_or(UNSUPPORTED)?;
            // SAFETY: the caller keeps `operation` until the packet.
            unsafe { disconnect(raw(socket), operation, TF_REUSE_SOCKET, 0) }
        }
        Disconnect::TransmitFile => {
            let transmit = extensions.transmit_file.ok_or(UNSUPPORTED)?;
            let flags = TF_DISCONNECT | TF_REUSE_SOCKET;
            // SAFETY: no file and no buffers are given; the caller keeps `operation` until the packet.
            unsafe { transmit(raw(socket), null_mut(), 0, 0, operation, null(), flags) }
        }
    };
    started(answer, 0)
}

/// # Safety
/// See `Api::receive`.
pub(super) unsafe fn receive(
    socket: &OwnedSocket,
    buffer: Option<(*mut u8, u32)>,
    operation: *mut OVERLAPPED,
) -> Result<Started, Code> {
    let (start, len) = buffer.unwrap_or((null_mut(), 0));
    let buffer = WSABUF { len, buf: start };
    let (mut bytes, mut flags) = (0, 0);
    // SAFETY: the list is captured during the call; the caller keeps what it points at, and
    // `operation`, until the packet.
    let answer = unsafe {
        WSARecv(raw(socket), &raw const buffer, 1, &raw mut bytes, &raw mut flags, operation, None)
    };
    started(i32::from(answer == 0), bytes)
}

/// # Safety
/// See `Api::send`.
pub(super) unsafe fn send(
    socket: &OwnedSocket,
    slices: &[Slice],
    operation: *mut OVERLAPPED,
) -> Result<Started, Code> {
    let (buffers, count) = gathered(slices);
    let mut bytes = 0;
    // SAFETY: the list is captured during the call; the caller keeps what it points at, and
    // `operation`, until the packet.
    let answer = unsafe {
        WSASend(raw(socket), buffers.as_ptr(), count, &raw mut bytes, 0, operation, None)
    };
    started(i32::from(answer == 0), bytes)
}

/// The list that Winsock wants, of the first 64 slices.
pub(super) fn gathered(slices: &[Slice]) -> ([WSABUF; GATHER_MAX], u32) {
    // SAFETY: the structure is a length and a pointer; zero is valid for both.
    let mut buffers: [WSABUF; GATHER_MAX] = unsafe { zeroed() };
    let mut count = 0;
    for (buffer, slice) in buffers.iter_mut().zip(slices) {
        *buffer = WSABUF { len: slice.len, buf: slice.start.cast_mut() };
        count += 1;
    }
    (buffers, count)
}
