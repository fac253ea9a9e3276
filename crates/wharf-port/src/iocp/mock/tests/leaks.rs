//! What the kernel does not give back is leaked: all tests here leak, and a sanitizer is told so
//! (`lsan.supp` of `xtask`).

use std::sync::Arc;
use std::time::Duration;

use super::super::rig::{Rig, assert_clean, received};
use super::super::switches::Switches;
use crate::buffer::Segment;

/// A driver with a receive, a send of shared bytes, and four accepts with the kernel.
fn with_everything_under_way() -> (Rig, Arc<[u8]>) {
    let mut rig = Rig::new(Switches { window: 100, ..Switches::default() });
    rig.listen();
    let (client, socket) = rig.receiving();
    client.send(b"busy, so that it gets a buffer");
    rig.settle();
    let bytes: Arc<[u8]> = [1; 500].into();
    rig.iocp.send(socket, vec![Segment::Shared(Arc::clone(&bytes).into())]).unwrap();
    rig.settle();
    assert_eq!(rig.mock.operations(), 6);
    (rig, bytes)
}

/// Drops a driver whose kernel has kept everything: nothing of that may be freed.
fn drop_and_write(rig: Rig, bytes: &Arc<[u8]>) {
    let Rig { mock, iocp, port, .. } = rig;
    drop(iocp);
    drop(port);
    assert_eq!(Arc::strong_count(bytes), 2, "what is being sent was freed");
    // It may write there for ever: a sanitizer says whether that is still ours.
    mock.write_everywhere();
    assert_eq!(mock.operations(), 6);
}

#[test]
fn what_the_kernel_does_not_give_back_is_leaked_and_said() {
    let (mut rig, bytes) = with_everything_under_way();
    rig.mock.switch(|switches| switches.keeps = true);
    let error = rig.iocp.shut_down(Duration::from_millis(10)).unwrap_err();
    assert_eq!(error.operations, 6);
    drop_and_write(rig, &bytes);
}

#[test]
fn a_panic_while_the_port_is_closed_frees_nothing() {
    let (mut rig, bytes) = with_everything_under_way();
    rig.mock.switch(|switches| {
        switches.keeps = true;
        switches.panics = true;
    });
    let shut_down = || rig.iocp.shut_down(Duration::from_millis(10));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(shut_down)).unwrap_err();
    drop_and_write(rig, &bytes);
}

#[test]
fn a_port_that_is_broken_says_so_and_frees_nothing() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (_client, _socket) = rig.receiving();
    rig.mock.abandon_ports();
    let error = rig.iocp.wait(Some(Duration::ZERO), rig.now).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(735));
    assert!(rig.iocp.shut_down(Duration::from_secs(1)).is_err());
    let Rig { mock, iocp, .. } = rig;
    drop(iocp);
    mock.write_everywhere();
}

#[test]
#[cfg_attr(debug_assertions, should_panic = "a second packet")]
fn a_packet_that_comes_twice_is_nobodys() {
    let mut rig = Rig::new(Switches::default());
    rig.listen();
    let (client, socket) = rig.receiving();
    rig.mock.switch(|switches| switches.doubles = 1);
    client.send(b"once");
    let came = rig.settle();
    assert_eq!(received(&came, socket).0, b"once");
    drop(came);
    assert_clean(&rig.finish());
}
