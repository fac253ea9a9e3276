//! Rooms on a simulated network, where the test decides which worker turns: what happens if one is late.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};

use wharf::sim::{Network, NetworkOptions, Peer};
use wharf::{
    Arrival, CloseReason, Context, Framing, Limits, OnMessage, Outcome, PortOptions, Room,
    RoomContext, RoomError, RoomOptions, RoomRef, SendStatus, Server, Session, SessionId,
    SteppedServer,
};

#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Entered,
    Said(Vec<u8>),
    Left,
}

struct Hall(Sender<Event>);

impl Room for Hall {
    fn on_enter(&mut self, _: &mut RoomContext<'_>, _: SessionId) {
        let _ = self.0.send(Event::Entered);
    }

    fn on_frame(&mut self, _: &mut RoomContext<'_>, _: SessionId, frame: &[u8]) {
        let _ = self.0.send(Event::Said(frame.to_vec()));
    }

    fn on_leave(&mut self, _: &mut RoomContext<'_>, _: SessionId) {
        let _ = self.0.send(Event::Left);
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as the test wants it")
        }
    }
}

#[derive(Clone)]
struct Guest {
    hall: Arc<OnceLock<RoomRef<Hall>>>,
    first: Arc<OnceLock<SessionId>>,
}

/// How often a guest goes out and in at once.
const FLOOD: usize = 900_000;

impl Session for Guest {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.first.get_or_init(|| ctx.id());
        Ok(ctx.enter(self.hall.wait())?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let hall = self.hall.wait();
        match frame {
            b"flood" => {
                for _ in 0..FLOOD {
                    ctx.leave(&hall.group());
                    if ctx.enter(hall).is_err() {
                        break;
                    }
                }
            }
            b"defer" => {
                let bomb = Bomb;
                let then = move |_: &mut Self, _: &mut Context<'_>, (): ()| {
                    let _owns = &bomb;
                    Ok(())
                };
                ctx.defer(|| panic!("as the test wants it"), then)?;
            }
            b"order" => {
                ctx.send_to(*self.first.wait(), b"first");
                ctx.broadcast(&hall.group(), b"second");
                ctx.send(b"third");
                ctx.send_parts(&[b"fo", b"urth"]);
                ctx.send_frame(&ctx.frame(b"fifth")?);
                ctx.send_owned(b"sixth".to_vec());
                ctx.send_keyed(7, b"seventh");
            }
            b"post" => self.post(ctx, ctx.id(), b"nothing")?,
            b"nothing" => {}
            b"order behind own post" => {
                self.post(ctx, ctx.id(), b"nothing")?;
                return self.on_frame(ctx, b"order");
            }
            b"last words" => {
                self.say_behind_a_post(ctx)?;
                ctx.close();
                assert_eq!(ctx.send(b"too late"), SendStatus::Closed);
            }
            b"order behind another's post" => {
                self.post(ctx, *self.first.wait(), b"post")?;
                self.post(ctx, ctx.id(), b"order")?;
            }
            _ => {
                ctx.send_to_room(hall, frame);
            }
        }
        Ok(())
    }

    fn on_drain(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.say_behind_a_post(ctx)
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, _: &CloseReason) {
        assert_eq!(ctx.send_to_room(self.hall.wait(), b"bye"), SendStatus::Closed);
    }
}

impl Guest {
    /// Has a session do within this turn what it would with a frame.
    fn post(&self, ctx: &mut Context<'_>, to: SessionId, frame: &'static [u8]) -> Outcome {
        let to = ctx.session_ref(to).typed::<Self>()?;
        assert_eq!(ctx.post(&to, frame), SendStatus::Queued);
        Ok(())
    }

    /// Says several things to its own peer, none of which can be queued at once.
    fn say_behind_a_post(&self, ctx: &mut Context<'_>) -> Outcome {
        self.post(ctx, ctx.id(), b"nothing")?;
        assert_eq!(ctx.send_to(ctx.id(), b"first"), SendStatus::Queued);
        assert_eq!(ctx.send(b"second"), SendStatus::Queued);
        assert_eq!(ctx.send_frame(&ctx.frame(b"third")?), SendStatus::Queued);
        Ok(())
    }
}

