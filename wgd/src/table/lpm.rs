//! Longest prefix match: a hash table per length that is present, longest first.
//!
//! A tunnel's table has a handful of lengths, so a lookup is a handful of probes, and a change is one.

use std::hash::Hash;

use hashbrown::HashMap;

/// An address as a number.
pub(super) trait Bits: Copy + Eq + Hash {
    /// The first `length` bits, the rest zero.
    fn masked(self, length: u8) -> Self;
}

impl Bits for u32 {
    fn masked(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
    }
}

impl Bits for u128 {
    fn masked(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
    }
}

/// Prefixes of one address family.
#[derive(Debug)]
pub(super) struct Lpm<K, V> {
    levels: Vec<Level<K, V>>,
}

#[derive(Debug)]
struct Level<K, V> {
    length: u8,
    prefixes: HashMap<K, V>,
}

impl<K, V> Default for Lpm<K, V> {
    fn default() -> Self {
        Self { levels: Vec::new() }
    }
}

impl<K: Bits, V: Default> Lpm<K, V> {
    /// What is said of the prefixes around an address, the longest first.
    pub(super) fn matches(&self, address: K) -> impl Iterator<Item = &V> {
        self.levels.iter().filter_map(move |level| level.prefixes.get(&address.masked(level.length)))
    }

    /// Changes one prefix, which is made if it is not there and goes if it is not to be kept after.
    pub(super) fn update<R>(
        &mut self,
        network: K,
        length: u8,
        change: impl FnOnce(&mut V) -> R,
        keep: impl FnOnce(&V) -> bool,
    ) -> R {
        let at = match self.levels.binary_search_by(|level| length.cmp(&level.length)) {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, Level { length, prefixes: HashMap::new() });
                at
            }
        };
        let level = &mut self.levels[at];
        let value = level.prefixes.entry(network.masked(length)).or_default();
        let result = change(value);
        if !keep(value) {
            level.prefixes.remove(&network.masked(length));
        }
        if level.prefixes.is_empty() {
            self.levels.remove(at);
        }
        result
    }

    /// How many prefixes there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.levels.iter().map(|level| level.prefixes.len()).sum()
    }
}
