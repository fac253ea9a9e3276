//! What the process holds.

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::ProcessStatus::{GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

fn this_process() -> HANDLE {
    // SAFETY: it gives a constant that stands for this process, and is not closed.
    unsafe { GetCurrentProcess() }
}

/// Handles that are open in this process, sockets among them.
pub(crate) fn handles() -> u32 {
    let mut count = 0;
    // SAFETY: the process is this one, and the number is written during the call.
    let answer = unsafe { GetProcessHandleCount(this_process(), &raw mut count) };
    assert_ne!(answer, 0, "handles cannot be counted");
    count
}

/// Bytes that the process has committed.
pub(crate) fn memory() -> usize {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = u32::try_from(size_of_val(&counters)).unwrap();
    // SAFETY: the process is this one, and as many bytes are written as the structure has.
    let answer = unsafe { GetProcessMemoryInfo(this_process(), &raw mut counters, size) };
    assert_ne!(answer, 0, "memory cannot be measured");
    counters.PagefileUsage
}
