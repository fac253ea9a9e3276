//! What is kept of sessions that are captured, and what is not.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use wharf::capture::{
    Capture, CaptureOptions, CapturedSession, Chosen, Direction, Happened, Redacted,
};
use wharf::{
    Arrival, Backend, CloseReason, Context, Framing, Group, LengthField, Outcome, Session,
    SessionsWanted, SlowReader,
};

use crate::support::backend::panic_on_purpose;
use crate::support::client::Client;
use crate::support::gate::{Gate, GatePost};
use crate::support::record::{Echo, on_frame};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, wait_until};
use crate::support::wire::Wire;

each_backend! {
    what_a_frame_has_caused_stands_behind_it_and_before_the_next,
    causes_stand_before_effects_on_other_workers,
    all_ways_to_send_are_captured_as_the_payloads_that_were_given,
    all_ways_to_send_are_captured_as_the_frames_that_the_peer_gets,
    a_payload_that_is_longer_than_any_frame_is_left_out,
    the_oldest_frames_fall_out_whole_and_are_counted,
    nothing_is_kept_that_the_redaction_has_not_seen,
    sessions_have_a_maximum_and_the_first_that_ended_is_forgotten,
    a_session_is_captured_from_when_it_was_chosen,
    one_session_is_had_alone_while_it_is_there_and_behind_its_end,
    a_session_behind_a_proxy_is_captured_with_its_own_peer,
    only_chosen_networks_are_captured,
    ends_are_told_apart_by_who_wanted_them,
    who_is_cut_off_by_what_was_broadcast_before_is_not_told_of_its_end,
    a_server_without_captures_has_none,
}

/// A member of a chat, whose frames go to everybody unless they are commands.
struct Member(Group);

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.0)?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match frame {
            b"ways" => {
                ctx.send(b"plain");
                ctx.send_parts(&[b"in ", b"parts"]);
                let shared = ctx.frame(b"shared")?;
                ctx.send_frame(&shared);
                ctx.send_owned(vec![b'o'; 100_000]);
                ctx.send_keyed(7, b"keyed");
            }
            b"close" => ctx.close(),
            b"fail" => return Err("it was told to".into()),
            said => {
                ctx.broadcast(&self.0, said);
            }
        }
        Ok(())
    }
}

fn chat(arrival: &Arrival) -> Member {
    Member(arrival.group("chat"))
}

fn start(setup: &Setup, options: CaptureOptions) -> TestServer {
    setup.start_with(|server| server.capture(options), chat)
}

fn captured(server: &TestServer) -> Capture {
    server.handle.captured().expect("it is set up for that")
}

/// Everything in the order of its causes, with the number of its session.
fn in_order(capture: &Capture) -> Vec<(usize, Happened)> {
    let numbered = capture.sessions.iter().enumerate();
    let mut events: Vec<_> = numbered
        .flat_map(|(number, it)| it.events.iter().map(move |event| (event.sequence, number, event)))
        .collect();
    events.sort_by_key(|(sequence, ..)| *sequence);
    events.into_iter().map(|(_, number, event)| (number, event.what.clone())).collect()
}

fn said(text: &[u8]) -> Happened {
    Happened::Received(Arc::from(text))
}

fn heard(text: &[u8]) -> Happened {
    Happened::Sent(Arc::from(text))
}

fn frames(session: &CapturedSession) -> Vec<Vec<u8>> {
    let payload = |what: &Happened| match what {
        Happened::Received(payload) | Happened::Sent(payload) => Some(payload.to_vec()),
        _ => None,
    };
    session.events.iter().filter_map(|event| payload(&event.what)).collect()
}

/// Connects, and waits until the session is in the chat: a member's first words come back.
fn member(server: &TestServer, words: &[u8]) -> Client {
    let mut client = server.connect();
    client.ping(words);
    client
}

