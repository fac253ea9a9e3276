//! What sessions send is forwarded to another, which reads more slowly: with pauses nothing is lost, and no
//! more than a queue is kept.

use std::cell::RefCell;
use std::rc::Rc;

use wharf::{
    Arrival, Backend, Context, Outcome, SendLimits, SendStatus, Session, SessionId, SlowReader,
    SteppedServer, Time,
};

use crate::support::client::Client;
use crate::support::server::Setup;
use crate::support::time::wait_until;
use crate::support::wire::{Wire, pattern};

each_backend! {
    what_is_forwarded_to_a_slow_reader_is_whole_and_no_more_than_its_queue_waits,
    a_session_is_writable_whenever_it_is_told_so,
    a_session_can_be_reset_by_another,
}

const FRAME: usize = 1_500;
const QUEUE: usize = 4 << 10;

/// What the sessions and the test share.
#[derive(Default)]
struct Board {
    sessions: Vec<SessionId>,
    pauses: usize,
    /// How often a session was told that it is writable, and how often it was not.
    told: usize,
    misled: usize,
}

/// The first session is the slow one. What all others send goes to it, and all are paused when it is full.
struct Forwards(Rc<RefCell<Board>>);

impl Session for Forwards {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.0.borrow_mut().sessions.push(ctx.id());
        let slow_reader = SlowReader::Refuse;
        Ok(ctx.set_send_limits(SendLimits { bytes_max: QUEUE, frames_max: 100, slow_reader })?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let mut board = self.0.borrow_mut();
        let slow = board.sessions[0];
        if frame == b"reset" {
            ctx.reset_session(slow);
            return Ok(());
        }
        assert_eq!(ctx.send_to(slow, frame), SendStatus::Queued, "all are paused while it is full");
        if !ctx.is_writable(slow) {
            board.pauses += 1;
            for &other in &board.sessions[1..] {
                assert_eq!(ctx.pause_receiving_of(other), SendStatus::Queued);
            }
        }
        Ok(())
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        let mut board = self.0.borrow_mut();
        board.told += 1;
        board.misled += usize::from(!ctx.is_writable(ctx.id()));
        for &other in &board.sessions[1..] {
            assert_eq!(ctx.resume_receiving_of(other), SendStatus::Queued);
        }
        Ok(())
    }
}

/// A server of one worker, which the test turns.
struct Stepped<F> {
    server: SteppedServer<Forwards, F>,
    board: Rc<RefCell<Board>>,
}

fn start(setup: &Setup) -> Stepped<impl Fn(&Arrival) -> Forwards + use<>> {
    let board = Rc::<RefCell<Board>>::default();
    let shared = Rc::clone(&board);
    let server = setup.server().start_stepped(move |_| Forwards(Rc::clone(&shared)));
    Stepped { server: server.expect("the server starts"), board }
}

impl<F: Fn(&Arrival) -> Forwards> Stepped<F> {
    fn turn(&mut self) {
        self.server.turn(0, Some(Time::ZERO)).expect("a port that works");
    }

    /// A client that has its session.
    #[track_caller]
    fn connect(&mut self) -> Client {
        let client =
            Client::connect(self.server.handle().addresses()[0].tcp().unwrap(), Wire::U32Le);
        let count = self.board.borrow().sessions.len();
        wait_until("there is a session", || {
            self.turn();
            self.board.borrow().sessions.len() > count
        });
        client
    }
}

fn what_is_forwarded_to_a_slow_reader_is_whole_and_no_more_than_its_queue_waits(backend: Backend) {
    const FRAMES: u64 = 400;
    const SENDERS: u64 = 3;
    let mut it = start(&Setup::new(backend).kernel_buffers(8 << 10, 8 << 10));
    let mut slow = it.connect();
    let senders: Vec<Client> = (0..SENDERS).map(|_| it.connect()).collect();
    let writing = senders.into_iter().zip(0..).map(|(mut client, sender)| {
        std::thread::spawn(move || {
            (0..FRAMES).for_each(|number| client.send(&pattern(sender * FRAMES + number, FRAME)));
            client
        })
    });
    let writing: Vec<_> = writing.collect();
    // Nobody reads: all come to rest behind one full queue.
    let mut waiting = 0;
    wait_until("the queue is full", || {
        it.turn();
        waiting = it.server.worker(0).unwrap().queued_bytes_max;
        waiting >= QUEUE
    });
    let reading = std::thread::spawn(move || {
        let mut next: Vec<u64> = (0..SENDERS).map(|sender| sender * FRAMES).collect();
        for _ in 0..SENDERS * FRAMES {
            let frame = slow.frame();
            let from = next.iter_mut().find(|number| frame == pattern(**number, FRAME));
            *from.expect("the next frame of one of them") += 1;
        }
    });
    wait_until("all has come", || {
        it.turn();
        waiting = waiting.max(it.server.worker(0).unwrap().queued_bytes_max);
        reading.is_finished()
    });
    reading.join().unwrap();
    assert!(waiting < QUEUE + 2 * FRAME, "{waiting} bytes waited");
    let board = it.board.borrow();
    assert!(board.pauses > 10, "{} pauses", board.pauses);
    assert_eq!(board.misled, 0);
    writing.into_iter().for_each(|thread| drop(thread.join().unwrap()));
}

fn a_session_is_writable_whenever_it_is_told_so(backend: Backend) {
    let mut it = start(&Setup::new(backend));
    let mut client = it.connect();
    let session = it.server.handle().session(it.board.borrow().sessions[0]);
    let reading = std::thread::spawn(move || while !client.frame().is_empty() {});
    for _ in 0..100 {
        // Fills the queue anew in the turn in which the last of it has gone.
        (0..4).for_each(|_| assert_eq!(session.send(&[1; FRAME]), SendStatus::Queued));
        it.turn();
    }
    wait_until("it is told", || {
        it.turn();
        it.board.borrow().told > 0
    });
    assert_eq!(it.board.borrow().misled, 0);
    session.send(b"");
    wait_until("the client has read all", || {
        it.turn();
        reading.is_finished()
    });
    reading.join().unwrap();
}

fn a_session_can_be_reset_by_another(backend: Backend) {
    let mut it = start(&Setup::new(backend));
    let mut slow = it.connect();
    let mut other = it.connect();
    slow.send(b"for itself");
    other.send(b"reset");
    let reading = std::thread::spawn(move || slow.expect_reset());
    wait_until("it is reset", || {
        it.turn();
        reading.is_finished()
    });
    reading.join().unwrap();
    wait_until("its session is gone", || {
        it.turn();
        it.server.handle().sessions() == 1
    });
}
