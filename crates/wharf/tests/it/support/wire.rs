//! What frames look like on the wire. Written anew here: a test must not trust the library's own
//! idea of a frame.

use wharf::Framing;

/// A framing, as a client has to speak it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    Raw,
    Lines,
    U16Le,
    U16Be,
    U32Le,
    U32Be,
}

impl Wire {
    /// Those that keep the boundaries of what is sent.
    pub(crate) const FRAMED: [Self; 5] =
        [Self::Lines, Self::U16Le, Self::U16Be, Self::U32Le, Self::U32Be];
    pub(crate) const ALL: [Self; 6] =
        [Self::Raw, Self::Lines, Self::U16Le, Self::U16Be, Self::U32Le, Self::U32Be];

    pub(crate) const fn framing(self) -> Framing {
        match self {
            Self::Raw => Framing::RAW,
            Self::Lines => Framing::LINES,
            Self::U16Le => Framing::U16_LE,
            Self::U16Be => Framing::U16_BE,
            Self::U32Le => Framing::U32_LE,
            Self::U32Be => Framing::U32_BE,
        }
    }

    /// Bytes in front of a payload.
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::Raw | Self::Lines => 0,
            Self::U16Le | Self::U16Be => 2,
            Self::U32Le | Self::U32Be => 4,
        }
    }

    /// Bytes of a whole frame with a payload of `len`.
    pub(crate) const fn frame_len(self, len: usize) -> usize {
        match self {
            Self::Lines => len + 1,
            _ => self.header_len() + len,
        }
    }

    /// What announces a payload of `len` bytes.
    pub(crate) fn header(self, len: usize) -> Vec<u8> {
        let short = || u16::try_from(len).expect("a length of two bytes");
        let long = || u32::try_from(len).expect("a length of four bytes");
        match self {
            Self::Raw | Self::Lines => Vec::new(),
            Self::U16Le => short().to_le_bytes().to_vec(),
            Self::U16Be => short().to_be_bytes().to_vec(),
            Self::U32Le => long().to_le_bytes().to_vec(),
            Self::U32Be => long().to_be_bytes().to_vec(),
        }
    }

    pub(crate) fn encode(self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.header(payload.len());
        frame.extend_from_slice(payload);
        if self == Self::Lines {
            assert!(!payload.contains(&b'\n'), "a line has no LF within");
            frame.push(b'\n');
        }
        frame
    }

    pub(crate) fn encode_all<P: AsRef<[u8]>>(self, payloads: &[P]) -> Vec<u8> {
        payloads.iter().flat_map(|payload| self.encode(payload.as_ref())).collect()
    }

    /// The first frame of `stream`: its payload, and how many bytes it takes. `None` if it is not
    /// whole. Raw bytes are one frame.
    pub(crate) fn decode(self, stream: &[u8]) -> Option<(&[u8], usize)> {
        let len = match self {
            Self::Raw => (!stream.is_empty()).then_some(stream.len())?,
            Self::Lines => stream.iter().position(|&byte| byte == b'\n')?,
            Self::U16Le => u16::from_le_bytes(*stream.first_chunk()?).into(),
            Self::U16Be => u16::from_be_bytes(*stream.first_chunk()?).into(),
            Self::U32Le => u32::from_le_bytes(*stream.first_chunk()?) as usize,
            Self::U32Be => u32::from_be_bytes(*stream.first_chunk()?) as usize,
        };
        let start = self.header_len();
        let payload = stream.get(start..start + len)?;
        Some((payload, self.frame_len(len))).filter(|&(_, whole)| whole <= stream.len())
    }

    /// All frames of a stream that ends behind one.
    #[track_caller]
    pub(crate) fn decode_all(self, mut stream: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while !stream.is_empty() {
            let Some((payload, whole)) = self.decode(stream) else {
                panic!("{self:?}: half a frame of {} bytes behind {}", stream.len(), frames.len());
            };
            frames.push(payload.to_vec());
            stream = &stream[whole..];
        }
        frames
    }
}

/// `len` bytes that look like no others, by `seed`. None of them is ASCII, so any framing can carry
/// them.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // Xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state | 0x8080_8080_8080_8080).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Says where two byte strings differ, instead of printing both.
#[track_caller]
pub(crate) fn assert_same(what: &str, got: &[u8], wanted: &[u8]) {
    if got == wanted {
        return;
    }
    let at = got.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let part = &bytes[at.min(bytes.len())..bytes.len().min(at + 16)];
        format!("{} of {} bytes, then {part:02x?}", at, bytes.len())
    };
    panic!("{what}: got {}; wanted {}", around(got), around(wanted));
}
