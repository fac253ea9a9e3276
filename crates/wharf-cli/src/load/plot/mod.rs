//! `--plot`: the result as a picture that a person would put into a report.

mod draw;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::failure::{Exit, Failure};
pub(super) use draw::Plot;

/// Where the picture goes, opened before the run so that a wrong path does not cost the result. The file is
/// emptied then: an old picture is never taken for the one of a run that failed.
#[derive(Debug)]
pub(super) struct PlotSink(Option<(File, String)>);

impl PlotSink {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None)) };
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| {
            Failure::arguments(format_args!(
                "cannot write --plot {name}: {error}; give a path that can be written"
            ))
        })?;
        Ok(Self(Some((file, name))))
    }

    /// Whether there is to be a picture.
    pub(super) const fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Draws, if there is to be a picture.
    pub(super) fn write(&mut self, plot: &Plot<'_>) -> Result<(), Failure> {
        let Some((file, name)) = &mut self.0 else { return Ok(()) };
        let broken = |why: String| {
            Failure::new(Exit::Failed, format_args!("cannot write --plot {name}: {why}"))
        };
        let svg = plot.svg().map_err(broken)?;
        file.write_all(svg.as_bytes()).map_err(|error| broken(error.to_string()))
    }
}
