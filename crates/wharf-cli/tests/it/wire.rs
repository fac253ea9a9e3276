//! Frames of every framing of the command line as they stand on the wire, written by hand: what is
//! tested is not asked how a frame looks.

/// A framing and its frames, with `--frame-max 40`.
pub(crate) struct Wire {
    /// As `--framing` takes it.
    pub(crate) framing: &'static str,
    /// Frames, in the order in which they are sent.
    pub(crate) frames: &'static [&'static [u8]],
    /// The longest frame that is taken.
    pub(crate) longest: Filled,
    /// Bytes that are no frame, or the beginning of one that is too long: each ends its session.
    pub(crate) refused: &'static [Filled],
}

/// What stands before a filling of so many `x`, and what stands behind it.
pub(crate) struct Filled(&'static [u8], usize, &'static [u8]);

impl Filled {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.0, &vec![b'x'; self.1], self.2].concat()
    }
}

const fn wire(
    framing: &'static str,
    frames: &'static [&'static [u8]],
    longest: Filled,
    refused: &'static [Filled],
) -> Wire {
    Wire { framing, frames, longest, refused }
}

pub(crate) const WIRES: [Wire; 27] = [
    wire(
        "lines",
        &[b"one\n", b"\n", b"\0\xff\n", b"\rx\n"],
        Filled(b"", 40, b"\n"),
        &[Filled(b"", 41, b"\n"), Filled(b"", 42, b""), Filled(b"\0", 41, b"")],
    ),
    wire(
        r"delimiter:\r\n",
        &[b"one\r\n", b"\r\n", b"\r\r\n", b"\n\r \r\n"],
        Filled(b"", 40, b"\r\n"),
        &[Filled(b"", 41, b"\r\n"), Filled(b"", 42, b"")],
    ),
    wire(
        r"delimiter:\0",
        &[b"one\0", b"\0", b"\\0\0"],
        Filled(b"", 40, b"\0"),
        &[Filled(b"", 41, b"")],
    ),
    wire("delimiter:;", &[b"one;", b";", b"\n;"], Filled(b"", 40, b";"), &[Filled(b"", 41, b";")]),
    // It begins with what it ends with.
    wire(
        "delimiter:--END--",
        &[b"one--END--", b"--EN--END--", b"----END--", b"--END--"],
        Filled(b"", 40, b"--END--"),
        &[Filled(b"", 41, b"--END--"), Filled(b"", 47, b"")],
    ),
    wire(
        r"delimiter:\xFF\0:\\",
        &[b"one\xff\0:\\", b"\xff\0:\xff\0:\\", b"\xff\0:\\"],
        Filled(b"", 40, b"\xff\0:\\"),
        &[Filled(b"", 44, b"")],
    ),
    wire(
        "delimiter:0123456789abcdef",
        &[b"one0123456789abcdef", b"0123456789abcdef"],
        Filled(b"", 40, b"0123456789abcdef"),
        &[Filled(b"", 56, b"")],
    ),
    wire("fixed:1", &[b"a", b"\0", b"\n"], Filled(b"", 1, b""), &[]),
    wire("fixed:5", &[b"abcde", b"\0\0\0\0\0", b"12345"], Filled(b"", 5, b""), &[]),
    wire(
        "u16le",
        &[b"\x03\0one", b"\0\0", b"\x05\0\0\0\0\0\0"],
        Filled(b"\x28\0", 40, b""),
        &[Filled(b"\x29\0", 0, b""), Filled(b"\xff\xff", 0, b"")],
    ),
    wire(
        "u16be",
        &[b"\0\x03one", b"\0\0", b"\0\x05\0\0\0\0\0"],
        Filled(b"\0\x28", 40, b""),
        &[Filled(b"\0\x29", 0, b""), Filled(b"\xff\xff", 0, b"")],
    ),
    wire(
        "u32le",
        &[b"\x03\0\0\0one", b"\0\0\0\0", b"\x01\0\0\0\0"],
        Filled(b"\x28\0\0\0", 40, b""),
        &[Filled(b"\x29\0\0\0", 0, b""), Filled(b"\xff\xff\xff\xff", 0, b"")],
    ),
    wire(
        "u32be",
        &[b"\0\0\0\x03one", b"\0\0\0\0", b"\0\0\0\x01\0"],
        Filled(b"\0\0\0\x28", 40, b""),
        &[Filled(b"\0\0\0\x29", 0, b""), Filled(b"\xff\xff\xff\xff", 0, b"")],
    ),
    // The size counts its own two bytes and the two of the id, which are part of the payload.
    wire(
        "game",
        &[b"\x07\0\x01\x02one", b"\x04\0\0\0", b"\x05\0\xff\xffx"],
        Filled(b"\x2a\0\x09\0", 38, b""),
        &[
            Filled(b"\x2b\0", 0, b""),
            Filled(b"\xff\xff", 0, b""),
            Filled(b"\x03\0", 0, b""),
            Filled(b"\0\0", 0, b""),
        ],
    ),
    wire(
        "length:0:1:be",
        &[b"\x03one", b"\0", b"\x02\0\0"],
        Filled(b"\x28", 40, b""),
        &[Filled(b"\x29", 0, b""), Filled(b"\xff", 0, b"")],
    ),
    wire(
        "length:0:3:le",
        &[b"\x03\0\0one", b"\0\0\0"],
        Filled(b"\x28\0\0", 40, b""),
        &[Filled(b"\x29\0\0", 0, b""), Filled(b"\x01\0\x01", 0, b"")],
    ),
    wire(
        "length:0:3:be",
        &[b"\0\0\x03one", b"\0\0\0"],
        Filled(b"\0\0\x28", 40, b""),
        &[Filled(b"\0\0\x29", 0, b""), Filled(b"\x01\0\x01", 0, b"")],
    ),
    wire(
        "length:0:8:le",
        &[b"\x03\0\0\0\0\0\0\0one", b"\0\0\0\0\0\0\0\0"],
        Filled(b"\x28\0\0\0\0\0\0\0", 40, b""),
        &[
            Filled(b"\x29\0\0\0\0\0\0\0", 0, b""),
            Filled(b"\x03\0\0\0\0\0\0\x80", 0, b""),
            Filled(b"\xff\xff\xff\xff\xff\xff\xff\xff", 0, b""),
        ],
    ),
    wire(
        "length:0:8:be",
        &[b"\0\0\0\0\0\0\0\x03one", b"\0\0\0\0\0\0\0\0"],
        Filled(b"\0\0\0\0\0\0\0\x28", 40, b""),
        &[
            Filled(b"\0\0\0\0\0\0\0\x29", 0, b""),
            Filled(b"\x80\0\0\0\0\0\0\x03", 0, b""),
            Filled(b"\xff\xff\xff\xff\xff\xff\xff\xff", 0, b""),
        ],
    ),
    // It counts itself.
    wire(
        "length:0:1:le:whole",
        &[b"\x04one", b"\x01"],
        Filled(b"\x29", 40, b""),
        &[Filled(b"\x2a", 0, b""), Filled(b"\0", 0, b"")],
    ),
    wire(
        "length:0:5:be:whole",
        &[b"\0\0\0\0\x08one", b"\0\0\0\0\x05"],
        Filled(b"\0\0\0\0\x2d", 40, b""),
        &[
            Filled(b"\0\0\0\0\x2e", 0, b""),
            Filled(b"\0\0\0\0\x04", 0, b""),
            Filled(b"\xff\xff\xff\xff\xff", 0, b""),
        ],
    ),
    // What is in front of the field is part of the payload, and so is the field.
    wire(
        "length:4:2:be",
        &[b"HEAD\0\x03one", b"\0\0\0\0\0\0", b"head\0\x01x"],
        Filled(b"HEAD\0\x22", 34, b""),
        &[Filled(b"HEAD\0\x23", 0, b""), Filled(b"HEAD\xff\xff", 0, b"")],
    ),
    wire(
        "length:2:3:le:whole",
        &[b"id\x08\0\0one", b"\0\0\x05\0\0"],
        Filled(b"id\x28\0\0", 35, b""),
        &[Filled(b"id\x29\0\0", 0, b""), Filled(b"id\x04\0\0", 0, b"")],
    ),
    wire(
        "length:15:1:be",
        &[b"0123456789abcde\x03one", b"0123456789abcde\0"],
        Filled(b"0123456789abcde\x18", 24, b""),
        &[Filled(b"0123456789abcde\x19", 0, b"")],
    ),
    // It says two more than follow.
    wire(
        "length:0:2:be:-2",
        &[b"\0\x05one", b"\0\x02"],
        Filled(b"\0\x2a", 40, b""),
        &[Filled(b"\0\x2b", 0, b""), Filled(b"\0\x01", 0, b"")],
    ),
    // It leaves out the first four of what follows.
    wire(
        "length:0:1:le:+4",
        &[b"\x03fourone", b"\0four"],
        Filled(b"\x24four", 36, b""),
        &[Filled(b"\x25", 0, b"")],
    ),
    // It counts the frame, less one.
    wire(
        "length:1:2:be:whole:1",
        &[b"k\0\x05one", b"k\0\x02"],
        Filled(b"k\0\x27", 37, b""),
        &[Filled(b"k\0\x28", 0, b""), Filled(b"k\0\x01", 0, b"")],
    ),
];
