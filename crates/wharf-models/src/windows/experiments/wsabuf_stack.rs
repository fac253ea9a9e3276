//! An array of `WSABUF`s on the stack.
//!
//! A receive is started with two buffers, of which a function's local array tells. The function returns and its stack
//! is used for other things, here made certain: the array is overwritten before the peer sends anything, so that it
//! points at another buffer. What should go wrong? Nothing does: Winsock copies the array while it is called, and the
//! bytes go where it pointed *then*.
//!
//! It is the rest that must live until the packet has come: the buffers themselves, and the `OVERLAPPED`. If one of
//! these lies on the stack of a function that returns, the kernel writes into whatever is there next; nothing says so,
//! and it goes well until the day when the operation is not done at once. (That is not tried here. A program in which
//! it has happened can promise nothing more, not even a report.)

use std::io::{self, Write};
use std::net::TcpStream;
use std::ptr::null_mut;

use windows_sys::Win32::Networking::WinSock::{WSABUF, WSARecv};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::{PATIENCE_MS, io_error, pair};
use crate::experiments::{Experiment, Verdict};
use crate::windows::iocp::CompletionPort;
use crate::windows::winsock::{length, raw, started};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "wsabuf-stack",
    system: "Windows",
    summary: "an array of WSABUFs may be gone when the call is back, what it points at may not",
    run,
};

const FIRST: usize = 4;
const SECOND: usize = 12;
const SENT: &[u8; FIRST + SECOND] = b"0123456789abcdef";

/// All that the kernel may write to.
#[derive(Default)]
struct Kept {
    overlapped: OVERLAPPED,
    first: [u8; FIRST],
    second: [u8; SECOND],
    /// Where the array points at after the call.
    decoy: [u8; FIRST + SECOND],
}

fn run(report: &mut dyn Write) -> io::Result<Verdict> {
    let port = CompletionPort::open(0).map_err(io_error)?;
    let (mut peer, socket) = pair()?;
    port.associate(raw(&socket), 0).map_err(io_error)?;
    // Leaked until the packet has come: if it never does, these bytes are the kernel's for good.
    let kept = Box::into_raw(Box::<Kept>::default());
    start(&socket, kept)?;
    peer.write_all(SENT)?;
    let packet = port.take_within(PATIENCE_MS).map_err(io_error)?;
    // SAFETY: it was leaked above, and the packet says that the kernel has done with it.
    let kept = unsafe { Box::from_raw(kept) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', ".");
    writeln!(report, "the array is overwritten after the call, before {:?} is sent", text(SENT))?;
    writeln!(report, "came: {:?}", packet.outcome)?;
    writeln!(report, "where the array pointed: {:?}, {:?}", text(&kept.first), text(&kept.second))?;
    writeln!(report, "where it points now:     {:?}", text(&kept.decoy))?;
    let is_intact = kept.first == SENT[..FIRST] && kept.second == SENT[FIRST..];
    let is_shown = is_intact && kept.decoy == [0; FIRST + SECOND];
    Ok(if is_shown { Verdict::Shown } else { Verdict::NotShown })
}

/// Starts a receive, with an array that is gone afterwards.
#[inline(never)]
fn start(socket: &TcpStream, kept: *mut Kept) -> io::Result<()> {
    // SAFETY: it was leaked by the caller, and to take an address touches nothing; the same holds below.
    let first = unsafe { &raw mut (*kept).first };
    // SAFETY: as above.
    let second = unsafe { &raw mut (*kept).second };
    // SAFETY: as above.
    let decoy = unsafe { &raw mut (*kept).decoy };
    // SAFETY: as above.
    let overlapped = unsafe { &raw mut (*kept).overlapped };
    let mut buffers = [
        WSABUF { len: length(FIRST), buf: first.cast() },
        WSABUF { len: length(SECOND), buf: second.cast() },
    ];
    let (array, mut flags) = (buffers.as_mut_ptr(), 0);
    // SAFETY: all but the array lives until the packet has come, and the array during the call.
    let answer =
        unsafe { WSARecv(raw(socket), array, 2, null_mut(), &raw mut flags, overlapped, None) };
    if let Err(error) = started(answer == 0) {
        // SAFETY: the kernel has not taken it, and the caller does not look at it after an error.
        drop(unsafe { Box::from_raw(kept) });
        return Err(error);
    }
    let elsewhere = WSABUF { len: length(FIRST + SECOND), buf: decoy.cast() };
    for at in 0..2 {
        // SAFETY: it is an entry of the array. Volatile, or it would be left out: nobody reads it again, one hopes.
        unsafe { array.wrapping_add(at).write_volatile(elsewhere) };
    }
    Ok(())
}
