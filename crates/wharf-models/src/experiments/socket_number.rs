//! A socket's number as the identity of its session.
//!
//! The system gives the number of a closed socket to the next that is opened. Whoever kept the number, for an answer
//! that is still being worked out, has from then on the name of somebody else. Here a server keeps numbers, and another
//! one keeps names that never come again; clients come, ask and go, on a simulated network.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use wharf_port::sim::Peer;
use wharf_port::{Completion, Received, Segment, SocketId};

use super::stage::{Broken, Stage, broken_of};
use super::{Experiment, Verdict};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "socket-number",
    system: "any",
    summary: "a socket's number as identity: an answer goes to whoever has the number by now (simulated)",
    run: report,
};

/// Seeds that are run of each form.
const SEEDS: u64 = 200;
/// Steps of a run.
const STEPS: usize = 800;
/// Clients at a time.
const CLIENTS: usize = 4;

/// What an answer that is being worked out keeps of the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    /// The number of the socket, which is given again.
    Number,
    /// The number and how often it has been given, which never comes again.
    Name,
}

struct Server {
    stage: Stage,
    identity: Identity,
    /// Who is connected, by number.
    connected: BTreeMap<u32, SocketId>,
    /// Answers that somebody else works out: a database, say. Whom they are for, and what they are.
    jobs: VecDeque<(SocketId, u8)>,
    /// Those with a send in flight; an answer for them is left out.
    sending: Vec<SocketId>,
    answered: usize,
    /// Answers that found nobody of the name they had kept.
    dropped: usize,
}

/// A client, and the byte that is its question and the answer to it.
struct Client {
    peer: Peer,
    tag: u8,
}

/// Runs a seed: an error if a client got what was meant for another. How many were answered and dropped.
fn run(identity: Identity, seed: u64) -> Result<(usize, usize), Broken> {
    let broken = |step| move |why| Broken { step, story: vec![why] };
    let mut server = Server::new(identity, seed).map_err(broken(0))?;
    let mut clients: Vec<Client> = Vec::new();
    let mut tag = 0;
    for step in 1..=STEPS {
        let done = match server.stage.pick(6) {
            0 | 1 => server.kernel(),
            2 => server.finish_a_job(),
            _ => server.client(&mut clients, &mut tag),
        };
        done.map_err(broken(step))?;
    }
    Ok((server.answered, server.dropped))
}

impl Server {
    fn new(identity: Identity, seed: u64) -> Result<Self, String> {
        Ok(Self {
            stage: Stage::new(seed)?,
            identity,
            connected: BTreeMap::new(),
            jobs: VecDeque::new(),
            sending: Vec::new(),
            answered: 0,
            dropped: 0,
        })
    }

    /// The kernel's turn, and what the server does with what has finished.
    fn kernel(&mut self) -> Result<(), String> {
        for completion in self.stage.turn()? {
            let port = &mut self.stage.port;
            match completion {
                Completion::Accepted { socket, .. } => {
                    let socket = port.adopt(socket).map_err(|error| error.to_string())?;
                    self.connected.insert(socket.slot(), socket);
                    port.receive(socket).map_err(|error| error.to_string())?;
                }
                Completion::Received { socket, what: Received::Data(lease) } => {
                    self.jobs.extend(lease.iter().map(|question| (socket, *question)));
                }
                Completion::Received { what: Received::Cancelled, .. } => {}
                Completion::Received { socket, .. } => {
                    self.connected.remove(&socket.slot());
                    port.close(socket).map_err(|error| error.to_string())?;
                }
                Completion::Sent { socket, .. } => self.sending.retain(|other| *other != socket),
                _ => {}
            }
        }
        Ok(())
    }

