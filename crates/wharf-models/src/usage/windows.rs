//! What Windows tells, and Wine.

use std::os::windows::io::AsRawHandle;
use std::process::Child;
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Threading::GetProcessTimes;

use super::Calls;

pub(super) fn cpu(child: &Child) -> Option<Duration> {
    let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let (mut created, mut exited, mut kernel, mut user) = (zero, zero, zero, zero);
    // SAFETY: the handle is the child's own and open as long as `child` is borrowed; the four times are written to
    // during the call alone.
    let told = unsafe {
        GetProcessTimes(child.as_raw_handle(), &mut created, &mut exited, &mut kernel, &mut user)
    };
    (told != 0).then(|| time(kernel) + time(user))
}

/// A time of Windows, which counts tenths of a microsecond.
fn time(of: FILETIME) -> Duration {
    let tenths = u64::from(of.dwHighDateTime) << 32 | u64::from(of.dwLowDateTime);
    Duration::from_nanos(tenths.saturating_mul(100))
}

/// Counts nothing here.
#[derive(Debug)]
pub enum CallCounter {}

impl CallCounter {
    /// Is always refused here.
    ///
    /// # Errors
    /// Always: what is missing.
    pub fn attach(_child: &Child) -> Result<Self, String> {
        Err("this system does not count the calls of another process".to_owned())
    }

    /// Is never reached.
    ///
    /// # Errors
    /// Never.
    pub const fn read(&mut self) -> std::io::Result<Calls> {
        match *self {}
    }
}
