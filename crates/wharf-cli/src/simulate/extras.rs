//! What only some seeds have: each is on or off by the seed, so that what breaks alone is found alone.

use fastrand::Rng;

/// Which of them a seed has, and how much of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extras {
    /// Messages that a session posts when it is asked to, at most; 0 for none.
    pub(super) posts: u8,
    /// Inboxes are filled.
    pub(super) floods: bool,
    /// There is a client of the library's, with targets.
    pub(super) callers: bool,
    /// There are rooms with a tick.
    pub(super) rooms: bool,
    /// Sessions defer work.
    pub(super) defers: bool,
    /// Groups have timers.
    pub(super) group_timers: bool,
    /// Accepting is paused.
    pub(super) pauses: bool,
    /// All queues together come to their ceiling.
    pub(super) overload: bool,
    pub(super) farewell: Farewell,
    /// Sessions say something of their own when the server drains, or fail.
    pub(super) says_goodbye: bool,
}

/// What sessions are sent last by a server that drains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Farewell {
    Nothing,
    /// What the server was set up with.
    OfTheServer,
    /// Something else, said when it is told to drain.
    OfTheDrain,
}

impl Extras {
    pub(super) fn draw(dice: &mut Rng) -> Self {
        let farewells = [Farewell::Nothing, Farewell::OfTheServer, Farewell::OfTheDrain];
        Self {
            posts: if dice.bool() { dice.u8(1..=4) } else { 0 },
            floods: dice.u8(..32) == 0,
            callers: dice.u8(..3) == 0,
            rooms: dice.u8(..3) == 0,
            defers: dice.u8(..3) == 0,
            group_timers: dice.bool(),
            pauses: dice.u8(..6) == 0,
            overload: dice.u8(..64) == 0,
            farewell: farewells[dice.usize(..farewells.len())],
            says_goodbye: dice.bool(),
        }
    }
}
