//! Timers that users start: they fire once, in order, never early, and never for a session that ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{
    Arrival, Backend, CloseReason, Context, Group, GroupTimer, Outcome, Session, SessionTimer, Time,
};

use crate::support::client::Client;
use crate::support::server::{Setup, TestServer};
use crate::support::time::{let_pass, wait_until};
use crate::support::wire::Wire;

each_backend! {
    a_timer_fires_once_and_never_early,
    timers_fire_in_the_order_of_their_deadlines,
    a_cancelled_timer_does_not_fire,
    a_timer_that_is_due_can_still_be_cancelled,
    a_session_cannot_cancel_the_timer_of_another,
    a_session_that_closes_hears_of_no_timer,
    the_timers_of_a_session_are_gone_with_it,
    a_session_has_no_more_timers_than_allowed,
    an_error_in_a_timer_closes_the_session,
    a_group_timer_reaches_every_member_on_every_worker,
    a_group_timer_outlives_the_session_that_started_it,
    a_group_timer_is_cancelled_from_any_worker,
    a_server_ends_whatever_timers_run,
}

const HOUR: Duration = Duration::from_secs(3600);

/// What the sessions of one server share.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    timer: Option<SessionTimer>,
    group_timer: Option<GroupTimer>,
    reasons: Vec<String>,
    /// Timers that sessions have heard of.
    heard: usize,
}

/// Does what its peer says: the first word of a frame is a command, numbers are milliseconds or tokens.
struct Member {
    room: Group,
    board: Board,
    due: Option<Time>,
}

impl Member {
    fn with(board: &Board) -> impl Fn(&Arrival) -> Self + Send + Sync + 'static {
        let board = board.clone();
        move |arrival| Self { room: arrival.group("room"), board: board.clone(), due: None }
    }

    fn obey(&mut self, ctx: &mut Context<'_>, command: &str) -> Outcome {
        let mut words = command.split(' ');
        let (verb, rest): (_, Vec<u64>) =
            (words.next().unwrap(), words.map(|word| word.parse().unwrap()).collect());
        let after = |index: usize| Duration::from_millis(rest[index]);
        let notes = Arc::clone(&self.board.0);
        let notes = &mut *notes.lock().unwrap();
        match verb {
            "start" => match ctx.start_timer(after(0), rest[1]) {
                Some(timer) => {
                    assert_eq!(timer.deadline(), ctx.now() + after(0));
                    self.due = Some(timer.deadline());
                    notes.timer = Some(timer);
                }
                None => {
                    ctx.send(b"refused");
                }
            },
            "cancel" => {
                let stopped = ctx.cancel_timer(notes.timer.unwrap());
                ctx.send(stopped.to_string().as_bytes());
            }
            "group" => {
                notes.group_timer = ctx.start_group_timer(&self.room, after(0), rest[1]);
                assert!(notes.group_timer.is_some());
            }
            "ungroup" => {
                let stopped = ctx.cancel_group_timer(notes.group_timer.unwrap());
                ctx.send(stopped.to_string().as_bytes());
            }
            "leave" => assert!(ctx.leave(&self.room)),
            "say" => {
                ctx.send(rest[0].to_string().as_bytes());
            }
            "close" => ctx.close(),
            "fail" => ctx.start_timer(Duration::ZERO, 666).map(|_| ()).ok_or("refused")?,
            _ => return Err("no such command".into()),
        }
        Ok(())
    }
}

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.room)?)
    }

    /// Several commands at once, so that they are worked on in one turn.
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        std::str::from_utf8(frame)?.split('|').try_for_each(|command| self.obey(ctx, command))
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, token: u64) -> Outcome {
        self.board.0.lock().unwrap().heard += 1;
        if token == 666 {
            return Err("the timer of the beast".into());
        }
        if token >= 100 {
            assert!(ctx.now() >= self.due.unwrap(), "it is early");
        }
        ctx.send(format!("fired {token}").as_bytes());
        Ok(())
    }

    fn on_group_timer(&mut self, ctx: &mut Context<'_>, group: &Group, token: u64) -> Outcome {
        assert_eq!(*group, self.room);
        ctx.send(format!("group {token}").as_bytes());
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        assert!(ctx.start_timer(HOUR, 0).is_none(), "a session that is gone starts a timer");
        self.board.0.lock().unwrap().reasons.push(reason.to_string());
    }
}

