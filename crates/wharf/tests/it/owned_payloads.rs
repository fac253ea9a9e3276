//! Payloads that are given away: the same bytes, order, limits and policies as of those that are copied.

use std::sync::Arc;
use std::sync::mpsc::channel;

use wharf::{
    Backend, Context, Framing, LengthField, Limits, OwnedPayload, PortOptions, RunningServer,
    SendLimits, SendStatus, Server, SlowReader, SocketOptions,
};

use crate::support::client::Client;
use crate::support::record::{What, on_frame, recording};
use crate::support::time::PATIENCE;
use crate::support::wire::{Wire, pattern};

each_backend! {
    a_payload_comes_whole_with_what_goes_around_it,
    a_payload_that_a_peer_takes_little_by_little_comes_whole,
    from_any_thread_they_keep_their_order,
    an_arc_is_sent_to_many_and_stays_as_it_is,
    policies_treat_them_as_they_treat_copies,
    what_has_no_frame_ends_its_session,
    a_session_that_ends_lets_them_go,
}

/// Around the length from which they are no longer copied, and several chunks long.
const SIZES: [usize; 9] = [0, 1, 100, 4_096, 8_191, 8_192, 8_193, 70_000, 300_000];
const FRAME_MAX: usize = 1 << 20;

/// A server with little room in the kernel, so that most sends take several calls.
#[track_caller]
fn start(
    backend: Backend,
    framing: Framing,
    limits: Limits,
    on: impl Fn(&mut Context<'_>, &[u8]) + Clone + Send + Sync + 'static,
) -> RunningServer {
    let limits = Limits { frame_bytes_max: FRAME_MAX, idle: None, send_deadline: None, ..limits };
    let sockets = SocketOptions { send_buffer_bytes: Some(16 << 10), ..SocketOptions::default() };
    Server::bind("127.0.0.1:0")
        .framing(framing)
        .workers(1)
        .limits(limits)
        .port_options(PortOptions { backend, ..PortOptions::default() })
        .socket_options(sockets)
        .start(move |_| {
            let on = on.clone();
            on_frame(move |ctx, frame| {
                on(ctx, frame);
                Ok(())
            })
        })
        .unwrap()
}

#[track_caller]
fn connect(server: &RunningServer, wire: Wire) -> Client {
    Client::connect(server.handle().addresses()[0].tcp().unwrap(), wire)
}

fn roomy() -> Limits {
    Limits { send_bytes_max: 8 << 20, send_burst_bytes: 0, ..Limits::default() }
}

/// One of the things that a payload is made of, with these bytes.
fn payload(kind: usize, bytes: &[u8]) -> OwnedPayload {
    match kind % 4 {
        0 => bytes.to_vec().into(),
        1 => Box::<[u8]>::from(bytes).into(),
        2 => Arc::<[u8]>::from(bytes).into(),
        _ => {
            // More was allocated than is sent.
            let mut roomy = Vec::with_capacity(2 * bytes.len() + 100);
            roomy.extend_from_slice(bytes);
            roomy.into()
        }
    }
}

fn bytes(number: usize, len: usize) -> Vec<u8> {
    pattern(number as u64, len)
}

fn a_payload_comes_whole_with_what_goes_around_it(backend: Backend) {
    let within = LengthField { offset: 3, width: 4, ..LengthField::default() };
    let framings = [
        Framing::RAW,
        Framing::LINES,
        Framing::U32_LE,
        Framing::delimiter("\r\n").unwrap(),
        Framing::length_field(within).unwrap(),
    ];
    for framing in framings {
        // A length within the message stands in it already.
        let within_min = framing.payload_min();
        let message = move |number: usize, len: usize| {
            let mut bytes = bytes(number, len.max(within_min));
            if within_min > 0 {
                let rest = u32::try_from(bytes.len() - 7).unwrap();
                bytes[3..7].copy_from_slice(&rest.to_le_bytes());
            }
            bytes
        };
        let asked = message(0, 8);
        let server = start(backend, framing.clone(), roomy(), move |ctx, _| {
            for (number, len) in SIZES.into_iter().enumerate() {
                for kind in 0..4 {
                    let mut owned = message(number, len);
                    if within_min > 0 {
                        // Filled in by the framing.
                        owned[3..7].fill(0xFF);
                    }
                    let status = ctx.send_owned(payload(kind, &owned));
                    assert_eq!(status, SendStatus::Queued);
                    // Something short between two of them.
                    assert_eq!(ctx.send(&message(kind, 20)), SendStatus::Queued);
                }
            }
        });
        let mut client = connect(&server, Wire::Raw);
        let encoded = |payload: &[u8]| match () {
            () if framing == Framing::U32_LE => Wire::U32Le.encode(payload),
            () if framing == Framing::LINES => [payload, b"\n"].concat(),
            () if framing.to_string().starts_with("delimiter") => [payload, b"\r\n"].concat(),
            () => payload.to_vec(),
        };
        client.write(&encoded(&asked));
        let stream: Vec<u8> = SIZES
            .into_iter()
            .enumerate()
            .flat_map(|(number, len)| (0..4).map(move |kind| (number, len, kind)))
            .flat_map(|(number, len, kind)| {
                [encoded(&message(number, len)), encoded(&message(kind, 20))].concat()
            })
            .collect();
        client.expect_stream(&stream);
    }
}

fn a_payload_that_a_peer_takes_little_by_little_comes_whole(backend: Backend) {
    let server = start(backend, Framing::U32_LE, roomy(), |ctx, _| {
        for number in 0..6 {
            ctx.send_owned(pattern(number, FRAME_MAX - 1));
            ctx.send(&pattern(number, 10));
        }
    });
    let mut client = connect(&server, Wire::U32Le);
    client.send(b"go");
    for number in 0..6 {
        client.expect(&pattern(number, FRAME_MAX - 1));
        client.expect(&pattern(number, 10));
    }
}

fn from_any_thread_they_keep_their_order(backend: Backend) {
    let (ids, id) = channel();
    let server = start(backend, Framing::U32_LE, roomy(), move |ctx, _| {
        let _ = ids.send(ctx.id());
    });
    let mut client = connect(&server, Wire::U32Le);
    client.send(b"here");
    let session = server.handle().session(id.recv_timeout(PATIENCE).unwrap());
    for (number, len) in SIZES.into_iter().enumerate() {
        assert_eq!(session.send_owned(payload(number, &bytes(number, len))), SendStatus::Queued);
        assert_eq!(session.send(&bytes(number, len)), SendStatus::Queued);
    }
    for (number, len) in SIZES.into_iter().enumerate() {
        client.expect(&bytes(number, len));
        client.expect(&bytes(number, len));
    }
    assert_eq!(session.send_owned(vec![0; 65 << 20]), SendStatus::Overloaded);
}

fn an_arc_is_sent_to_many_and_stays_as_it_is(backend: Backend) {
    let asset: Arc<[u8]> = pattern(1, 100_000).into();
    let sent = Arc::clone(&asset);
    let server = start(backend, Framing::U32_LE, roomy(), move |ctx, _| {
        ctx.send_owned(Arc::clone(&sent));
        ctx.send_owned(Arc::clone(&sent));
    });
    let mut clients: [Client; 3] = std::array::from_fn(|_| connect(&server, Wire::U32Le));
    clients.iter_mut().for_each(|client| client.send(b"go"));
    for client in &mut clients {
        client.expect(&asset);
        client.expect(&asset);
        // The worker is done with what it has sent when it answers this.
        client.ping_for(b"again", &asset);
        client.expect(&asset);
    }
    assert_eq!(*asset, *pattern(1, 100_000));
}

/// What becomes of many long frames, sent in one callback, and what of them comes.
fn outcome(backend: Backend, slow_reader: SlowReader, gives: bool) -> (Vec<SendStatus>, Vec<u8>) {
    const LEN: usize = 10_000;
    let (statuses, results) = channel();
    let server = start(backend, Framing::U32_LE, roomy(), move |ctx, _| {
        // 6.4 frames, and the fifth goes where another one was.
        let limits = SendLimits { bytes_max: 64 << 10, frames_max: 100, slow_reader };
        assert_eq!(ctx.set_send_limits(limits), Ok(()));
        for number in 0..20 {
            let bytes = pattern(number, LEN);
            let _ = statuses.send(match number {
                2 | 8 | 16 => ctx.send_keyed(1, &bytes),
                _ if gives => ctx.send_owned(bytes),
                _ => ctx.send(&bytes),
            });
        }
        ctx.close();
    });
    let mut client = connect(&server, Wire::U32Le);
    client.send(b"go");
    let statuses = (0..20).map(|_| results.recv_timeout(PATIENCE).unwrap()).collect();
    let came = match slow_reader {
        SlowReader::Disconnect | SlowReader::Pause => Vec::new(),
        _ => client.rest(),
    };
    (statuses, came)
}

fn policies_treat_them_as_they_treat_copies(backend: Backend) {
    let policies = [
        (SlowReader::Pause, SendStatus::Closed),
        (SlowReader::Disconnect, SendStatus::Closed),
        (SlowReader::DropNewest, SendStatus::Dropped),
        (SlowReader::DropOldest, SendStatus::DroppedOldest),
        (SlowReader::Coalesce, SendStatus::Replaced),
        (SlowReader::Refuse, SendStatus::Full),
    ];
    for (policy, telling) in policies {
        let copied = outcome(backend, policy, false);
        let given = outcome(backend, policy, true);
        assert!(copied.0.contains(&telling), "{policy:?}: {:?}", copied.0);
        assert_eq!(given.0, copied.0, "{policy:?}");
        assert!(given.1 == copied.1, "{policy:?}: other bytes");
    }
}

fn what_has_no_frame_ends_its_session(backend: Backend) {
    let (log, events) = recording();
    let server = Server::bind("127.0.0.1:0").backend(backend).workers(1).start(move |_| {
        log.of(on_frame(|ctx, _| {
            assert_eq!(ctx.send_owned(vec![0; FRAME_MAX]), SendStatus::Closed);
            Ok(())
        }))
    });
    let server = server.unwrap();
    let mut client = connect(&server, Wire::U32Le);
    client.send(b"go");
    client.expect_end();
    let closed = events.disconnected();
    assert!(matches!(closed.what, What::Disconnected { name: "send_too_long", .. }), "{closed:?}");
    assert_eq!(server.handle().session(closed.id).send_owned(vec![0; 9_000]), SendStatus::Queued);
}

fn a_session_that_ends_lets_them_go(backend: Backend) {
    let asset: Arc<[u8]> = pattern(1, FRAME_MAX).into();
    let sent = Arc::clone(&asset);
    let (done, is_done) = channel();
    let server = start(backend, Framing::U32_LE, roomy(), move |ctx, _| {
        for _ in 0..5 {
            ctx.send_owned(Arc::clone(&sent));
        }
        let _ = done.send(());
    });
    let mut stopped = connect(&server, Wire::U32Le);
    stopped.send(b"go");
    is_done.recv_timeout(PATIENCE).unwrap();
    assert!(Arc::strong_count(&asset) > 2, "most of it waits");
    // With all the rest still to come.
    drop(stopped);
    drop(server);
    assert_eq!(Arc::strong_count(&asset), 1);
}