    /// An answer has been worked out, and goes to whom the server takes for the one who asked.
    fn finish_a_job(&mut self) -> Result<(), String> {
        let Some((asker, answer)) = self.jobs.pop_front() else { return Ok(()) };
        let found = self.connected.get(&asker.slot()).copied();
        let found = match self.identity {
            Identity::Number => found,
            Identity::Name => found.filter(|connected| *connected == asker),
        };
        let Some(socket) = found else {
            self.dropped += 1;
            return Ok(());
        };
        if self.sending.contains(&socket) {
            return Ok(());
        }
        self.sending.push(socket);
        self.answered += 1;
        let segments = vec![Segment::Owned(vec![answer].into())];
        self.stage.port.send(socket, segments).map_err(|error| error.to_string())
    }

    /// A client comes, asks, looks at its answers, or goes without waiting for them.
    fn client(&self, clients: &mut Vec<Client>, tag: &mut u8) -> Result<(), String> {
        if clients.len() < CLIENTS {
            *tag = tag.wrapping_add(1);
            clients.push(Client { peer: self.stage.connect(), tag: *tag });
            return Ok(());
        }
        let number = self.stage.pick(clients.len());
        match self.stage.pick(6) {
            0 => drop(clients.swap_remove(number)),
            1 | 2 => {
                let Client { peer, tag } = &mut clients[number];
                let _ = peer.try_write(&[*tag]);
            }
            _ => return clients[number].look(),
        }
        Ok(())
    }
}

impl Client {
    /// Every answer has to be the one to its own question.
    fn look(&mut self) -> Result<(), String> {
        let mut answers = [0; 16];
        let count = self.peer.try_read(&mut answers).unwrap_or(0);
        match answers[..count].iter().find(|answer| **answer != self.tag) {
            None => Ok(()),
            Some(other) => Err(format!(
                "BROKEN: client {} was given the answer to client {other}, whose socket had the same number",
                self.tag
            )),
        }
    }
}

fn report(out: &mut dyn Write) -> io::Result<Verdict> {
    writeln!(
        out,
        "Clients ask and some leave before the answer has been worked out; {CLIENTS} at a time, {SEEDS} seeds.\n\
         The answer goes to whoever the server finds by what it has kept of the asker.\n"
    )?;
    let mut is_shown = true;
    for (identity, title, why) in [
        (
            Identity::Number,
            "the socket's number is kept",
            "The number was closed and given to the next client between question and answer. Nothing failed: the send\n\
             succeeded, to somebody else.",
        ),
        (
            Identity::Name,
            "a name is kept that never comes again",
            "The answer for a client that has gone finds nobody, and is dropped. A counter of 64 bits, beside the\n\
             number or instead of it, does not come round.",
        ),
    ] {
        let (broken, first) = broken_of(SEEDS, |seed| run(identity, seed).map(|_| ()));
        writeln!(out, "-- {title}: {broken} of {SEEDS} seeds break")?;
        if let Some((seed, Broken { step, story })) = first {
            writeln!(out, "   the first is seed {seed}, at step {step}:")?;
            story.iter().try_for_each(|line| writeln!(out, "     {line}"))?;
        }
        writeln!(out, "{why}\n")?;
        is_shown &= (broken == 0) == (identity == Identity::Name);
    }
    Ok(if is_shown { Verdict::Shown } else { Verdict::NotShown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_never_comes_again_gives_no_answer_to_others() {
        let (mut answered, mut dropped) = (0, 0);
        for seed in 0..SEEDS {
            let done = run(Identity::Name, seed).unwrap_or_else(|broken| panic!("{broken:?}"));
            answered += done.0;
            dropped += done.1;
        }
        // That holds for what was answered, and there were those that could have gone wrong.
        assert!(answered > 1_000 && dropped > 100, "{answered} answered, {dropped} dropped");
    }

    #[test]
    fn a_number_gives_an_answer_to_whoever_has_it_by_now() {
        let (broken, first) = broken_of(SEEDS, |seed| run(Identity::Number, seed).map(|_| ()));
        let (seed, first) = first.expect("it goes wrong");
        assert!(first.story[0].contains("was given the answer to client"), "{first:?}");
        // The same seed, the same end.
        assert_eq!(run(Identity::Number, seed), Err(first));
        assert!(broken > 0);
    }
}
