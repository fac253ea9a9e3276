//! Rooms: they hear their members in order, tick at their rate, and end alone.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wharf::{
    Arrival, Backend, Context, Outcome, Room, RoomContext, RoomError, RoomOptions, RoomRef,
    SendStatus, Session, SessionId, Tick, Time,
};

use crate::support::client::Client;
use crate::support::gate::{Gate, GatePost};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, wait_until};

each_backend! {
    members_on_all_workers_are_heard_and_hear_all_in_one_order,
    ticks_have_their_times_from_the_first,
    ticks_of_a_worker_that_is_held_up_are_skipped_and_counted,
    a_room_that_panics_is_closed_alone,
    a_closed_room_takes_nothing,
    rooms_are_counted_and_their_options_checked,
    threads_have_a_room_do_something_in_order,
    a_drain_ends_rooms_and_their_ticks,
}

/// What a room tells its test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Entered(SessionId),
    Left(SessionId),
    Ticked(Tick, Time),
    Dropped,
}

/// Says to all what one of them says, and does what some words mean.
struct Hall {
    events: Sender<Event>,
    said: usize,
    gate: Option<GatePost>,
}

impl Room for Hall {
    fn on_enter(&mut self, ctx: &mut RoomContext<'_>, member: SessionId) {
        let _ = self.events.send(Event::Entered(member));
        ctx.send_to(member, b"welcome");
    }

    fn on_frame(&mut self, ctx: &mut RoomContext<'_>, member: SessionId, frame: &[u8]) {
        self.said += 1;
        match frame {
            b"panic" => panic!("as the test wants it"),
            b"close" => ctx.close(),
            b"expel" => {
                ctx.close_session(member);
            }
            _ => {
                ctx.broadcast(&[format!("{} ", self.said).as_bytes(), frame].concat());
            }
        }
    }

    fn on_leave(&mut self, _: &mut RoomContext<'_>, member: SessionId) {
        let _ = self.events.send(Event::Left(member));
    }

    fn on_tick(&mut self, ctx: &mut RoomContext<'_>, tick: &Tick) {
        let _ = self.events.send(Event::Ticked(*tick, ctx.now()));
        if let Some(gate) = self.gate.take() {
            gate.wait();
        }
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Dropped);
    }
}

type HallRef = Arc<OnceLock<RoomRef<Hall>>>;

struct Guest(HallRef);

impl Session for Guest {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.enter(self.0.wait())?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if frame == b"leave" {
            ctx.leave(&self.0.wait().group());
            ctx.send(b"left");
        } else if ctx.send_to_room(self.0.wait(), frame) == SendStatus::Closed {
            ctx.send(b"closed");
        }
        Ok(())
    }
}

fn start(backend: Backend, workers: usize) -> (TestServer, HallRef) {
    let hall = HallRef::default();
    let theirs = Arc::clone(&hall);
    let guest = move |_: &Arrival| Guest(Arc::clone(&theirs));
    (Setup::new(backend).workers(workers).start(guest), hall)
}

fn open(server: &TestServer, hall: &HallRef, options: RoomOptions) -> Receiver<Event> {
    let (events, told) = channel();
    let room = Hall { events, said: 0, gate: None };
    hall.set(server.handle.open_room(options, room).unwrap()).unwrap();
    told
}

#[track_caller]
fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(PATIENCE).expect("an event")
}

