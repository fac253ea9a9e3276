//! The program `wharf`; all of it lies in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf_cli::run()
}
