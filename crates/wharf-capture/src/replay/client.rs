//! One session of a recording, seen from its peer.

use std::collections::VecDeque;

use wharf::{FrameReader, Framing};
use wharf_port::SocketId;

use super::report::{Difference, Problem};

/// A session that is played.
#[derive(Debug)]
pub(super) struct Client<'a> {
    /// Its number, from 1 on.
    pub(super) number: usize,
    pub(super) socket: Option<SocketId>,
    pub(super) is_connected: bool,
    /// Bytes that wait for the send in flight.
    pub(super) waiting: VecDeque<Vec<u8>>,
    pub(super) is_sending: bool,
    /// Its own stream is to end behind what waits.
    pub(super) ends: bool,
    pub(super) has_ended: bool,
    /// The server has ended its stream, or the connection.
    pub(super) server_ended: bool,
    /// Something else came than was recorded: nothing more is compared.
    pub(super) differs: bool,
    reader: FrameReader,
    has_frames: bool,
    /// What is to come, in order.
    expected: VecDeque<&'a [u8]>,
    /// Bytes of the first of it that have come, where the stream has no frames.
    part: usize,
    /// Frames that have come as expected.
    pub(super) came: usize,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        number: usize,
        framing: &Framing,
        frame_bytes_max: usize,
        expected: VecDeque<&'a [u8]>,
    ) -> Self {
        Self {
            number,
            socket: None,
            is_connected: false,
            waiting: VecDeque::new(),
            is_sending: false,
            ends: false,
            has_ended: false,
            server_ended: false,
            differs: false,
            reader: FrameReader::new(framing.clone(), frame_bytes_max),
            has_frames: framing.has_frames(),
            expected,
            part: 0,
            came: 0,
        }
    }

    /// Compares what has come; the first difference, if there is one.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Result<(), Difference> {
        if self.differs {
            return Ok(());
        }
        if !self.has_frames {
            return self.piece(bytes);
        }
        self.reader.push(bytes);
        loop {
            match self.reader.next_frame() {
                Ok(Some(frame)) => self.frame(&frame)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.difference(Problem::NoFrame(error))),
            }
        }
    }

    fn frame(&mut self, got: &[u8]) -> Result<(), Difference> {
        match self.expected.pop_front() {
            Some(expected) if expected == got => {
                self.came += 1;
                Ok(())
            }
            Some(expected) => {
                let (expected, got) = (expected.to_vec(), got.to_vec());
                Err(self.difference(Problem::Other { expected, got }))
            }
            None => Err(self.difference(Problem::Unexpected { got: got.to_vec() })),
        }
    }

    /// A piece of a stream without frames, which may be of several sends, or of half a one.
    fn piece(&mut self, mut got: &[u8]) -> Result<(), Difference> {
        while !got.is_empty() {
            let Some(&expected) = self.expected.front() else {
                return Err(self.difference(Problem::Unexpected { got: got.to_vec() }));
            };
            let rest = &expected[self.part..];
            let both = rest.len().min(got.len());
            if rest[..both] != got[..both] {
                let (expected, got) = (rest.to_vec(), got.to_vec());
                return Err(self.difference(Problem::Other { expected, got }));
            }
            self.part += both;
            got = &got[both..];
            if self.part == expected.len() {
                self.expected.pop_front();
                self.came += 1;
                self.part = 0;
            }
        }
        Ok(())
    }

    /// What is to come next and has not.
    pub(super) fn missing(&mut self) -> Difference {
        let expected = self.expected.front().map(|it| it[self.part..].to_vec()).unwrap_or_default();
        let ended = self.server_ended;
        self.difference(Problem::Missing { expected, ended })
    }

    pub(super) fn difference(&mut self, problem: Problem) -> Difference {
        self.differs = true;
        Difference { session: self.number, frame: self.came + 1, problem }
    }
}