fn start(backend: Backend, workers: usize) -> (TestServer, Board) {
    let board = Board::default();
    (Setup::new(backend).workers(workers).start(Member::with(&board)), board)
}

fn members<const COUNT: usize>(server: &TestServer) -> [Client; COUNT] {
    let room = server.handle.group("room");
    let members = std::array::from_fn(|_| server.connect());
    wait_until("all have joined", || room.len() == COUNT);
    members
}

fn a_timer_fires_once_and_never_early(backend: Backend) {
    let (server, _) = start(backend, 1);
    let mut client = server.connect();
    for (millis, token) in [(0, 100), (1, 101), (30, 102), (3, 103)] {
        client.send(format!("start {millis} {token}").as_bytes());
        client.expect(format!("fired {token}").as_bytes());
    }
    client.ping_for(b"say 1", b"1");
    server.drain();
    client.expect_end();
}

fn timers_fire_in_the_order_of_their_deadlines(backend: Backend) {
    let (server, _) = start(backend, 1);
    let mut client = server.connect();
    client.send(b"start 40 4|start 10 1|start 30 3|start 20 2|start 10 11|start 0 0");
    for token in [0, 1, 11, 2, 3, 4] {
        client.expect(format!("fired {token}").as_bytes());
    }
}

fn a_cancelled_timer_does_not_fire(backend: Backend) {
    let (server, _) = start(backend, 1);
    let mut client = server.connect();
    client.send(b"start 5 1|cancel|cancel|start 10 2");
    for answer in ["true", "false", "fired 2"] {
        client.expect(answer.as_bytes());
    }
    client.ping_for(b"cancel", b"false");
}

/// Both are due in one turn, the frame that cancels comes first.
fn a_timer_that_is_due_can_still_be_cancelled(backend: Backend) {
    let board = Board::default();
    let mut server = Setup::new(backend).server().start_stepped(Member::with(&board)).unwrap();
    let mut client = Client::connect(server.handle().addresses()[0].tcp().unwrap(), Wire::U32Le);
    client.send(b"start 20 1");
    let handle = server.handle();
    wait_until("it has started", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        board.0.lock().unwrap().timer.is_some()
    });
    let due = board.0.lock().unwrap().timer.unwrap().deadline();
    client.send(b"cancel");
    // What has come while nobody turned is in the same turn as the timer.
    wait_for(backend, due);
    let answers = Wire::U32Le.frame_len(4) + Wire::U32Le.frame_len(1);
    client.send(b"say 7");
    wait_until("both frames are answered", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        handle.stats().bytes_out >= answers as u64
    });
    client.expect(b"true");
    client.expect(b"7");
}

/// Lets time pass until then; all ports have one clock.
fn wait_for(backend: Backend, until: Time) {
    let mut elsewhere = Setup::new(backend).server().start_stepped(Member::with(&Board::default()));
    let elsewhere = elsewhere.as_mut().unwrap();
    elsewhere.turn(0, Some(until)).unwrap();
}

fn a_session_cannot_cancel_the_timer_of_another(backend: Backend) {
    let (server, _) = start(backend, 1);
    let [mut one, mut two] = members(&server);
    one.send(b"start 50 1|say 1");
    one.expect(b"1");
    two.ping_for(b"cancel", b"false");
    one.expect(b"fired 1");
}

fn a_session_that_closes_hears_of_no_timer(backend: Backend) {
    let (server, board) = start(backend, 1);
    let mut client = server.connect();
    client.send(b"start 0 666|start 1 666|say 1|close|start 0 666");
    assert_eq!(client.rest_frames(), [b"1"]);
    // It waits for its peer's end, and both timers would be due.
    let_pass(Duration::from_millis(20));
    drop(client);
    wait_until("it is gone", || !board.0.lock().unwrap().reasons.is_empty());
    let notes = board.0.lock().unwrap();
    assert_eq!((&*notes.reasons, notes.heard), (&[CloseReason::Closed.to_string()][..], 0));
}

