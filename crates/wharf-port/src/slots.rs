//! A table whose places are used again and whose names are not.
//!
//! `slab` and `slotmap` come near, but neither retires a place whose generations are used up, and a
//! name that comes back is the one thing that must not happen here: it is how a message reaches the
//! wrong player.

/// Values by slot and generation. A generation counts from 1 and is never wrapped.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    /// Free places, the one that was left last on top: it is the warmest.
    free: Vec<u32>,
    len: usize,
    slots_max: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new(slots_max: u32) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), len: 0, slots_max }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Stores a value, or gives it back when every slot is taken or retired.
    pub(crate) fn insert(&mut self, value: T) -> Result<(u32, u32), T> {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.entries[slot as usize];
            debug_assert!(entry.value.is_none());
            entry.value = Some(value);
            self.len += 1;
            return Ok((slot, entry.generation));
        }
        let Ok(slot) = u32::try_from(self.entries.len()) else { return Err(value) };
        if slot >= self.slots_max {
            return Err(value);
        }
        self.entries.push(Entry { generation: 1, value: Some(value) });
        self.len += 1;
        Ok((slot, 1))
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        let entry = self.entries.get(slot as usize)?;
        if entry.generation == generation { entry.value.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation == generation { entry.value.as_mut() } else { None }
    }

    /// Takes a value out. Its name is void from here on; the slot is free unless its generations
    /// are used up.
    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation != generation {
            return None;
        }
        let value = entry.value.take()?;
        self.len -= 1;
        if let Some(next) = entry.generation.checked_add(1) {
            entry.generation = next;
            self.free.push(slot);
        }
        Some(value)
    }

    /// All that is stored.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }

    /// The names of all that is stored.
    pub(crate) fn names(&self) -> Vec<(u32, u32)> {
        let stored = self.entries.iter().enumerate().filter(|(_, entry)| entry.value.is_some());
        stored
            .filter_map(|(slot, entry)| Some((u32::try_from(slot).ok()?, entry.generation)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_name_reaches_nothing() {
        let mut slots = Slots::new(8);
        let (slot, first) = slots.insert('a').unwrap();
        assert_eq!(slots.remove(slot, first), Some('a'));
        let (again, second) = slots.insert('b').unwrap();
        assert_eq!(again, slot);
        assert_ne!(first, second);
        assert_eq!(slots.get(slot, first), None);
        assert_eq!(slots.remove(slot, first), None);
        assert_eq!(slots.get(slot, second), Some(&'b'));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut slots = Slots::new(1);
        slots.insert('a').unwrap();
        assert_eq!(slots.insert('b'), Err('b'));
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut slots = Slots::new(2);
        let (slot, _) = slots.insert('a').unwrap();
        slots.entries[slot as usize].generation = u32::MAX;
        assert_eq!(slots.remove(slot, u32::MAX), Some('a'));
        let (next, _) = slots.insert('b').unwrap();
        assert_ne!(next, slot, "a retired slot must not come back");
    }
}
