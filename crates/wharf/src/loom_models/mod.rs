//! What crosses threads, tried in every interleaving: `cargo xtask loom`.

mod ids;
mod inbox;
mod seats;

use std::sync::Arc;

use wharf_port::SocketId;
use wharf_port::modelled::ModelledPort;

use crate::admission::Admission;
use crate::client::{Lookups, Resolver, TargetSetup};
use crate::deferred::Pool;
use crate::framing::Framing;
use crate::inbox::Inbox;
use crate::limits::Limits;
use crate::live_limits::LiveLimits;
use crate::session_id::SessionId;
use crate::shared::{Shared, SharedSetup};

/// What the workers of a server share, and a port for each of them.
fn server(workers: usize, listeners: usize) -> (Arc<Shared>, Vec<ModelledPort>) {
    let ports: Vec<_> = (0..workers).map(|_| ModelledPort::default()).collect();
    let inboxes = ports.iter().map(|port| Inbox::new(port.waker())).collect();
    let admission = Admission::new(workers, 2, Some(1));
    let (framing, frame_bytes_max) = (Framing::RAW, 1);
    let setup = SharedSetup {
        deferred: Pool::new(0, 1),
        capture: None,
        rooms_max: 1,
        inboxes,
        admission,
        listeners,
        framing,
        frame_bytes_max,
        session_type: std::any::TypeId::of::<()>(),
        farewell: None,
        send_total_max: usize::MAX,
        live: LiveLimits { accept_rate: None, ..LiveLimits::new(&Limits::default(), 2) },
        targets: TargetSetup {
            lookups: Lookups::new(Resolver::none(), true),
            hook: None,
            ends_with_last: false,
            targets_max: 0,
        },
    };
    (Arc::new(Shared::new(setup)), ports)
}

/// A session of the first slot of the first worker.
fn id(generation: u32) -> SessionId {
    SessionId::new(0, SocketId::from_parts(0, generation))
}
