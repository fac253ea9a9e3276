//! One session gets 64 KiB or 64 frames of a turn, so none starves the others.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{Backend, Codec, Decoded, Envelope, FrameError, Framing, SessionId, Time};

use crate::support::client::Client;
use crate::support::gate::Gate;
use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, wait_until, wait_until_stable};
use crate::support::wire::Wire;

each_backend! {
    a_neighbour_waits_for_no_more_than_a_few_shares_of_long_frames,
    a_neighbour_waits_for_no_more_than_a_few_shares_of_short_frames,
    a_hog_that_never_pauses_does_not_starve_its_neighbour,
    what_is_held_back_is_delivered_in_order,
    a_flood_from_another_thread_does_not_starve_sessions,
    what_a_codec_looks_at_once_more_is_part_of_its_share,
}

const SHARE_BYTES: usize = 256 << 10;
const SHARE_FRAMES: usize = 64;

/// What a hog pipelines.
const HOG_BYTES: usize = 4 << 20;

/// How many frames of `len` bytes of a hog, which has [`HOG_BYTES`] of them waiting, are delivered
/// before the one frame of a neighbour that came while the worker was held up.
fn hog_frames_before_a_neighbours(backend: Backend, len: usize) -> usize {
    let (gate, post) = Gate::new();
    let hog_frames = Arc::new(AtomicUsize::new(0));
    let (sender, frames_before) = channel();
    let setup = Setup::new(backend).kernel_buffers(64 << 10, 2 << 20);
    let server = setup.start(move |_| {
        let (post, hog_frames, sender) = (post.clone(), Arc::clone(&hog_frames), sender.clone());
        on_frame(move |ctx, frame| {
            match frame {
                b"wait" => post.wait(),
                b"ping" => sender.send(hog_frames.load(Ordering::Relaxed))?,
                b"here" => {}
                _ => {
                    hog_frames.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
            }
            ctx.send(frame);
            Ok(())
        })
    });
    let (mut hog, mut neighbour, mut third) =
        (server.connect(), server.connect(), server.connect());
    for client in [&mut hog, &mut neighbour, &mut third] {
        client.ping(b"here");
    }
    third.send(b"wait");
    gate.wait_for_arrival();
    let frame = Wire::U32Le.encode(&vec![7; len]);
    let written = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&written);
    let hogging = std::thread::spawn(move || {
        let stream = frame.repeat(HOG_BYTES / frame.len());
        for piece in stream.chunks(16 << 10) {
            hog.write(piece);
            progress.fetch_add(piece.len(), Ordering::Relaxed);
        }
        hog
    });
    let quiet = Duration::from_millis(50);
    let pipelined = wait_until_stable("the hog", quiet, || written.load(Ordering::Relaxed));
    assert!(pipelined >= 8 * SHARE_BYTES, "the kernel takes only {pipelined} bytes");
    neighbour.send(b"ping");
    gate.open();
    neighbour.expect(b"ping");
    third.expect(b"wait");
    let mut hog = hogging.join().unwrap();
    hog.ping(b"here");
    frames_before.recv_timeout(PATIENCE).unwrap()
}

fn a_neighbour_waits_for_no_more_than_a_few_shares_of_long_frames(backend: Backend) {
    // Of these a share has room for sixteen.
    let before = hog_frames_before_a_neighbours(backend, (16 << 10) - 4);
    assert!(before <= 4 * SHARE_BYTES / (16 << 10), "{before} frames of the hog came first");
}

fn a_neighbour_waits_for_no_more_than_a_few_shares_of_short_frames(backend: Backend) {
    let before = hog_frames_before_a_neighbours(backend, 8);
    assert!(before <= 4 * SHARE_FRAMES, "{before} frames of the hog came first");
}

fn a_hog_that_never_pauses_does_not_starve_its_neighbour(backend: Backend) {
    let hog_id: Arc<Mutex<Option<SessionId>>> = Arc::default();
    let hog_bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&hog_bytes);
    let server = Setup::new(backend).start(move |_| {
        let (hog_id, hog_bytes) = (Arc::clone(&hog_id), Arc::clone(&counted));
        on_frame(move |ctx, frame| {
            if frame == b"hog" {
                *hog_id.lock().unwrap() = Some(ctx.id());
            } else if *hog_id.lock().unwrap() == Some(ctx.id()) {
                hog_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
                return Ok(());
            }
            ctx.send(frame);
            Ok(())
        })
    });
    let (mut hog, mut neighbour) = (server.connect(), server.connect());
    hog.ping(b"hog");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let hogging = std::thread::spawn(move || {
        let piece = Wire::U32Le.encode(&[7; 60]).repeat(1024);
        while !stopped.load(Ordering::Relaxed) {
            hog.write(&piece);
        }
    });
    let hogged = || hog_bytes.load(Ordering::Relaxed);
    for number in 0..100_000_u32 {
        neighbour.ping(&number.to_le_bytes());
        // The hog is slower where many tests run at a time.
        if number >= 300 && hogged() > 1 << 20 {
            break;
        }
    }
    let hogged = hogged();
    stop.store(true, Ordering::Relaxed);
    hogging.join().unwrap();
    assert!(hogged > 1 << 20, "the hog had its share meanwhile: {hogged} bytes");
}

