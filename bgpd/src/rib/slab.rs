//! Records under small numbers, in chunks: growing never moves what is there.

use std::ops::{Index, IndexMut};

const CHUNK: usize = 4096;

/// Records by number; numbers of removed ones are given out again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// Stores a record.
    pub(crate) fn insert(&mut self, record: T) -> u32 {
        self.len += 1;
        if let Some(id) = self.free.pop() {
            self.chunks[id as usize / CHUNK][id as usize % CHUNK] = Some(record);
            return id;
        }
        let id = self.len as u32 - 1; // nothing is free: numbers 0 to len - 2 are taken
        if (id as usize).is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[id as usize / CHUNK].push(Some(record));
        id
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let record = self.chunks.get_mut(id as usize / CHUNK)?.get_mut(id as usize % CHUNK)?.take()?;
        self.free.push(id);
        self.len -= 1;
        Some(record)
    }

    /// The record, if there is one.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.chunks.get(id as usize / CHUNK)?.get(id as usize % CHUNK)?.as_ref()
    }

    /// The record, if there is one.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.chunks.get_mut(id as usize / CHUNK)?.get_mut(id as usize % CHUNK)?.as_mut()
    }

    /// All records, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0u32..).zip(self.chunks.iter().flatten()).filter_map(|(id, record)| Some((id, record.as_ref()?)))
    }
}

/// For numbers that a live reference counts: the owner of a number keeps its record.
impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    #[expect(clippy::expect_used, reason = "the holder of a number keeps its record")]
    fn index(&self, id: u32) -> &T {
        self.get(id).expect("a number that is held has its record")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    #[expect(clippy::expect_used, reason = "the holder of a number keeps its record")]
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id).expect("a number that is held has its record")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_removed_records_are_given_out_again() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..5000).map(|value| slab.insert(value)).collect();
        assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
        assert_eq!(slab.remove(17), Some(17));
        assert_eq!(slab.remove(17), None);
        assert_eq!(slab.len, 4999);
        assert_eq!(slab.insert(90), 17);
        assert_eq!(slab[17], 90);
        assert_eq!(slab.insert(91), 5000);
        assert_eq!(slab.iter().count(), 5001);
    }
}