fn the_timers_of_a_session_are_gone_with_it(backend: Backend) {
    let board = Board::default();
    let mut server = Setup::new(backend).server().start_stepped(Member::with(&board)).unwrap();
    server.turn(0, Some(Time::ZERO)).unwrap();
    let before = server.worker(0).unwrap().operations;
    let mut client = Client::connect(server.handle().addresses()[0].tcp().unwrap(), Wire::U32Le);
    (0..50).for_each(|token| client.send(format!("start 3600000 {token}").as_bytes()));
    wait_until("all run", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        // And its receive.
        server.worker(0).unwrap().operations >= before + 51
    });
    drop(client);
    wait_until("it is gone", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        server.worker(0).unwrap().sessions == 0
    });
    // The timer for tidying up runs now.
    assert_eq!(server.worker(0).unwrap().operations, before + 1);
}

fn a_session_has_no_more_timers_than_allowed(backend: Backend) {
    let board = Board::default();
    let setup = Setup::new(backend).limits(|limits| limits.timers_per_session_max = 2);
    let server = setup.start(Member::with(&board));
    let mut client = server.connect();
    client.send(b"start 3600000 1|start 20 2|start 0 3");
    client.expect(b"refused");
    client.expect(b"fired 2");
    client.send(b"start 3600000 4|start 0 5|cancel|start 0 6");
    for answer in ["refused", "true", "fired 6"] {
        client.expect(answer.as_bytes());
    }
    server.connect().ping_for(b"start 0 7", b"fired 7");
}

fn an_error_in_a_timer_closes_the_session(backend: Backend) {
    let (server, board) = start(backend, 1);
    let mut client = server.connect();
    client.send(b"fail");
    client.expect_end();
    drop(client);
    wait_until("it is gone", || !board.0.lock().unwrap().reasons.is_empty());
    let reasons = board.0.lock().unwrap().reasons.join("; ");
    assert!(reasons.contains("the timer of the beast"), "{reasons}");
}

fn a_group_timer_reaches_every_member_on_every_worker(backend: Backend) {
    let (server, _) = start(backend, 3);
    let mut members: [_; 7] = members(&server);
    members[6].ping_for(b"leave|say 1", b"1");
    members[2].send(b"group 10 7");
    members[..6].iter_mut().for_each(|member| member.expect(b"group 7"));
    // Nobody is told twice, and who has left is not told.
    members.iter_mut().for_each(|member| member.ping_for(b"say 2", b"2"));
}

fn a_group_timer_outlives_the_session_that_started_it(backend: Backend) {
    let (server, _) = start(backend, 2);
    let [mut starter, mut other] = members(&server);
    starter.send(b"group 50 7|close");
    starter.expect_end();
    drop(starter);
    other.expect(b"group 7");
}

fn a_group_timer_is_cancelled_from_any_worker(backend: Backend) {
    let (server, _) = start(backend, 2);
    let [mut one, mut two] = members(&server);
    one.ping_for(b"group 3600000 7|ungroup", b"true");
    one.ping_for(b"ungroup", b"false");
    one.ping_for(b"group 300 8|say 1", b"1");
    // One of the two is of the other worker, and hears only that the other is told.
    two.ping_for(b"ungroup", b"true");
    one.send(b"group 400 9");
    one.expect(b"group 9");
    two.expect(b"group 9");
}

fn a_server_ends_whatever_timers_run(backend: Backend) {
    let (server, board) = start(backend, 2);
    let [mut one, two] = members(&server);
    one.ping_for(b"start 3600000 1|group 3600000 2|say 1", b"1");
    drop((one, two));
    assert_eq!(server.drain().forced, 0);
    assert_eq!(board.0.lock().unwrap().reasons.len(), 2);
}
