//! The seam: each call of the driver's goes to the kernel.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_ENTRY};

use super::World;
use super::accept::decode;
use super::kernel::{Counts, Kernel};
use super::memory::Operation;
use super::switches::Switches;
use crate::clock::Time;
use crate::iocp::api::{Api, Disconnect, Slice, Started};
use crate::iocp::code::Code;
use crate::socket::FreshSocket;
use crate::socket_options::{ListenOptions, SocketOptions};

/// How long a call waits, of real time, until somebody has dequeued its packet.
const DEQUEUED_WITHIN: Duration = Duration::from_secs(2);

/// The calls of a Windows that is made up.
#[derive(Clone, Debug)]
pub(crate) struct Mock {
    pub(super) world: Arc<World>,
}

/// A handle of a socket.
pub(crate) struct Socket {
    world: Arc<World>,
    number: usize,
    resets: bool,
}

/// A handle of a completion port.
pub(crate) struct Port {
    world: Arc<World>,
    number: usize,
}

#[derive(Debug)]
pub(crate) struct Timer;

impl Socket {
    pub(crate) fn reset(mut self) {
        self.resets = true;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.world.with(|kernel| kernel.close(self.number, self.resets));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.world.with(|kernel| kernel.close_port(self.number));
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.number)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.number)
    }
}

impl Mock {
    /// A new machine, whose time passes with the waits of this thread.
    pub(crate) fn new(switches: Switches) -> Self {
        let world = World {
            kernel: Mutex::new(Kernel::new(switches)),
            changed: Condvar::new(),
            home: thread::current().id(),
        };
        Self { world: Arc::new(world) }
    }

    /// Changes the habits of this Windows from here on.
    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        self.world.with(|kernel| {
            change(&mut kernel.switches);
            kernel.settle();
        });
    }

    pub(crate) fn counts(&self) -> Counts {
        self.world.with(|kernel| kernel.counts)
    }

    pub(crate) fn now(&self) -> Time {
        Time::ZERO + self.world.with(|kernel| kernel.clock)
    }

    /// Lets time pass while the driver does something else.
    pub(crate) fn pass(&self, time: Duration) {
        self.world.with(|kernel| {
            kernel.clock += time;
            kernel.happen();
        });
    }

    /// Sockets that are open.
    pub(crate) fn sockets(&self) -> usize {
        self.world.with(|kernel| kernel.sockets.len())
    }

    /// Operations that the kernel has, with those whose packets wait.
    pub(crate) fn operations(&self) -> usize {
        self.world.with(|kernel| kernel.pending.len() + kernel.on_their_way.len())
    }

    /// Operations of the driver's, by their memory, that it has ever started.
    pub(crate) fn known_operations(&self) -> usize {
        self.world.with(|kernel| kernel.known.len())
    }

    /// Whether the kernel may read from, or write to, any of this.
    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        let bytes = bytes.as_ptr_range();
        self.world.with(|kernel| kernel.has(&(bytes.start.addr()..bytes.end.addr())))
    }

    /// What was done that must not be done, on any thread.
    pub(crate) fn offences(&self) -> Vec<String> {
        self.world.with(|kernel| kernel.offences.clone())
    }

    /// Closes every port under those who wait there.
    pub(crate) fn abandon_ports(&self) {
        self.world.with(|kernel| {
            kernel.ports.values_mut().for_each(|queue| queue.is_abandoned = true);
        });
    }

    /// Writes once more to all that the kernel has: it may, for as long as no packet has come.
    pub(crate) fn write_everywhere(&self) {
        self.world.with(|kernel| kernel.spoil_all());
    }

    fn open(&self, number: usize) -> Socket {
        Socket { world: Arc::clone(&self.world), number, resets: false }
    }

    /// On another thread than the test's, has a call return only when its packet has been dequeued.
    fn return_late(&self, operation: *mut OVERLAPPED) {
        let mut kernel = self.world.lock();
        if !kernel.switches.accepts_late || self.world.is_home() {
            return;
        }
        while kernel.on_their_way.contains_key(&operation.addr()) {
            let (after, passed) = self.world.pause(kernel, DEQUEUED_WITHIN);
            kernel = after;
            if passed {
                return;
            }
        }
    }
}

impl Api for Mock {
    type Port = Port;
    type Socket = Socket;
    type Timer = Timer;

    fn open_port(&self) -> Result<Port, Code> {
        let number = self.world.with(Kernel::open_port);
        Ok(Port { world: Arc::clone(&self.world), number })
    }

    fn associate(&self, port: &Port, socket: &Socket) -> Result<(), Code> {
        self.world.with(|kernel| kernel.associate(socket.number, port.number))
    }

