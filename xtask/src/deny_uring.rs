//! Denies `io_uring` to a command, as container runtimes do: by a seccomp filter.
//!
//! The filter is installed in this process, which then becomes the command; children inherit it, and
//! nothing takes it off again.

use std::ffi::OsString;

use clap::ValueEnum;

use crate::Result;
use crate::totals::Totals;

/// Which call of `io_uring` fails, and how.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub(crate) enum How {
    /// All of them, with EPERM: what Docker's and Podman's default profiles do.
    #[default]
    SetupEperm,
    /// All of them, with ENOSYS: a kernel without it.
    SetupEnosys,
    /// Only `io_uring_enter`, with EPERM: a ring can be set up, and does nothing.
    EnterEperm,
}

impl How {
    pub(crate) const ALL: [Self; 3] = [Self::SetupEperm, Self::SetupEnosys, Self::EnterEperm];

    /// The name as the command line has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SetupEperm => "setup-eperm",
            Self::SetupEnosys => "setup-enosys",
            Self::EnterEperm => "enter-eperm",
        }
    }
}

/// Becomes the command, with `io_uring` denied. Returns only if that fails.
#[cfg(target_os = "linux")]
pub(crate) fn exec(how: How, command: &[OsString]) -> Result<Totals> {
    use std::os::unix::process::CommandExt;

    let Some((program, arguments)) = command.split_first() else {
        return Err("a command is missing: cargo xtask deny-uring -- COMMAND...".into());
    };
    let filter = linux::filter(how)?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("the kernel takes no seccomp filter: {error}"))?;
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(format!("cannot start {}: {error}", program.display()).into())
}

/// Elsewhere there is nothing to deny.
#[cfg(not(target_os = "linux"))]
pub(crate) fn exec(_: How, _: &[OsString]) -> Result<Totals> {
    Err("io_uring exists on Linux only: there is nothing to deny".into())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    use super::How;
    use crate::Result;

    /// A filter that fails the calls in question and allows every other.
    pub(super) fn filter(how: How) -> Result<BpfProgram> {
        const ALL: &[i64] =
            &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
        let (calls, errno) = match how {
            How::SetupEperm => (ALL, libc::EPERM),
            How::SetupEnosys => (ALL, libc::ENOSYS),
            How::EnterEperm => (&[libc::SYS_io_uring_enter][..], libc::EPERM),
        };
        // A call without conditions matches whatever its arguments are.
        let rules: BTreeMap<i64, _> = calls.iter().map(|&call| (call, Vec::new())).collect();
        let denied = SeccompAction::Errno(errno.unsigned_abs());
        let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| {
            format!("seccomp filters are not written for {}", std::env::consts::ARCH)
        })?;
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)?;
        Ok(BpfProgram::try_from(filter)?)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_way_has_a_filter() {
            for how in How::ALL {
                assert!(!filter(how).unwrap().is_empty(), "{}", how.name());
            }
        }
    }
}
