//! Which way to refill accepts is the fastest on Windows? The lecture notes leave it open; this measures
//! it on the machine that it runs on.
//!
//! ```sh
//! cargo run --release -p wharf-port --example accept_refill -- 11 2000
//! ```
//!
//! Rounds (11) and connections in each (2000). The ways take turns, so that what else the machine does
//! meets all of them; what is printed are medians, and the quartiles beside them. Clients are threads
//! of this process, the same for each way.

use std::error::Error;

#[cfg(not(windows))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("accepts are refilled on Windows only".into())
}

#[cfg(windows)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1);
    let rounds = numbers.next().map_or(Ok(11), |rounds| rounds.parse())?;
    let connections = numbers.next().map_or(Ok(2_000), |connections| connections.parse())?;
    measuring::compare(rounds, connections)
}

#[cfg(windows)]
mod measuring {
    use std::error::Error;
    use std::io::{self, Read};
    use std::net::{SocketAddr, TcpStream};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use wharf_port::{
        AcceptRefill, Completion, CompletionPort, ListenOptions, PortOptions, Received,
    };

    const WAYS: [AcceptRefill; 3] =
        [AcceptRefill::Inline, AcceptRefill::Thread, AcceptRefill::AcceptThread];
    const CLIENTS: usize = 4;
    /// How long a round may take.
    const LIMIT: Duration = Duration::from_secs(60);

    pub(super) fn compare(rounds: usize, connections: usize) -> Result<(), Box<dyn Error>> {
        let mut micros = WAYS.map(|_| Vec::with_capacity(rounds));
        for round in 0..rounds {
            for turn in 0..WAYS.len() {
                let way = (round + turn) % WAYS.len();
                micros[way].push(measure(WAYS[way], connections)?);
            }
        }
        println!(
            "{:<14} {:>10} {:>10} {:>10}   µs per connection",
            "refill", "25%", "median", "75%"
        );
        for (way, micros) in WAYS.iter().zip(&mut micros) {
            micros.sort_by(f64::total_cmp);
            let at = |part: usize| micros[(micros.len() - 1) * part / 4];
            println!("{:<14} {:>10.1} {:>10.1} {:>10.1}", format!("{way:?}"), at(1), at(2), at(3));
        }
        Ok(())
    }

    /// Microseconds per connection that is accepted, closed, and seen to be closed.
    fn measure(refill: AcceptRefill, connections: usize) -> Result<f64, Box<dyn Error>> {
        let mut options = PortOptions::default();
        options.iocp.refill = refill;
        let mut port = CompletionPort::open(&options)?;
        let listener =
            port.listen(SocketAddr::from(([127, 0, 0, 1], 0)), &ListenOptions::default())?;
        let address = port.listener_address(listener).and_then(|address| address.tcp());
        let address = address.ok_or("the listener is closed")?;
        port.wait(Some(port.now()))?;
        let begin = port.now();
        let clients = clients(address, connections / CLIENTS);
        serve(&mut port, connections / CLIENTS * CLIENTS)?;
        let taken = port.now().since(begin);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        port.shut_down(LIMIT)?;
        Ok(taken.as_secs_f64() * 1e6 / (connections / CLIENTS * CLIENTS) as f64)
    }

    fn clients(address: SocketAddr, each: usize) -> Vec<JoinHandle<io::Result<()>>> {
        let client = move || {
            for _ in 0..each {
                let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.read_to_end(&mut Vec::new())?;
            }
            Ok(())
        };
        (0..CLIENTS).map(|_| thread::spawn(client)).collect()
    }

    /// Accepts and closes, until as many have been closed.
    fn serve(port: &mut CompletionPort, connections: usize) -> Result<(), Box<dyn Error>> {
        let deadline = port.now() + LIMIT;
        let mut closed = 0;
        while closed < connections {
            port.wait(Some(deadline))?;
            if port.now() >= deadline {
                return Err(format!("{closed} of {connections} after {LIMIT:?}").into());
            }
            while let Some(completion) = port.take() {
                match completion {
                    Completion::Accepted { socket, .. } => {
                        let socket = port.adopt(socket)?;
                        port.receive(socket)?;
                        port.shutdown(socket)?;
                    }
                    Completion::Received { what: Received::Data(_), .. } => {}
                    Completion::Received { socket, .. } => port.close(socket)?,
                    Completion::Closed { .. } => closed += 1,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
