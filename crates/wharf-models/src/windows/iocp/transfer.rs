//! `RecvPost` and `SendPost`: how operations are started and what is done when they are over.

use std::ptr::null_mut;

use windows_sys::Win32::Networking::WinSock::{WSABUF, WSARecv, WSASend};

use super::send_queue::{GATHER_MAX, SendQueue};
use super::session::{Counted, Receiving};
use crate::windows::winsock::{length, raw, started};

/// Starts a receive to all that is free in the ring, unless there is one or nothing is free.
pub(super) fn receive(session: &Counted<'_>, receiving: &mut Receiving) {
    if receiving.is_pending
        || receiving.has_ended
        || receiving.ring.is_full()
        || session.has_failed()
    {
        return;
    }
    // On the stack, which is gone when the receive is done: the array is read during the call alone
    // (`wharf models experiment wsabuf-stack`). What it points at is not.
    let buffers = receiving.ring.free();
    let count = if buffers[1].len == 0 { 1 } else { 2 };
    let (socket, mut flags) = (raw(&session.socket), 0);
    // Before the call: its packet may be dealt with by another thread before this one is back.
    let counted = session.another();
    receiving.is_pending = true;
    // SAFETY: no receive is pending, as was asked above.
    let overlapped = unsafe { session.receive.renewed() };
    // SAFETY: session and ring live until the packet has come, by the count that is kept for it.
    let answer = unsafe {
        WSARecv(socket, buffers.as_ptr(), count, null_mut(), &raw mut flags, overlapped, None)
    };
    // What is done at once has a packet all the same, so there is no second way.
    if started(answer == 0).is_ok() {
        counted.keep_for_kernel();
        cancel_if_failed(session);
    } else {
        receiving.is_pending = false;
        receiving.has_ended = true;
        session.fail();
    }
}

/// A receive is over.
pub(super) fn received(session: &Counted<'_>, outcome: Result<u32, u32>) {
    let mut receiving = session.receiving();
    receiving.is_pending = false;
    match outcome {
        Ok(bytes) if bytes > 0 => receiving.ring.fill(bytes as usize),
        // The peer has ended. What was received before is still sent, and then the count is 0.
        Ok(_) => receiving.has_ended = true,
        Err(_) => {
            receiving.has_ended = true;
            session.fail();
        }
    }
    deliver(session, &mut receiving);
}

/// Hands over what has come, as far as it is taken, and receives further.
fn deliver(session: &Counted<'_>, receiving: &mut Receiving) {
    while !receiving.ring.front().is_empty() {
        let front = receiving.ring.front();
        let (taken, all) = (session.service.on_received(session.id(), front), front.len());
        receiving.ring.take(taken);
        if taken < all {
            break;
        }
    }
    receive(session, receiving);
}

/// Queues bytes, and starts a send if there is none: how many bytes there was room for.
pub(super) fn send(session: &Counted<'_>, bytes: &[u8]) -> usize {
    let mut queue = session.sending();
    if session.has_failed() {
        return bytes.len();
    }
    let taken = queue.push(bytes);
    post_send(session, &mut queue);
    taken
}

/// Starts a send of all that waits, unless there is one or nothing waits.
fn post_send(session: &Counted<'_>, queue: &mut SendQueue) {
    if queue.is_sending() || session.has_failed() {
        return;
    }
    let mut buffers = [WSABUF { len: 0, buf: null_mut() }; GATHER_MAX];
    let count = queue.start(&mut buffers);
    if count == 0 {
        return;
    }
    let counted = session.another();
    // SAFETY: no send is in flight, as was asked above.
    let overlapped = unsafe { session.send.renewed() };
    let socket = raw(&session.socket);
    // SAFETY: session and packets live until the packet has come, by the count that is kept for it.
    let answer = unsafe {
        WSASend(socket, buffers.as_ptr(), length(count), null_mut(), 0, overlapped, None)
    };
    if started(answer == 0).is_ok() {
        counted.keep_for_kernel();
        cancel_if_failed(session);
    } else {
        queue.finish();
        session.fail();
    }
}

/// A send is over.
pub(super) fn sent(session: &Counted<'_>, outcome: Result<u32, u32>) {
    let mut queue = session.sending();
    let whole = queue.finish();
    // Part of a send is an error: where the stream stands is not known.
    if outcome.is_ok_and(|bytes| bytes as usize == whole) {
        post_send(session, &mut queue);
    } else {
        session.fail();
    }
    drop(queue);
    // There is room again for what was not taken.
    let mut receiving = session.receiving();
    if !receiving.ring.front().is_empty() && !session.has_failed() {
        deliver(session, &mut receiving);
    }
}

/// An operation that was started while another thread found the connection failed has missed its
/// cancelling.
fn cancel_if_failed(session: &Counted<'_>) {
    if session.has_failed() {
        session.fail();
    }
}
