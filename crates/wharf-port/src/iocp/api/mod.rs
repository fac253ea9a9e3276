//! What the backend asks of Windows: the seam at which tests put a Windows of their own.
//!
//! Each method is one call of Windows', or a few that belong together, with the same meaning and the
//! same hazards: what is said here is what Microsoft's documentation says of the call, and a stand-in
//! has to keep to it. `native` makes the calls; `mock` is a Windows that does on demand what Wine
//! cannot show.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_ENTRY};

use super::code::Code;
use crate::socket::FreshSocket;
use crate::socket_options::{ListenOptions, SocketOptions};

#[cfg(windows)]
mod native;

#[cfg(windows)]
pub(crate) use native::{Native, Port};

/// How an overlapped call began, if it did not fail. A call that fails has no packet, ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Started {
    /// It is done, and this many bytes were moved. Its packet comes nevertheless, unless
    /// [`skip_packets_on_success`](Api::skip_packets_on_success) was granted for the socket.
    Done(u32),
    /// Its packet will come.
    Pending,
}

/// Bytes to be sent: where they begin, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) start: *const u8,
    pub(crate) len: u32,
}

/// How a socket is made ready for its next connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disconnect {
    /// `DisconnectEx` with `TF_REUSE_SOCKET`.
    DisconnectEx,
    /// `TransmitFile` of nothing with `TF_DISCONNECT | TF_REUSE_SOCKET`.
    TransmitFile,
}

/// Bytes that `AcceptEx` wants for each of the two addresses: the longest one, and 16 for itself.
pub(crate) const ADDRESS_BYTES: usize = 28 + 16;