fn members_on_all_workers_are_heard_and_hear_all_in_one_order(backend: Backend) {
    const MEMBERS: usize = 9;
    const EACH: usize = 200;
    let (server, hall) = start(backend, 3);
    let events = open(&server, &hall, RoomOptions { worker: Some(1), ..RoomOptions::default() });
    assert_eq!((hall.wait().worker(), server.handle.rooms()), (1, 1));
    let mut clients: Vec<Client> = (0..MEMBERS).map(|_| server.connect()).collect();
    let mut members = Vec::new();
    for client in &mut clients {
        client.expect(b"welcome");
        let Event::Entered(member) = next(&events) else { panic!("not everybody enters") };
        members.push(member);
    }
    assert_eq!(hall.wait().group().len(), MEMBERS);
    let workers: Vec<usize> = members.iter().map(|member| member.worker()).collect();
    assert!((0..3).all(|worker| workers.contains(&worker)), "{workers:?}");
    for number in 0..EACH {
        for (who, client) in clients.iter_mut().enumerate() {
            client.send(format!("{who} {number}").as_bytes());
        }
    }
    let heard: Vec<Vec<Vec<u8>>> = clients
        .iter_mut()
        .map(|client| (0..MEMBERS * EACH).map(|_| client.frame()).collect())
        .collect();
    assert!(heard.iter().all(|one| *one == heard[0]), "all hear the same in the same order");
    let mut numbers = [0; MEMBERS];
    for (count, frame) in (1..).zip(&heard[0]) {
        let words: Vec<usize> = String::from_utf8_lossy(frame)
            .split(' ')
            .map(|word| word.parse().expect("a number"))
            .collect();
        let [said, who, number] = words[..] else { panic!("{words:?}") };
        assert_eq!((said, number), (count, numbers[who]), "what one says comes in order");
        numbers[who] += 1;
    }
    // One leaves, one is shown out, one ends; each has left once.
    clients[0].send(b"leave");
    clients[0].expect(b"left");
    clients[1].send(b"expel");
    clients[1].expect_end();
    drop(clients.remove(2));
    let mut left: Vec<Event> = (0..3).map(|_| next(&events)).collect();
    left.dedup();
    assert!(left.len() == 3 && left.iter().all(|it| matches!(it, Event::Left(_))), "{left:?}");
    assert_eq!(hall.wait().group().len(), MEMBERS - 3);
    assert!(events.try_recv().is_err(), "who has left does so once");
}

fn ticks_have_their_times_from_the_first(backend: Backend) {
    const RATE: u32 = 70;
    let (server, hall) = start(backend, 2);
    let options = RoomOptions { ticks_per_second: Some(RATE), ..RoomOptions::default() };
    let events = open(&server, &hall, options);
    let mut begun = None;
    let mut before = 0;
    while before < 100 {
        let Event::Ticked(tick, now) = next(&events) else { panic!("only ticks") };
        assert_eq!(tick.number, before + 1 + tick.skipped, "{tick:?}");
        before = tick.number;
        assert!(now >= tick.due && tick.late == now.since(tick.due), "{tick:?} at {now:?}");
        let after = Duration::from_nanos(tick.number * 1_000_000_000 / u64::from(RATE));
        let first = *begun.get_or_insert_with(|| tick.due.as_nanos() - nanos(after));
        assert_eq!(tick.due.as_nanos(), first + nanos(after), "{tick:?}");
    }
    wait_until("they are counted", || {
        let stats = server.handle.stats();
        stats.ticks + stats.ticks_skipped >= 100
    });
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

fn ticks_of_a_worker_that_is_held_up_are_skipped_and_counted(backend: Backend) {
    const RATE: u32 = 100;
    let (gate, post) = Gate::new();
    let (server, hall) = start(backend, 1);
    let (events, told) = channel();
    let room = Hall { events, said: 0, gate: Some(post) };
    let options = RoomOptions { ticks_per_second: Some(RATE), ..RoomOptions::default() };
    hall.set(server.handle.open_room(options, room).unwrap()).unwrap();
    gate.wait_for_arrival();
    let Event::Ticked(first, _) = next(&told) else { panic!("a tick") };
    // It stands for at least fifteen periods.
    assert_eq!(told.recv_timeout(Duration::from_millis(150)).ok(), None);
    gate.open();
    let Event::Ticked(second, now) = next(&told) else { panic!("a tick") };
    assert!(second.skipped >= 13, "{second:?}");
    assert_eq!(second.number, first.number + 1 + second.skipped);
    assert!(now.since(second.due) < Duration::from_millis(10), "the last one that is due");
    wait_until("it is counted", || server.handle.stats().ticks_skipped >= second.skipped);
}

fn a_room_that_panics_is_closed_alone(backend: Backend) {
    let (server, hall) = start(backend, 2);
    let events = open(&server, &hall, RoomOptions { worker: Some(0), ..RoomOptions::default() });
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.expect(b"welcome");
    }
    clients[0].send(b"panic");
    let dropped = || std::iter::repeat_with(|| next(&events)).any(|event| event == Event::Dropped);
    assert!(dropped());
    wait_until("it is closed", || !hall.wait().is_open() && server.handle.rooms() == 0);
    for client in &mut clients {
        client.send(b"hello");
        client.expect(b"closed");
    }
    assert_eq!(server.handle.stats().sessions, 2, "its members stay");
}

