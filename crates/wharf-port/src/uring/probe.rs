//! Whether `io_uring` works here, and with which features. Decided once per process.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use io_uring::types::Fd;
use io_uring::{Probe, opcode, squeue};
use rustix::io::Errno;

use super::provided::{GROUP, Provided};
use super::ring::{Outcome, Ring};
use super::token::{Kind, Token};
use crate::buffer::BufferPool;
use crate::error::OpenError;
use crate::options::UringFeatures;
use crate::select::Backend;

/// Waits of the self-test: each is for something that has happened already.
const STEP: Duration = Duration::from_secs(2);

/// The features that work, or why none does.
type Verdict = Result<UringFeatures, String>;

/// Asks the kernel, and tries it out on a socket pair.
///
/// # Errors
/// A shortage only: it says nothing about `io_uring`, so it is not remembered, and nothing falls back
/// because of it.
pub(crate) fn probe() -> Result<Verdict, OpenError> {
    static VERDICT: OnceLock<Verdict> = OnceLock::new();
    if let Some(verdict) = VERDICT.get() {
        return Ok(verdict.clone());
    }
    let verdict = match examine() {
        Ok(features) => Ok(features),
        Err(Failure::Denied(reason)) => Err(reason),
        Err(Failure::Shortage(source)) => return Err(shortage(source)),
    };
    Ok(VERDICT.get_or_init(|| verdict).clone())
}

pub(super) fn shortage(source: io::Error) -> OpenError {
    let advice = match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOMEM) => "raise the limit of locked memory, ulimit -l, or free memory",
        _ => "raise the descriptor limit, ulimit -n",
    };
    OpenError::Shortage { backend: Backend::Uring, source, advice }
}

pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}

enum Failure {
    /// It does not work here: take the step down.
    Denied(String),
    Shortage(io::Error),
}

impl Failure {
    fn at(step: &str, error: io::Error) -> Self {
        if is_shortage(&error) {
            Self::Shortage(error)
        } else {
            Self::Denied(format!("{step}: {error}"))
        }
    }
}

fn examine() -> Result<UringFeatures, Failure> {
    let mut features = UringFeatures::default();
    let ring = match Ring::open(8, features) {
        Ok(ring) => ring,
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            features.defer_taskrun = false;
            Ring::open(8, features).map_err(|error| Failure::at("io_uring_setup", error))?
        }
        Err(error) => return Err(Failure::at("io_uring_setup", error)),
    };
    check_parameters(&ring).map_err(Failure::Denied)?;
    check_operations(&ring)?;
    drop(ring);
    match self_test(features) {
        Err(Failure::Denied(_)) if features.multishot_receive => {
            features.multishot_receive = false;
            self_test(features)
        }
        tested => tested,
    }?;
    Ok(features)
}

fn check_parameters(ring: &Ring) -> Result<(), String> {
    let parameters = ring.inner().params();
    let needed = [
        ("NODROP", parameters.is_feature_nodrop()),
        ("SUBMIT_STABLE", parameters.is_feature_submit_stable()),
        ("FAST_POLL", parameters.is_feature_fast_poll()),
        ("EXT_ARG", parameters.is_feature_ext_arg()),
        ("CQE_SKIP", parameters.is_feature_skip_cqe_on_success()),
    ];
    match needed.iter().find(|(_, present)| !present) {
        Some((name, _)) => Err(format!("this kernel's io_uring lacks {name}")),
        None => Ok(()),
    }
}

fn check_operations(ring: &Ring) -> Result<(), Failure> {
    let mut probe = Probe::new();
    ring.inner()
        .submitter()
        .register_probe(&mut probe)
        .map_err(|error| Failure::at("io_uring_register", error))?;
    let needed = [
        ("ACCEPT", opcode::AcceptMulti::CODE),
        ("CONNECT", opcode::Connect::CODE),
        ("RECV", opcode::RecvMulti::CODE),
        ("SEND", opcode::Send::CODE),
        ("SENDMSG", opcode::SendMsg::CODE),
        ("POLL_ADD", opcode::PollAdd::CODE),
        ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ];
    match needed.iter().find(|(_, code)| !probe.is_supported(*code)) {
        Some((name, _)) => Err(Failure::Denied(format!("this kernel's io_uring lacks {name}"))),
        None => Ok(()),
    }
}