/// The calls of Windows that the backend makes.
pub(crate) trait Api: Clone + Debug + Send + Sync + 'static {
    /// An I/O completion port, closed when dropped.
    type Port: Debug + Send + Sync;
    /// A socket, closed when dropped.
    type Socket: Debug + Send + Sync;
    /// A timer that ends a wait more exactly than the system's tick.
    type Timer: Debug;

    // --- the port

    /// `CreateIoCompletionPort`, for one thread.
    fn open_port(&self) -> Result<Self::Port, Code>;
    /// `CreateIoCompletionPort` on a socket: from here on its packets come to the port. Once in a
    /// socket's life.
    fn associate(&self, port: &Self::Port, socket: &Self::Socket) -> Result<(), Code>;
    /// `PostQueuedCompletionStatus`. The pointer comes back as it is and is not looked at.
    fn post(
        &self,
        port: &Self::Port,
        key: usize,
        bytes: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<(), Code>;
    /// `GetQueuedCompletionStatusEx`, not alertable: how many entries were filled. Without a timeout
    /// it waits for as long as it takes; a timeout is rounded up to a millisecond.
    /// [`Code::TIMED_OUT`] if there was nothing.
    fn dequeue(
        &self,
        port: &Self::Port,
        entries: &mut [OVERLAPPED_ENTRY],
        timeout: Option<Duration>,
    ) -> Result<usize, Code>;
    /// The error code of the `NTSTATUS` that a packet has brought; `None` is success.
    fn failure_of(&self, status: usize) -> Option<Code>;
    /// A high-resolution waitable timer with a wait packet for this port; `None` where the system has
    /// none.
    fn open_timer(&self, port: &Self::Port) -> Option<Self::Timer>;
    /// Has a packet with this key come after a time, in place of what the timer was set to before.
    fn set_timer(
        &self,
        port: &Self::Port,
        timer: &Self::Timer,
        after: Duration,
        key: usize,
    ) -> Result<(), Code>;
    /// Whether this is Wine, which lacks what is not to be used there.
    fn is_wine(&self) -> bool;

    // --- sockets

    /// A socket for overlapped I/O of an address's family, which does not block otherwise.
    fn open_socket(&self, family: SocketAddr) -> Result<Self::Socket, Code>;
    /// A socket that listens, exclusively, and does not block.
    fn open_listener(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Self::Socket, Code>;
    fn set_options(&self, socket: &Self::Socket, options: &SocketOptions) -> Result<(), Code>;
    /// `bind` to a local address; any, if there is none.
    fn bind(
        &self,
        socket: &Self::Socket,
        family: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<(), Code>;
    /// `SetFileCompletionNotificationModes(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS)`, where the socket's
    /// provider has real handles (`XP1_IFS_HANDLES`; elsewhere packets would be lost). True if what is
    /// done at once has no packet from here on.
    fn skip_packets_on_success(&self, socket: &Self::Socket) -> bool;
    fn local_address(&self, socket: &Self::Socket) -> Option<SocketAddr>;
    fn peer_address(&self, socket: &Self::Socket) -> Option<SocketAddr>;
    fn no_delay(&self, socket: &Self::Socket) -> Option<bool>;
    /// `shutdown(SD_SEND)`.
    fn end_sending(&self, socket: &Self::Socket);
    /// Closes a socket so that its peer sees a reset.
    fn reset(&self, socket: Self::Socket);
    /// `CancelIoEx` of one operation of a socket, or of all. [`Code::NOT_FOUND`] if there was none: its
    /// packet is on its way, or has come.
    fn cancel(&self, socket: &Self::Socket, operation: Option<*mut OVERLAPPED>)
    -> Result<(), Code>;
    /// Makes a fresh socket of an accepted one.
    fn release(&self, socket: Self::Socket, peer: SocketAddr, first: Vec<u8>) -> FreshSocket;
    /// Takes over a fresh socket, and the bytes that came with its accept. It does not block.
    fn take_over(&self, fresh: FreshSocket) -> io::Result<(Self::Socket, Vec<u8>)>;

    // --- accept

    /// `AcceptEx`. `output` has room for `first` bytes and two addresses of [`ADDRESS_BYTES`].
    ///
    /// # Safety
    /// `output` and `operation` stay where they are, and nobody else touches them, until the packet
    /// has been dequeued or the call has failed.
    unsafe fn accept_ex(
        &self,
        listener: &Self::Socket,
        socket: &Self::Socket,
        output: *mut u8,
        first: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code>;
    /// `GetAcceptExSockaddrs`: the local address and the peer's, out of what `AcceptEx` has written.
    fn accepted_addresses(
        &self,
        listener: &Self::Socket,
        output: &[u8],
        first: u32,
    ) -> Option<(SocketAddr, SocketAddr)>;
    /// `SO_UPDATE_ACCEPT_CONTEXT`, without which the socket takes neither `shutdown` nor the listener's
    /// options.
    fn update_accepted(&self, socket: &Self::Socket, listener: &Self::Socket) -> Result<(), Code>;
    /// `SO_CONNECT_TIME`: for how long a socket has been connected that waits in an `AcceptEx`; `None`
    /// if it is not.
    fn connected_for(&self, socket: &Self::Socket) -> Option<Duration>;
    /// Plain `accept` on a listener that does not block; [`Code::WOULD_BLOCK`] if nobody waits.
    fn accept_now(&self, listener: &Self::Socket) -> Result<(Self::Socket, SocketAddr), Code>;
    /// Waits until somebody may be accepted, for at most `timeout`.
    fn wait_acceptable(&self, listener: &Self::Socket, timeout: Duration) -> bool;

    // --- connect, disconnect

    /// `ConnectEx` of a bound socket.
    ///
    /// # Safety
    /// As for [`accept_ex`](Self::accept_ex): `operation` stays.
    unsafe fn connect_ex(
        &self,
        socket: &Self::Socket,
        address: SocketAddr,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code>;
    /// `SO_UPDATE_CONNECT_CONTEXT`, without which the socket takes neither `shutdown` nor
    /// `getpeername`.
    fn update_connected(&self, socket: &Self::Socket) -> Result<(), Code>;
    /// Ends the connection and keeps the socket for another one. It may wait for as long as the
    /// connection is in TIME_WAIT.
    ///
    /// # Safety
    /// As for [`accept_ex`](Self::accept_ex): `operation` stays. No other operation of the socket may
    /// be pending.
    unsafe fn disconnect_ex(
        &self,
        socket: &Self::Socket,
        how: Disconnect,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code>;

    // --- receive, send

    /// `WSARecv`, overlapped: into one buffer, or, with none, until there is something to receive.
    ///
    /// # Safety
    /// As for [`accept_ex`](Self::accept_ex), for `buffer` and `operation`.
    unsafe fn receive(
        &self,
        socket: &Self::Socket,
        buffer: Option<(*mut u8, u32)>,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code>;
    /// `WSARecv`, not overlapped: [`Code::WOULD_BLOCK`] if there is nothing.
    ///
    /// # Safety
    /// `len` bytes may be written at `buffer` for as long as the call lasts.
    unsafe fn receive_now(
        &self,
        socket: &Self::Socket,
        buffer: *mut u8,
        len: u32,
    ) -> Result<usize, Code>;
    /// `WSASend`, overlapped, of at most 64 slices: beyond 1,024 some systems report one operation
    /// twice.
    ///
    /// # Safety
    /// As for [`accept_ex`](Self::accept_ex), for `operation` and for what the slices point at, which is
    /// not written to. The list itself is not needed after the call.
    unsafe fn send(
        &self,
        socket: &Self::Socket,
        slices: &[Slice],
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code>;
    /// `WSASend`, not overlapped: what there is room for; [`Code::WOULD_BLOCK`] if there is none.
    ///
    /// # Safety
    /// What the slices point at is not written to for as long as the call lasts.
    unsafe fn send_now(&self, socket: &Self::Socket, slices: &[Slice]) -> Result<usize, Code>;
}
