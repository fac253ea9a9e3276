//! Calls on sockets that finish at once.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER;
use windows_sys::Win32::Networking::WinSock::{WSAEADDRINUSE, WSAEMFILE};

use super::accept::Listening;
use super::kernel::{Kernel, Role, Socket, winsock};
use crate::iocp::Code;

impl Kernel {
    /// The lowest number that is free: numbers are given out again at once.
    pub(super) fn open_socket(&mut self, is_ipv6: bool) -> Result<usize, Code> {
        if self.sockets.len() >= self.switches.sockets_max {
            return Err(winsock(WSAEMFILE));
        }
        self.counts.sockets_opened += 1;
        let number = (1..).find(|it| !self.sockets.contains_key(it)).unwrap_or_default();
        let socket = Socket {
            role: Role::Fresh,
            port: None,
            skips: false,
            is_bound: false,
            is_ipv6,
            no_delay: false,
            owed: None,
            was_used: false,
        };
        self.sockets.insert(number, socket);
        Ok(number)
    }

    pub(super) fn open_listener(
        &mut self,
        address: SocketAddr,
        backlog: usize,
    ) -> Result<usize, Code> {
        if self.listener_on(address).is_some() {
            return Err(winsock(WSAEADDRINUSE));
        }
        let number = self.open_socket(address.is_ipv6())?;
        let listening = Listening { address, backlog: [].into(), most: backlog };
        self.socket(number).role = Role::Listening(listening);
        Ok(number)
    }

    pub(super) fn associate(&mut self, number: usize, port: usize) -> Result<(), Code> {
        self.counts.associations += 1;
        let socket = self.socket(number);
        if socket.port.is_some() {
            return Err(Code(ERROR_INVALID_PARAMETER));
        }
        socket.port = Some(port);
        Ok(())
    }

    pub(super) fn local_address(&mut self, number: usize) -> Option<SocketAddr> {
        self.socket(number);
        match &self.sockets[&number].role {
            Role::Fresh if self.sockets[&number].is_ipv6 => Some((Ipv6Addr::UNSPECIFIED, 0).into()),
            Role::Fresh => Some((Ipv4Addr::UNSPECIFIED, 0).into()),
            Role::Listening(listening) => Some(listening.address),
            Role::Connected(side) => Some(self.links[side.link].ends[side.end].address),
        }
    }

    pub(super) fn peer_address(&mut self, number: usize) -> Option<SocketAddr> {
        let side = self.side(number)?.other();
        Some(self.links[side.link].ends[side.end].address)
    }

    pub(super) fn set_options(&mut self, number: usize, no_delay: bool) {
        // The update would put the listener's options in their place.
        self.side(number);
        self.socket(number).no_delay = no_delay;
    }

    pub(super) fn end_sending(&mut self, number: usize) {
        if let Some(side) = self.side(number) {
            self.links[side.link].finish(side.end);
            self.settle();
        }
    }

    /// `closesocket`: what is pending comes back.
    pub(super) fn close(&mut self, number: usize, resets: bool) {
        let Some(socket) = self.sockets.remove(&number) else { return };
        let mut at = 0;
        while let Some(pending) = self.pending.get(at) {
            if pending.socket == number || pending.is_accept_with(number) {
                let before = self.pending.len();
                let code = self.closed_code();
                self.give_back(at, code);
                at += usize::from(self.pending.len() == before);
            } else {
                at += 1;
            }
        }
        match socket.role {
            Role::Fresh => {}
            Role::Listening(listening) => {
                listening.backlog.iter().for_each(|&link| self.links[link].reset(1));
            }
            Role::Connected(side) => {
                let link = &mut self.links[side.link];
                link.ends[side.end].socket = None;
                if resets {
                    link.reset(side.end);
                } else {
                    link.finish(side.end);
                }
            }
        }
        self.settle();
    }
}