/// A ring and its buffers, which must go in this order.
struct Trial {
    ring: Ring,
    provided: Provided,
}

/// Tries what kernels have been seen to get wrong, and what a filter that denies only `io_uring_enter`
/// breaks.
fn self_test(features: UringFeatures) -> Result<(), Failure> {
    // First, so that a shortage here leaves nothing with the kernel.
    let pair = UnixStream::pair().map_err(|error| Failure::at("socketpair", error))?;
    let ring = Ring::open(8, features).map_err(|error| Failure::at("io_uring_setup", error))?;
    let provided = Provided::register(&ring, BufferPool::new(2, 64))
        .map_err(|error| Failure::at("io_uring_register (buffer ring)", error))?;
    let mut trial = Trial { ring, provided };
    let tried = trial.receive_and_cancel(features, &pair);
    if tried.is_err() {
        // The receive may be armed still, and a kernel that fails here is not trusted to end it.
        trial.provided.leak();
    }
    tried
}

impl Trial {
    /// Receives twice on a socket pair, then cancels and joins.
    fn receive_and_cancel(
        &mut self,
        features: UringFeatures,
        (ours, theirs): &(UnixStream, UnixStream),
    ) -> Result<(), Failure> {
        let denied = |step: &str| Failure::Denied(format!("self-test: {step}"));
        self.provided.refill();
        let token = Token::numbered(Kind::Receive, 0);
        let entry = receive_entry(Fd(ours.as_raw_fd()), features, 64).user_data(token.0);
        let mut armed = false;
        for byte in [b'1', b'2'] {
            if !armed {
                self.stage(entry.clone());
            }
            io::Write::write_all(&mut &*theirs, &[byte])
                .map_err(|error| Failure::at("socketpair", error))?;
            let outcome = self.next()?;
            match (outcome.checked(), outcome.buffer()) {
                (Ok(1), Some(buffer)) if *self.provided.lease(buffer, 1) == [byte] => {}
                _ => return Err(denied("a receive gave something else than was sent")),
            }
            armed = outcome.more();
            if armed != features.multishot_receive {
                return Err(denied("a multishot receive did not stay armed"));
            }
        }
        if !armed {
            self.stage(entry);
        }
        let cancel = opcode::AsyncCancel::new(token.0).build();
        let cancel = cancel.flags(squeue::Flags::SKIP_SUCCESS);
        self.stage(cancel.user_data(token.cancel().0));
        let last = self.next()?;
        if last.token != token || last.more() || last.result >= 0 {
            return Err(denied("a cancelled receive did not end"));
        }
        Ok(())
    }

    fn stage(&mut self, entry: squeue::Entry) {
        // SAFETY: the entries of the test point at nothing but the provided buffers, which go after the
        // ring (declaration order), and not at all if the test fails.
        unsafe { self.ring.stage(entry) };
    }

    fn next(&mut self) -> Result<Outcome, Failure> {
        let failed = |error| Failure::at("io_uring_enter", error);
        let mut outcomes = VecDeque::new();
        self.ring.enter(Some(STEP), &mut outcomes).map_err(failed)?;
        self.ring.reap(&mut outcomes).map_err(failed)?;
        let nothing = || Failure::Denied("self-test: nothing was completed in time".to_owned());
        outcomes.pop_front().ok_or_else(nothing)
    }
}

/// The receive that a port arms: it takes a provided buffer when bytes are there, and stays armed if
/// the kernel can.
pub(super) fn receive_entry(fd: Fd, features: UringFeatures, len: u32) -> squeue::Entry {
    if features.multishot_receive {
        return opcode::RecvMulti::new(fd, GROUP).build();
    }
    let receive = opcode::Recv::new(fd, std::ptr::null_mut(), len).buf_group(GROUP).build();
    receive.flags(squeue::Flags::BUFFER_SELECT)
}
