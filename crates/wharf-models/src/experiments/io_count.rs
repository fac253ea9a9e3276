//! The I/O count in the wrong place.
//!
//! A session of a shared-port server is used by every operation that is in flight for it, on any worker. It is freed
//! when its I/O count comes to zero, and not before. That holds if an operation is counted before it is posted, and
//! given up after all that its completion had to do. Here a server does so, and two others do not; their workers take
//! one step at a time in an order by the seed, on a simulated network.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use wharf_port::sim::Peer;
use wharf_port::{Completion, Received, Segment, SocketId};

use super::stage::{Broken, Stage, broken_of};
use super::{Experiment, Verdict};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "io-count",
    system: "any",
    summary: "the I/O count of a session in the wrong place: freed while a worker still uses it (simulated)",
    run: report,
};

/// Seeds that are run of each form.
const SEEDS: u64 = 200;
/// Steps of a run.
const STEPS: usize = 600;
/// Worker threads.
const WORKERS: usize = 3;
/// Clients at a time.
const CLIENTS: usize = 4;

/// Where the count goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Up before an operation is posted; down, and looked at, when all is done that its completion asked for.
    Right,
    /// Down, and looked at, first of all.
    LookedAtFirst,
    /// Up when the operation has been posted.
    CountedLate,
}

/// One step of a worker, which other workers cannot come between.
#[derive(Clone, Debug)]
enum Step {
    CountUp,
    PostReceive,
    PostSend(Vec<u8>),
    /// And frees the session if nothing is left.
    CountDown,
}

/// What a worker still has to do for a completion.
#[derive(Default)]
struct Worker {
    session: Option<Pointer>,
    steps: VecDeque<Step>,
}

/// A session as the completion key has it: where it lies, and, to notice what C++ would not, whose that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pointer {
    place: usize,
    socket: SocketId,
}

struct Session {
    socket: SocketId,
    io_count: u32,
    /// A second send must wait; here it is left out.
    sends: bool,
}

/// What the kernel has for a socket until a receive is posted: one receive brings one completion.
#[derive(Default)]
struct Incoming {
    posted: bool,
    waiting: VecDeque<Option<Vec<u8>>>,
}

struct Server {
    stage: Stage,
    form: Form,
    workers: [Worker; WORKERS],
    /// The queue of the shared port.
    queue: VecDeque<(Pointer, VecDeque<Step>)>,
    /// The memory that sessions lie in; a place that was freed is used again by the next.
    memory: Vec<Option<Session>>,
    keys: BTreeMap<SocketId, Pointer>,
    incoming: BTreeMap<SocketId, Incoming>,
    /// The session that the last step of a worker was for.
    touched: Option<SocketId>,
    story: Vec<String>,
}

/// Runs a seed: an error if a worker touched a session that had been freed.
fn run(form: Form, seed: u64) -> Result<(), Broken> {
    let mut server = Server::new(form, seed).map_err(|why| Broken { step: 0, story: vec![why] })?;
    let mut clients: Vec<Peer> = Vec::new();
    for step in 1..=STEPS {
        if let Err(problem) = server.any_step(&mut clients) {
            let session = server.touched.map(|socket| format!("{socket:?} "));
            server.story.retain(|line| session.as_ref().is_some_and(|it| line.contains(it)));
            server.story.push(problem);
            let story = server.story.split_off(server.story.len().saturating_sub(12));
            return Err(Broken { step, story });
        }
    }
    Ok(())
}

impl Server {
    fn new(form: Form, seed: u64) -> Result<Self, String> {
        Ok(Self {
            stage: Stage::new(seed)?,
            form,
            workers: Default::default(),
            queue: VecDeque::new(),
            memory: Vec::new(),
            keys: BTreeMap::new(),
            incoming: BTreeMap::new(),
            touched: None,
            story: Vec::new(),
        })
    }

    /// One step of the kernel, of a worker or of a client, as chance has it.
    fn any_step(&mut self, clients: &mut Vec<Peer>) -> Result<(), String> {
        match self.stage.pick(8) {
            0 | 1 => self.kernel(),
            2..6 => self.work(),
            _ => {
                self.client(clients);
                Ok(())
            }
        }
    }

