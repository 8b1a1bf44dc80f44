//! Prefixes and their paths, by number.
//!
//! A destination outlives its last path until every neighbor that was told of it has been told otherwise: only then
//! is its number given out again.

use ipnet::IpNet;

use super::hash::{Index, Search, Seed};
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
    over: Vec<(Search, DestinationId)>,
}

impl Destinations {
    /// None yet. The seed keeps neighbors from choosing prefixes that collide.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { records: Records::default(), blocks: Blocks::default(), index: Index::default(), seed, over: Vec::new() }
    }

    /// The number of a prefix.
    pub(crate) fn find(&self, prefix: &IpNet) -> Option<DestinationId> {
        self.found(self.search(prefix), prefix)
    }

    /// Begins to look for a prefix.
    pub(super) fn search(&self, prefix: &IpNet) -> Search {
        self.index.search(self.seed.prefix(prefix))
    }

    /// What a search for this prefix has found.
    pub(super) fn found(&self, search: Search, prefix: &IpNet) -> Option<DestinationId> {
        self.index.find(search, |id| self.records.prefix(id) == *prefix)
    }

    /// The number of a prefix, a new one if it has none.
    pub(crate) fn find_or_insert(&mut self, prefix: IpNet) -> DestinationId {
        let hash = self.seed.prefix(&prefix);
        if let Some(id) = self.found(self.index.search(hash), &prefix) {
            return id;
        }
        let id = self.records.insert(prefix);
        self.index.insert(hash, id);
        id
    }

    /// All paths: after a decision the best comes first.
    pub(crate) fn paths(&self, id: DestinationId) -> &[Path] {
        let record = &self.records[id];
        match record.paths {
            Paths::None => &[],
            Paths::One => std::slice::from_ref(&record.path),
            Paths::Many => self.blocks.get(record.path.set, record.path.since as usize),
        }
    }

    /// As [`Destinations::paths`], to be put in order.
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
        found.extend(over.map(|id| (self.search(&self.records.prefix(id)), id)));
        for (search, id) in found.drain(..) {
            self.records.remove(id);
            self.index.remove(search, id);
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

    #[test]
    fn paths_keep_their_order_when_one_goes() {
        let mut destinations = Destinations::new(Seed::new(3));
        let id = destinations.find_or_insert("10.0.0.0/8".parse().unwrap());
        let path = |set| Path { set, since: 0 };
        (0..3).for_each(|set| destinations.push_path(id, path(set)));
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
        let id = destinations.find_or_insert(short);
        assert_ne!(destinations.find_or_insert(long), id);
        assert_ne!(destinations.find_or_insert(other), id);
        assert_eq!(destinations.find_or_insert(short), id);
        destinations.remove_all([id].into_iter());
        assert_eq!(destinations.find(&short), None);
        assert_eq!(destinations.ids().count(), 2);
    }
}
