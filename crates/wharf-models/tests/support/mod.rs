//! A model as a server in this process, and peers of it.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use wharf_models::{Model, ModelError, Observer, Refusal, models};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server on a thread that ends with the process, as servers here do.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Whom it has refused.
    pub(crate) refused: Receiver<Refusal>,
}

struct Ears {
    listening: Sender<SocketAddr>,
    refused: Sender<Refusal>,
}

impl Observer for Ears {
    fn listening(&self, address: SocketAddr) {
        let _ = self.listening.send(address);
    }

    fn refused(&self, refusal: &Refusal) {
        let _ = self.refused.send(*refusal);
    }
}

/// Starts a model; `None` where the system denies io_uring, and with it the model.
pub(crate) fn start(name: &str) -> Option<Server> {
    wharf_port::raise_descriptor_limit();
    let model = model(name);
    let (listening, address) = channel();
    let (refused, refusals) = channel();
    let (ended, error) = channel();
    thread::spawn(move || {
        let ears = Ears { listening, refused };
        let Err(error) = (model.serve)(([127, 0, 0, 1], 0).into(), &ears);
        eprintln!("{} ended: {error}", model.name);
        let _ = ended.send(error);
    });
    let heard = address.recv_timeout(PATIENCE);
    match error.recv_timeout(Duration::ZERO) {
        Ok(ModelError::Call { call: "io_uring_setup", error }) => {
            eprintln!("left out: {error}");
            None
        }
        _ => Some(Server { address: heard.expect("the server listens"), refused: refusals }),
    }
}

fn model(name: &str) -> Model {
    let found = models().into_iter().find(|model| model.name == name);
    found.unwrap_or_else(|| panic!("there is no model {name} here"))
}

impl Server {
    /// A connection whose calls are bounded.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        stream
    }
}

/// A small message there and back.
pub(crate) fn ping(stream: &mut TcpStream, seed: usize) -> io::Result<()> {
    let bytes = message(64, seed);
    stream.write_all(&bytes)?;
    let mut echoed = [0; 64];
    stream.read_exact(&mut echoed)?;
    assert_eq!(bytes, echoed, "the answer is what was said");
    Ok(())
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn message(size: usize, seed: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at * 31 + at / 251 + seed * 17) % 256).expect("a byte");
    (0..size).map(byte).collect()
}