    /// The kernel's turn: what has finished goes to the queue.
    fn kernel(&mut self) -> Result<(), String> {
        for completion in self.stage.turn()? {
            match completion {
                Completion::Accepted { socket, .. } => {
                    let socket =
                        self.stage.port.adopt(socket).map_err(|error| error.to_string())?;
                    self.accepted(socket)?;
                }
                Completion::Received { socket, what } => {
                    let brought = match what {
                        Received::Data(lease) => Some(lease.to_vec()),
                        _ => None,
                    };
                    let incoming = self.incoming.entry(socket).or_default();
                    incoming.waiting.push_back(brought);
                    self.deliver(socket);
                }
                Completion::Sent { socket, .. } => {
                    if let Some(&key) = self.keys.get(&socket) {
                        self.queue.push_back((key, [Step::CountDown].into()));
                        if let Some(session) = self.memory[key.place].as_mut() {
                            session.sends &= session.socket != socket;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A session for a connection, with its first receive: nobody else knows of it yet.
    fn accepted(&mut self, socket: SocketId) -> Result<(), String> {
        let place = self.memory.iter().position(Option::is_none).unwrap_or(self.memory.len());
        if place == self.memory.len() {
            self.memory.push(None);
        }
        self.memory[place] = Some(Session { socket, io_count: 1, sends: false });
        self.keys.insert(socket, Pointer { place, socket });
        self.incoming.insert(socket, Incoming { posted: true, waiting: VecDeque::new() });
        self.story.push(format!("{socket:?} is accepted: its session lies at {place}, count 1"));
        self.stage.port.receive(socket).map_err(|error| error.to_string())
    }

    /// A receive that is posted takes what the kernel has: a completion, with all that a worker does for it.
    fn deliver(&mut self, socket: SocketId) {
        let (Some(incoming), Some(&key)) = (self.incoming.get_mut(&socket), self.keys.get(&socket))
        else {
            return;
        };
        if !incoming.posted || incoming.waiting.is_empty() {
            return;
        }
        incoming.posted = false;
        let brought = incoming.waiting.pop_front().flatten();
        self.queue.push_back((key, steps(self.form, brought).into()));
    }

    /// A worker's next step, or its next completion.
    fn work(&mut self) -> Result<(), String> {
        let number = self.stage.pick(WORKERS);
        let worker = &mut self.workers[number];
        if let (Some(pointer), Some(step)) = (worker.session, worker.steps.pop_front()) {
            return self.step(number, pointer, step);
        }
        if let Some((pointer, steps)) = self.queue.pop_front() {
            *worker = Worker { session: Some(pointer), steps };
        }
        Ok(())
    }

    fn step(&mut self, worker: usize, pointer: Pointer, step: Step) -> Result<(), String> {
        let Pointer { place, socket } = pointer;
        self.touched = Some(socket);
        let what = match &step {
            Step::CountUp => "counts up",
            Step::PostReceive => "posts a receive",
            Step::PostSend(_) => "posts a send",
            Step::CountDown => "counts down",
        };
        let session = match &mut self.memory[place] {
            Some(session) if session.socket == socket => session,
            Some(other) => {
                return Err(format!(
                    "BROKEN: worker {worker} {what} for {socket:?} at {place}, which was freed and is {:?} by now",
                    other.socket
                ));
            }
            None => {
                return Err(format!(
                    "BROKEN: worker {worker} {what} for {socket:?} at {place}, which was freed"
                ));
            }
        };
        match step {
            Step::CountUp => session.io_count += 1,
            Step::CountDown => session.io_count -= 1,
            Step::PostReceive => {
                self.incoming.entry(socket).or_default().posted = true;
                self.deliver(socket);
            }
            Step::PostSend(bytes) if !session.sends => {
                session.sends = true;
                let segments = vec![Segment::Owned(bytes.into())];
                // Where the socket is closed by now the session was freed, which is told by the next to touch it.
                let _ = self.stage.port.send(socket, segments);
            }
            // One at a time: what would be sent is left out, and its count given back.
            Step::PostSend(_) => self.workers[worker].steps.push_back(Step::CountDown),
        }
        let Some(session) = &self.memory[place] else { return Ok(()) };
        let count = session.io_count;
        self.story.push(format!("worker {worker} {what} for {socket:?} at {place}: count {count}"));
        if count == 0 && what == "counts down" {
            self.story.push(format!("worker {worker} frees {socket:?} at {place}"));
            self.memory[place] = None;
            let _ = self.stage.port.close(socket);
        }
        Ok(())
    }

    /// A client comes, says something, reads, or ends.
    fn client(&mut self, clients: &mut Vec<Peer>) {
        if clients.len() < CLIENTS {
            clients.push(self.stage.connect());
            return;
        }
        let number = self.stage.pick(clients.len());
        match self.stage.pick(6) {
            0 => drop(clients.swap_remove(number)),
            1 => {
                let _ = clients[number].try_read(&mut [0; 64]);
            }
            _ => {
                let _ = clients[number].try_write(b"message");
            }
        }
    }
}

/// What a worker does for the completion of a receive, step by step: echo and receive again, or, at the end of the
/// stream, nothing. The operation that has completed is counted still.
fn steps(form: Form, brought: Option<Vec<u8>>) -> Vec<Step> {
    use Step::{CountDown, CountUp, PostReceive, PostSend};
    let Some(bytes) = brought else { return vec![CountDown] };
    let send = PostSend(bytes);
    match form {
        Form::Right => vec![CountUp, send, CountUp, PostReceive, CountDown],
        Form::LookedAtFirst => vec![CountDown, CountUp, send, CountUp, PostReceive],
        Form::CountedLate => vec![send, CountUp, PostReceive, CountUp, CountDown],
    }
}

fn report(out: &mut dyn Write) -> io::Result<Verdict> {
    writeln!(
        out,
        "A session is freed when its I/O count comes to zero. {WORKERS} workers share a completion port, {CLIENTS}\n\
         clients come, speak and go; {SEEDS} seeds each, and every step of a worker may be followed by another's.\n"
    )?;
    let forms = [
        (
            Form::LookedAtFirst,
            "counted down and looked at before the completion is handled",
            "The completed operation was the only thing that kept the session. The first message frees it, and the\n\
             worker goes on with what is no longer there.",
        ),
        (
            Form::CountedLate,
            "counted up after the operation is posted",
            "Between the two, another worker may have taken the completion already, and counts down what was not\n\
             counted up yet. It takes the right moment, which comes when a client leaves while its message is handled.",
        ),
        (
            Form::Right,
            "counted up before it is posted, down when all is done",
            "Whoever can touch the session has counted himself in before, so zero means nobody.",
        ),
    ];
    let mut is_shown = true;
    for (form, title, why) in forms {
        let (broken, first) = broken_of(SEEDS, |seed| run(form, seed));
        writeln!(out, "-- {title}: {broken} of {SEEDS} seeds break")?;
        if let Some((seed, Broken { step, story })) = first {
            writeln!(out, "   the first is seed {seed}, at step {step}; what led to it:")?;
            story.iter().try_for_each(|line| writeln!(out, "     {line}"))?;
        }
        writeln!(out, "{why}\n")?;
        is_shown &= (broken == 0) == (form == Form::Right);
    }
    Ok(if is_shown { Verdict::Shown } else { Verdict::NotShown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_is_up_before_the_post_and_down_last_keeps_every_session() {
        for seed in 0..SEEDS {
            assert_eq!(run(Form::Right, seed), Ok(()), "seed {seed}");
        }
    }

    #[test]
    fn a_count_in_either_wrong_place_frees_what_is_in_use() {
        for form in [Form::LookedAtFirst, Form::CountedLate] {
            let (broken, first) = broken_of(SEEDS, |seed| run(form, seed));
            let (seed, first) = first.unwrap_or_else(|| panic!("{form:?} holds"));
            assert!(first.story.last().unwrap().contains("which was freed"), "{first:?}");
            // The same seed, the same end.
            assert_eq!(run(form, seed), Err(first), "{form:?}");
            assert!(broken > 0);
        }
    }

    #[test]
    fn the_right_form_serves_and_frees() {
        let mut server_story = Vec::new();
        for seed in 0..20 {
            server_story.extend(story_of(seed));
        }
        let counted = |word: &str| server_story.iter().filter(|line| line.contains(word)).count();
        assert!(counted("posts a send") > 100, "nothing is echoed");
        assert!(counted("frees") > 10, "nothing is freed");
    }

    /// All that happens in a right run.
    fn story_of(seed: u64) -> Vec<String> {
        let mut server = Server::new(Form::Right, seed).unwrap();
        let mut clients = Vec::new();
        for _ in 0..STEPS {
            server.any_step(&mut clients).unwrap();
        }
        server.story
    }
}
