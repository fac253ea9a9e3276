//! Waits that end more exactly than the system's tick.
//!
//! `GetQueuedCompletionStatusEx` rounds its timeout to the tick of the clock: 15.6 ms by default, so
//! that a loop of 60 turns a second runs at 32 or 64. A high-resolution timer (Windows 10 1803) that
//! posts to the port does not. The functions that tie it to a port are documented and in no import
//! library (`NtAssociateWaitCompletionPacket`, Windows 8), so they are looked up as the program runs.

use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::time::Duration;

use windows_sys::Win32::Foundation::{GetLastError, HANDLE, NTSTATUS, STATUS_SUCCESS};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, CreateWaitableTimerExW, SetWaitableTimer,
    TIMER_ALL_ACCESS,
};
use windows_sys::w;

use super::port::Port;
use crate::iocp::code::Code;

type Create = unsafe extern "system" fn(*mut HANDLE, u32, *const c_void) -> NTSTATUS;
type Associate = unsafe extern "system" fn(
    packet: HANDLE,
    port: HANDLE,
    target: HANDLE,
    key: *const c_void,
    context: *const c_void,
    status: NTSTATUS,
    information: usize,
    already_signalled: *mut u8,
) -> NTSTATUS;
type Cancel = unsafe extern "system" fn(packet: HANDLE, remove_signalled: u8) -> NTSTATUS;

#[derive(Clone, Copy, Debug)]
struct Functions {
    create: Create,
    associate: Associate,
    cancel: Cancel,
}

/// A timer, and the packet that it sends.
#[derive(Debug)]
pub(crate) struct Timer {
    functions: Functions,
    timer: OwnedHandle,
    packet: OwnedHandle,
}

impl Timer {
    /// `None` on a system that lacks the functions, as Wine does.
    pub(super) fn open() -> Option<Self> {
        let functions = functions()?;
        let flags = CREATE_WAITABLE_TIMER_HIGH_RESOLUTION;
        // SAFETY: neither attributes nor a name are given.
        let timer = unsafe { CreateWaitableTimerExW(null(), null(), flags, TIMER_ALL_ACCESS) };
        if timer.is_null() {
            return None;
        }
        // SAFETY: the handle is valid, was made just now, and is nobody else's.
        let timer = unsafe { OwnedHandle::from_raw_handle(timer) };
        let mut packet = null_mut();
        /// `GENERIC_ALL`.
        const ALL: u32 = 0x1000_0000;
        // SAFETY: the handle is written during the call; there are no attributes.
        let status = unsafe { (functions.create)(&raw mut packet, ALL, null()) };
        if status != STATUS_SUCCESS {
            return None;
        }
        // SAFETY: as for the timer.
        let packet = unsafe { OwnedHandle::from_raw_handle(packet) };
        Some(Self { functions, timer, packet })
    }

    pub(super) fn set(&self, port: &Port, after: Duration, key: usize) -> Result<(), Code> {
        let (timer, packet) = (self.timer.as_raw_handle(), self.packet.as_raw_handle());
        // SAFETY: the packet is ours; what it has sent and was not dequeued is taken back.
        let _ = unsafe { (self.functions.cancel)(packet, 1) };
        // Negative is from now on, in units of 100 ns.
        let due = -i64::try_from(after.as_nanos().div_ceil(100)).unwrap_or(i64::MAX);
        // SAFETY: the time is read during the call; no routine is called at its end.
        let set = unsafe { SetWaitableTimer(timer, &raw const due, 0, None, null(), 0) };
        if set == 0 {
            // SAFETY: it reads a number of this thread's.
            return Err(Code(unsafe { GetLastError() }));
        }
        let key = std::ptr::without_provenance::<c_void>(key);
        // SAFETY: all three handles are open; key and context are passed on and not looked at.
        let status = unsafe {
            (self.functions.associate)(packet, port.handle(), timer, key, null(), 0, 0, null_mut())
        };
        super::port::failure_of(status.cast_unsigned() as usize).map_or(Ok(()), Err)
    }
}

/// The functions of `ntdll`, looked up once.
fn functions() -> Option<Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    *FUNCTIONS.get_or_init(|| {
        let create = exported(c"NtCreateWaitCompletionPacket")?;
        let associate = exported(c"NtAssociateWaitCompletionPacket")?;
        let cancel = exported(c"NtCancelWaitCompletionPacket")?;
        Some(Functions {
            // SAFETY: the type is the one documented for the function of this name.
            create: unsafe { transmute::<Exported, Create>(create) },
            // SAFETY: as above.
            associate: unsafe { transmute::<Exported, Associate>(associate) },
            // SAFETY: as above.
            cancel: unsafe { transmute::<Exported, Cancel>(cancel) },
        })
    })
}

pub(super) fn is_wine() -> bool {
    exported(c"wine_get_version").is_some()
}

type Exported = unsafe extern "system" fn() -> isize;

/// A function of `ntdll`, if this system has it.
fn exported(name: &CStr) -> Option<Exported> {
    // SAFETY: the name of the module is a constant; it is part of every process and is never unloaded.
    let module = unsafe { GetModuleHandleW(w!("ntdll.dll")) };
    if module.is_null() {
        return None;
    }
    // SAFETY: the module is loaded, and the name ends with a zero.
    unsafe { GetProcAddress(module, name.as_ptr().cast()) }
}
