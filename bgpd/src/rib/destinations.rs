//! Prefixes and their paths, by number.
//!
//! A destination outlives its last path until every neighbor that was told of it has been told otherwise: only then
//! is its number given out again.

use ipnet::IpNet;

use super::hash::{Index, Seed};
use super::paths::{Blocks, Path};
use super::records::{DestinationId, Paths, Records};

/// A decision is due.
pub(super) const TOUCHED: u8 = 1;
/// More than one path has changed since the last decision, or what is known of a next hop.
pub(super) const ANEW: u8 = 2;
/// Neighbors hear of the decision even where the best path stays.
pub(super) const AGAIN: u8 = 4;

/// Every destination.
#[derive(Debug)]
pub(crate) struct Destinations {
    records: Records,
    blocks: Blocks,
    index: Index,
    seed: Seed,
    /// For [`Destinations::remove_all`].
    over: Vec<(u64, DestinationId)>,
}

impl Destinations {
    /// None yet. The seed keeps neighbors from choosing prefixes that collide.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { records: Records::default(), blocks: Blocks::default(), index: Index::default(), seed, over: Vec::new() }
    }

    /// The number of a prefix.
    pub(crate) fn find(&self, prefix: &IpNet) -> Option<DestinationId> {
        self.find_hashed(self.seed.prefix(prefix), prefix)
    }

    /// The hash of a prefix, which is about to be looked for.
    pub(super) fn fetch(&self, prefix: &IpNet) -> u64 {
        let hash = self.seed.prefix(prefix);
        self.index.fetch(hash);
        hash
    }

    /// The number of a prefix that has this hash.
    pub(super) fn find_hashed(&self, hash: u64, prefix: &IpNet) -> Option<DestinationId> {
        self.index.find(hash, |id| self.records.is(id, prefix))
    }

    /// A number for a prefix that has this hash and no number yet, with its first path.
    pub(super) fn insert(&mut self, hash: u64, prefix: IpNet, path: Path, flags: u8) -> DestinationId {
        let id = self.records.insert(prefix, path, flags);
        self.index.insert(hash, id);
        id
    }

    /// All paths: after a decision the best comes first.
    #[inline]
    pub(crate) fn paths(&self, id: DestinationId) -> &[Path] {
        let record = &self.records[id];
        match record.paths {
            Paths::None => &[],
            Paths::One => std::slice::from_ref(&record.path),
            Paths::Many => self.blocks.get(record.path.set, record.path.since as usize),
        }
    }

    /// As [`Destinations::paths`], to be put in order.
    #[inline]
    pub(crate) fn paths_mut(&mut self, id: DestinationId) -> &mut [Path] {
        let record = &mut self.records[id];
        match record.paths {
            Paths::None => &mut [],
            Paths::One => std::slice::from_mut(&mut record.path),
            Paths::Many => self.blocks.get_mut(record.path.set, record.path.since as usize),
        }
    }

    /// Adds a path at the end.
    pub(crate) fn push_path(&mut self, id: DestinationId, path: Path) {
        let record = &mut self.records[id];
        match record.paths {
            Paths::None => (record.paths, record.path) = (Paths::One, path),
            Paths::One => {
                let set = self.blocks.insert(&[record.path, path]);
                (record.paths, record.path) = (Paths::Many, Path { set, since: 2 });
            }
            Paths::Many => {
                record.path.set = self.blocks.push(record.path.set, record.path.since as usize, path);
                record.path.since += 1;
            }
        }
    }

    /// Takes the path at `position` out; the order of the others stays.
    pub(crate) fn remove_path(&mut self, id: DestinationId, position: usize) {
        let record = &mut self.records[id];
        match (record.paths, record.path.since as usize) {
            (Paths::None, _) => {}
            (Paths::One, _) => record.paths = Paths::None,
            (Paths::Many, 2) => {
                let last = self.blocks.get(record.path.set, 2)[1 - position];
                self.blocks.free(record.path.set, 2);
                (record.paths, record.path) = (Paths::One, last);
            }
            (Paths::Many, len) => {
                record.path.set = self.blocks.remove(record.path.set, len, position);
                record.path.since -= 1;
            }
        }
    }

    /// Forgets destinations that have no paths; their numbers are free. All are looked up before the first goes, so that
    /// the cache misses overlap.
    pub(crate) fn remove_all(&mut self, over: impl Iterator<Item = DestinationId>) {
        let mut found = std::mem::take(&mut self.over);
        let over = over.filter(|id| self.records.contains(*id));
        found.extend(over.map(|id| (self.fetch(&self.records.prefix(id)), id)));
        for (hash, id) in found.drain(..) {
            self.records.remove(id);
            self.index.remove(hash, id);
        }
        self.over = found;
    }

    /// Whether the number is somebody's.
    pub(crate) fn contains(&self, id: DestinationId) -> bool {
        self.records.contains(id)
    }

    /// The prefix.
    pub(crate) fn prefix(&self, id: DestinationId) -> IpNet {
        self.records.prefix(id)
    }

    /// Whether there is no path.
    pub(crate) fn is_empty(&self, id: DestinationId) -> bool {
        self.records[id].paths == Paths::None
    }

    /// Sets flags; what they were.
    pub(super) fn raise(&mut self, id: DestinationId, flags: u8) -> u8 {
        let before = self.records[id].flags;
        self.records[id].flags = before | flags;
        before
    }

    /// Clears all flags; what they were.
    pub(super) fn lower(&mut self, id: DestinationId) -> u8 {
        std::mem::take(&mut self.records[id].flags)
    }

    /// All, in no order that means anything.
    pub(crate) fn ids(&self) -> impl Iterator<Item = DestinationId> {
        self.records.ids()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(set: u32) -> Path {
        Path { set, since: 0 }
    }

    fn number(destinations: &mut Destinations, prefix: IpNet) -> DestinationId {
        let known = destinations.find(&prefix);
        known.unwrap_or_else(|| destinations.insert(destinations.fetch(&prefix), prefix, path(0), 0))
    }

    #[test]
    fn paths_keep_their_order_when_one_goes() {
        let mut destinations = Destinations::new(Seed::new(3));
        let id = number(&mut destinations, "10.0.0.0/8".parse().unwrap());
        (1..3).for_each(|set| destinations.push_path(id, path(set)));
        destinations.remove_path(id, 1);
        assert_eq!(destinations.paths(id), [path(0), path(2)]);
        destinations.remove_path(id, 0);
        assert_eq!(destinations.paths(id), [path(2)]);
        destinations.remove_path(id, 0);
        assert_eq!(destinations.paths(id), []);
    }

    #[test]
    fn a_prefix_is_found_by_its_length_too() {
        let mut destinations = Destinations::new(Seed::new(3));
        let [short, long, other]: [IpNet; 3] =
            ["10.0.0.0/8", "10.0.0.0/9", "a00::/8"].map(|text| text.parse().unwrap());
        let id = number(&mut destinations, short);
        assert_ne!(number(&mut destinations, long), id);
        assert_ne!(number(&mut destinations, other), id);
        assert_eq!(number(&mut destinations, short), id);
        destinations.remove_all([id].into_iter());
        assert_eq!(destinations.find(&short), None);
        assert_eq!(destinations.ids().count(), 2);
    }
}
