//! Clients that stream frames to an echo server and compare what comes back, until the server ends their
//! streams. All of them on one completion port.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wharf_port::{
    Completion, CompletionPort, PortOptions, Received, Segment, SharedBytes, SocketId,
    SocketOptions, Time,
};

use crate::Result;
use crate::checks::ensure;
use crate::client::piece;

/// Bytes of a frame with its length, and how many frames there are until they come again.
const FRAME: usize = 1_024;
const FRAMES: usize = 61;
/// Frames of one send, and how many a client has on their way at most.
const AT_A_TIME: usize = 8;
const ON_THEIR_WAY: usize = 64;
/// How long nothing may move.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the other threads see of them.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Clients to which something has come back.
    pub(super) flowing: AtomicUsize,
}

/// One client: bytes of its stream.
#[derive(Debug)]
struct Stream {
    socket: SocketId,
    sent: usize,
    back: usize,
    sending: bool,
    /// The server has ended the stream.
    ended: bool,
}

#[derive(Debug)]
pub(super) struct Streams<'a> {
    port: CompletionPort,
    streams: Vec<Stream>,
    /// Whose a socket is, by its slot.
    owners: Vec<usize>,
    /// All frames, twice, so that those of one send lie in one piece.
    frames: Arc<[u8]>,
    /// Those that the server has not ended.
    left: usize,
    bytes: u64,
    moved_at: Time,
    progress: &'a Progress,
}

impl<'a> Streams<'a> {
    /// Begins to connect.
    pub(super) fn open(address: SocketAddr, count: usize, progress: &'a Progress) -> Result<Self> {
        let mut port = CompletionPort::open(&PortOptions::default())?;
        let mut streams = Vec::with_capacity(count);
        let mut owners = Vec::new();
        for number in 0..count {
            let socket = port
                .connect(address, &SocketOptions::default())
                .map_err(|error| format!("cannot connect: {error}"))?;
            let slot = usize::try_from(socket.slot())?;
            if owners.len() <= slot {
                owners.resize(slot + 1, 0);
            }
            owners[slot] = number;
            streams.push(Stream { socket, sent: 0, back: 0, sending: false, ended: false });
        }
        let moved_at = port.now();
        let frames = frames();
        Ok(Self { port, streams, owners, frames, left: count, bytes: 0, moved_at, progress })
    }

    /// Until the server has ended all of them; gives how many bytes have come back.
    pub(super) fn run(mut self) -> Result<u64> {
        while self.left > 0 {
            self.port.wait(Some(self.moved_at + PATIENCE))?;
            let now = self.port.now();
            while let Some(completion) = self.port.take() {
                self.moved_at = now;
                self.complete(completion)?;
            }
            ensure(now < self.moved_at + PATIENCE, || {
                format!("{} streams have neither moved nor ended for {PATIENCE:?}", self.left)
            })?;
        }
        self.port.shut_down(PATIENCE)?;
        Ok(self.bytes)
    }

    fn complete(&mut self, completion: Completion) -> Result<()> {
        match completion {
            Completion::Connected { socket, result } => {
                result.map_err(|error| format!("cannot connect: {error}"))?;
                let _ = self.port.receive(socket);
                self.send(self.number(socket)?);
            }
            Completion::Received { socket, what } => {
                let number = self.number(socket)?;
                match what {
                    Received::Data(bytes) => self.received(number, &bytes)?,
                    Received::End => self.ended(number)?,
                    Received::Failed(error) => {
                        let ended = self.streams[number].ended;
                        ensure(ended, || format!("stream {number} broke off: {error}"))?;
                    }
                    Received::Cancelled => {}
                }
            }
            Completion::Sent { socket, result, .. } => {
                let number = self.number(socket)?;
                let stream = &mut self.streams[number];
                stream.sending = false;
                // The server need not take what it was sent after it had begun to end. What it still sends
                // itself decides, not that.
                if result.is_ok() {
                    self.send(number);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn number(&self, socket: SocketId) -> Result<usize> {
        Ok(self.owners[usize::try_from(socket.slot())?])
    }

    fn send(&mut self, number: usize) {
        let stream = &mut self.streams[number];
        let on_their_way = stream.sent - stream.back;
        if stream.sending || stream.ended || on_their_way + AT_A_TIME * FRAME > ON_THEIR_WAY * FRAME
        {
            return;
        }
        let range = range(number, stream.sent, AT_A_TIME * FRAME);
        stream.sent += range.len();
        stream.sending = true;
        let segment = Segment::Shared(SharedBytes::new(Arc::clone(&self.frames), range));
        // A name is void only once its socket is closed: then nothing has to be sent.
        let _ = self.port.send(stream.socket, vec![segment]);
    }

    fn received(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let stream = &mut self.streams[number];
        ensure(stream.back + bytes.len() <= stream.sent, || {
            format!("stream {number} got more than it had sent")
        })?;
        if stream.back == 0 {
            self.progress.flowing.fetch_add(1, Ordering::Relaxed);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (part, others) = rest.split_at(rest.len().min(FRAMES * FRAME));
            ensure(part == &self.frames[range(number, stream.back, part.len())], || {
                format!("stream {number} came back wrong after {} bytes", stream.back)
            })?;
            stream.back += part.len();
            rest = others;
        }
        self.bytes += bytes.len() as u64;
        self.send(number);
        Ok(())
    }

    fn ended(&mut self, number: usize) -> Result<()> {
        let stream = &mut self.streams[number];
        stream.ended = true;
        self.left -= 1;
        let rest = stream.back % FRAME;
        ensure(rest == 0, || format!("stream {number} ended {rest} bytes into a frame"))?;
        let _ = self.port.close(stream.socket);
        Ok(())
    }
}

/// Where bytes of a client's stream lie. Neighbours begin with different frames.
const fn range(number: usize, position: usize, len: usize) -> Range<usize> {
    let start = (number * FRAME + position) % (FRAMES * FRAME);
    start..start + len
}

fn frames() -> Arc<[u8]> {
    let mut frames = Vec::with_capacity(2 * FRAMES * FRAME);
    for number in (0..FRAMES).chain(0..FRAMES) {
        frames.extend(u32::try_from(FRAME - 4).unwrap_or(0).to_le_bytes());
        frames.extend_from_slice(piece(number * FRAME, FRAME - 4));
    }
    frames.into()
}
