//! What does a bound on unsent bytes cost, and what does it bring? Measures, for some values of
//! [`SocketOptions::unsent_bytes_max`] and each backend of Linux, what the kernel takes for a peer that
//! does not read, and how fast bytes go to one that does.
//!
//! ```sh
//! cargo run --release -p wharf-port --example unsent_bytes -- 7 64
//! ```
//!
//! Rounds (7) and MiB in each measurement (64). The values take turns within a round, so that what else
//! the machine does meets all of them; ratios are to no bound, within the round. The receiver is a
//! thread of this process with a blocking socket.

use std::error::Error;

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("unsent bytes are bounded on Linux only".into())
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1);
    let rounds = numbers.next().map_or(Ok(7), |rounds| rounds.parse())?;
    let mebibytes = numbers.next().map_or(Ok(64), |mebibytes| mebibytes.parse())?;
    measuring::compare(rounds, mebibytes)
}

#[cfg(target_os = "linux")]
mod measuring {
    use std::error::Error;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use wharf_port::{
        Backend, Completion, CompletionPort, ListenOptions, PortOptions, Received, Segment,
        SharedBytes, SocketId, SocketOptions,
    };

    const VALUES: [Option<u32>; 5] =
        [None, Some(128 << 10), Some(256 << 10), Some(512 << 10), Some(1 << 20)];
    /// How long a send must have been stuck to be taken for blocked.
    const STUCK: Duration = Duration::from_millis(100);

    type Outcome<T> = Result<T, Box<dyn Error>>;

    /// What it took to send all the bytes, in seconds.
    #[derive(Clone, Copy, Default)]
    struct Cost {
        elapsed: f64,
        cpu: f64,
    }

    /// The kinds of measurement: size of the messages, and whether they are sent back.
    const KINDS: [(&str, usize, bool); 4] = [
        ("send 16K", 16 << 10, false),
        ("send 1M", 1 << 20, false),
        ("echo 16K", 16 << 10, true),
        ("echo 1M", 1 << 20, true),
    ];

    pub(super) fn compare(rounds: usize, mebibytes: usize) -> Outcome<()> {
        println!("bytes per second, and CPU time, as a share of those without a bound");
        println!("backend       bound  taken KiB   {:?}", KINDS.map(|(name, ..)| name));
        for backend in [Backend::Uring, Backend::Readiness] {
            let mut all = Vec::with_capacity(rounds);
            for round in 0..rounds {
                let mut costs = [[Cost::default(); KINDS.len()]; VALUES.len()];
                // All values of a kind follow each other, each of them first in its turn.
                for (kind, (_, size, echoes)) in KINDS.iter().enumerate() {
                    for turn in 0..VALUES.len() {
                        let which = (round + turn) % VALUES.len();
                        let value = VALUES[which];
                        costs[which][kind] = transfer(backend, value, *size, mebibytes, *echoes)?;
                    }
                }
                all.push(costs);
            }
            for (which, value) in VALUES.iter().enumerate() {
                let bound = value.map_or("none".to_owned(), |bytes| format!("{}K", bytes >> 10));
                let taken = taken_bytes(backend, *value)? >> 10;
                print!("{:<10} {bound:>8} {taken:>10}  ", format!("{backend:?}"));
                for kind in 0..KINDS.len() {
                    let ratio = |of: fn(Cost) -> f64| {
                        let ratios = all.iter().map(|it| of(it[which][kind]) / of(it[0][kind]));
                        median(ratios.collect())
                    };
                    let (speed, cpu) = (1.0 / ratio(|it| it.elapsed), ratio(|it| it.cpu));
                    print!("  {speed:.2} cpu {cpu:.2}");
                }
                println!();
            }
        }
        Ok(())
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// CPU seconds of this process, the receiver's included.
    fn cpu_seconds() -> f64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::try_from(now).unwrap_or_default().as_secs_f64()
    }

    /// A port, and a connection of it that a bound is set for.
    fn open(
        backend: Backend,
        bound: Option<u32>,
    ) -> Outcome<(CompletionPort, SocketId, TcpStream)> {
        let mut port = CompletionPort::open(&PortOptions { backend, ..PortOptions::default() })?;
        let accepted = SocketOptions { unsent_bytes_max: bound, ..SocketOptions::default() };
        let options = ListenOptions { accepted, ..ListenOptions::default() };
        let listener = port.listen("127.0.0.1:0".parse::<wharf_port::Address>()?, &options)?;
        let stream = TcpStream::connect(port.listener_address(listener).ok_or("closed")?)?;
        loop {
            port.wait(None)?;
            while let Some(completion) = port.take() {
                if let Completion::Accepted { socket, .. } = completion {
                    let socket = port.adopt(socket)?;
                    return Ok((port, socket, stream));
                }
            }
        }
    }