fn a_closed_room_takes_nothing(backend: Backend) {
    let (server, hall) = start(backend, 2);
    let events = open(&server, &hall, RoomOptions::default());
    let mut client = server.connect();
    client.expect(b"welcome");
    client.send(b"close");
    assert!(matches!(next(&events), Event::Entered(_)));
    assert_eq!(next(&events), Event::Dropped);
    let room = hall.wait();
    wait_until("it is closed", || !room.is_open());
    assert_eq!(room.post(|_, _| panic!("nobody does this")), SendStatus::Closed);
    client.send(b"hello");
    client.expect(b"closed");
    // Who enters is told nothing, and nobody is told of who leaves.
    let mut late = server.connect();
    late.send(b"leave");
    late.expect(b"left");
    client.send(b"leave");
    client.expect(b"left");
    assert!(events.recv_timeout(PATIENCE).is_err(), "the room is gone with its sender");
}

fn rooms_are_counted_and_their_options_checked(backend: Backend) {
    let server = Setup::new(backend).workers(2).limits(|limits| limits.rooms_max = 2);
    let server = server.start(|_| Guest(HallRef::default()));
    let (events, _told) = channel();
    let hall = || Hall { events: events.clone(), said: 0, gate: None };
    let open = |options| server.handle.open_room(options, hall());
    for (rate, worker) in [(Some(0), None), (Some(1_001), None), (None, Some(2))] {
        let options = RoomOptions { ticks_per_second: rate, worker, ..RoomOptions::default() };
        let refused = open(options);
        assert!(matches!(refused, Err(RoomError::Options(_))), "{refused:?}");
    }
    let rooms = [(); 2].map(|()| open(RoomOptions::default()).unwrap());
    assert_eq!(rooms.each_ref().map(RoomRef::worker), [0, 1], "in turn");
    assert_eq!(open(RoomOptions::default()).unwrap_err(), RoomError::TooMany(2));
    rooms[0].close();
    wait_until("one is closed", || server.handle.rooms() == 1);
    open(RoomOptions::default()).unwrap();
    let handle = server.handle.clone();
    server.stop();
    assert_eq!(handle.rooms(), 0);
    let refused = handle.open_room(RoomOptions::default(), hall()).unwrap_err();
    assert_eq!(refused, RoomError::Ended);
}

fn threads_have_a_room_do_something_in_order(backend: Backend) {
    let (server, hall) = start(backend, 2);
    let _events = open(&server, &hall, RoomOptions::default());
    let (done, results) = channel();
    for number in 0..1_000 {
        let done = done.clone();
        let job = move |room: &mut Hall, _: &mut RoomContext<'_>| {
            room.said += 1;
            done.send((number, room.said)).unwrap();
        };
        assert_eq!(hall.wait().post(job), SendStatus::Queued);
    }
    for number in 0..1_000 {
        assert_eq!(results.recv_timeout(PATIENCE).unwrap(), (number, number + 1));
    }
}

fn a_drain_ends_rooms_and_their_ticks(backend: Backend) {
    let (server, hall) = start(backend, 1);
    let options = RoomOptions { ticks_per_second: Some(1_000), ..RoomOptions::default() };
    let events = open(&server, &hall, options);
    let mut client = server.connect();
    client.expect(b"welcome");
    server.handle.drain();
    client.expect_end();
    // The session is there still, and its room, which ticked a thousand times a second.
    events.try_iter().for_each(drop);
    while let Ok(event) = events.recv_timeout(Duration::from_millis(50)) {
        assert!(!matches!(event, Event::Ticked(..)), "{event:?}");
    }
    drop(client);
    server.end();
    assert_eq!(events.iter().last(), Some(Event::Dropped));
    assert!(!hall.wait().is_open());
}