impl OnMessage<&'static [u8]> for Guest {
    fn on_message(&mut self, ctx: &mut Context<'_>, frame: &'static [u8]) -> Outcome {
        self.on_frame(ctx, frame)
    }
}

struct Stage<F> {
    network: Network,
    guest: Guest,
    server: SteppedServer<Guest, F>,
    events: Receiver<Event>,
}

/// A server with so many workers, and a hall on one of them.
fn stage(workers: usize, hall_on: usize) -> Stage<impl Fn(&Arrival) -> Guest> {
    let network = Network::new(NetworkOptions::default());
    let guest = Guest { hall: Arc::default(), first: Arc::default() };
    let theirs = guest.clone();
    let simulated = Some(network.clone());
    let server = Server::bind("10.0.0.1:7777")
        .workers(workers)
        .framing(Framing::LINES)
        .limits(Limits { first_frame: None, idle: None, ..Limits::default() })
        .port_options(PortOptions { simulated, ..PortOptions::default() })
        .start_stepped(move |_: &Arrival| theirs.clone())
        .unwrap();
    let (told, events) = channel();
    let options = RoomOptions { worker: Some(hall_on), ..RoomOptions::default() };
    guest.hall.set(server.handle().open_room(options, Hall(told)).unwrap()).unwrap();
    Stage { network, guest, server, events }
}

impl<F: Fn(&Arrival) -> Guest> Stage<F> {
    /// Has these workers turn, several times.
    fn turns(&mut self, workers: &[usize], times: usize) {
        for _ in 0..times {
            for &worker in workers {
                self.server.turn(worker, Some(self.network.now())).unwrap();
            }
            self.network.advance();
        }
    }

    fn enter(&mut self) -> Peer {
        let peer = self.network.connect(self.server.handle().addresses()[0].tcp().unwrap());
        let workers: Vec<usize> = (0..self.server.workers()).collect();
        self.turns(&workers, 20);
        peer
    }

    fn heard(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }
}

fn say(peer: &mut Peer, line: &str) {
    let line = format!("{line}\n");
    assert_eq!(peer.try_write(line.as_bytes()).unwrap(), line.len());
}

#[test]
fn who_is_in_a_room_at_the_end_has_left_it_whichever_worker_is_late() {
    for stops in [false, true] {
        let mut stage = stage(3, 2);
        let _peers = [stage.enter(), stage.enter()];
        let sessions = |worker| stage.server.worker(worker).unwrap().sessions;
        assert_eq!([0, 1, 2].map(sessions), [1, 1, 0]);
        let handle = stage.server.handle();
        if stops {
            handle.stop()
        } else {
            handle.drain()
        }
        // The room's own worker has nothing else to do.
        stage.turns(&[0, 2], 50);
        assert!(stage.server.worker(2).is_some(), "a member has not left");
        stage.turns(&[0, 1, 2], 2_000);
        assert!(stage.server.is_done(), "stops {stops}");
        let left = stage.heard().into_iter().filter(|event| *event == Event::Left).count();
        assert_eq!(left, 2, "stops {stops}");
    }
}

#[test]
fn a_server_that_drains_opens_no_room_and_one_that_has_ended_says_so() {
    let mut stage = stage(2, 0);
    let handle = stage.server.handle();
    let open = || {
        let opened = handle.open_room(RoomOptions::default(), Hall(channel().0));
        opened.map(drop).unwrap_err()
    };
    handle.drain();
    assert_eq!(open(), RoomError::Draining, "no worker has heard of it");
    stage.turns(&[0], 200);
    assert_eq!(open(), RoomError::Draining, "one worker is done, and one is not");
    stage.turns(&[0, 1], 200);
    assert!(stage.server.is_done());
    assert_eq!(open(), RoomError::Ended);
}

