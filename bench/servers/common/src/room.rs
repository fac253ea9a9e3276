//! A chat room for servers that run on one thread and have tasks per connection.
//!
//! Each member has one outbox, and what is said is put behind what waits there already. So while a member's
//! writer is busy its frames come together, and go out with one write. A channel per member would carry a
//! message per frame for the same.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// Bytes that a member may lag behind; beyond that it has missed frames, and is closed.
pub const LAG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of memory that an empty outbox keeps for the next time.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// All members.
#[derive(Clone, Debug, Default)]
pub struct Room(Rc<RefCell<Slab<Outbox>>>);

impl Room {
    /// Adds a member.
    #[must_use]
    pub fn join(&self) -> Member {
        let outbox = Outbox::default();
        let place = self.0.borrow_mut().insert(outbox.clone());
        Member { room: self.clone(), place, outbox }
    }
}

/// One who reads what is said and may say something; leaves the room when dropped.
#[derive(Debug)]
pub struct Member {
    room: Room,
    place: usize,
    outbox: Outbox,
}

impl Member {
    /// What this member has to be sent.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Puts whole frames into every member's outbox.
    pub fn say(&self, frames: &[u8]) {
        if !frames.is_empty() {
            self.room.0.borrow().iter().for_each(|(_, outbox)| outbox.push(frames));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.room.0.borrow_mut().remove(self.place);
        let mut state = self.outbox.0.borrow_mut();
        state.has_left = true;
        state.writer.wake();
    }
}

/// Frames that wait to be sent to one member. A clone is the same outbox.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    has_left: bool,
    lags: bool,
    writer_is_idle: bool,
    writer: Sleeper,
    reader: Sleeper,
}

impl Outbox {
    fn push(&self, frames: &[u8]) {
        let state = &mut *self.0.borrow_mut();
        if state.lags {
            return;
        }
        state.waiting.extend_from_slice(frames);
        if state.waiting.len() > LAG_BYTES_MAX {
            state.waiting = Vec::new();
            state.lags = true;
            state.reader.wake();
            state.writer.wake();
        } else if mem::take(&mut state.writer_is_idle) {
            state.writer.wake();
        }
    }

    /// Takes all that waits in exchange for an empty buffer, once there is something. `false` stands for
    /// the end: the member has left and has been given everything, or it lags.
    pub fn poll_take(&self, context: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<bool> {
        let state = &mut *self.0.borrow_mut();
        if state.lags {
            return Poll::Ready(false);
        }
        if !state.waiting.is_empty() {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES_MAX);
            mem::swap(&mut state.waiting, buffer);
            return Poll::Ready(true);
        }
        if state.has_left {
            return Poll::Ready(false);
        }
        state.writer_is_idle = true;
        state.writer.sleep(context);
        Poll::Pending
    }

    /// The same as a future, for buffers that are owned by who writes them: none stands for the end.
    pub async fn take(&self, mut buffer: Vec<u8>) -> Option<Vec<u8>> {
        poll_fn(|context| self.poll_take(context, &mut buffer)).await.then_some(buffer)
    }

    /// Ready once the member lags and is to be closed.
    pub fn poll_lags(&self, context: &Context<'_>) -> Poll<()> {
        let state = &mut *self.0.borrow_mut();
        if state.lags {
            return Poll::Ready(());
        }
        state.reader.sleep(context);
        Poll::Pending
    }

    /// What the future of the member's reader gives, none if the member lags.
    pub async fn read<F: Future>(&self, future: F) -> Option<F::Output> {
        self.unless_lagging(|state| &mut state.reader, future).await
    }

    /// What the future of the member's writer gives, none if the member lags.
    pub async fn write<F: Future>(&self, future: F) -> Option<F::Output> {
        self.unless_lagging(|state| &mut state.writer, future).await
    }

    async fn unless_lagging<F: Future>(
        &self,
        sleeper: impl Fn(&mut State) -> &mut Sleeper,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if self.0.borrow().lags {
                return Poll::Ready(None);
            }
            let polled = future.as_mut().poll(context).map(Some);
            if polled.is_pending() {
                sleeper(&mut self.0.borrow_mut()).sleep(context);
            }
            polled
        })
        .await
    }
}

/// A task that may have to be woken.
#[derive(Debug, Default)]
struct Sleeper(Option<Waker>);

impl Sleeper {
    fn sleep(&mut self, context: &Context<'_>) {
        if !self.0.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.0 = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.0 {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(outbox: &Outbox) -> Poll<Option<Vec<u8>>> {
        let mut future = pin!(outbox.take(Vec::new()));
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_waits_comes_together_and_who_left_gets_the_rest() {
        let room = Room::default();
        let (one, other) = (room.join(), room.join());
        let outbox = one.outbox().clone();
        assert_eq!(take(&outbox), Poll::Pending);
        one.say(b"a");
        other.say(b"bc");
        assert_eq!(take(&outbox), Poll::Ready(Some(b"abc".to_vec())));
        other.say(b"d");
        drop(one);
        other.say(b"e");
        assert_eq!(take(&outbox), Poll::Ready(Some(b"d".to_vec())));
        assert_eq!(take(&outbox), Poll::Ready(None));
        assert_eq!(take(other.outbox()), Poll::Ready(Some(b"abcde".to_vec())));
    }

    #[test]
    fn who_lags_is_told_and_holds_nothing() {
        let room = Room::default();
        let member = room.join();
        let mut read = pin!(member.outbox().read(std::future::pending::<()>()));
        let mut context = Context::from_waker(Waker::noop());
        member.say(&vec![0; LAG_BYTES_MAX]);
        assert_eq!(read.as_mut().poll(&mut context), Poll::Pending);
        member.say(b"one more");
        assert_eq!(read.as_mut().poll(&mut context), Poll::Ready(None));
        assert_eq!(take(member.outbox()), Poll::Ready(None));
        assert_eq!(member.outbox().0.borrow().waiting.capacity(), 0);
    }
}
