//! Receives and sends as a kernel has them: armed, finished at a time of their own, and posted to a
//! port, whatever has become of who asked.
//!
//! An operation goes from armed to finishing when there is something for it, and to posted when its
//! time has come. A cancel travels as well, and meets it wherever it is by then.

use super::end::{Connecting, EndId, Holder};
use super::{Event, Step, World};
use crate::completion::Direction;
use crate::ids::SocketId;
use crate::sim::faults::FaultKind;

/// One receive or send of an end.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sim) struct Operation {
    stage: Stage,
    /// Which of the operations that this end has had in this direction.
    number: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// It waits for something.
    Armed,
    /// There is something; it finishes at a time that is planned.
    Finishing,
}

/// What a kernel posts to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) enum Packet {
    /// There is something to receive, or room to send.
    Ready { socket: SocketId, direction: Direction, number: u32, stays_armed: bool },
    /// An operation was ended without having done anything.
    Aborted { socket: SocketId, direction: Direction, number: u32, code: Abort },
    /// A cancel has not found what it was for.
    CancelMissed { socket: SocketId, direction: Direction, number: u32 },
    /// A connect has ended.
    Connected { socket: SocketId, how: Connecting },
    /// A listener has connections. If it does not stay armed, it tells no more.
    Waiting { address: std::net::SocketAddr, stays_armed: bool },
}

/// What an aborted operation says of its cause, which proves nothing: see rule 5.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::sim) enum Abort {
    Cancelled,
    /// Windows' `ERROR_NETNAME_DELETED` and the like: anybody may have closed it.
    Reset,
    /// It did as much as it could, which was nothing.
    Ended,
}

impl World {
    /// Arms an operation and returns its number.
    pub(in crate::sim) fn arm(&mut self, id: EndId, direction: Direction) -> u32 {
        let Some(end) = self.end_mut(id) else { return 0 };
        let operation = end.operation(direction);
        operation.number = operation.number.wrapping_add(1);
        operation.stage = Stage::Armed;
        let number = operation.number;
        self.awaken(id, direction);
        number
    }

    /// Arms an operation again that has stayed armed: it keeps its number.
    pub(in crate::sim) fn stay_armed(&mut self, id: EndId, direction: Direction) {
        let Some(end) = self.end_mut(id) else { return };
        let operation = end.operation(direction);
        if operation.stage == Stage::Idle {
            operation.stage = Stage::Armed;
            self.awaken(id, direction);
        }
    }

    /// Takes an operation back without a word: for who keeps the books himself.
    pub(in crate::sim) fn disarm(&mut self, id: EndId, direction: Direction) {
        if let Some(end) = self.end_mut(id) {
            end.operation(direction).stage = Stage::Idle;
        }
    }

    /// Lets an armed operation finish if there is something for it.
    pub(super) fn awaken(&mut self, id: EndId, direction: Direction) {
        let Some(end) = self.end_mut(id) else { return };
        let ready = match direction {
            Direction::Receive => end.is_readable(),
            Direction::Send => end.is_writable(),
        };
        let operation = end.operation(direction);
        if !ready || operation.stage != Stage::Armed {
            return;
        }
        operation.stage = Stage::Finishing;
        let number = operation.number;
        let time = self.operation_time();
        self.plan(time, Event::Finish(id, direction, number));
    }

    pub(super) fn finish(&mut self, id: EndId, direction: Direction, number: u32) {
        let Some(end) = self.end_mut(id) else { return };
        let operation = end.operation(direction);
        if operation.stage != Stage::Finishing || operation.number != number {
            return;
        }
        operation.stage = Stage::Idle;
        let stays = direction == Direction::Receive && self.personality.stays_armed();
        let stays_armed = stays && !self.chance(FaultKind::MultishotEnded);
        self.post_to_holder(id, |socket| Packet::Ready { socket, direction, number, stays_armed });
        self.step(Step::Finished(id, direction));
    }

    fn post_to_holder(&mut self, id: EndId, packet: impl FnOnce(SocketId) -> Packet) {
        if let Some(&Holder::Port(port, socket)) = self.end(id).map(|end| &end.holder) {
            self.post(port, packet(socket));
        }
    }

    /// Sends a cancel after an operation.
    pub(in crate::sim) fn cancel(&mut self, id: EndId, direction: Direction, number: u32) {
        let time = self.operation_time();
        self.plan(time, Event::CancelArrives(id, direction, number));
    }

    pub(super) fn cancel_arrives(&mut self, id: EndId, direction: Direction, number: u32) {
        let Some(end) = self.end_mut(id) else { return };
        let ready = match direction {
            Direction::Receive => end.is_readable(),
            Direction::Send => end.is_writable(),
        };
        let connects = end.connecting == Connecting::Started && direction == Direction::Send;
        let operation = *end.operation(direction);
        let is_there = operation.number == number && operation.stage != Stage::Idle;
        self.step(Step::CancelArrived(id, direction));
        if connects {
            return self.cancel_connect(id);
        }
        if !is_there || self.chance(FaultKind::CancelMissed) {
            let missed = |socket| Packet::CancelMissed { socket, direction, number };
            return self.post_to_holder(id, missed);
        }
        if ready && self.chance(FaultKind::LateSuccess) {
            return self.succeed(id, direction, number);
        }
        self.abort(id, direction, number);
    }

    fn succeed(&mut self, id: EndId, direction: Direction, number: u32) {
        self.disarm(id, direction);
        let stays_armed = false;
        let success = |socket| Packet::Ready { socket, direction, number, stays_armed };
        self.post_to_holder(id, success);
    }

    /// Ends a connect without a word: for who keeps the books himself.
    pub(in crate::sim) fn abandon_connect(&mut self, id: EndId) {
        if let Some(end) = self.end_mut(id).filter(|end| end.connecting == Connecting::Started) {
            end.connecting = Connecting::No;
        }
    }

    fn cancel_connect(&mut self, id: EndId) {
        if self.chance(FaultKind::CancelMissed) {
            let missed =
                |socket| Packet::CancelMissed { socket, direction: Direction::Send, number: 0 };
            return self.post_to_holder(id, missed);
        }
        if let Some(end) = self.end_mut(id) {
            end.connecting = Connecting::No;
        }
        self.post_to_holder(id, |socket| Packet::Connected { socket, how: Connecting::No });
    }

    fn abort(&mut self, id: EndId, direction: Direction, number: u32) {
        self.disarm(id, direction);
        let code = self.abort_code();
        self.post_to_holder(id, |socket| Packet::Aborted { socket, direction, number, code });
    }

    fn abort_code(&mut self) -> Abort {
        if !self.chance(FaultKind::UnclearAbort) {
            return Abort::Cancelled;
        }
        if self.below(2) == 0 { Abort::Reset } else { Abort::Ended }
    }

    /// Aborts what is under way on an end, because its descriptor is closed. A send that was about to
    /// finish may have succeeded before.
    pub(in crate::sim) fn abort_all(&mut self, id: EndId) {
        for direction in [Direction::Receive, Direction::Send] {
            let Some(end) = self.end_mut(id) else { return };
            let Operation { stage, number } = *end.operation(direction);
            let finishes = direction == Direction::Send && stage == Stage::Finishing;
            if finishes && self.chance(FaultKind::LateSuccess) {
                self.succeed(id, direction, number);
            } else if stage != Stage::Idle {
                self.abort(id, direction, number);
            }
        }
    }
}
