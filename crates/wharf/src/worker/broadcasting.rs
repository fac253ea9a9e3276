//! From a broadcast to the queues of the members.
//!
//! Broadcasts to one group that follow each other are gathered, and the members get them as one piece:
//! one shared buffer, one segment and one walk through the members for a whole burst. Whatever else is
//! sent first delivers what was gathered, so the order is kept.

use std::ops::Range;
use std::sync::Arc;

use wharf_port::{SharedBytes, SocketId};

use super::Core;
use crate::group::{Group, GroupState, WorkerSet};
use crate::inbox::Message;
use crate::send_queue::SendStatus;
use crate::session_id::SessionId;
use crate::shared_frame::SharedFrame;

/// A frame of a longer payload than this is not gathered, which would copy it, but shared as it is.
const GATHERED_PAYLOAD_MAX: usize = 4 << 10;
/// Bytes that are gathered before they are delivered.
const GATHERED_MAX: usize = 64 << 10;

/// What has been broadcast to one group and not been delivered to its members here.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    group: Option<Arc<GroupState>>,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// The members of a group are being walked through.
    delivers: bool,
    /// Sessions that ended meanwhile, and leave their groups afterwards.
    leaving: Vec<SocketId>,
}

/// One of the gathered frames.
#[derive(Clone, Debug)]
struct Frame {
    range: Range<usize>,
    /// Who does not get it.
    except: Option<SocketId>,
}

impl Broadcasts {
    pub(super) const fn is_delivering(&self) -> bool {
        self.delivers
    }

    pub(super) fn leave_later(&mut self, socket: SocketId) {
        self.leaving.push(socket);
    }

