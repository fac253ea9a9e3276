//! The file of a listening Unix socket: taken over from a server that has died, never from one that
//! lives, and removed with its listener.
//!
//! A file that nobody listens on any more looks like one that is about to be listened on, so two servers
//! that start at the same path must not look at the same time. The file beside it, `PATH.lock`, is locked
//! for as long as a listener lives, and the system unlocks it however that ends. Other programs do not
//! lock it: whether one of them lives is asked by connecting. (A full queue refuses as well on the BSDs,
//! so that there a stranger with one is taken for dead.)

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, bind, connect};

use super::addresses::to_system;
use super::fresh::open;
use super::{Socket, adapt};
use crate::address::Address;
use crate::error::ListenError;

/// How long a listener may live on when its process has died.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// How often it is knocked at: who answers and goes each time lives.
const KNOCKS: usize = 4;
/// How often a lock is tried whose file is removed meanwhile: each time another listener has ended.
const LOCK_TRIES: usize = 8;

/// The file of a listener. Dropping it removes it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    made: FileId,
    /// Given up last.
    _lock: Lock,
}

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileId {
    device: u64,
    inode: u64,
}

/// The right to a path. Dropping it gives that up.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    file: File,
    /// Its file was there: whoever had it has died.
    was_left: bool,
}

impl SocketFile {
    /// Binds a socket to a path, and gives the file this mode.
    pub(super) fn bind(
        socket: &Socket,
        address: &Address,
        path: &Path,
        mode: Option<u32>,
    ) -> Result<Self, ListenError> {
        let failed = |error: io::Error| ListenError::new(address, errno_of(&error));
        // The process may change its directory before it is removed.
        let path = std::path::absolute(path).map_err(failed)?;
        let lock = Lock::take(&path).map_err(failed)?;
        narrow(socket, mode).map_err(|errno| failed(errno.into()))?;
        let at = to_system(address).map_err(|errno| failed(errno.into()))?;
        let bound = match bind(socket, &at) {
            Err(Errno::ADDRINUSE) => {
                clear(&path, address, &at, lock.was_left)?;
                bind(socket, &at)
            }
            bound => bound,
        };
        bound.map_err(|errno| failed(errno.into()))?;
        let made = FileId::of(&fs::symlink_metadata(&path).map_err(failed)?);
        let file = Self { path, made, _lock: lock };
        if let Some(mode) = mode {
            // Nobody can connect before it listens.
            fs::set_permissions(&file.path, Permissions::from_mode(mode)).map_err(failed)?;
        }
        Ok(file)
    }
}

impl Drop for SocketFile {
    /// It may have been removed, and another have taken its place.
    fn drop(&mut self) {
        if FileId::at(&self.path) == Some(self.made) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Lock {
    /// `ADDRINUSE` if another listener has it.
    fn take(socket: &Path) -> io::Result<Self> {
        let mut path = OsString::from(socket);
        path.push(".lock");
        let path = PathBuf::from(path);
        for _ in 0..LOCK_TRIES {
            let (file, was_left) = open_lock(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => break,
                locked => locked?,
            }
            // Whoever had it has removed the file, between our opening and our locking it.
            if FileId::at(&path) == Some(FileId::of(&file.metadata()?)) {
                return Ok(Self { path, file, was_left });
            }
        }
        Err(Errno::ADDRINUSE.into())
    }
}

/// Opens the file of a lock, or makes it; whether it was there.
fn open_lock(path: &Path) -> io::Result<(File, bool)> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600).custom_flags(flags);
    match options.clone().create_new(true).open(path) {
        Ok(made) => Ok((made, false)),
        // It may go meanwhile, as its owner ends.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok((options.create(true).open(path)?, true))
        }
        Err(error) => Err(error),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let own = self.file.metadata().map(|file| FileId::of(&file)).ok();
        if own.is_some() && own == FileId::at(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl FileId {
    fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }

    fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|file| Self::of(&file))
    }
}

/// Has the file begin with no more rights than it is to have, where a socket can be told before there is
/// one.
fn narrow(socket: &Socket, mode: Option<u32>) -> Result<(), Errno> {
    #[cfg(target_os = "linux")]
    if let Some(mode) = mode {
        rustix::fs::fchmod(socket, rustix::fs::Mode::from_raw_mode(mode))?;
    }
    let _ = (socket, mode);
    Ok(())
}

/// Removes what a dead server has left at a path; nothing else. If it was one of ours, its socket may
/// outlive it for a moment.
fn clear(
    path: &Path,
    address: &Address,
    at: &SocketAddrAny,
    was_ours: bool,
) -> Result<(), ListenError> {
    let failed = |error: io::Error| Err(ListenError::new(address, errno_of(&error)));
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(ListenError::NotASocket(address.clone()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return failed(error),
    }
    match knock(address, at, was_ours) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).or_else(failed),
        Err(Errno::NOENT) => Ok(()),
        Err(errno @ (Errno::ACCESS | Errno::MFILE | Errno::NFILE)) => failed(errno.into()),
        // It answers, it is too busy to, or it is there for something else than streams.
        _ => Err(ListenError::AddressInUse(address.clone())),
    }
}

/// Connects to whoever is there, and leaves. The system takes a ring of a process apart when that has ended,
/// and its listeners answer until then: who may be such a one is waited for, and knocked at again.
fn knock(address: &Address, at: &SocketAddrAny, may_be_ending: bool) -> Result<(), Errno> {
    for _ in 0..KNOCKS {
        let socket = open(address)?;
        adapt(&socket, true)?;
        connect(&socket, at)?;
        if !may_be_ending || !ends_within(&socket, LAST_MOMENT) {
            break;
        }
    }
    Ok(())
}

/// Whether the other end goes within this time.
fn ends_within(socket: &Socket, time: Duration) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::empty())];
    let timeout = Timespec::try_from(time).ok();
    poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0)
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_by_one_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let lock_file = directory.path().join("socket.lock");
        let lock = Lock::take(&socket).unwrap();
        let refused = Lock::take(&socket).unwrap_err();
        assert_eq!(errno_of(&refused), Errno::ADDRINUSE);
        // What takes its place is another's.
        fs::rename(&lock_file, directory.path().join("moved")).unwrap();
        let other = Lock::take(&socket).unwrap();
        drop(lock);
        assert!(lock_file.exists(), "the other one has it");
        drop(other);
        assert!(!lock_file.exists());
    }
}
