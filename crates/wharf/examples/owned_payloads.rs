//! What does it bring to give a payload away instead of having it copied? Measures CPU time of a worker
//! for each message, for [`Context::send_owned`] beside [`Context::send`], on each backend of Linux.
//!
//! ```sh
//! cargo run --release -p wharf --example owned_payloads -- 9
//! ```
//!
//! The argument is the number of rounds (9). Within a round the two ways of a size follow each other, and
//! take turns in being the first; a ratio is of one round, and the median of all is printed. A `Vec` is
//! made anew for each message in both ways, as by who encodes something; an `Arc` is there already. The
//! worker is turned by the main thread, so its CPU time is that of the thread; the client is another.

use std::error::Error;

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("the CPU time of a thread is read on Linux only".into())
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(9), |rounds| rounds.parse())?;
    measuring::compare(rounds)
}

#[cfg(target_os = "linux")]
mod measuring {
    use std::error::Error;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};
    use wharf::{
        Arrival, Backend, Context, Framing, Limits, Outcome, PortOptions, Server, Session,
        SteppedServer,
    };

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    const SIZES: [usize; 7] = [1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10];
    /// Bytes of one measurement.
    const BYTES: usize = 48 << 20;
    /// Bytes, and messages, that are queued in one turn.
    const TURN_BYTES: usize = 256 << 10;
    const TURN_MESSAGES: usize = 16;

    /// Bytes of which a payload is made at once.
    const PIECE: usize = 256;

    /// How a message is sent. A request is one byte: which of these.
    const WAYS: [(&str, u8, u8); 2] = [("Vec", 0, 1), ("Arc", 2, 3)];

    /// Answers a request with messages of one size.
    struct Answering {
        bytes: Arc<[u8]>,
        count: usize,
    }

    impl Answering {
        /// Makes a payload out of many small pieces. One copy of all would measure the processor's way of
        /// copying to wherever the allocation lies, which differs by more than what is measured here.
        fn encode(&self) -> Vec<u8> {
            let mut payload = Vec::with_capacity(self.bytes.len());
            self.bytes.chunks(PIECE).for_each(|piece| payload.extend_from_slice(piece));
            payload
        }
    }

    impl Session for Answering {
        fn on_frame(&mut self, ctx: &mut Context<'_>, way: &[u8]) -> Outcome {
            for _ in 0..self.count {
                let status = match way[0] {
                    0 => ctx.send(&self.encode()),
                    1 => ctx.send_owned(self.encode()),
                    2 => ctx.send(&self.bytes),
                    _ => ctx.send_owned(Arc::clone(&self.bytes)),
                };
                assert_eq!(status, wharf::SendStatus::Queued);
            }
            Ok(())
        }
    }

    pub(super) fn compare(rounds: usize) -> Result<()> {
        println!("CPU time for a message that is given away, as a share of one that is copied");
        println!("backend    payload     bytes   copied ns   given ns   ratio (least to most)");
        for backend in [Backend::Uring, Backend::Readiness] {
            for (name, copied, given) in WAYS {
                for size in SIZES {
                    let mut both = Vec::with_capacity(rounds);
                    for round in 0..rounds {
                        let order = if round % 2 == 0 { [copied, given] } else { [given, copied] };
                        let costs =
                            [measure(backend, size, order[0])?, measure(backend, size, order[1])?];
                        both.push(if round % 2 == 0 { costs } else { [costs[1], costs[0]] });
                    }
                    let ratios = sorted(both.iter().map(|[copied, given]| given / copied));
                    let copied = sorted(both.iter().map(|costs| costs[0]))[rounds / 2];
                    let given = sorted(both.iter().map(|costs| costs[1]))[rounds / 2];
                    println!(
                        "{:<10} {name:>7} {size:>9} {copied:>11.0} {given:>10.0}   {:.2} ({:.2} to {:.2})",
                        format!("{backend:?}"),
                        ratios[rounds / 2],
                        ratios[0],
                        ratios[rounds - 1],
                    );
                }
            }
        }
        Ok(())
    }

    fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn cpu_nanoseconds() -> f64 {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(now).unwrap_or_default().as_secs_f64() * 1e9
    }

    /// Nanoseconds of CPU time for a message.
    fn measure(backend: Backend, size: usize, way: u8) -> Result<f64> {
        let count = (TURN_BYTES / size).clamp(1, TURN_MESSAGES);
        let requests = BYTES / size / count;
        let limits =
            Limits { send_bytes_max: 4 << 20, frame_bytes_max: 1 << 20, ..Limits::default() };
        let mut server = Server::bind("127.0.0.1:0")
            .workers(1)
            .framing(Framing::U32_LE)
            .limits(limits)
            .port_options(PortOptions { backend, ..PortOptions::default() })
            .start_stepped(move |_: &Arrival| Answering { bytes: vec![7; size].into(), count })?;
        let stream = TcpStream::connect(&server.handle().addresses()[0])?;
        let answer = count * (4 + size);
        // What is first is not measured.
        let warm = (requests / 8).max(1);
        let client = thread::spawn(move || ask(stream, way, warm + requests, answer));
        turn_until(&mut server, (warm * answer) as u64)?;
        let before = (cpu_nanoseconds(), server.handle().stats().bytes_out);
        turn_until(&mut server, ((warm + requests) * answer) as u64)?;
        let cpu = cpu_nanoseconds() - before.0;
        let sent = server.handle().stats().bytes_out - before.1;
        client.join().map_err(|_| "the client panicked")?;
        Ok(cpu / (sent as f64 / (4 + size) as f64))
    }

    /// Asks for one answer after the other, and reads each to its end.
    fn ask(mut stream: TcpStream, way: u8, requests: usize, answer: usize) {
        let mut buffer = vec![0; 256 << 10];
        for _ in 0..requests {
            assert!(stream.write_all(&[1, 0, 0, 0, way]).is_ok(), "the server is gone");
            let mut left = answer;
            while left > 0 {
                let read = stream.read(&mut buffer).unwrap_or(0);
                assert!(read > 0, "the stream has ended");
                left -= read;
            }
        }
    }

    fn turn_until<F: Fn(&Arrival) -> Answering>(
        server: &mut SteppedServer<Answering, F>,
        bytes_out: u64,
    ) -> Result<()> {
        while server.handle().stats().bytes_out < bytes_out {
            server.turn(0, None)?;
        }
        Ok(())
    }
}
