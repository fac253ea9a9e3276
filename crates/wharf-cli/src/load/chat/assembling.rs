//! Before the stream: the sender sends the first messages until all sessions are members.

use std::time::Duration;

use wharf_port::Time;

use super::super::mode::Mode;
use super::super::phase::Phase;
use super::super::report::grouped;
use super::Chat;
use crate::failure::{Exit, Failure};

/// How long it may take until every connection is a member.
const MEETING: Duration = Duration::from_secs(10);
/// After this time the first message is sent once more.
const REPEAT: Duration = Duration::from_millis(50);
const WAITING: &str = "waiting until all are members";

impl Chat {
    /// Waits until all are members; then, or when none is left, it is time for the next phase.
    pub(super) fn meet(&mut self) -> Result<Time, Failure> {
        let mut now = self.run.crowd.moved_at;
        let (mut repeat_at, until) = (now, now + MEETING);
        self.run.live_line.expect(self.run.crowd.sessions.len() as u64);
        self.run.live_line.say(WAITING);
        loop {
            // A send that is in flight wakes this by its end.
            let deadline = if self.can_send() { repeat_at } else { until };
            let show = self.run.live_line.due();
            now = self.wait(show.map_or(deadline, |show| show.min(deadline)))?;
            if self.run.crowd.open() == 0 {
                self.run.phase = Phase::ends(now, self.run.patience);
                return Ok(now);
            }
            if self.is_stopped() {
                // Nothing is owed to anybody yet.
                self.half_close_all();
                self.run.phase = Phase::ends(now, self.run.patience);
                return Ok(now);
            }
            if self.meeting.is_over() && !self.sending {
                self.began = now;
                let members = self.members(self.run.crowd.open());
                self.run.expect(usize::try_from(members).unwrap_or(usize::MAX));
                self.run.phase = Phase::WarmUp { until: now + self.run.length.warmup() };
                return Ok(now);
            }
            if until <= now {
                return Err(self.not_met());
            }
            self.send_first(&mut repeat_at, now);
            if self.run.live_line.is_due(now) {
                self.run.live_line.say(WAITING);
            }
        }
    }

    /// Sends the message that is to be sent until all are members, if it is time for it.
    fn send_first(&mut self, repeat_at: &mut Time, now: Time) {
        if now < *repeat_at || !self.can_send() {
            return;
        }
        *repeat_at = now + REPEAT;
        if let Some(number) = self.meeting.next_message() {
            let message = self.run.pattern.message();
            self.send(number * message, message);
        }
    }

    fn not_met(&self) -> Failure {
        Failure::new(
            Exit::Failed,
            format_args!(
                "{} of {} sessions have got nothing of what one of them sends within {} s: is it \
                 a chat server, and does it have the same --framing? If it leaves out who sends: \
                 --echo-to-sender off",
                grouped(self.meeting.missing() as u64),
                grouped(self.run.crowd.sessions.len() as u64),
                MEETING.as_secs(),
            ),
        )
    }
}
