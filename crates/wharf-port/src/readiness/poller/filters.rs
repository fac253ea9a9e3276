//! What an event of a kqueue means: kept apart from its calls, so that it is tested everywhere.
//!
//! A descriptor has two filters, each with events of its own. A filter that is watched for edges
//! (`EV_CLEAR`) fires when it is added, if there is something already, and then with all that comes:
//! with new bytes although the old ones have not been received, and with each acknowledgement that
//! makes room to send. It carries what holds when it is handed out, not when it fired.

use super::{Event, Name, UNTIL_BLOCKED};

/// Which of the two filters has fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filter {
    /// Bytes, connections, or the end; or the notifier, which has no other.
    Read,
    Write,
}

/// What a kqueue says of a filter that has fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fired {
    /// What was given when the filter was added.
    pub(super) name: u64,
    pub(super) filter: Filter,
    /// Bytes or connections that lie there; the room to send.
    pub(super) amount: i64,
    /// This direction has ended (`EV_EOF`), well or badly: which of them, the next call on it says.
    pub(super) ended: bool,
}

impl From<Fired> for Event {
    /// A connect that fails ends both directions, and what is not connected has no room to send: so
    /// the first event of the write filter is the end of the connect.
    fn from(fired: Fired) -> Self {
        let readable = fired.filter == Filter::Read;
        let unread = match (readable, fired.ended) {
            (false, _) => 0,
            (true, true) => UNTIL_BLOCKED,
            (true, false) => u32::try_from(fired.amount.max(0)).unwrap_or(UNTIL_BLOCKED),
        };
        Self { name: Name::unpack(fired.name), readable, unread, writable: !readable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ListenerId, SocketId};

    const NAME: Name = Name::Socket(SocketId::from_parts(7, 9));

    fn event(filter: Filter, amount: i64, ended: bool) -> Event {
        Event::from(Fired { name: NAME.pack(), filter, amount, ended })
    }

    #[test]
    fn bytes_are_to_be_received_in_their_number() {
        let bytes = Event { name: NAME, readable: true, unread: 1_000, writable: false };
        assert_eq!(event(Filter::Read, 1_000, false), bytes);
    }

    #[test]
    fn an_end_is_received_until_it_comes_whatever_lies_before_it() {
        let end = Event { name: NAME, readable: true, unread: UNTIL_BLOCKED, writable: false };
        for bytes in [0, 1, 1_000] {
            assert_eq!(event(Filter::Read, bytes, true), end);
        }
    }

    #[test]
    fn more_than_can_be_counted_is_received_until_it_blocks() {
        for bytes in [i64::from(UNTIL_BLOCKED), i64::MAX] {
            assert_eq!(event(Filter::Read, bytes, false).unread, UNTIL_BLOCKED);
        }
    }

    #[test]
    fn a_number_below_zero_is_none() {
        assert_eq!(event(Filter::Read, -1, false).unread, 0);
    }

    #[test]
    fn room_and_the_end_of_sending_both_let_a_send_go_on_and_no_receive() {
        let room = Event { name: NAME, readable: false, unread: 0, writable: true };
        for (bytes, ended) in [(65_536, false), (0, true), (65_536, true)] {
            assert_eq!(event(Filter::Write, bytes, ended), room);
        }
    }

    #[test]
    fn listeners_and_the_notifier_are_told_apart_by_name() {
        for name in [Name::Notifier, Name::Listener(ListenerId(3))] {
            let fired = Fired { name: name.pack(), filter: Filter::Read, amount: 1, ended: false };
            let event = Event::from(fired);
            assert_eq!((event.name, event.readable, event.writable), (name, true, false));
        }
    }
}
