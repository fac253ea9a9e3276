//! What a mode adds to a run, and the steps that the runs of all modes take.

use std::ops::ControlFlow;

use wharf_port::{Completion, ReceiveError, Received, Segment, SendError, SocketId, Time};

use super::crowd::Lost;
use super::phase::Phase;
use super::port;
use super::run::Run;
use super::session::{Session, State};
use super::tally::Loss;
use crate::failure::Failure;

/// A mode of `wharf load`.
///
/// One turn is one wait, then all of its completions, then what the mode sends. Time is read once per
/// turn.
pub(super) trait Mode {
    /// The run that it is a mode of.
    fn run(&self) -> &Run;
    fn run_mut(&mut self) -> &mut Run;

    /// Bytes have come.
    fn on_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Time);

    /// A send is over.
    fn on_sent(
        &mut self,
        socket: SocketId,
        segments: Vec<Segment>,
        result: Result<(), SendError>,
        now: Time,
    );

    /// A session that was at work is lost.
    fn on_lost(&mut self, _lost: Lost) {}

    /// Whether all that was to be measured has come, though sessions are at work.
    fn is_measured(&self) -> bool {
        false
    }

    /// Whether nothing more is to be sent, though its time has not come.
    fn is_stopped(&self) -> bool {
        self.run().stop.is_asked()
    }

    /// Forgets what is due and not begun; returns until when answers may come.
    fn stop_sending(&mut self, now: Time) -> Time;

    /// Whether all answers have come, though sessions are at work.
    fn is_answered(&self) -> bool {
        false
    }

    /// Gives up the sessions that lack answers, and ends the streams of the others.
    fn end_streams(&mut self);

    /// Waits until something has come or `deadline`, and takes what has come.
    #[inline]
    fn wait(&mut self, deadline: Time) -> Result<Time, Failure> {
        let now = port::wait(&mut self.run_mut().crowd.port, deadline)?;
        while let Some(completion) = self.run_mut().crowd.port.take() {
            self.take(completion, now);
        }
        Ok(now)
    }

    /// What has come, of whosever sockets.
    #[inline]
    fn take(&mut self, completion: Completion, now: Time) {
        self.take_own(completion, now);
    }

    /// What has come of the sessions that are measured.
    #[inline]
    fn take_own(&mut self, completion: Completion, now: Time) {
        match completion {
            Completion::Received { socket, what: Received::Data(bytes) } => {
                self.on_bytes(socket, &bytes, now);
            }
            Completion::Received { socket, what: Received::End } => {
                self.on_end(socket, Loss::EndedEarly);
            }
            Completion::Received { socket, what: Received::Failed(ReceiveError::Reset) } => {
                self.on_end(socket, Loss::Reset);
            }
            Completion::Received { socket, what: Received::Failed(error) } => {
                self.lose(socket, error.into());
            }
            Completion::Sent { socket, segments, result } => {
                self.on_sent(socket, segments, result, now);
            }
            // What is left concerns sockets that have been closed.
            _ => {}
        }
    }

    /// The server has ended a stream, which is a loss if something was still to come.
    fn on_end(&mut self, socket: SocketId, loss: Loss) {
        let Run { crowd, pattern, .. } = self.run_mut();
        if let Err(loss) = crowd.on_end(socket, pattern.message(), loss) {
            self.lose(socket, loss);
        }
    }

    /// Gives a session up.
    #[cold]
    fn lose(&mut self, socket: SocketId, loss: Loss) {
        if let Some(lost) = self.run_mut().crowd.lose(socket, loss) {
            self.on_lost(lost);
        }
    }

    /// Gives up all sessions that are such.
    fn lose_all(&mut self, loss: Loss, which: impl Fn(&Session) -> bool) {
        for socket in self.run().crowd.sockets(which) {
            self.lose(socket, loss);
        }
    }

    /// Moves on to the phases whose time has come; whether there was one.
    fn advance(&mut self, now: Time) -> bool {
        let before = self.run().phase;
        while let ControlFlow::Continue(next) = self.next_phase(now) {
            self.run_mut().phase = next;
        }
        self.run().phase != before
    }

    /// Ends a phase whose time has come; the next one.
    fn next_phase(&mut self, now: Time) -> ControlFlow<(), Phase> {
        let run = self.run();
        let (open, living) = (run.crowd.open(), run.crowd.living());
        let patience = run.patience;
        let give_up_at = run.phase.deadline(run.crowd.moved_at, patience);
        let is_in_vain = run.gives_up_at().is_some_and(|at| at <= now);
        ControlFlow::Continue(match run.phase {
            Phase::WarmUp { .. } | Phase::Measuring { .. } if is_in_vain => {
                self.run_mut().measurement.close(now);
                self.stop_sending(now);
                // They have been waited for.
                Phase::Answers { until: now }
            }
            // All lost before anything was measured.
            Phase::WarmUp { .. } if open == 0 => Phase::ends(now, patience),
            Phase::WarmUp { .. } if self.is_stopped() => {
                Phase::Answers { until: self.stop_sending(now) }
            }
            Phase::WarmUp { until } if until <= now => self.run_mut().open_window(now),
            Phase::Measuring { .. }
                if open == 0 || give_up_at <= now || self.is_stopped() || self.is_measured() =>
            {
                self.run_mut().measurement.close(now);
                Phase::Answers { until: self.stop_sending(now) }
            }
            Phase::Answers { until } if open == 0 || until <= now || self.is_answered() => {
                self.end_streams();
                self.run_mut().measurement.drained(now);
                Phase::ends(now, patience)
            }
            Phase::Ends { until } if living == 0 || until <= now => {
                self.lose_all(Loss::NotEnded, |session| session.state == State::HalfClosed);
                Phase::Over
            }
            _ => return ControlFlow::Break(()),
        })
    }
}
