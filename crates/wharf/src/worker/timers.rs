//! Timers that users start, for a session or for a group.
//!
//! A session's are gone as soon as it begins to close. A group's run on the worker whose session
//! started them, which tells the others when they fire; all are gone when the server drains or stops.

use std::sync::Arc;
use std::time::Duration;

use wharf_port::{SocketId, TimerId};

use super::connection::State;
use super::timer_table::{Owner, TimerList, TimerTable};
use super::{Core, Worker};
use crate::group::{Group, GroupState};
use crate::inbox::Message;
use crate::send_queue::SendStatus;
use crate::session::Session;
use crate::timer::{GroupTimer, SessionTimer, TimerName};
use crate::watchdog::Callback;

/// Marks the port's token of a timer that a user has started; the lower half is its place. Those of
/// the sessions' deadlines have a slot in the upper half, which stays below.
const USERS: u64 = 1 << 63;
/// Timers of groups that run on one worker.
const GROUP_TIMERS_MAX: u32 = 1 << 16;
/// How long the timer of a group waits that has fired and found the inbox of another worker full.
const RETRY: Duration = Duration::from_millis(10);

/// What a worker knows of timers that users have started.
#[derive(Debug, Default)]
pub(super) struct UserTimers {
    pub(super) table: TimerTable,
    groups: TimerList,
}

impl Core {
    /// Starts a timer of a session that is open.
    pub(crate) fn start_timer(
        &mut self,
        socket: SocketId,
        after: Duration,
        token: u64,
    ) -> Option<SessionTimer> {
        let Self { port, connections, user_timers, limits, now, .. } = self;
        let table = &mut user_timers.table;
        let connection = connections.get_mut(socket)?;
        let running = table.count(connection.timers) as usize;
        if connection.state != State::Open || running >= limits.timers_per_session_max {
            return None;
        }
        let index = table.next_index()?;
        let timer = port.start_timer(*now + after, USERS | u64::from(index))?;
        let name = TimerName { index, timer };
        table.add(&mut connection.timers, name, Owner::Session(socket), token);
        Some(SessionTimer(name))
    }

    /// Stops a timer, if it is this session's and has not fired.
    pub(crate) fn cancel_timer(&mut self, socket: SocketId, timer: SessionTimer) -> bool {
        let Self { port, connections, user_timers, .. } = self;
        let table = &mut user_timers.table;
        let own = |owner: &Owner| matches!(owner, Owner::Session(of) if *of == socket);
        let Some(connection) = connections.get_mut(socket) else { return false };
        if !table.get(timer.0).is_some_and(|entry| own(&entry.owner)) {
            return false;
        }
        port.cancel_timer(timer.0.timer);
        table.remove(&mut connection.timers, timer.0).is_some()
    }

    /// Stops all timers of a session: it no longer hears of them.
    pub(super) fn cancel_timers_of(&mut self, socket: SocketId) {
        let Self { port, connections, user_timers, .. } = self;
        if let Some(connection) = connections.get_mut(socket) {
            let list = &mut connection.timers;
            while let Some(name) = user_timers.table.first(*list) {
                port.cancel_timer(name.timer);
                user_timers.table.remove(list, name);
            }
        }
    }

    /// Starts a timer of a group on this worker.
    pub(crate) fn start_group_timer(
        &mut self,
        group: &Group,
        after: Duration,
        token: u64,
    ) -> Option<GroupTimer> {
        if !group.is_of(self.shared()) {
            return None;
        }
        self.start_timer_of(group.state(), after, token)
    }

    fn start_timer_of(
        &mut self,
        group: &Arc<GroupState>,
        after: Duration,
        token: u64,
    ) -> Option<GroupTimer> {
        let UserTimers { table, groups } = &mut self.user_timers;
        if self.drain_until.is_some() || table.count(*groups) >= GROUP_TIMERS_MAX {
            return None;
        }
        let index = table.next_index()?;
        let timer = self.port.start_timer(self.now + after, USERS | u64::from(index))?;
        let name = TimerName { index, timer };
        table.add(groups, name, Owner::Group(Arc::downgrade(group)), token);
        Some(GroupTimer { worker: self.index, name })
    }

