//! Messages of the user's own types: in order, bounded, and never within another callback.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use wharf::{Backend, Context, OnMessage, Outcome, SendStatus, Session, TypedRef};

use crate::support::gate::Gate;
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, wait_until};

each_backend! {
    messages_come_in_order_with_sends_and_a_close,
    what_a_session_posts_and_sends_keeps_its_order_and_comes_before_a_close,
    a_message_never_comes_within_a_callback,
    a_message_that_panics_ends_its_session_alone,
    a_message_to_a_session_that_is_gone_is_dropped,
    a_message_to_a_session_that_is_closing_is_dropped,
    messages_that_wait_are_bounded_in_bytes,
    a_handle_of_a_wrong_type_is_not_to_be_had,
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Sends to its peer what is posted to it, and does what a frame says to the player before it.
struct Player {
    before: Option<TypedRef<Self>>,
}

struct Say(String);
struct Panic;

impl Session for Player {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match frame {
            b"self" => {
                let own = ctx.session_ref(ctx.id()).typed::<Self>()?;
                IN_CALLBACK.set(true);
                for number in 0..3 {
                    ctx.post(&own, Say(format!("own {number}")));
                }
                ctx.send(b"first");
                IN_CALLBACK.set(false);
            }
            b"other" => {
                let other = self.before.clone().ok_or("nobody came before")?;
                for number in 0..2000 {
                    ctx.post(&other, Say(format!("posted {number}")));
                    ctx.send_to(other.id(), format!("sent {number}").as_bytes());
                }
                ctx.close_session(other.id());
                ctx.post(&other, Say("too late".to_owned()));
            }
            _ => {
                ctx.send(frame);
            }
        }
        Ok(())
    }
}

impl OnMessage<Say> for Player {
    fn on_message(&mut self, ctx: &mut Context<'_>, Say(what): Say) -> Outcome {
        assert!(!IN_CALLBACK.get(), "a message within a callback");
        ctx.send(what.as_bytes());
        Ok(())
    }
}

impl OnMessage<Panic> for Player {
    fn on_message(&mut self, _: &mut Context<'_>, _: Panic) -> Outcome {
        panic!("as the test wants it")
    }
}

/// Tells whether it was dropped.
struct Dropped(Arc<AtomicBool>);

/// Tells whether it was delivered; whoever drops it, the channel ends.
struct Heard(Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl OnMessage<Dropped> for Player {
    fn on_message(&mut self, _: &mut Context<'_>, _: Dropped) -> Outcome {
        Ok(())
    }
}

impl OnMessage<Heard> for Player {
    fn on_message(&mut self, _: &mut Context<'_>, Heard(heard): Heard) -> Outcome {
        Ok(heard.send(())?)
    }
}

fn player(before: Option<TypedRef<Player>>) -> Player {
    Player { before }
}

fn messages_come_in_order_with_sends_and_a_close(backend: Backend) {
    const ROUNDS: usize = 3000;
    let (arrived, arrivals) = channel();
    let server = Setup::new(backend).workers(2).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        player(None)
    });
    let mut client = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    let typed = session.typed::<Player>().unwrap();
    for number in 0..ROUNDS {
        assert_eq!(typed.post(Say(format!("posted {number}"))), SendStatus::Queued);
        assert_eq!(session.send(format!("sent {number}").as_bytes()), SendStatus::Queued);
    }
    session.close();
    typed.post(Say("too late".to_owned()));
    for number in 0..ROUNDS {
        client.expect(format!("posted {number}").as_bytes());
        client.expect(format!("sent {number}").as_bytes());
    }
    client.expect_end();
}

fn what_a_session_posts_and_sends_keeps_its_order_and_comes_before_a_close(backend: Backend) {
    for workers in [1, 2] {
        let (arrived, arrivals) = channel();
        let last = std::sync::Mutex::new(None::<TypedRef<Player>>);
        let server = Setup::new(backend).workers(workers).start(move |arrival| {
            let own = arrival.session_ref().typed().unwrap();
            arrived.send(arrival.id().worker()).unwrap();
            player(last.lock().unwrap().replace(own))
        });
        let mut first = server.connect();
        let one = arrivals.recv_timeout(PATIENCE).unwrap();
        let mut second = server.connect();
        let two = arrivals.recv_timeout(PATIENCE).unwrap();
        assert_eq!(one == two, workers == 1);
        second.send(b"other");
        let heard: Vec<Vec<u8>> = (0..4000).map(|_| first.frame()).collect();
        for how in ["posted", "sent"] {
            let of_this = heard.iter().filter(|frame| frame.starts_with(how.as_bytes()));
            let expected = (0..2000).map(|number| format!("{how} {number}").into_bytes());
            assert!(of_this.cloned().eq(expected), "{how}, {workers} workers");
        }
        first.expect_end();
        second.ping(b"still here");
    }
}

