//! What is said when the server starts, and when it cannot.

use std::fmt;

use indicatif::HumanCount;
use wharf::{ListenError, OpenError, ServerError, ServerHandle};

use crate::counted::Counted;
use crate::failure::{Exit, Failure};

/// The line for scripts: `listening on 127.0.0.1:7777 backend=uring workers=2`. Several addresses are
/// separated by commas, in the order in which they were given.
pub(super) struct Listening<'a>(pub(super) &'a ServerHandle);

impl fmt::Display for Listening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("listening on ")?;
        for (number, address) in self.0.addresses().iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{address}")?;
        }
        writeln!(f, " backend={} workers={}", self.0.backend(), self.0.workers())
    }
}

/// Why the server did not start, in the words of the command line: what the library cannot know is
/// which flag to turn.
pub(super) fn failure(error: &ServerError) -> Failure {
    let exit = match error {
        ServerError::Options(_) | ServerError::Address(_) | ServerError::UnixAddress(_) => {
            Exit::Arguments
        }
        _ => Exit::Failed,
    };
    let advice = match error {
        ServerError::TooFewDescriptors { sessions_max, needed, limit, possible } => {
            return Failure::new(
                exit,
                too_few_descriptors(*sessions_max, *needed, *limit, *possible),
            );
        }
        ServerError::Resolve { .. } => "; check the name, or give an IP address",
        ServerError::Port(OpenError::Unavailable { .. }) => {
            "; --backend auto takes the best that works here"
        }
        ServerError::Listen(ListenError::Shortage { .. }) => {
            "; raise the limit of descriptors (ulimit -n)"
        }
        ServerError::Listen(ListenError::Os { .. } | ListenError::Unsupported(_)) => {
            "; give another address with --listen"
        }
        ServerError::Listen(ListenError::NotAListener(_)) => {
            "; a socket unit needs ListenStream= and Accept=no"
        }
        ServerError::Pin(_) => "; leave --pin out",
        ServerError::Thread(_) => {
            "; give fewer --workers, or raise the limit of threads (ulimit -u)"
        }
        _ => "",
    };
    Failure::new(exit, format_args!("{error}{advice}"))
}

fn too_few_descriptors(sessions_max: usize, needed: u64, limit: u64, possible: u64) -> String {
    let verb = if sessions_max == 1 { "needs" } else { "need" };
    let other = match possible {
        0 => "give fewer --workers".to_owned(),
        _ => format!("give --sessions-max {possible}"),
    };
    format!(
        "{} {verb} {} descriptors, and this process may open {}: raise the hard limit (ulimit -Hn) \
         or {other}",
        Counted(sessions_max as u64, "session"),
        HumanCount(needed),
        HumanCount(limit),
    )
}
