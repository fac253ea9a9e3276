//! An experiment, and whether it shows what it is there to show.

use wharf_models::experiments::{Experiment, Verdict};

use crate::failure::{Exit, Failure};

/// Runs `wharf models experiment`.
pub(crate) fn experiment(experiment: &Experiment) -> Result<(), Failure> {
    let name = experiment.name;
    match (experiment.run)(&mut std::io::stdout().lock()) {
        Ok(Verdict::Shown) => Ok(()),
        Ok(Verdict::NotShown) => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "{name} did not show what it is there to show: its report says what it saw"
            ),
        )),
        // Who has stopped reading the report wants no more.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failed, format_args!("{name}: {error}"))),
    }
}