    fn message(len: usize) -> SharedBytes {
        SharedBytes::from(Arc::<[u8]>::from(vec![7; len]))
    }

    /// What is taken, a page at a time, until a send is stuck.
    fn taken_bytes(backend: Backend, bound: Option<u32>) -> Outcome<usize> {
        let (mut port, socket, _stream) = open(backend, bound)?;
        let page = message(4096);
        let mut taken = 0;
        'pages: loop {
            port.send(socket, vec![Segment::Shared(page.clone())])?;
            let until = port.now() + STUCK;
            loop {
                port.wait(Some(until))?;
                if matches!(port.take(), Some(Completion::Sent { .. })) {
                    taken += 4096;
                    continue 'pages;
                }
                if port.now() >= until {
                    return Ok(taken);
                }
            }
        }
    }

    /// Seconds that it takes to send so much in messages of a size; or to send back what comes.
    fn transfer(
        backend: Backend,
        bound: Option<u32>,
        size: usize,
        mebibytes: usize,
        echoes: bool,
    ) -> Outcome<Cost> {
        let (mut port, socket, mut stream) = open(backend, bound)?;
        let total = mebibytes << 20;
        let mut writer = stream.try_clone()?;
        port.wait(Some(port.now()))?;
        let (begin, cpu) = (port.now(), cpu_seconds());
        let reads = thread::spawn(move || {
            let mut buffer = vec![0; 256 << 10];
            let mut left = total;
            while left > 0 {
                let read = stream.read(&mut buffer).unwrap_or(0);
                assert!(read > 0, "the stream has ended");
                left -= read;
            }
        });
        let writes = echoes.then(|| {
            thread::spawn(move || {
                let message = vec![7; size];
                for _ in 0..total / size {
                    assert!(writer.write_all(&message).is_ok(), "the peer is gone");
                }
            })
        });
        if echoes {
            echo(&mut port, socket, total)?;
        } else {
            send(&mut port, socket, size, total / size)?;
        }
        for thread in [Some(reads), writes].into_iter().flatten() {
            thread.join().map_err(|_| "a thread panicked")?;
        }
        port.wait(Some(port.now()))?;
        let elapsed = port.now().since(begin).as_secs_f64();
        let cpu = cpu_seconds() - cpu;
        port.shut_down(Duration::from_secs(5))?;
        Ok(Cost { elapsed, cpu })
    }

    fn send(port: &mut CompletionPort, socket: SocketId, size: usize, count: usize) -> Outcome<()> {
        let message = message(size);
        port.send(socket, vec![Segment::Shared(message.clone())])?;
        let mut left = count - 1;
        loop {
            port.wait(None)?;
            while let Some(completion) = port.take() {
                if let Completion::Sent { result, .. } = completion {
                    result?;
                    if left == 0 {
                        return Ok(());
                    }
                    left -= 1;
                    port.send(socket, vec![Segment::Shared(message.clone())])?;
                }
            }
        }
    }

    /// As the session layer does it: one send in flight, what comes meanwhile goes with the next.
    fn echo(port: &mut CompletionPort, socket: SocketId, total: usize) -> Outcome<()> {
        let (mut queue, mut sends, mut left) = (Vec::new(), false, total);
        let (mut queued, mut paused) = (0, false);
        port.receive(socket)?;
        while left > 0 {
            port.wait(None)?;
            while let Some(completion) = port.take() {
                match completion {
                    Completion::Received { what: Received::Data(lease), .. } => {
                        queued += lease.len();
                        left -= lease.len();
                        queue.push(Segment::Received(lease));
                    }
                    Completion::Received { .. } => return Err("the peer has ended".into()),
                    Completion::Sent { result, .. } => {
                        result?;
                        sends = false;
                    }
                    _ => {}
                }
            }
            if !sends && !queue.is_empty() {
                port.send(socket, std::mem::take(&mut queue))?;
                (sends, queued) = (true, 0);
            }
            let full = queued > 256 << 10;
            if full != paused {
                if full {
                    port.pause_receive(socket)?
                } else {
                    port.resume_receive(socket)?
                }
                paused = full;
            }
        }
        while sends || !queue.is_empty() {
            if !sends {
                port.send(socket, std::mem::take(&mut queue))?;
                sends = true;
            }
            port.wait(None)?;
            while let Some(completion) = port.take() {
                if let Completion::Sent { result, .. } = completion {
                    result?;
                    sends = false;
                }
            }
        }
        Ok(())
    }
}
