//! Sessions of this worker join and leave groups.

use std::sync::Arc;

use wharf_port::SocketId;

use super::Core;
use super::connection::State;
use crate::group::{Group, GroupState, JoinError};

impl Core {
    /// Has a session join a group under a name; one that is in it gets the new name.
    pub(crate) fn join(
        &mut self,
        socket: SocketId,
        group: &Group,
        name: Option<Arc<str>>,
    ) -> Result<(), JoinError> {
        if !group.is_of(self.shared()) {
            return Err(JoinError::OtherServer);
        }
        self.join_state(socket, group.state(), name)
    }

    pub(super) fn join_state(
        &mut self,
        socket: SocketId,
        group: &Arc<GroupState>,
        name: Option<Arc<str>>,
    ) -> Result<(), JoinError> {
        // Who joins sees nothing of what was broadcast before.
        self.deliver_broadcasts();
        let (index, max) = (self.index, self.limits.groups_per_session_max);
        let room = group.room();
        let full = room.as_ref().is_some_and(|room| !self.may_enter(room));
        let Some(connection) = self.connection(socket) else { return Err(JoinError::Closing) };
        if connection.state != State::Open {
            return Err(JoinError::Closing);
        }
        if let Some(position) = connection.groups.position(group) {
            group.rename(index, position, name);
            return Ok(());
        }
        if connection.groups.len() >= max {
            return Err(JoinError::TooMany(max));
        }
        if full {
            return Err(JoinError::Overloaded);
        }
        let position = group.add(index, socket, name);
        connection.groups.add(group, position);
        if let Some(room) = room {
            self.tell_room(&room, socket, true);
        }
        Ok(())
    }

    /// Has a session leave a group, if it is in it.
    pub(crate) fn leave(&mut self, socket: SocketId, group: &Arc<GroupState>) -> bool {
        // Who leaves has seen everything that was broadcast before.
        self.deliver_broadcasts();
        let index = self.index;
        let Some(connection) = self.connection(socket) else { return false };
        let Some(position) = connection.groups.position(group) else { return false };
        connection.groups.remove(group);
        if let Some(moved) = group.remove(index, position)
            && let Some(moved) = self.connection(moved)
        {
            moved.groups.moved(group, position);
        }
        if let Some(room) = group.room() {
            self.tell_room(&room, socket, false);
        }
        true
    }

    /// Has a session leave all of its groups: leaving is part of closing, and nobody meets a ghost.
    pub(super) fn leave_all(&mut self, socket: SocketId) {
        if self.broadcasts.is_delivering() {
            // The members of a group are being walked through.
            return self.broadcasts.leave_later(socket);
        }
        let last = |core: &mut Self| {
            let membership = core.connection(socket)?.groups.last()?;
            Some(Arc::clone(&membership.group))
        };
        while let Some(group) = last(self) {
            self.leave(socket, &group);
        }
    }

    /// Closes every member of a group that lives here.
    pub(super) fn close_group(&mut self, group: &Arc<GroupState>) {
        let mut members = Vec::new();
        group.for_each(self.index, |socket| members.push(socket));
        for socket in members {
            self.begin_close(socket, crate::CloseReason::Closed);
        }
    }
}
