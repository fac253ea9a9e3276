//! The file with the token of an admin endpoint: who serves and who asks read it alike.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::Failure;

/// Longer than any token is.
const BYTES_MAX: u64 = 4096;

/// Reads the token, which may have an end of line behind it.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    text_of(path).map_err(|error| {
        refused(path, format_args!("it cannot be read: {error}; give a file with a token"))
    })
}

/// What is said of a file with no token in it.
pub(crate) fn refused(path: &Path, problem: impl fmt::Display) -> Failure {
    Failure::arguments(format_args!("--admin-token-file {}: {problem}", path.display()))
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
