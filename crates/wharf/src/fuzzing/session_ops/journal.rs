//! What the sessions of a case have been called with, and what they have sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use arbitrary::{Result, Unstructured};

use super::client::{Client, numbered};
use crate::arrival::Arrival;
use crate::{Address, CloseReason, Context, Outcome, SendStatus, Session, SessionId};

/// What a session does with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Echo,
    /// Sends it back with one for every session there ever was.
    Tell,
    Close,
    Fail,
}

/// Everything that has happened to sessions.
#[derive(Default)]
pub(super) struct Journal {
    mood: Mood,
    /// What one sends may push out what another has sent.
    pub(super) drops_oldest: bool,
    sessions: BTreeMap<SessionId, Entry>,
    /// Frames that were meant for a session and did not come from it, by their number.
    addressed: Vec<SessionId>,
}

struct Entry {
    peer: Address,
    connected: bool,
    disconnected: bool,
    frames: Vec<Vec<u8>>,
    /// Those of the frames that were sent back.
    echoed: Vec<Vec<u8>>,
    /// A frame was left out by the policy.
    dropped: bool,
}

impl Journal {
    pub(super) fn set_mood(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        self.mood =
            *input.choose(&[Mood::Echo, Mood::Echo, Mood::Tell, Mood::Close, Mood::Fail])?;
        Ok(())
    }

    /// A session that is there or was; one in eight is made up.
    pub(super) fn any_id(&self, input: &mut Unstructured<'_>) -> Result<Option<SessionId>> {
        if input.ratio(1, 8)? {
            return Ok(Some(SessionId::from_u64(input.arbitrary()?)));
        }
        let ids: Vec<&SessionId> = self.sessions.keys().collect();
        Ok(if ids.is_empty() { None } else { Some(**input.choose(&ids)?) })
    }

    /// A frame for a session, which nobody else may get.
    pub(super) fn address(&mut self, to: SessionId) -> Vec<u8> {
        self.addressed.push(to);
        numbered(&format!("to{:06x}", self.addressed.len() - 1), 0)
    }

    /// What a client has sent and received against what its session has.
    pub(super) fn compare(&self, client: &Client) {
        let received = client.received_frames();
        let of_client = self.sessions.iter().find(|(_, entry)| entry.peer == client.local);
        let Some((id, entry)) = of_client else {
            return assert!(received.is_empty(), "somebody sends who is no session");
        };
        assert!(client.has_sent(&entry.frames), "other frames than were sent");
        let (told, echoed): (Vec<_>, Vec<_>) =
            received.into_iter().partition(|frame| frame.starts_with(b"to"));
        if entry.dropped {
            let mut due = entry.echoed.iter();
            let in_order = echoed.iter().all(|frame| due.any(|it| it == frame));
            assert!(in_order, "frames come back in another order");
        } else {
            assert!(entry.echoed.starts_with(&echoed), "other frames than were sent back");
        }
        let numbers: Vec<usize> = told.iter().map(|frame| number(frame)).collect();
        assert!(numbers.iter().all(|number| self.addressed[*number] == *id), "for somebody else");
    }

    /// From here on sessions answer, and do nothing else.
    pub(super) fn calm_down(&mut self) {
        self.mood = Mood::Echo;
    }

    /// Everything that a client has sent has reached its session, and everything that the session has
    /// sent back the client; unless the session has ended.
    pub(super) fn check_delivered(&self, client: &Client) {
        let of_client = self.sessions.values().find(|entry| entry.peer == client.local);
        let Some(entry) = of_client.filter(|entry| !entry.disconnected && client.is_well()) else {
            return;
        };
        assert!(client.has_sent_all(&entry.frames), "a session that is well does not get on");
        let is_echo = |frame: &Vec<u8>| !frame.starts_with(b"to");
        let echoed: Vec<_> = client.received_frames().into_iter().filter(is_echo).collect();
        assert!(entry.dropped || entry.echoed == echoed, "a client that is well does not get on");
    }

    /// Every session has had its end.
    pub(super) fn check_end(&self) {
        for (id, entry) in &self.sessions {
            assert!(entry.disconnected, "{id:?} has not been told of its end");
        }
    }

    fn entry(&mut self, id: SessionId) -> &mut Entry {
        let Some(entry) = self.sessions.get_mut(&id) else { panic!("{id:?} never arrived") };
        entry
    }
}

fn number(frame: &[u8]) -> usize {
    let digits = std::str::from_utf8(&frame[2..8]).unwrap_or_default();
    usize::from_str_radix(digits, 16).unwrap_or(usize::MAX)
}

/// A session that writes down what happens to it.
pub(super) struct Recorder {
    id: SessionId,
    journal: Rc<RefCell<Journal>>,
}

impl Recorder {
    pub(super) fn new(arrival: &Arrival, journal: Rc<RefCell<Journal>>) -> Self {
        let id = arrival.id();
        let entry = Entry {
            peer: arrival.peer().clone(),
            connected: false,
            disconnected: false,
            frames: Vec::new(),
            echoed: Vec::new(),
            dropped: journal.borrow().drops_oldest,
        };
        let before = journal.borrow_mut().sessions.insert(id, entry);
        assert!(before.is_none(), "{id:?} was used before");
        Self { id, journal }
    }

    fn echo(&self, ctx: &mut Context<'_>, frame: &[u8]) {
        let status = ctx.send(frame);
        let mut journal = self.journal.borrow_mut();
        let entry = journal.entry(self.id);
        entry.dropped |= matches!(status, SendStatus::Dropped | SendStatus::DroppedOldest);
        if matches!(status, SendStatus::Queued | SendStatus::DroppedOldest) {
            entry.echoed.push(frame.to_vec());
        }
    }

    fn tell_all(&self, ctx: &mut Context<'_>) {
        let ids: Vec<SessionId> = self.journal.borrow().sessions.keys().copied().collect();
        for id in ids {
            let payload = self.journal.borrow_mut().address(id);
            ctx.send_to(id, &payload);
        }
    }
}

impl Session for Recorder {
    fn on_connected(&mut self, _: &mut Context<'_>) -> Outcome {
        let mut journal = self.journal.borrow_mut();
        let entry = journal.entry(self.id);
        assert!(!std::mem::replace(&mut entry.connected, true), "connected twice");
        assert!(!entry.disconnected, "connected after the end");
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let mood = {
            let mut journal = self.journal.borrow_mut();
            let entry = journal.entry(self.id);
            assert!(entry.connected && !entry.disconnected, "a frame out of turn");
            entry.frames.push(frame.to_vec());
            journal.mood
        };
        match mood {
            Mood::Echo => self.echo(ctx, frame),
            Mood::Tell => {
                self.echo(ctx, frame);
                self.tell_all(ctx);
            }
            Mood::Close => ctx.close(),
            Mood::Fail => return Err("the frame is not liked".into()),
        }
        Ok(())
    }

    fn on_writable(&mut self, _: &mut Context<'_>) -> Outcome {
        let mut journal = self.journal.borrow_mut();
        let entry = journal.entry(self.id);
        assert!(entry.connected && !entry.disconnected, "writable out of turn");
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: &CloseReason) {
        let mut journal = self.journal.borrow_mut();
        let entry = journal.entry(self.id);
        assert!(!std::mem::replace(&mut entry.disconnected, true), "disconnected twice");
    }
}