#[test]
fn what_is_left_of_a_server_that_is_dropped_before_it_is_done_is_closed() {
    let mut stage = stage(2, 1);
    let _peer = stage.enter();
    let handle = stage.server.handle();
    let (told, unplaced_events) = channel();
    let unplaced = handle.open_room(RoomOptions::default(), Hall(told)).unwrap();
    assert_eq!((handle.rooms(), handle.sessions()), (2, 1));
    let hall = stage.guest.hall.wait().clone();
    let session = handle.session(*stage.guest.first.wait());
    stage.heard();
    drop(stage.server);
    assert!(!hall.is_open() && !unplaced.is_open(), "{hall:?}, {unplaced:?}");
    assert_eq!((handle.rooms(), handle.sessions()), (0, 0));
    let gone = [stage.events.try_recv().unwrap_err(), unplaced_events.try_recv().unwrap_err()];
    assert_eq!(gone, [TryRecvError::Disconnected; 2], "the rooms live");
    assert_eq!(session.send(b"is anybody there"), SendStatus::Closed);
    assert_eq!(hall.post(|_: &mut Hall, _: &mut RoomContext<'_>| ()), SendStatus::Closed);
}

#[test]
fn nothing_is_said_behind_leaving() {
    let mut stage = stage(1, 0);
    let mut peer = stage.enter();
    say(&mut peer, "hello");
    stage.turns(&[0], 20);
    drop(peer);
    stage.turns(&[0], 200);
    assert_eq!(stage.server.handle().sessions(), 0);
    assert_eq!(stage.heard(), [Event::Entered, Event::Said(b"hello".to_vec()), Event::Left]);
}

#[test]
fn who_goes_out_and_in_without_end_is_stopped_and_the_room_goes_on() {
    let mut stage = stage(2, 1);
    let mut peer = stage.enter();
    stage.heard();
    say(&mut peer, "flood");
    stage.turns(&[0, 1], 200);
    let heard = stage.heard();
    assert!(heard.len() > 1_000 && heard.len() < FLOOD, "{} events", heard.len());
    assert_eq!(heard.last(), Some(&Event::Left), "who is refused is out");
    let mut other = stage.enter();
    say(&mut other, "hello");
    stage.turns(&[0, 1], 20);
    assert_eq!(stage.heard(), [Event::Entered, Event::Said(b"hello".to_vec())]);
}

#[test]
fn a_job_for_a_room_that_is_closed_may_panic_as_it_is_dropped() {
    let mut stage = stage(1, 0);
    stage.turns(&[0], 5);
    let bomb = Bomb;
    let hall = stage.guest.hall.wait().clone();
    hall.close();
    let job = move |_: &mut Hall, _: &mut RoomContext<'_>| {
        let _owns = &bomb;
    };
    assert_eq!(hall.post(job), SendStatus::Queued);
    stage.turns(&[0], 5);
    assert_eq!(stage.server.handle().stats().panics, 1);
}

#[test]
fn a_deferred_job_may_panic_and_what_was_to_follow_too() {
    let mut stage = stage(1, 0);
    let mut peer = stage.enter();
    say(&mut peer, "defer");
    stage.turns(&[0], 20);
    assert!(stage.server.run_deferred(0));
    stage.turns(&[0], 200);
    let handle = stage.server.handle();
    assert_eq!((handle.sessions(), handle.deferred()), (0, 0), "its session has ended");
}

/// What a peer has been sent and has not read.
fn heard(peer: &mut Peer) -> String {
    let mut heard = vec![0; peer.readable_bytes()];
    peer.try_read(&mut heard).unwrap();
    String::from_utf8(heard).unwrap()
}

#[test]
fn what_one_session_sends_keeps_its_order() {
    for line in ["order", "order behind own post", "order behind another's post"] {
        let mut stage = stage(1, 0);
        let (mut first, mut second) = (stage.enter(), stage.enter());
        say(&mut second, line);
        stage.turns(&[0], 40);
        assert_eq!(heard(&mut first), "first\nsecond\n", "{line}");
        assert_eq!(heard(&mut second), "second\nthird\nfourth\nfifth\nsixth\nseventh\n", "{line}");
    }
}

#[test]
fn what_waits_behind_a_post_is_sent_before_its_session_closes() {
    for (line, last) in [("last words", ""), ("drain", "farewell\n")] {
        let mut stage = stage(1, 0);
        let mut peer = stage.enter();
        if line == "drain" {
            stage.server.handle().drain_with(b"farewell").unwrap();
        } else {
            say(&mut peer, line);
        }
        stage.turns(&[0], 40);
        assert_eq!(heard(&mut peer), format!("first\nsecond\nthird\n{last}"), "{line}");
        assert_eq!(stage.server.handle().stats().panics, 0, "{line}");
    }
}