fn what_a_frame_has_caused_stands_behind_it_and_before_the_next(backend: Backend) {
    let setup = Setup::new(backend);
    let server = start(&setup, CaptureOptions::default());
    let mut first = member(&server, b"a");
    let mut second = member(&server, b"b");
    first.expect(b"b");
    let wire = setup.wire;
    // In one piece, so that one turn has them all and would send their answers as one.
    let burst: Vec<u8> = [b"1", b"2", b"3"].iter().flat_map(|it| wire.encode(*it)).collect();
    second.write(&burst);
    for client in [&mut first, &mut second] {
        [b"1", b"2", b"3"].iter().for_each(|it| client.expect(*it));
    }
    let mut wanted = vec![
        (0, Happened::Opened),
        (0, said(b"a")),
        (0, heard(b"a")),
        (1, Happened::Opened),
        (1, said(b"b")),
        (0, heard(b"b")),
        (1, heard(b"b")),
    ];
    for words in [b"1", b"2", b"3"] {
        wanted.extend([(1, said(words)), (0, heard(words)), (1, heard(words))]);
    }
    assert_eq!(in_order(&captured(&server)), wanted);
}

fn causes_stand_before_effects_on_other_workers(backend: Backend) {
    let server = start(&Setup::new(backend).workers(2), CaptureOptions::default());
    let mut clients = [member(&server, b"a"), member(&server, b"b")];
    clients[0].expect(b"b");
    for round in 0..100_u32 {
        let words = round.to_be_bytes();
        let [speaker, listener] = &mut clients;
        speaker.ping(&words);
        listener.expect(&words);
        clients.reverse();
    }
    let events = in_order(&captured(&server));
    for (at, (_, what)) in events.iter().enumerate() {
        let Happened::Sent(words) = what else { continue };
        let causes = events[..at].iter().filter(|(_, it)| *it == said(words)).count();
        assert_eq!(causes, 1, "{words:?} at {at}");
    }
}

fn all_ways_to_send_are_captured_as_the_payloads_that_were_given(backend: Backend) {
    let setup = Setup::new(backend).limits(|limits| {
        limits.frame_bytes_max = 1 << 20;
        // Else a key is for nothing.
        limits.slow_reader = SlowReader::Coalesce;
    });
    let server = start(&setup, CaptureOptions::default());
    let mut client = server.connect();
    let long = vec![b'o'; 100_000];
    let ways: [&[u8]; 6] = [b"ways", b"plain", b"in parts", b"shared", &long, b"keyed"];
    client.send(ways[0]);
    ways[1..].iter().for_each(|way| client.expect(way));
    assert_eq!(frames(&captured(&server).sessions[0]), ways.map(<[u8]>::to_vec));
}

/// Sends the same in each way there is, for whatever it receives.
struct AllWays(Group, &'static [u8]);

/// How often.
const WAYS: usize = 6;

impl Session for AllWays {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.0)?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
        let Self(group, payload) = self;
        ctx.send(payload);
        let (first, rest) = payload.split_at(1);
        ctx.send_parts(&[first, rest]);
        ctx.send_keyed(7, payload);
        let shared = ctx.frame(payload)?;
        ctx.send_frame(&shared);
        // Gathered, and in the queue as one piece.
        ctx.broadcast(group, payload);
        ctx.broadcast(group, payload);
        Ok(())
    }
}

