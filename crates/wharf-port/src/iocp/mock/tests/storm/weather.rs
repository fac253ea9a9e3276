//! What the system of a storm is like.

use std::num::NonZeroU16;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_CONNECTION_ABORTED, ERROR_NETNAME_DELETED, ERROR_UNEXP_NET_ERR,
};

use super::Dice;
use crate::iocp::mock::rig;
use crate::iocp::mock::switches::{Cancel, Disconnecting, Gone, Switches};
use crate::options::{AcceptRefill, FirstReceive, IocpOptions, PortOptions, Recycling};

/// How long a client may be silent in an accept.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn switches(dice: &mut Dice) -> Switches {
    let codes = [ERROR_UNEXP_NET_ERR, ERROR_NETNAME_DELETED, ERROR_CONNECTION_ABORTED];
    let code = codes[dice.below(3)];
    let later = Duration::from_micros(u64::try_from(dice.below(3_000)).unwrap());
    Switches {
        skips: !dice.one_in(3),
        fine_timer: dice.one_in(2),
        accepts_at_once: dice.one_in(2),
        gone: if dice.one_in(2) { Gone::Call(code) } else { Gone::Packet(code) },
        receives_pend: dice.one_in(3),
        connects_at_once: dice.one_in(3),
        cancel: if dice.one_in(2) { Cancel::AtOnce } else { Cancel::After(later) },
        disconnect: match dice.below(3) {
            0 => Disconnecting::AtOnce,
            1 => Disconnecting::After(later * 600),
            _ => Disconnecting::Fails(code),
        },
        window: [40, 200, 5_000, 1 << 20][dice.below(4)],
        delays: (!dice.one_in(3)).then_some(dice.0.next()),
        ..Switches::default()
    }
}

pub(super) fn options(dice: &mut Dice) -> PortOptions {
    let first = || FirstReceive { bytes: NonZeroU16::MIN.saturating_add(30), patience: PATIENCE };
    let iocp = IocpOptions {
        accept_depth: [1, 2, 8][dice.below(3)],
        refill: AcceptRefill::Inline,
        first_receive: dice.one_in(4).then(first),
        recycling: if dice.one_in(2) { Recycling::DisconnectEx } else { Recycling::Off },
    };
    PortOptions { buffers: [2, 4, 8][dice.below(3)], ..rig::options(iocp) }
}