    #[inline]
    const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl Core {
    /// Sends a frame to all members of a group but one, wherever they live.
    pub(crate) fn broadcast(
        &mut self,
        group: &Group,
        payload: &[u8],
        except: Option<SessionId>,
    ) -> SendStatus {
        if !group.is_of(self.shared()) {
            // A session of this server is in no group of another, where its id may be somebody else's.
            return group.broadcast(payload);
        }
        let workers = group.state().workers();
        let others = workers.without(self.index);
        if payload.len() > GATHERED_PAYLOAD_MAX || !others.is_empty() {
            return match self.shared().frame(payload) {
                Ok(frame) => self.broadcast_own(group, &others, &frame, except),
                Err(error) => error.into(),
            };
        }
        let envelope = match self.framing.wrap(&[payload], self.limits.frame_bytes_max) {
            Ok(envelope) => envelope,
            Err(error) => return error.into(),
        };
        if !workers.is_empty() {
            let except = self.own_socket(except);
            self.gather(group.state(), &envelope.around(payload), except);
        }
        SendStatus::Queued
    }

    /// Sends a frame that is encoded already to all members of a group but one.
    pub(crate) fn broadcast_frame(
        &mut self,
        group: &Group,
        frame: &SharedFrame,
        except: Option<SessionId>,
    ) -> SendStatus {
        if !group.is_of(self.shared()) {
            return group.broadcast_frame(frame);
        }
        match self.shared().own_frame(frame) {
            Ok(frame) => {
                let others = group.state().workers().without(self.index);
                self.broadcast_own(group, &others, &frame, except)
            }
            Err(error) => error.into(),
        }
    }

    /// The same with a frame, and to a group, of this server, which has members on `others`, too.
    fn broadcast_own(
        &mut self,
        group: &Group,
        others: &WorkerSet,
        frame: &SharedFrame,
        except: Option<SessionId>,
    ) -> SendStatus {
        let message = || Message::Broadcast(Arc::clone(group.state()), frame.clone(), except);
        let status = self.shared().broadcast(others, message);
        if status != SendStatus::Queued {
            return status;
        }
        self.broadcast_here(group.state(), frame, except);
        SendStatus::Queued
    }

    /// Sends a frame of this server to the members of a group that live here.
    pub(super) fn broadcast_here(
        &mut self,
        group: &Arc<GroupState>,
        frame: &SharedFrame,
        except: Option<SessionId>,
    ) {
        let except = self.own_socket(except);
        let bytes = frame.as_bytes();
        if frame.payload().len() <= GATHERED_PAYLOAD_MAX {
            return self.gather(group, &[bytes], except);
        }
        self.deliver_broadcasts();
        let whole = Frame { range: 0..bytes.len(), except };
        self.deliver_to_members(group, &frame.shared(), &[whole]);
    }

    fn own_socket(&self, session: Option<SessionId>) -> Option<SocketId> {
        let own = |session: &SessionId| session.worker() == usize::from(self.index);
        session.filter(own).map(SessionId::socket)
    }

    fn gather(&mut self, group: &Arc<GroupState>, parts: &[&[u8]], except: Option<SocketId>) {
        let same = self.broadcasts.group.as_ref().is_some_and(|it| Arc::ptr_eq(it, group));
        if !same {
            self.deliver_broadcasts();
            self.broadcasts.group = Some(Arc::clone(group));
        }
        let Broadcasts { bytes, frames, .. } = &mut self.broadcasts;
        let start = bytes.len();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        frames.push(Frame { range: start..bytes.len(), except });
        if bytes.len() >= GATHERED_MAX {
            self.deliver_broadcasts();
        }
    }

    /// Delivers what was gathered.
    #[inline]
    pub(super) fn deliver_broadcasts(&mut self) {
        if !self.broadcasts.is_empty() {
            self.deliver_gathered();
        }
    }

    fn deliver_gathered(&mut self) {
        let Broadcasts { group, bytes, frames, .. } = &mut self.broadcasts;
        let shared = SharedBytes::from(Arc::<[u8]>::from(bytes.as_slice()));
        bytes.clear();
        let mut frames = std::mem::take(frames);
        if let Some(group) = group.take() {
            self.deliver_to_members(&group, &shared, &frames);
        }
        frames.clear();
        self.broadcasts.frames = frames;
    }

    fn deliver_to_members(
        &mut self,
        group: &Arc<GroupState>,
        bytes: &SharedBytes,
        frames: &[Frame],
    ) {
        let excepts = frames.iter().any(|frame| frame.except.is_some());
        self.broadcasts.delivers = true;
        group.for_each(self.index, |member| {
            let all = !excepts || frames.iter().all(|frame| frame.except != Some(member));
            if !all || !self.enqueue_all(member, bytes, frames) {
                self.enqueue_each(member, bytes, frames);
            }
        });
        self.broadcasts.delivers = false;
        let mut leaving = std::mem::take(&mut self.broadcasts.leaving);
        leaving.drain(..).for_each(|socket| self.leave_all(socket));
        self.broadcasts.leaving = leaving;
    }

    /// Queues all frames as one piece, if none of them meets a full queue.
    #[inline]
    fn enqueue_all(&mut self, member: SocketId, bytes: &SharedBytes, frames: &[Frame]) -> bool {
        let Some(connection) = self.connections.get_mut(member) else { return true };
        if !connection.takes_frames() {
            return true;
        }
        let fits = connection.queue.fits(bytes.as_slice().len(), frames.len());
        if fits {
            let lengths = frames.iter().map(|frame| frame.range.len());
            connection.queue.push_shared(bytes.clone(), lengths, &mut self.chunks);
            self.was_queued(member);
            if self.recorder.is_some() {
                let whole = frames.iter().map(|frame| &bytes.as_slice()[frame.range.clone()]);
                whole.for_each(|frame| self.capture_sent_whole(member, frame));
            }
        }
        fits
    }

    #[cold]
    fn enqueue_each(&mut self, member: SocketId, bytes: &SharedBytes, frames: &[Frame]) {
        for frame in frames.iter().filter(|frame| frame.except != Some(member)) {
            if self.send_shared(member, bytes.slice(frame.range.clone())) == SendStatus::Full {
                // Nobody is told.
                self.stats.seldom().frames_dropped += 1;
            }
        }
    }
}
