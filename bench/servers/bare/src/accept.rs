//! Accepting connections.

use std::io;

use io_uring::{cqueue, opcode, types};

use crate::ring::Operation;
use crate::server::Server;

impl Server {
    pub(crate) fn arm_accept(&mut self) -> io::Result<()> {
        self.accept_parked = false;
        let entry = opcode::AcceptMulti::new(types::Fd(self.listener))
            .allocate_file_index(self.options.direct_descriptors.is_some())
            .build()
            .user_data(Operation::Accept.to_user_data());
        self.stage(&entry)
    }

    pub(crate) fn on_accept(&mut self, result: i32, flags: u32) -> io::Result<()> {
        let armed = cqueue::more(flags);
        match result {
            0.. => {
                let index = self.connections.insert(result);
                self.arm_receive(index)?;
            }
            _ => match -result {
                // Out of descriptors or memory: that passes when a connection closes.
                libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS if !armed => {
                    if self.connections.is_empty() {
                        return Err(io::Error::from_raw_os_error(-result));
                    }
                    self.accept_parked = true;
                    return Ok(());
                }
                libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP => {
                    return Err(io::Error::from_raw_os_error(-result));
                }
                // One connection that went away before it was accepted.
                _ => {}
            },
        }
        if armed { Ok(()) } else { self.arm_accept() }
    }
}
