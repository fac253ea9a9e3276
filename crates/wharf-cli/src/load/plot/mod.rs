//! `--plot`: the result as a picture that a person would put into a report.

mod date;
mod draw;

use std::path::Path;

use crate::failure::Failure;
use crate::output_file::OutputFile;
pub(super) use draw::Plot;

/// Where the picture goes, if there is to be one.
#[derive(Debug)]
pub(super) struct PlotSink(Option<OutputFile>);

impl PlotSink {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let open = |path| OutputFile::open("--plot", path, "give a path that can be written");
        path.map(open).transpose().map(Self)
    }

    /// Whether there is to be a picture.
    pub(super) const fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Draws, if there is to be a picture.
    pub(super) fn write(&mut self, plot: &Plot<'_>) -> Result<(), Failure> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let svg = plot.svg().map_err(|why| file.broken(why))?;
        file.write(&svg)
    }
}
