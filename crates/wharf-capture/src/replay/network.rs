//! Networks on which much goes wrong that nobody may notice.

use wharf::sim::{FaultKind, Faults, NetworkOptions, Personality};

/// What goes wrong there. None of it refuses, resets or cuts a connection, which sessions would notice.
const HIDDEN: [FaultKind; 12] = [
    FaultKind::LateCompletion,
    FaultKind::Reordered,
    FaultKind::QueueOverflow,
    FaultKind::SubmitRefused,
    FaultKind::SpuriousWake,
    FaultKind::PartialReceive,
    FaultKind::BufferShortage,
    FaultKind::MultishotEnded,
    FaultKind::PartialSend,
    FaultKind::ChoppedDelivery,
    FaultKind::SmallWindow,
    FaultKind::LinkClog,
];

/// The network of a seed, for [`replay_in_simulator`](crate::replay_in_simulator): on it goes wrong what sessions must
/// not notice, and what may change no answer. Completions come late, in another order and in parts, submissions are
/// refused, buffers are short, windows small and links clogged, each as often as the simulator has it
/// [usually](FaultKind::usual_ppm). No connection is refused or cut.
///
/// Seeds take the habits of io_uring, of readiness and of completion ports in turn. The same seed gives the same run.
#[must_use]
pub fn hidden_network(seed: u64) -> NetworkOptions {
    let faults = HIDDEN.iter().fold(Faults::none(), |all, &kind| all.with(kind, kind.usual_ppm()));
    let personality = match seed % 3 {
        0 => Personality::Uring,
        1 => Personality::Readiness,
        _ => Personality::Iocp,
    };
    NetworkOptions { seed, faults, personality, ..NetworkOptions::default() }
}
