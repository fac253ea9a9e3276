//! Groups: who is in them, what members are owed, and what they must not get.

use std::collections::{BTreeMap, VecDeque};

use wharf::{Context, Group, SendStatus};

use super::record::ClientNumber;
use super::service::Service;

/// Groups of a run. Few, so that they are shared.
const GROUPS: u64 = 3;
/// The number of the one who broadcasts from outside of the sessions.
pub(super) const OUTSIDE: ClientNumber = 1_000_000;

/// A group, by its number.
pub(super) type GroupNumber = u64;

pub(super) fn name(which: GroupNumber) -> String {
    format!("group {which}")
}

/// The group that a frame of this number is about.
pub(super) const fn group_of(number: u64) -> GroupNumber {
    number % GROUPS
}

/// Whether an ended session is still a member of something.
pub(super) fn is_ghost(ctx: &Context<'_>) -> bool {
    let is_member = |group: Group| group.members().iter().any(|member| member.session == ctx.id());
    (0..GROUPS).map(|which| ctx.group(&name(which))).any(is_member)
}

/// What is known of the groups of a run.
#[derive(Default)]
pub(super) struct Groups {
    members: BTreeMap<(GroupNumber, ClientNumber), Membership>,
    /// The last broadcast of each sender.
    said: BTreeMap<ClientNumber, u64>,
    /// Counts those who join: what was before what.
    joins: u64,
}

/// One client in one group.
#[derive(Default)]
struct Membership {
    is_in: bool,
    /// Who joined when it did.
    since: u64,
    /// By sender: what was broadcast while it was in, in order, and has not come.
    owed: BTreeMap<ClientNumber, VecDeque<u64>>,
    /// By sender: the last that has come.
    heard: BTreeMap<ClientNumber, u64>,
}

impl Groups {
    pub(super) fn joined(&mut self, which: GroupNumber, client: ClientNumber) {
        let membership = self.members.entry((which, client)).or_default();
        if !membership.is_in {
            (membership.is_in, membership.since) = (true, self.joins);
            self.joins += 1;
        }
    }

    /// It has left: what is on its way from other workers no longer comes.
    pub(super) fn left(&mut self, which: GroupNumber, client: ClientNumber) {
        let membership = self.members.entry((which, client)).or_default();
        membership.is_in = false;
        membership.owed.clear();
    }

    pub(super) fn left_by_name(&mut self, name: &str, client: ClientNumber) {
        if let Some(which) = (0..GROUPS).find(|which| self::name(*which) == name) {
            self.left(which, client);
        }
    }

    /// A point of time, to be compared with [`since`](Self::since).
    pub(super) const fn moment(&self) -> u64 {
        self.joins
    }

    /// When somebody joined who is in.
    pub(super) fn since(&self, which: GroupNumber, client: ClientNumber) -> Option<u64> {
        let membership = self.members.get(&(which, client))?;
        membership.is_in.then_some(membership.since)
    }

    pub(super) fn is_in(&self, which: GroupNumber, client: ClientNumber) -> bool {
        self.members.get(&(which, client)).is_some_and(|membership| membership.is_in)
    }

    /// What a sender broadcasts next to a group: `R`, group, sender, number.
    pub(super) fn next(&mut self, which: GroupNumber, sender: ClientNumber) -> (u64, Vec<u8>) {
        let number = self.said.entry(sender).or_default();
        *number += 1;
        (*number, format!("R{which}:{sender}:{number}:").into_bytes())
    }

    /// All members were sent something, one perhaps excepted.
    pub(super) fn was_said(
        &mut self,
        which: GroupNumber,
        sender: ClientNumber,
        number: u64,
        except: Option<ClientNumber>,
    ) {
        for ((of, client), membership) in &mut self.members {
            if *of == which && membership.is_in && Some(*client) != except {
                membership.owed.entry(sender).or_default().push_back(number);
            }
        }
    }

    /// A client has got what was broadcast; says what is wrong with that.
    pub(super) fn heard(
        &mut self,
        client: ClientNumber,
        text: &str,
        drops: bool,
    ) -> Option<(&'static str, String)> {
        let mut parts = text.split(':').map(str::parse::<u64>);
        let (Some(Ok(which)), Some(Ok(sender)), Some(Ok(number))) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Some(("I3", format!("got a torn broadcast: R{text}")));
        };
        let sender = usize::try_from(sender).unwrap_or(usize::MAX);
        let Some(membership) = self.members.get_mut(&(which, client)) else {
            return Some(("I5", format!("got R{text} and was never in that group")));
        };
        let last = membership.heard.insert(sender, number);
        if last.is_some_and(|last| last >= number) {
            return Some(("I3", format!("got R{text} late or twice")));
        }
        let owed = membership.owed.entry(sender).or_default();
        // One that was on its way when the client joined is not owed, and comes before those that are.
        let before = owed.iter().take_while(|next| **next < number).count();
        let skipped: Vec<u64> = owed.drain(..before).collect();
        if owed.front() == Some(&number) {
            owed.pop_front();
        }
        (!skipped.is_empty() && !drops)
            .then(|| ("I3", format!("got R{text} and not {skipped:?} before it")))
    }
}

/// A session broadcasts to a group, itself included or not, unless no frame is as long as that.
pub(super) fn broadcast(
    ctx: &mut Context<'_>,
    service: &Service,
    which: GroupNumber,
    to_itself: bool,
) {
    let Service { record, client, manners, .. } = service;
    let client = *client;
    let (number, text) = record.with(|book| book.groups.next(which, client));
    if text.len() > manners.said_max {
        return;
    }
    let text = manners.wire.payload(&text);
    let group = ctx.group(&name(which));
    let (status, except) = if to_itself {
        (ctx.broadcast(&group, &text), None)
    } else {
        (ctx.broadcast_others(&group, &text), Some(client))
    };
    record.with(|book| match status {
        SendStatus::Queued => {
            book.groups.was_said(which, client, number, except);
            book.marks.count("broadcast");
        }
        SendStatus::Overloaded => book.marks.count("broadcast refused: full"),
        other => book.violate("I3", || format!("client {client}: a broadcast is {other:?}")),
    });
}
