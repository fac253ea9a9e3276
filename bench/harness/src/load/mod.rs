//! One run: a server, a load on it, and what that cost.

mod busy;
mod generator;
mod idle;

use crate::Result;
use crate::case::Case;
use crate::contender::Contender;
use crate::results::Run;
use crate::rounds::Plan;

/// Starts the server, loads it, ends it. `rate` is what a case with a rate asks for, in messages a second.
pub(crate) fn run(
    plan: &Plan,
    contender: &Contender,
    case: Case,
    rate: Option<u64>,
) -> Result<Run> {
    match case {
        Case::Idle { sessions } => idle::run(plan, contender, sessions),
        Case::Messages(_) | Case::Accept { .. } => busy::run(plan, contender, case, rate),
    }
}