fn all_ways_to_send_are_captured_as_the_frames_that_the_peer_gets(backend: Backend) {
    /// A framing, what it is asked with, what is sent, how that goes over the wire, and as which frames.
    type Case = (Framing, &'static [u8], &'static [u8], &'static [u8], &'static [&'static [u8]]);
    let field = LengthField { offset: 2, width: 2, ..LengthField::default() };
    let cases: [Case; 4] = [
        (Framing::LINES, b"go\n", b"one\n\ntwo\r", b"one\n\ntwo\r\n", &[b"one", b"", b"two"]),
        (Framing::delimiter("||").unwrap(), b"go||", b"one||two", b"one||two||", &[b"one", b"two"]),
        (
            Framing::length_field(field).unwrap(),
            b"GO\0\0",
            b"ID??abc",
            b"ID\x03\0abc",
            &[b"ID\x03\0abc"],
        ),
        (Framing::RAW, b"go", b"one\ntwo", b"one\ntwo", &[b"one\ntwo"]),
    ];
    for (framing, asks, sent, wire, wanted) in cases {
        let setup = Setup::new(backend).wire(Wire::Raw).limits(|limits| {
            // Else a key is for nothing.
            if framing.has_frames() {
                limits.slow_reader = SlowReader::Coalesce;
            }
        });
        let text = framing.to_string();
        let server = setup.start_with(
            |server| server.framing(framing).capture(CaptureOptions::default()),
            move |arrival| AllWays(arrival.group("all"), sent),
        );
        let mut client = server.connect();
        client.write(asks);
        client.expect_stream(&wire.repeat(WAYS));
        let session = captured(&server).sessions.remove(0);
        let got = &frames(&session)[1..];
        assert_eq!(got, wanted.repeat(WAYS), "{text}");
    }
}

fn a_payload_that_is_longer_than_any_frame_is_left_out(backend: Backend) {
    const MAX: usize = CaptureOptions::PAYLOAD_BYTES_MAX;
    let mut options = CaptureOptions::default();
    // None falls out for want of room.
    options.session_bytes_max = 4 * MAX;
    let setup = Setup::new(backend).wire(Wire::Raw);
    let long = || {
        on_frame(|ctx, _| {
            ctx.send_owned(vec![b'o'; MAX + 1]);
            Ok(())
        })
    };
    let server = setup.start_with(|server| server.capture(options), move |_| long());
    let mut client = server.connect();
    client.write(b"go");
    client.bytes(MAX + 1);
    let session = captured(&server).sessions.remove(0);
    assert_eq!((frames(&session), session.frames_left_out), (vec![b"go".to_vec()], 1));
}

fn the_oldest_frames_fall_out_whole_and_are_counted(backend: Backend) {
    let mut options = CaptureOptions::default();
    options.session_bytes_max = 10 * (100 + 64);
    let server = start(&Setup::new(backend), options);
    let mut client = server.connect();
    for round in 0..30 {
        client.ping(&[round; 100]);
    }
    let session = captured(&server).sessions.remove(0);
    let last: Vec<_> = (25..30).flat_map(|round| [vec![round; 100], vec![round; 100]]).collect();
    assert_eq!(frames(&session), last);
    assert_eq!(session.frames_dropped, 50);
    assert_eq!(session.events[0].what, Happened::Opened, "its beginning never falls out");
    client.ping(&[1; 2000]);
    let session = captured(&server).sessions.remove(0);
    assert_eq!(frames(&session), [[0; 0]; 0], "one that is longer than all is not kept in part");
    assert_eq!(session.frames_dropped, 62);
}

fn nothing_is_kept_that_the_redaction_has_not_seen(backend: Backend) {
    let options = CaptureOptions::default().redact(|direction, frame| {
        match (direction, &frame[..]) {
            (_, b"secret") => frame.fill(b'x'),
            (Direction::Out, b"private") => return Redacted::LeaveOut,
            (_, b"panic") => panic_on_purpose(),
            _ => {}
        }
        Redacted::Keep
    });
    let server = start(&Setup::new(backend), options);
    let mut client = server.connect();
    [&b"secret"[..], b"private", b"panic", b"hello"].iter().for_each(|words| client.ping(words));
    let session = captured(&server).sessions.remove(0);
    assert_eq!(frames(&session), [&b"xxxxxx"[..], b"xxxxxx", b"private", b"hello", b"hello"]);
    assert_eq!(session.frames_left_out, 3);
    let alone = server.handle.captured_session(session.id).unwrap();
    assert!(alone.is_redacted && captured(&server).is_redacted);
    assert_eq!(server.stats().panics, 0, "the session has done nothing");
}

fn sessions_have_a_maximum_and_the_first_that_ended_is_forgotten(backend: Backend) {
    let mut options = CaptureOptions::default();
    options.sessions_max = 2;
    let server = start(&Setup::new(backend), options);
    let (mut first, _second) = (member(&server, b"1"), member(&server, b"2"));
    let third = member(&server, b"3");
    let words = |capture: &Capture| -> Vec<Vec<u8>> {
        capture.sessions.iter().map(|it| frames(it).remove(0)).collect()
    };
    let capture = captured(&server);
    assert_eq!((words(&capture), capture.sessions_missed), (vec![b"1".into(), b"2".into()], 1));
    first.send(b"close");
    first.rest();
    drop(third);
    server.wait_for_sessions(1);
    let _fourth = member(&server, b"4");
    let capture = captured(&server);
    assert_eq!(words(&capture), [b"2", b"4"]);
    assert_eq!((capture.sessions_missed, capture.sessions_forgotten), (1, 1));
}

fn a_session_is_captured_from_when_it_was_chosen(backend: Backend) {
    let mut options = CaptureOptions::default();
    options.chosen = Chosen::None;
    let server = start(&Setup::new(backend), options);
    let mut client = member(&server, b"before");
    assert_eq!(captured(&server).sessions.len(), 0);
    let wanted = SessionsWanted::Oldest(1);
    let id = server.handle.ask_workers(wanted).wait(PATIENCE)[0].sessions[0].id;
    assert!(server.handle.capture_session(id) && server.handle.capture_session(id));
    wait_until("it is captured", || captured(&server).sessions.len() == 1);
    client.ping(b"behind");
    // To choose it once more takes nothing away. What is asked behind that is answered behind it.
    assert!(server.handle.capture_session(id));
    server.handle.ask_workers(wanted).wait(PATIENCE);
    let session = captured(&server).sessions.remove(0);
    assert_eq!(frames(&session), [b"behind", b"behind"]);
    assert_eq!((session.id, session.is_whole), (id, false));
    assert!(!captured(&server).is_redacted);
    assert_eq!(session.peer, client.address());
}

fn one_session_is_had_alone_while_it_is_there_and_behind_its_end(backend: Backend) {
    let mut options = CaptureOptions::default();
    options.sessions_max = 2;
    let server = start(&Setup::new(backend), options);
    let (_first, mut second) = (member(&server, b"1"), member(&server, b"2"));
    let _missed = member(&server, b"3");
    let whole = captured(&server);
    assert_eq!((whole.sessions.len(), whole.sessions_missed), (2, 1));
    let id = whole.sessions[1].id;
    let alone = || server.handle.captured_session(id);
    let told = alone().unwrap();
    assert_eq!(told.sessions.len(), 1);
    assert_eq!((told.sessions[0].id, told.sessions_missed, told.sessions_forgotten), (id, 0, 0));
    assert_eq!(frames(&told.sessions[0]), frames(&whole.sessions[1]));
    assert_eq!(told.began, Some(whole.sessions[1].events[0].at), "it begins with itself");
    second.send(b"close");
    second.rest();
    wait_until("its end is kept", || {
        let told = alone().unwrap();
        matches!(told.sessions[0].events.last().unwrap().what, Happened::Closed { .. })
    });
    assert!(server.handle.has_captured(id));
    // The next one takes its place.
    let _fourth = member(&server, b"4");
    assert!(alone().is_none() && !server.handle.has_captured(id));
}

fn a_session_behind_a_proxy_is_captured_with_its_own_peer(backend: Backend) {
    let mut options = CaptureOptions::default();
    options.chosen = Chosen::From(Vec::new());
    let server = start(&Setup::new(backend).proxies(&["127.0.0.0/8"]), options);
    let mut client = server.connect();
    client.write(b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n");
    client.ping(b"before");
    let told = server.handle.ask_workers(SessionsWanted::Oldest(1)).wait(PATIENCE);
    assert!(server.handle.capture_session(told[0].sessions[0].id));
    wait_until("it is captured", || captured(&server).sessions.len() == 1);
    assert_eq!(captured(&server).sessions[0].peer.to_string(), "192.0.2.7:56324");
}

fn only_chosen_networks_are_captured(backend: Backend) {
    for (network, captures) in [("127.0.0.0/8", 1), ("10.0.0.0/8", 0)] {
        let mut options = CaptureOptions::default();
        options.chosen =
            Chosen::From(vec![network.parse().unwrap(), "192.0.2.0/24".parse().unwrap()]);
        let server = start(&Setup::new(backend), options);
        let _client = member(&server, b"a");
        assert_eq!(captured(&server).sessions.len(), captures, "{network}");
    }
}

fn ends_are_told_apart_by_who_wanted_them(backend: Backend) {
    let server = start(&Setup::new(backend), CaptureOptions::default());
    let (mut leaves, mut asks) = (member(&server, b"1"), member(&server, b"2"));
    leaves.finish();
    leaves.rest();
    asks.send(b"close");
    asks.rest();
    let mut fails = member(&server, b"3");
    fails.send(b"fail");
    fails.rest();
    let mut kicked = member(&server, b"4");
    let id = captured(&server).sessions[3].id;
    server.handle.session(id).close();
    kicked.rest();
    server.wait_for_sessions(0);
    let mut stays = member(&server, b"5");
    let handle = server.handle.clone();
    server.handle.drain();
    stays.rest();
    server.end();
    let ends = |session: &CapturedSession| -> Vec<Happened> {
        session.events[1..]
            .iter()
            .map(|it| it.what.clone())
            .filter(|it| !matches!(it, Happened::Received(_) | Happened::Sent(_)))
            .collect()
    };
    let closed = |reason, from_outside| Happened::Closed { reason, from_outside };
    let capture = handle.captured().unwrap();
    let ends: Vec<_> = capture.sessions.iter().map(ends).collect();
    assert_eq!(
        ends,
        [
            vec![Happened::PeerEnded, closed("peer_closed", false)],
            vec![closed("closed", false)],
            vec![closed("failed", false)],
            vec![closed("closed", true)],
            vec![closed("drain", false)],
        ]
    );
}

/// Fills its own queue, has others be sent to, and says whether it was open when it was told of its peer's end.
struct CutOff {
    group: Group,
    post: GatePost,
    ended: Sender<bool>,
    gone: Sender<&'static str>,
}

impl Session for CutOff {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.group)?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match frame {
            b"fill" => {
                ctx.send(&vec![0; 4 << 20]);
            }
            b"wait" => self.post.wait(),
            _ => {
                ctx.broadcast(&self.group, frame);
            }
        }
        Ok(())
    }

    fn on_end_of_stream(&mut self, ctx: &mut Context<'_>) -> Outcome {
        // One that closes joins nothing.
        self.ended.send(ctx.join(&self.group).is_ok())?;
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, reason: &CloseReason) {
        let _ = self.gone.send(reason.name());
    }
}

fn who_is_cut_off_by_what_was_broadcast_before_is_not_told_of_its_end(backend: Backend) {
    let setup = Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
        limits.frame_bytes_max = 4 << 20;
        limits.slow_reader = SlowReader::Disconnect;
    });
    let (gate, post) = Gate::new();
    let (ended, hears_ended) = channel();
    let (gone, hears_gone) = channel();
    let server = setup.start_with(
        |server| server.capture(CaptureOptions::default()),
        move |arrival| CutOff {
            group: arrival.group("all"),
            post: post.clone(),
            ended: ended.clone(),
            gone: gone.clone(),
        },
    );
    let (mut full, mut speaks) = (server.connect(), server.connect());
    full.send(b"fill");
    server.wait_for_bytes_in(8);
    speaks.send(b"wait");
    gate.wait_for_arrival();
    // One turn has both: what is broadcast, and behind it the end.
    speaks.send(b"more");
    full.finish();
    gate.open();
    assert_eq!(hears_gone.recv_timeout(PATIENCE), Ok("slow_reader"));
    // Had the end come first, it would have been told to an open session.
    let all_open = hears_ended.try_iter().all(|is_open| is_open);
    assert!(all_open, "a session that had ended was told of its peer's end");
}

fn a_server_without_captures_has_none(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    server.connect().ping(b"a");
    assert!(server.handle.captured().is_none() && !server.handle.is_set_up_to_capture());
    let any = wharf::SessionId::from_u64(0);
    assert!(server.handle.captured_session(any).is_none() && !server.handle.has_captured(any));
    assert!(!server.handle.capture_session(any));
    let mut options = CaptureOptions::default();
    options.sessions_max = 0;
    let error = Setup::new(backend).server().capture(options).start(|_| Echo).unwrap_err();
    assert!(error.to_string().contains("sessions_max is 0: 1 to 65,536"), "{error}");
}
