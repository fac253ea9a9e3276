//! Honest sessions that are measured as by `wharf load echo`, with guests on the same port.

use wharf_port::{Completion, Segment, SendError, SocketId, Time};

use super::Guests;
use crate::failure::Failure;
use crate::load::echo::Echo;
use crate::load::mode::Mode;
use crate::load::phase::Phase;
use crate::load::run::{Outcome, Run, Setup};

pub(super) struct Beside<'a, G> {
    honest: Echo,
    guests: &'a mut G,
}

impl<'a, G: Guests> Beside<'a, G> {
    /// Runs from the first honest message to the last honest end of stream.
    pub(super) fn execute(setup: Setup, guests: &'a mut G) -> Result<Outcome, Failure> {
        let mut honest = Echo::new(setup)?;
        honest.start()?;
        let mut beside = Self { honest, guests };
        let mut are_here = true;
        while beside.honest.run().phase != Phase::Over {
            beside.turn()?;
            let Run { phase, crowd, .. } = beside.honest.run_mut();
            if are_here && !phase.sends() {
                are_here = false;
                beside.guests.leave(&mut crowd.port);
            }
        }
        Ok(beside.honest.finish())
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let due = [self.honest.next_due(), Some(self.guests.next_due())];
        let due = due.into_iter().flatten().min();
        let now = self.wait(self.honest.run().deadline(due))?;
        if self.honest.run().phase.sends() {
            self.guests.act(&mut self.honest.run_mut().crowd.port, now);
        }
        self.honest.send_due(now);
        if self.advance(now) {
            self.honest.flush();
        }
        self.honest.run_mut().show(now);
        Ok(())
    }
}

/// The socket that a completion is about, if it is about one.
const fn socket_of(completion: &Completion) -> Option<SocketId> {
    match completion {
        Completion::Connected { socket, .. }
        | Completion::Received { socket, .. }
        | Completion::Sent { socket, .. }
        | Completion::Closed { socket } => Some(*socket),
        _ => None,
    }
}

impl<G: Guests> Mode for Beside<'_, G> {
    fn run(&self) -> &Run {
        self.honest.run()
    }

    fn run_mut(&mut self) -> &mut Run {
        self.honest.run_mut()
    }

    fn take(&mut self, completion: Completion, now: Time) {
        match socket_of(&completion) {
            Some(socket) if self.guests.owns(socket) => {
                self.guests.on_completion(&mut self.honest.run_mut().crowd.port, completion, now);
            }
            _ => self.take_own(completion, now),
        }
    }

    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time) {
        self.honest.on_bytes(socket, bytes, now);
    }

    fn on_sent(
        &mut self,
        socket: SocketId,
        segments: Vec<Segment>,
        result: Result<(), SendError>,
        now: Time,
    ) {
        self.honest.on_sent(socket, segments, result, now);
    }

    fn stop_sending(&mut self, now: Time) -> Time {
        self.honest.stop_sending(now)
    }

    fn end_streams(&mut self) {
        self.honest.end_streams();
    }
}
