//! Bytes on their way from one end to the other.

use std::time::Duration;

use super::end::{End, EndId, Failure, StreamEnd, take_front};
use super::{Event, Step, World};
use crate::completion::Direction;
use crate::sim::faults::FaultKind;

impl World {
    /// Plans a delivery of what an end has sent, if there is something that can be delivered and none
    /// is planned.
    pub(super) fn deliver_soon(&mut self, from: EndId) {
        let Some(end) = self.end(from).filter(|end| !end.delivers) else { return };
        if end.vanished && end.has_something_to_deliver() {
            return self.give_up_later(from);
        }
        if self.can_deliver(end) {
            let time = self.link_time();
            self.deliver_after(from, time);
        }
    }

    /// Whether a delivery would do something: into a window that is full it would not.
    fn can_deliver(&self, from: &End) -> bool {
        if !from.has_something_to_deliver() {
            return false;
        }
        let Some(to) = from.other.and_then(|other| self.end(other)) else { return true };
        from.unsent.is_empty() || !to.open || to.received.len() < to.window
    }

    fn deliver_after(&mut self, from: EndId, time: Duration) {
        if let Some(end) = self.end_mut(from) {
            end.delivers = true;
            self.plan(time, Event::Deliver(from));
        }
    }

    /// Takes what one delivery carries from an end to the other.
    pub(super) fn deliver(&mut self, from: EndId) {
        let Some(end) = self.end_mut(from) else { return };
        end.delivers = false;
        if end.vanished {
            // It had set out before: what is lost now is missed only when no answer comes.
            return self.deliver_soon(from);
        }
        let Some(to) = end.other else {
            return self.deliver_to_nobody(from);
        };
        if let Some(wait) = self.held_up(from) {
            return self.deliver_after(from, wait);
        }
        if self.broken(from, to) {
            return;
        }
        if !self.end(to).is_some_and(|end| end.open) {
            // Who has closed answers what still comes with a reset.
            return self.bounce(from, to);
        }
        self.carry(from, to);
        self.carry_the_end(from, to);
        self.deliver_soon(from);
    }

    /// The other end has closed and is gone: who sends bytes learns of it, who ends its stream has
    /// nothing to learn.
    fn deliver_to_nobody(&mut self, from: EndId) {
        let Some(end) = self.end_mut(from) else { return };
        if !end.open {
            self.forget(from);
        } else if end.unsent.is_empty() {
            end.ending = StreamEnd::Delivered;
        } else {
            self.fail(from, Failure::Reset);
        }
    }

    fn carry(&mut self, from: EndId, to: EndId) {
        let Some(room) = self.end(to).map(|end| end.window.saturating_sub(end.received.len()))
        else {
            return;
        };
        let Some(waiting) = self.end(from).map(|end| end.unsent.len()) else { return };
        let mut count = waiting.min(room);
        if count == 0 {
            return;
        }
        if self.chance(FaultKind::ChoppedDelivery) {
            count = self.up_to(count.min(16));
        }
        let Some(end) = self.end_mut(from) else { return };
        let carried = take_front(&mut end.unsent, count);
        if let Some(end) = self.end_mut(to) {
            end.received.extend(carried);
        }
        self.step(Step::Delivered(from, count));
        self.awaken(to, Direction::Receive);
        self.awaken(from, Direction::Send);
    }

    fn carry_the_end(&mut self, from: EndId, to: EndId) {
        let Some(end) = self.end_mut(from) else { return };
        if end.ending != StreamEnd::Queued || !end.unsent.is_empty() {
            return;
        }
        end.ending = StreamEnd::Delivered;
        let is_open = end.open;
        if let Some(other) = self.end_mut(to) {
            other.stream_ended = true;
        }
        self.step(Step::StreamEnded(from));
        self.awaken(to, Direction::Receive);
        if !is_open {
            self.forget(from);
        }
    }

    /// Something was sent to an end that is closed.
    fn bounce(&mut self, from: EndId, to: EndId) {
        let Some(end) = self.end(from) else { return };
        if end.unsent.is_empty() {
            // Only an end of the stream: both are through with each other.
            return self.carry_the_end(from, to);
        }
        let is_open = end.open;
        self.forget(to);
        if is_open {
            self.fail(from, Failure::Reset);
        } else {
            self.forget(from);
        }
    }

    /// Sends the other end a reset.
    pub(super) fn reset_other(&mut self, id: EndId) {
        let Some(end) = self.end(id) else { return };
        if end.vanished {
            return;
        }
        if let Some(other) = end.other {
            let time = self.link_time();
            self.plan(time, Event::ResetArrives(other));
        }
    }

    pub(super) fn reset_arrives(&mut self, at: EndId) {
        if self.end(at).is_some_and(|end| end.vanished) {
            return;
        }
        if self.personality.reset_discards()
            && let Some(end) = self.end_mut(at)
        {
            end.received.clear();
        }
        self.fail(at, Failure::Reset);
    }

    /// A connection is no more, as one of its ends sees it.
    pub(super) fn fail(&mut self, id: EndId, failure: Failure) {
        let Some(end) = self.end_mut(id) else { return };
        if end.failure.is_some() {
            return;
        }
        end.failure = Some(failure);
        end.unsent.clear();
        let is_open = end.open;
        self.step(Step::Failed(id, failure));
        if !is_open {
            return self.forget(id);
        }
        self.awaken(id, Direction::Receive);
        self.awaken(id, Direction::Send);
    }
}