    fn post(
        &self,
        port: &Port,
        key: usize,
        bytes: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<(), Code> {
        self.world.with(|kernel| kernel.post(port.number, key, bytes, Operation(operation)));
        Ok(())
    }

    fn dequeue(
        &self,
        port: &Port,
        entries: &mut [OVERLAPPED_ENTRY],
        timeout: Option<Duration>,
    ) -> Result<usize, Code> {
        self.world.dequeue(port.number, entries, timeout)
    }

    fn failure_of(&self, status: usize) -> Option<Code> {
        let code = u32::try_from(status).unwrap_or(u32::MAX);
        (code != 0).then_some(Code(code))
    }

    fn open_timer(&self, _: &Port) -> Option<Timer> {
        self.world.with(|kernel| kernel.switches.fine_timer).then_some(Timer)
    }

    fn set_timer(&self, port: &Port, _: &Timer, after: Duration, key: usize) -> Result<(), Code> {
        self.world.with(|kernel| kernel.set_timer(port.number, after, key));
        Ok(())
    }

    fn is_wine(&self) -> bool {
        self.world.with(|kernel| kernel.switches.wine)
    }

    fn open_socket(&self, family: SocketAddr) -> Result<Socket, Code> {
        let number = self.world.with(|kernel| kernel.open_socket(family.is_ipv6()))?;
        Ok(self.open(number))
    }

    fn open_listener(&self, address: SocketAddr, options: &ListenOptions) -> Result<Socket, Code> {
        let backlog = options.backlog as usize;
        let number = self.world.with(|kernel| kernel.open_listener(address, backlog))?;
        Ok(self.open(number))
    }

    fn set_options(&self, socket: &Socket, options: &SocketOptions) -> Result<(), Code> {
        self.world.with(|kernel| kernel.set_options(socket.number, options.no_delay));
        Ok(())
    }

    fn bind(&self, socket: &Socket, _: SocketAddr, _: Option<SocketAddr>) -> Result<(), Code> {
        self.world.with(|kernel| kernel.socket(socket.number).is_bound = true);
        Ok(())
    }

    fn skip_packets_on_success(&self, socket: &Socket) -> bool {
        self.world.with(|kernel| {
            let skips = kernel.switches.skips;
            kernel.socket(socket.number).skips = skips;
            skips
        })
    }

    fn local_address(&self, socket: &Socket) -> Option<SocketAddr> {
        self.world.with(|kernel| kernel.local_address(socket.number))
    }

    fn peer_address(&self, socket: &Socket) -> Option<SocketAddr> {
        self.world.with(|kernel| kernel.peer_address(socket.number))
    }

    fn no_delay(&self, socket: &Socket) -> Option<bool> {
        Some(self.world.with(|kernel| kernel.socket(socket.number).no_delay))
    }

    fn end_sending(&self, socket: &Socket) {
        self.world.with(|kernel| kernel.end_sending(socket.number));
    }

    fn reset(&self, socket: Socket) {
        socket.reset();
    }

    fn cancel(&self, socket: &Socket, operation: Option<*mut OVERLAPPED>) -> Result<(), Code> {
        self.world.with(|kernel| kernel.cancel(socket.number, operation.map(Operation)))
    }

    fn release(&self, socket: Socket, peer: SocketAddr, first: Vec<u8>) -> FreshSocket {
        self.world.with(|kernel| kernel.side(socket.number));
        FreshSocket::mocked(socket, peer.into()).with_first_bytes(first)
    }

    fn take_over(&self, mut fresh: FreshSocket) -> io::Result<(Socket, Vec<u8>)> {
        let first = fresh.take_first_bytes();
        Ok((fresh.into_mocked()?, first))
    }

    unsafe fn accept_ex(
        &self,
        listener: &Socket,
        socket: &Socket,
        output: *mut u8,
        first: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        let started = self.world.with(|kernel| {
            kernel.accept_ex(listener.number, socket.number, (output, first), operation)
        });
        self.return_late(operation);
        started
    }

    fn accepted_addresses(
        &self,
        _: &Socket,
        output: &[u8],
        first: u32,
    ) -> Option<(SocketAddr, SocketAddr)> {
        decode(output, first)
    }

    fn update_accepted(&self, socket: &Socket, listener: &Socket) -> Result<(), Code> {
        self.world.with(|kernel| {
            let no_delay = kernel.socket(listener.number).no_delay;
            let socket = kernel.socket(socket.number);
            socket.no_delay = no_delay;
            socket.owed = None;
        });
        Ok(())
    }

    fn connected_for(&self, socket: &Socket) -> Option<Duration> {
        self.world.with(|kernel| kernel.connected_for(socket.number))
    }

    fn accept_now(&self, listener: &Socket) -> Result<(Socket, SocketAddr), Code> {
        let (number, peer) = self.world.with(|kernel| kernel.accept_now(listener.number))?;
        Ok((self.open(number), peer))
    }

    fn wait_acceptable(&self, listener: &Socket, timeout: Duration) -> bool {
        let kernel = self.world.lock();
        let waits = |kernel: &Kernel| {
            kernel.switches.polls_wrong || kernel.first_in_backlog(listener.number).is_some()
        };
        if waits(&kernel) {
            return true;
        }
        let (kernel, _) = self.world.pause(kernel, timeout);
        waits(&kernel)
    }

    unsafe fn connect_ex(
        &self,
        socket: &Socket,
        address: SocketAddr,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        self.world.with(|kernel| kernel.connect_ex(socket.number, address, operation))
    }

    fn update_connected(&self, socket: &Socket) -> Result<(), Code> {
        self.world.with(|kernel| kernel.socket(socket.number).owed = None);
        Ok(())
    }

    unsafe fn disconnect_ex(
        &self,
        socket: &Socket,
        _: Disconnect,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        self.world.with(|kernel| kernel.disconnect_ex(socket.number, operation))
    }

    unsafe fn receive(
        &self,
        socket: &Socket,
        buffer: Option<(*mut u8, u32)>,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        self.world.with(|kernel| kernel.receive(socket.number, buffer, operation))
    }

    unsafe fn receive_now(
        &self,
        socket: &Socket,
        buffer: *mut u8,
        len: u32,
    ) -> Result<usize, Code> {
        let bytes = self.world.with(|kernel| kernel.receive_now(socket.number, len as usize))?;
        // SAFETY: the caller promises room for `len` bytes, and there are no more.
        unsafe { buffer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(bytes.len())
    }

    unsafe fn send(
        &self,
        socket: &Socket,
        slices: &[Slice],
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        self.world.with(|kernel| kernel.send(socket.number, slices, operation))
    }

    unsafe fn send_now(&self, socket: &Socket, slices: &[Slice]) -> Result<usize, Code> {
        self.world.with(|kernel| kernel.send_now(socket.number, slices))
    }
}