fn what_is_held_back_is_delivered_in_order(backend: Backend) {
    for buffer_bytes in [1 << 10, 16 << 10] {
        let setup = Setup::new(backend).port(|port| port.buffer_bytes = buffer_bytes);
        let server = setup.start(|_| {
            let mut next = 0_u32;
            on_frame(move |ctx, frame| {
                if frame == b"end" {
                    ctx.send(&next.to_le_bytes());
                    return Ok(());
                }
                let number = u32::from_le_bytes(*frame.first_chunk().ok_or("a short frame")?);
                if number != next {
                    return Err(format!("{number} instead of {next}").into());
                }
                next += 1;
                Ok(())
            })
        });
        let frames: u32 = 50_000;
        let mut client = server.connect();
        let mut writer = client.writer();
        let writing = std::thread::spawn(move || {
            let mut stream = Vec::new();
            for number in 0..frames {
                // Of every length up to some more than what is received at a time.
                let len = if number % 1000 == 0 { 20_000 } else { number as usize % 50 };
                let mut frame = number.to_le_bytes().to_vec();
                frame.resize(4 + len, 7);
                stream.extend(Wire::U32Le.encode(&frame));
            }
            writer.write(&stream);
            writer.send(b"end");
        });
        client.expect(&frames.to_le_bytes());
        writing.join().unwrap();
    }
}

fn a_flood_from_another_thread_does_not_starve_sessions(backend: Backend) {
    const FLOOD: usize = 100_000;
    let (gate, post) = Gate::new();
    let (arrived, arrivals) = channel();
    let setup = Setup::new(backend).limits(|limits| limits.send_bytes_max = 64 << 20);
    let server = setup.start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        post.echo()
    });
    let mut client = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    let mut other = server.connect();
    other.send(b"wait");
    gate.wait_for_arrival();
    for _ in 0..FLOOD {
        session.send(b"flood");
    }
    client.send(b"ping");
    gate.open();
    // What its session was sent before it got the frame.
    let before = (0..=FLOOD).take_while(|_| client.frame() == b"flood").count();
    assert!(before <= FLOOD / 10, "{before} messages of another thread came first");
    for _ in before..FLOOD {
        client.expect(b"flood");
    }
}

/// Frames that end with LF, searched for from their beginning whenever bytes have come; counts those that
/// it is shown.
struct Searching(Arc<AtomicUsize>);

impl Codec for Searching {
    fn decode(&self, bytes: &[u8], _: usize, _: usize) -> Result<Decoded, FrameError> {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => Decoded::Frame { payload: 0..end, consumed: end + 1 },
            None => Decoded::Partial { needed: None, scanned: 0 },
        })
    }

    fn wrap(&self, _: &[&[u8]]) -> Result<Envelope, FrameError> {
        Envelope::new(b"", b"\n")
    }
}

fn what_a_codec_looks_at_once_more_is_part_of_its_share(backend: Backend) {
    const FRAME: usize = 640 << 10;
    // Many small pieces in one turn.
    let setup = Setup::new(backend).port(|port| port.buffer_bytes = 2048);
    let setup = setup.limits(|limits| limits.frame_bytes_max = FRAME).wire(Wire::Raw);
    let shown = Arc::new(AtomicUsize::new(0));
    let framing = Framing::codec(Searching(Arc::clone(&shown)));
    let mut server = setup.server().framing(framing).start_stepped(|_| Echo).unwrap();
    let handle = server.handle();
    let mut client = Client::connect(handle.addresses()[0].tcp().unwrap(), Wire::Raw);
    let (mut written, mut most) = (0, 0);
    for piece in vec![7; FRAME].chunks(32 << 10) {
        client.write(piece);
        written += piece.len();
        wait_until("it is read", || {
            let before = shown.load(Ordering::Relaxed);
            server.turn(0, Some(Time::ZERO)).unwrap();
            most = most.max(shown.load(Ordering::Relaxed) - before);
            handle.stats().bytes_in == written as u64
                && server.worker(0).is_some_and(|view| !view.is_busy)
        });
    }
    assert!(most > FRAME / 2, "the codec searches from the beginning: {most}");
    assert!(most <= SHARE_BYTES + FRAME, "{most} bytes in one turn");
}
