//! `ConnectEx`, and what makes a socket ready for its next connection.

use std::net::SocketAddr;
use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_CONNECTION_REFUSED;
use windows_sys::Win32::Networking::WinSock::{WSAEINVAL, WSAENOTCONN};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::kernel::{Event, Kernel, Kind, Role, winsock};
use super::link::{Link, Side};
use super::switches::Disconnecting;
use crate::iocp::Code;
use crate::iocp::api::Started;

/// How long a connect takes, and a refusal.
const AWAY: Duration = Duration::from_micros(300);

impl Kernel {
    /// Knocks at an address: the connection, if it has got into the backlog; none if nobody listens.
    pub(super) fn knock(&mut self, from: SocketAddr, to: SocketAddr) -> Option<Option<usize>> {
        let link = self.links.len();
        let listening = self.listener_on(to)?;
        if listening.backlog.len() == listening.most {
            return Some(None);
        }
        listening.backlog.push_back(link);
        self.links.push(Link::new(from, to, self.clock));
        self.settle();
        Some(Some(link))
    }

    pub(super) fn connect_ex(
        &mut self,
        number: usize,
        to: SocketAddr,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        self.counts.connects += 1;
        if !self.socket(number).is_bound {
            return Err(winsock(WSAEINVAL));
        }
        let fresh = matches!(self.socket(number).role, Role::Fresh);
        self.demand(fresh, || format!("socket {number} cannot be connected"));
        let from = super::client::address_of_socket(self.links.len());
        let knocked = self.knock(from, to);
        let link = knocked.flatten();
        let pending = self.begin(number, operation, Kind::Connect { link });
        match (knocked, link) {
            (_, Some(link)) if self.switches.connects_at_once => {
                self.make_connecting(number, link);
                return Ok(self.end_at_once(&pending, 0));
            }
            // With a full backlog it waits.
            (Some(None), _) => {}
            _ => self.after(AWAY, Event::Done(pending.serial)),
        }
        Ok(self.pend(pending))
    }

    pub(super) fn connected_in_time(&mut self, at: usize, link: Option<usize>) {
        let Some(link) = link else { return self.fail(at, Code(ERROR_CONNECTION_REFUSED)) };
        let pending = self.pending.remove(at);
        self.make_connecting(pending.socket, link);
        self.end(&pending, 0, None);
        self.settle();
    }

    fn make_connecting(&mut self, number: usize, link: usize) {
        self.links[link].ends[0].socket = Some(number);
        let socket = self.socket(number);
        socket.role = Role::Connected(Side { link, end: 0 });
        socket.owed = Some("SO_UPDATE_CONNECT_CONTEXT");
    }

    pub(super) fn disconnect_ex(
        &mut self,
        number: usize,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        let side = self.side(number).ok_or(winsock(WSAENOTCONN))?;
        let busy = self.pending.iter().any(|it| it.socket == number);
        self.demand(!busy, || format!("socket {number} is disconnected with an operation pending"));
        self.counts.disconnects += 1;
        if let Disconnecting::Fails(code) = self.switches.disconnect {
            return Err(Code(code));
        }
        let pending = self.begin(number, operation, Kind::Disconnect);
        self.links[side.link].finish(side.end);
        let waits = self.links[side.link].ends[side.end].ended_first;
        let takes = match self.switches.disconnect {
            _ if waits => self.switches.time_wait,
            Disconnecting::After(time) => time,
            _ => {
                self.make_fresh(number);
                return Ok(self.end_at_once(&pending, 0));
            }
        };
        self.after(takes, Event::Done(pending.serial));
        self.settle();
        Ok(self.pend(pending))
    }

    pub(super) fn disconnected_in_time(&mut self, at: usize) {
        let pending = self.pending.remove(at);
        self.make_fresh(pending.socket);
        self.end(&pending, 0, None);
    }

    fn make_fresh(&mut self, number: usize) {
        if let Some(side) = self.side(number) {
            self.links[side.link].ends[side.end].socket = None;
        }
        let socket = self.socket(number);
        socket.role = Role::Fresh;
        socket.was_used = true;
    }
}
