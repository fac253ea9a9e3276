//! The groups that one session is in.

use std::sync::Arc;

use super::registry::GroupState;

/// The groups of a session, and where it stands in each. Boxed: sessions are many, and some have none.
#[derive(Debug, Default)]
pub(crate) struct Memberships(#[expect(clippy::box_collection)] Option<Box<Vec<Membership>>>);

/// A session's place in a group.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) group: Arc<GroupState>,
    pub(crate) position: u32,
}

impl Memberships {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.len())
    }

    /// Where the session stands in a group, if it is in it.
    pub(crate) fn position(&self, group: &Arc<GroupState>) -> Option<u32> {
        let list = self.0.as_ref()?;
        list.iter().find(|it| Arc::ptr_eq(&it.group, group)).map(|it| it.position)
    }

    pub(crate) fn add(&mut self, group: &Arc<GroupState>, position: u32) {
        let membership = Membership { group: Arc::clone(group), position };
        self.0.get_or_insert_default().push(membership);
    }

    /// Takes a group out.
    pub(crate) fn remove(&mut self, group: &Arc<GroupState>) {
        let Some(list) = &mut self.0 else { return };
        list.retain(|it| !Arc::ptr_eq(&it.group, group));
        if list.is_empty() {
            self.0 = None;
        }
    }

    /// The session stands somewhere else in a group now.
    pub(crate) fn moved(&mut self, group: &Arc<GroupState>, position: u32) {
        let list = self.0.iter_mut().flat_map(|list| list.iter_mut());
        for membership in list.filter(|it| Arc::ptr_eq(&it.group, group)) {
            membership.position = position;
        }
    }

    /// The groups, in the order in which the session has joined them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &GroupState> {
        self.0.iter().flat_map(|list| list.iter()).map(|it| &*it.group)
    }

    /// One of the groups, if there is any.
    pub(crate) fn last(&self) -> Option<&Membership> {
        self.0.as_ref()?.last()
    }
}
