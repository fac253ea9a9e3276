//! What interrupts a wait.

#[cfg(target_os = "linux")]
mod eventfd;
#[cfg(not(target_os = "linux"))]
mod kqueue;

#[cfg(target_os = "linux")]
pub(crate) use eventfd::Notifier;
#[cfg(not(target_os = "linux"))]
pub(crate) use kqueue::{NOTIFIED, Notifier};
