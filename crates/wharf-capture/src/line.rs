//! A line of a file: a JSON object with a checksum behind everything else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The version of the form. A file of another one is not read.
pub(crate) const FORM: u64 = 1;
/// The longest payload of a line: the longest frame that wharf receives.
pub(crate) const PAYLOAD_BYTES_MAX: usize = wharf::Limits::FRAME_BYTES_MAX;
/// The longest line, without its end: the longest payload as base64, and the words around it.
pub(crate) const LINE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 3 * 4 + (64 << 10);
/// The most sessions of a file: as many as a server captures.
pub(crate) const SESSIONS_MAX: usize = 1 << 16;

/// The first line.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Head {
    pub(crate) wharf_capture: u64,
    pub(crate) version: String,
    pub(crate) started_unix_ms: Option<u64>,
    pub(crate) framing: String,
    pub(crate) frame_max: usize,
    #[serde(default)]
    pub(crate) redacted: bool,
    #[serde(default)]
    pub(crate) sessions_missed: u64,
    #[serde(default)]
    pub(crate) sessions_forgotten: u64,
}

/// Every other line.
#[derive(Serialize, Deserialize, Debug)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Open {
        at_us: u64,
        session: usize,
        id: String,
        peer: String,
        #[serde(default = "yes")]
        whole: bool,
        #[serde(default)]
        dropped: u64,
        #[serde(default)]
        left_out: u64,
    },
    In(Frame),
    Out(Frame),
    PeerEnd {
        at_us: u64,
        session: usize,
    },
    End {
        at_us: u64,
        session: usize,
    },
    Close {
        at_us: u64,
        session: usize,
        reason: String,
        #[serde(default)]
        outside: bool,
    },
    /// The last line.
    Done {
        records: u64,
    },
}

const fn yes() -> bool {
    true
}

/// A frame, its payload as text if that is shorter.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Frame {
    pub(crate) at_us: u64,
    pub(crate) session: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Frame {
    pub(crate) fn new(at_us: u64, session: usize, payload: &[u8]) -> Self {
        let text =
            std::str::from_utf8(payload).ok().filter(|text| escaped(text) <= encoded(payload));
        let base64 = text.is_none().then(|| STANDARD.encode(payload));
        Self { at_us, session, text: text.map(str::to_owned), base64 }
    }

    /// The payload, or what is wrong with it.
    pub(crate) fn payload(self) -> Result<Vec<u8>, &'static str> {
        match (self.text, self.base64) {
            (Some(text), None) => Ok(text.into_bytes()),
            (None, Some(base64)) => {
                STANDARD.decode(base64).map_err(|_| "its base64 is none (RFC 4648, with padding)")
            }
            _ => Err("a frame has either text or base64"),
        }
    }
}

/// Bytes of a text between the quotes of JSON.
fn escaped(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

const fn encoded(payload: &[u8]) -> usize {
    // Short texts stay readable, whatever they hold.
    payload.len().div_ceil(3) * 4 + 16
}

/// A line with its checksum: CRC-32 (IEEE) of all before `,"crc"`.
pub(crate) fn sealed(line: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec(line)?;
    json.pop();
    let crc = crc32fast::hash(&json);
    json.extend_from_slice(format!(",\"crc\":\"{crc:08x}\"}}\n").as_bytes());
    Ok(json)
}

/// The checksum that a line carries and the one that it has, if it carries one.
pub(crate) fn checksums(line: &[u8]) -> Option<(u32, u32)> {
    const BEFORE: &[u8] = b",\"crc\":\"";
    let body = line.len().checked_sub(BEFORE.len() + 8 + b"\"}".len())?;
    let (body, seal) = line.split_at(body);
    let digits = seal.strip_prefix(BEFORE)?.strip_suffix(b"\"}")?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, 16).ok()?, crc32fast::hash(body)))
}