    /// Stops a timer of a group; that of another worker when this one's message has reached it.
    pub(crate) fn cancel_group_timer(&mut self, timer: GroupTimer) -> bool {
        if timer.worker != self.index {
            let message = Message::CancelGroupTimer(timer);
            return self.shared().put(usize::from(timer.worker), message).is_ok();
        }
        let UserTimers { table, groups } = &mut self.user_timers;
        let stopped = table.remove(groups, timer.name).is_some();
        if stopped {
            self.port.cancel_timer(timer.name.timer);
        }
        stopped
    }

    /// Stops the timers of all groups: the server ends.
    pub(super) fn cancel_group_timers(&mut self) {
        let UserTimers { table, groups } = &mut self.user_timers;
        while let Some(name) = table.first(*groups) {
            self.port.cancel_timer(name.timer);
            table.remove(groups, name);
        }
    }

    /// Takes out a timer that has fired: whose it is, and its token. `None` if it was cancelled since.
    fn take_fired(&mut self, name: TimerName) -> Option<(Owner, u64)> {
        let Self { connections, user_timers: UserTimers { table, groups }, .. } = self;
        let list = match table.get(name)?.owner {
            Owner::Session(socket) => &mut connections.get_mut(socket)?.timers,
            Owner::Group(_) => groups,
        };
        table.remove(list, name).map(|entry| (entry.owner, entry.token))
    }
}

impl<H: Session, F> Worker<H, F> {
    /// Whether this is the port's token of a timer that a user has started.
    pub(super) const fn is_users_timer(token: u64) -> bool {
        token & USERS != 0
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the place")]
    pub(super) fn users_timer_has_fired(&mut self, timer: TimerId, token: u64) {
        self.fired.push(TimerName { index: token as u32, timer });
    }

    /// Tells sessions and groups which of their timers have fired, in the order of their deadlines.
    #[inline]
    pub(super) fn tell_fired(&mut self) {
        if !self.fired.is_empty() {
            self.tell_all_fired();
        }
    }

    fn tell_all_fired(&mut self) {
        let mut fired = std::mem::take(&mut self.fired);
        for name in fired.drain(..) {
            match self.core.take_fired(name) {
                Some((Owner::Session(socket), token)) => {
                    self.call(socket, Callback::Timer, |handler, context| {
                        handler.on_timer(context, token)
                    });
                }
                Some((Owner::Group(group), token)) => {
                    if let Some(group) = group.upgrade() {
                        self.group_timer_fired(&group, token);
                    }
                }
                None => {}
            }
        }
        self.fired = fired;
    }

    /// Tells the members of all workers, or nobody yet if the inbox of one is full.
    fn group_timer_fired(&mut self, group: &Arc<GroupState>, token: u64) {
        let others = group.workers().without(self.core.index);
        let message = || Message::GroupTimer(Arc::clone(group), token);
        if self.core.shared().broadcast(&others, message) == SendStatus::Overloaded {
            self.core.start_timer_of(group, RETRY, token);
            return;
        }
        self.tell_group(group, token);
    }

    /// Tells the members that live here.
    pub(super) fn tell_group(&mut self, group: &Arc<GroupState>, token: u64) {
        let handle = Group::of(Arc::clone(group), Arc::clone(self.core.shared()));
        let mut members = Vec::new();
        group.for_each(self.core.index, |socket| members.push(socket));
        for socket in members {
            // The callback of another member may have closed it, or had it leave.
            let connection = self.core.connection(socket);
            if connection.is_some_and(|it| it.groups.position(group).is_some()) {
                self.call(socket, Callback::GroupTimer, |session, ctx| {
                    session.on_group_timer(ctx, &handle, token)
                });
            }
        }
    }
}