fn a_message_never_comes_within_a_callback(backend: Backend) {
    let server = Setup::new(backend).start(|_| player(None));
    let mut client = server.connect();
    client.send(b"self");
    for answer in ["first", "own 0", "own 1", "own 2"] {
        client.expect(answer.as_bytes());
    }
}

fn a_message_that_panics_ends_its_session_alone(backend: Backend) {
    let (arrived, arrivals) = channel();
    let server = Setup::new(backend).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        player(None)
    });
    let (mut first, mut second) = (server.connect(), server.connect());
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    session.typed::<Player>().unwrap().post(Panic);
    first.expect_reset();
    second.ping(b"still here");
    wait_until("it is counted", || server.handle.close_counts().get("panicked") == 1);
}

fn a_message_to_a_session_that_is_gone_is_dropped(backend: Backend) {
    let (arrived, arrivals) = channel();
    let server = Setup::new(backend).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        player(None)
    });
    drop(server.connect());
    let session = arrivals.recv_timeout(PATIENCE).unwrap().typed::<Player>().unwrap();
    server.wait_for_sessions(0);
    // The next one may have its slot.
    let mut next = server.connect();
    let dropped = Arc::new(AtomicBool::new(false));
    assert_eq!(session.post(Dropped(Arc::clone(&dropped))), SendStatus::Queued);
    session.post(Say("not for you".to_owned()));
    wait_until("it is dropped", || dropped.load(Ordering::SeqCst));
    next.ping(b"hello");
    server.stop();
    let dropped = Arc::new(AtomicBool::new(false));
    assert_eq!(session.post(Dropped(Arc::clone(&dropped))), SendStatus::Closed);
    assert!(dropped.load(Ordering::SeqCst));
}

fn a_message_to_a_session_that_is_closing_is_dropped(backend: Backend) {
    let (arrived, arrivals) = channel();
    let server = Setup::new(backend).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        player(None)
    });
    let mut client = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    let typed = session.typed::<Player>().unwrap();
    let post = || {
        let (heard, hears) = channel();
        assert_eq!(typed.post(Heard(heard)), SendStatus::Queued);
        hears.recv_timeout(PATIENCE)
    };
    assert_eq!(post(), Ok(()));
    session.close();
    client.expect_end();
    // It has ended its stream and waits for the end of the client's.
    assert_eq!(post(), Err(RecvTimeoutError::Disconnected));
}

fn messages_that_wait_are_bounded_in_bytes(backend: Backend) {
    const BYTES_MAX: usize = 64 << 20;
    const LEN: usize = 64 << 10;
    struct Sink(crate::support::gate::GatePost, Arc<AtomicUsize>);
    impl Session for Sink {
        fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
            self.0.wait();
            Ok(())
        }
    }
    impl OnMessage<[u8; LEN]> for Sink {
        fn on_message(&mut self, _: &mut Context<'_>, _: [u8; LEN]) -> Outcome {
            self.1.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    let (gate, post) = Gate::new();
    let (arrived, arrivals) = channel();
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let server = Setup::new(backend).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        Sink(post.clone(), Arc::clone(&counted))
    });
    let mut client = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap().typed::<Sink>().unwrap();
    client.send(b"wait");
    gate.wait_for_arrival();
    let taken =
        (0..=BYTES_MAX / LEN).take_while(|_| session.post([7; LEN]) == SendStatus::Queued).count();
    assert!(taken < BYTES_MAX / LEN, "{taken} messages of {LEN} bytes wait");
    assert!(taken > BYTES_MAX / LEN * 9 / 10, "only {taken} messages of {LEN} bytes may wait");
    assert_eq!(session.post([7; LEN]), SendStatus::Overloaded);
    gate.open();
    wait_until("all have arrived", || received.load(Ordering::SeqCst) == taken);
}

fn a_handle_of_a_wrong_type_is_not_to_be_had(backend: Backend) {
    let (arrived, arrivals) = channel();
    let server = Setup::new(backend).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        Echo
    });
    let mut client = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    let error = session.typed::<Player>().unwrap_err();
    assert!(error.to_string().contains("Player"), "{error}");
    assert!(session.typed::<Echo>().is_ok());
    client.ping(b"hello");
}
