//! One model as a server, until it is killed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use wharf_models::{Observer, Refusal};

use super::options::RunOptions;
use crate::failure::{self, Exit, Failure};

/// Runs `wharf models run`.
pub(crate) fn run(options: &RunOptions) -> Result<(), Failure> {
    wharf_port::raise_descriptor_limit();
    let RunOptions { model, listen, until_input_ends } = options;
    if *until_input_ends {
        std::thread::Builder::new().spawn(end_with_input).map_err(Failure::no_thread)?;
    }
    let console = Console { name: model.name, has_refused: AtomicBool::new(false) };
    let Err(error) = (model.serve)(*listen, &console);
    Err(Failure::new(Exit::Failed, format_args!("{}: {error}", model.name)))
}

/// Waits for the end of the standard input, and ends the process: no server here ends by itself.
fn end_with_input() {
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    std::process::exit(0);
}

/// Tells where the server listens, and the first time that it refuses somebody.
struct Console {
    name: &'static str,
    has_refused: AtomicBool,
}

impl Observer for Console {
    fn listening(&self, address: SocketAddr) {
        failure::print(format_args!("listening on {address} model={}\n", self.name));
    }

    fn refused(&self, refusal: &Refusal) {
        if !self.has_refused.swap(true, Ordering::Relaxed) {
            eprintln!("wharf: {}: {refusal}", self.name);
        }
    }
}
