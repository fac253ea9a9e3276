//! How regular are a room's ticks, and what does it cost that its members live on another worker? Measured
//! beside a bare thread that waits for its times, in the same run.
//!
//! ```sh
//! cargo run --release -p wharf --example room_ticks -- 5
//! ```
//!
//! The argument is the number of rounds (5), of some 12 s each; behind `regular`, of the first half alone
//! (`cargo xtask examples room` looks at that). First a room with 200 dummy members ticks 30
//! times a second on one worker, while a room that takes 2 ms for each of its 100 ticks a second keeps the
//! other one busy. Then there is no busy room, and the members live with their room or on the other worker;
//! what the server takes of CPU time is compared. The dummies are another process.

use std::error::Error;

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("the CPU time of a process is read on Linux only".into())
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [mode, address, count] if mode == "dummies" => measuring::dummies(address, count.parse()?),
        [mode, rounds] if mode == "regular" => measuring::beside_a_busy_room(rounds.parse()?),
        [] => measuring::compare(5),
        [rounds, ..] => measuring::compare(rounds.parse()?),
    }
}

#[cfg(target_os = "linux")]
mod measuring {
    use std::error::Error;
    use std::process::{Command, Stdio};
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Arc, OnceLock};
    use std::thread;
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};
    use wharf::{
        Client, Context, Framing, Limits, Outcome, Room, RoomContext, RoomOptions, RoomRef, Server,
        ServerHandle, Session, SessionId, Tick,
    };

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    const MEMBERS: usize = 200;
    const RATE: u32 = 30;
    /// Ticks of one run, behind those in which everything begins.
    const TICKS: u32 = 100;
    const WARM_UP: u64 = 20;
    const BUSY_RATE: u32 = 100;
    const BUSY: Duration = Duration::from_millis(2);

    /// What one run has shown: how late the room's and the bare thread's ticks were, and the CPU time that
    /// server and dummies took, in milliseconds of a second.
    struct Run {
        room: Vec<Duration>,
        bare: Vec<Duration>,
        server_cpu: f64,
        dummies_cpu: f64,
    }

    pub(super) fn compare(rounds: usize) -> Result<()> {
        beside_a_busy_room(rounds)?;
        println!("the server's CPU, in ms/s: members with their room, on the other worker; ratio");
        for round in 1..=rounds {
            let with = run(Some(0), false)?.server_cpu;
            let apart = run(Some(1), false)?.server_cpu;
            println!("{round:>3}: {with:>6.1} {apart:>6.1}   {:.2}", apart / with);
        }
        Ok(())
    }

    pub(super) fn beside_a_busy_room(rounds: usize) -> Result<()> {
        println!(
            "late by, in microseconds (p50, p99), beside a busy room; ratio of p99; dummies' CPU"
        );
        for round in 1..=rounds {
            let Run { room, bare, dummies_cpu, .. } = run(None, true)?;
            let [room, bare] = [room, bare].map(|late| [50, 99].map(|of| percentile(&late, of)));
            println!(
                "{round:>3}: bare thread {:>6.0} {:>7.0}   room {:>6.0} {:>7.0}   {:>5.2}   {dummies_cpu:.0} ms/s",
                bare[0],
                bare[1],
                room[0],
                room[1],
                room[1] / bare[1],
            );
        }
        Ok(())
    }

    /// A percentile, in microseconds.
    fn percentile(late: &[Duration], of: usize) -> f64 {
        let mut sorted = late.to_vec();
        sorted.sort_unstable();
        let index = (sorted.len() * of).div_ceil(100).clamp(1, sorted.len()) - 1;
        sorted[index].as_secs_f64() * 1e6
    }

    fn clock(id: ClockId) -> Duration {
        Duration::try_from(clock_gettime(id)).unwrap_or_default()
    }

    /// Ticks for the members; says how late it is called, and at the last tick that it is over.
    struct Arena {
        moves: u32,
        server: Arc<OnceLock<ServerHandle>>,
        late: Sender<Duration>,
    }

    impl Room for Arena {
        fn on_frame(&mut self, _: &mut RoomContext<'_>, _: SessionId, frame: &[u8]) {
            self.moves += u32::from(frame[0]);
        }

        fn on_tick(&mut self, ctx: &mut RoomContext<'_>, tick: &Tick) {
            if tick.number > WARM_UP {
                let _ = self.late.send(self.server.wait().now().since(tick.due));
            }
            ctx.broadcast(&self.moves.to_le_bytes());
        }
    }

    /// Takes its time.
    struct Busy(Arc<OnceLock<ServerHandle>>);

    impl Room for Busy {
        fn on_frame(&mut self, _: &mut RoomContext<'_>, _: SessionId, _: &[u8]) {}

        fn on_tick(&mut self, _: &mut RoomContext<'_>, _: &Tick) {
            let begun = self.0.wait().now();
            while self.0.wait().now().since(begun) < BUSY {}
        }
    }

    struct Player {
        arena: Arc<OnceLock<RoomRef<Arena>>>,
        /// The worker whose sessions play; all do if it is none.
        playing: Option<usize>,
    }

    impl Session for Player {
        fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
            if self.playing.is_none_or(|worker| worker == ctx.id().worker()) {
                ctx.enter(self.arena.wait())?;
            }
            Ok(())
        }

        fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
            ctx.send_to_room(self.arena.wait(), frame);
            Ok(())
        }
    }

    /// One run: half of the connections play if only one worker's do.
    fn run(playing: Option<usize>, beside_a_busy_room: bool) -> Result<Run> {
        let arena = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&arena);
        let limits = Limits { first_frame: None, ..Limits::default() };
        let server = Server::bind("127.0.0.1:0").workers(2).framing(Framing::U16_LE).limits(limits);
        let server = server.start(move |_| Player { arena: Arc::clone(&theirs), playing })?;
        let handle = Arc::new(OnceLock::from(server.handle()));
        let (late, lates) = channel();
        let rated = |rate, worker| RoomOptions {
            ticks_per_second: Some(rate),
            worker: Some(worker),
            ..RoomOptions::default()
        };
        let room = Arena { moves: 0, server: Arc::clone(&handle), late };
        let _ = arena.set(server.handle().open_room(rated(RATE, 0), room)?);
        if beside_a_busy_room {
            server.handle().open_room(rated(BUSY_RATE, 1), Busy(handle))?;
        }
        // Those of both workers come, if only one worker's play.
        let count = if playing.is_some() { 2 * MEMBERS } else { MEMBERS };
        let address = server.handle().addresses()[0].to_string();
        let dummies = Command::new(std::env::current_exe()?)
            .args(["dummies", &address, &count.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        // All are there when the first tick behind the warm-up has come.
        let mut room = vec![lates.recv()?];
        let bare = thread::spawn(bare_thread);
        let (begun, cpu) = (clock(ClockId::Monotonic), clock(ClockId::ProcessCPUTime));
        room.extend(lates.iter().take(usize::try_from(TICKS)? - 1));
        let server_cpu = clock(ClockId::ProcessCPUTime) - cpu;
        let took = clock(ClockId::Monotonic) - begun;
        let bare = bare.join().map_err(|_| "the bare thread panicked")?;
        server.handle().stop();
        server.join()?;
        let said = String::from_utf8(dummies.wait_with_output()?.stdout)?;
        let server_cpu = server_cpu.as_secs_f64() * 1e3 / took.as_secs_f64();
        Ok(Run { room, bare, server_cpu, dummies_cpu: said.trim().parse()? })
    }

    /// Waits for each of its times, and says how late it was.
    fn bare_thread() -> Vec<Duration> {
        let (_never, waits) = channel::<()>();
        let begun = clock(ClockId::Monotonic);
        let lates = (1..u64::from(TICKS)).map(|number| {
            let due = begun + Duration::from_nanos(number * 1_000_000_000 / u64::from(RATE));
            let _ = waits.recv_timeout(due.saturating_sub(clock(ClockId::Monotonic)));
            clock(ClockId::Monotonic).saturating_sub(due)
        });
        lates.collect()
    }

    /// Moves whenever it hears of the world.
    struct Dummy;

    impl Session for Dummy {
        fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
            ctx.send(&[1]);
            Ok(())
        }
    }

    /// The dummies: prints the CPU time that they took, in milliseconds of a second.
    pub(super) fn dummies(address: &str, count: usize) -> Result<()> {
        let begun = clock(ClockId::Monotonic);
        let client = Client::new().framing(Framing::U16_LE).workers(1);
        (0..count).fold(client, |all, _| all.connect(address)).run(|_| Dummy)?;
        let took = clock(ClockId::Monotonic) - begun;
        println!("{}", clock(ClockId::ProcessCPUTime).as_secs_f64() * 1e3 / took.as_secs_f64());
        Ok(())
    }
}
