//! How it is seen that every connection has become a member.

use super::super::pattern::Pattern;

/// Messages of the stream that the meeting takes: one that is repeated, and one that ends it.
pub(super) const MESSAGES: u64 = 2;

/// Who has got what of the first two messages.
#[derive(Debug)]
pub(super) struct Meeting {
    /// The message that is repeated, and the one that comes once.
    messages: [Vec<u8>; 2],
    members: Vec<Member>,
    /// Members that have not got the first, and those that have not got the second.
    missing: [usize; 2],
    /// The second message has been sent.
    is_closed: bool,
}

#[derive(Clone, Default, Debug)]
struct Member {
    /// How many of the two it has got, in order.
    got: usize,
    /// The beginning of a message.
    part: Vec<u8>,
    /// It has been found where the messages begin: a server without frames makes a connection a member
    /// in the middle of one.
    is_aligned: bool,
    is_lost: bool,
}

/// What received bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Met<'a> {
    /// Some of the first message.
    NotYet,
    /// All of both, and then the stream.
    All(&'a [u8]),
    /// Neither.
    Strange,
}

impl Meeting {
    pub(super) fn new(pattern: &Pattern, members: usize) -> Self {
        let message = |number| pattern.bytes(pattern.lane(0), number * pattern.message());
        Self {
            messages: [message(0), message(1)],
            members: vec![Member::default(); members],
            missing: [members; 2],
            is_closed: false,
        }
    }

    /// The message that is to be sent now: the first until all have got it, then the second, once.
    pub(super) fn next_message(&mut self) -> Option<u64> {
        if self.missing[0] > 0 {
            return Some(0);
        }
        (!std::mem::replace(&mut self.is_closed, true)).then_some(1)
    }

    /// How many have got nothing yet.
    pub(super) const fn missing(&self) -> usize {
        if self.missing[0] > 0 { self.missing[0] } else { self.missing[1] }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.missing[1] == 0
    }

    /// A member that has not got the second message has got these bytes.
    pub(super) fn met<'a>(&mut self, number: usize, mut bytes: &'a [u8]) -> Met<'a> {
        let member = &mut self.members[number];
        let len = self.messages[0].len();
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(len - member.part.len()));
            member.part.extend_from_slice(part);
            bytes = rest;
            if member.part.len() < len {
                break;
            }
            if member.part == self.messages[0] {
                self.missing[0] -= usize::from(member.got == 0);
                member.got = 1;
            } else if member.part == self.messages[1] && member.got == 1 {
                self.missing[1] -= 1;
                member.got = 2;
                member.part = Vec::new();
                return Met::All(bytes);
            } else if member.is_aligned {
                return Met::Strange;
            } else {
                member.is_aligned = true;
                let is_beginning =
                    |start: &usize| self.messages[0].starts_with(&member.part[*start..]);
                let start = (1..=len).find(is_beginning).unwrap_or(len);
                member.part.drain(..start);
                continue;
            }
            member.is_aligned = true;
            member.part.clear();
        }
        Met::NotYet
    }

    /// A member is gone.
    pub(super) fn lost(&mut self, number: usize) {
        let member = &mut self.members[number];
        if !std::mem::replace(&mut member.is_lost, true) {
            self.missing[0] -= usize::from(member.got < 1);
            self.missing[1] -= usize::from(member.got < 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_met_when_both_messages_have_come_however_they_are_split() {
        let pattern = Pattern::new(&"lines".parse().unwrap(), 10, 2);
        let message = |number| pattern.bytes(pattern.lane(0), number * pattern.message());
        let stream = [message(0), message(0), message(1), b"more".to_vec()].concat();
        for split in 0..stream.len() - 4 {
            let mut meeting = Meeting::new(&pattern, 2);
            assert_eq!(meeting.met(0, &stream[..split]), Met::NotYet);
            assert_eq!(meeting.met(0, &stream[split..]), Met::All(b"more"));
            assert_eq!((meeting.missing(), meeting.next_message()), (1, Some(0)));
            meeting.lost(1);
            assert!(meeting.is_over());
            assert_eq!((meeting.next_message(), meeting.next_message()), (Some(1), None));
        }
    }

    #[test]
    fn a_member_may_come_in_the_middle_of_a_message_and_not_twice() {
        let pattern = Pattern::new(&"lines".parse().unwrap(), 10, 2);
        let message = |number| pattern.bytes(pattern.lane(0), number * pattern.message());
        let whole = [message(0), message(0), message(1)].concat();
        for start in 1..11 {
            assert_eq!(Meeting::new(&pattern, 1).met(0, &whole[start..]), Met::All(&[]), "{start}");
        }
        let torn = [&message(0)[3..], &message(0), &message(0)[3..], &message(1)].concat();
        assert_eq!(Meeting::new(&pattern, 1).met(0, &torn), Met::Strange);
    }

    #[test]
    fn the_second_message_does_not_come_alone() {
        let pattern = Pattern::new(&"lines".parse().unwrap(), 10, 2);
        let second = pattern.bytes(pattern.lane(0), pattern.message());
        assert_eq!(Meeting::new(&pattern, 2).met(1, &second.repeat(2)), Met::Strange);
    }
}
