//! What a connection of the storm does, as chance has it.

use crate::split_mix::SplitMix64;

/// The most messages of a connection.
const MESSAGES_MAX: u64 = 8;

/// How a connection is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Abandon,
    Reset,
    ResetAfterAnswers,
    Close,
    /// An end of stream in the midst of a frame.
    Truncate,
    /// An end of stream behind whole frames.
    HalfClose,
    /// By the server, for a frame that it must not take.
    Illegal,
}

/// What a connection sends, and how it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) ending: Ending,
    /// Whole messages that it sends.
    pub(super) messages: u64,
    /// Bytes of a further one.
    part: u64,
}

impl Plan {
    /// Draws one, for messages of so many bytes. It takes the same draws whatever comes of them: a seed
    /// goes on alike where an illegal frame may not be sent.
    pub(super) fn draw(
        chance: &mut SplitMix64,
        message: u64,
        may_be_illegal: impl FnOnce() -> bool,
    ) -> Self {
        let ending = match chance.draw() % 8 {
            0 => Ending::Abandon,
            1 => Ending::Reset,
            2 => Ending::ResetAfterAnswers,
            3 => Ending::Close,
            4 => Ending::Truncate,
            5 if may_be_illegal() => Ending::Illegal,
            _ => Ending::HalfClose,
        };
        let messages = chance.draw() % (MESSAGES_MAX + 1);
        let draw = chance.draw();
        let part = match ending {
            Ending::HalfClose | Ending::ResetAfterAnswers | Ending::Illegal => 0,
            _ => draw % message,
        };
        Self { ending, messages, part }
    }

    /// How many bytes it sends, of messages of so many.
    pub(super) const fn bytes(self, message: u64) -> u64 {
        self.messages * message + self.part
    }

    /// How many of its messages have no answer, of those that need one.
    pub(super) const fn unanswered(self, answered: u64) -> u64 {
        self.messages.saturating_sub(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_plans_every_ending_and_the_same_again() {
        let plans = |seed| {
            let mut chance = SplitMix64::new(seed);
            (0..200).map(|_| Plan::draw(&mut chance, 64, || true)).collect::<Vec<_>>()
        };
        let shown = |plans: &[Plan]| format!("{plans:?}");
        assert_eq!(shown(&plans(7)), shown(&plans(7)));
        assert_ne!(shown(&plans(7)), shown(&plans(8)));
        for ending in [
            Ending::Abandon,
            Ending::Reset,
            Ending::ResetAfterAnswers,
            Ending::Close,
            Ending::Truncate,
            Ending::HalfClose,
            Ending::Illegal,
        ] {
            assert!(plans(7).iter().any(|plan| plan.ending == ending), "none draws {ending:?}");
        }
    }

    #[test]
    fn what_needs_all_answers_sends_whole_messages() {
        let mut chance = SplitMix64::new(7);
        for plan in (0..200).map(|_| Plan::draw(&mut chance, 64, || true)) {
            let whole = plan.messages * 64;
            let cut = plan.bytes(64) - whole;
            assert!(cut < 64, "{plan:?}");
            let is_whole = matches!(
                plan.ending,
                Ending::HalfClose | Ending::ResetAfterAnswers | Ending::Illegal
            );
            assert!(!is_whole || cut == 0, "{plan:?}");
        }
    }

    #[test]
    fn a_seed_goes_on_alike_where_no_illegal_frame_may_be_sent() {
        let (mut with, mut without) = (SplitMix64::new(7), SplitMix64::new(7));
        for _ in 0..200 {
            let legal = Plan::draw(&mut without, 64, || false);
            assert_ne!(legal.ending, Ending::Illegal);
            assert_eq!(Plan::draw(&mut with, 64, || true).messages, legal.messages);
        }
    }
}
