//! Prefixes and their paths, by number.
//!
//! A destination outlives its last path until every neighbor that was told of it has been told otherwise: only then
//! is its number given out again.

use ipnet::IpNet;

use super::SetId;
use super::hash::{Index, Seed};
use super::slab::Slab;

/// The number of a destination.
pub(crate) type DestinationId = u32;

/// One neighbor's path to a destination: what it carries, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Path {
    /// The attribute set, which also knows the source.
    pub(crate) set: SetId,
    /// Seconds since the speaker began.
    pub(crate) since: u32,
}

/// A prefix with everything that is known of it.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The prefix, host bits cleared.
    pub(crate) prefix: IpNet,
    /// A decision is due.
    pub(crate) touched: bool,
    /// Neighbors hear of the decision even where the best path stays.
    pub(crate) again: bool,
    paths: Paths,
}

/// Nearly every prefix has one path only.
#[derive(Debug)]
enum Paths {
    None,
    One(Path),
    /// Boxed so that the record stays small.
    #[expect(clippy::box_collection, reason = "a thin pointer: the record is made for one path")]
    Many(Box<Vec<Path>>),
}

impl Destination {
    fn new(prefix: IpNet) -> Self {
        Self { prefix, touched: false, again: false, paths: Paths::None }
    }

    /// All paths: after a decision the best comes first.
    pub(crate) fn paths(&self) -> &[Path] {
        match &self.paths {
            Paths::None => &[],
            Paths::One(path) => std::slice::from_ref(path),
            Paths::Many(paths) => paths,
        }
    }

    /// As [`Destination::paths`], to be put in order.
    pub(crate) fn paths_mut(&mut self) -> &mut [Path] {
        match &mut self.paths {
            Paths::None => &mut [],
            Paths::One(path) => std::slice::from_mut(path),
            Paths::Many(paths) => paths,
        }
    }

    /// Adds a path at the end.
    pub(crate) fn push(&mut self, path: Path) {
        match &mut self.paths {
            Paths::None => self.paths = Paths::One(path),
            Paths::One(first) => self.paths = Paths::Many(Box::new(vec![*first, path])),
            Paths::Many(paths) => paths.push(path),
        }
    }

    /// Takes the path at `position` out; the order of the others stays.
    pub(crate) fn remove(&mut self, position: usize) {
        match &mut self.paths {
            Paths::None => {}
            Paths::One(_) => self.paths = Paths::None,
            Paths::Many(paths) => {
                paths.remove(position);
                if let [last] = paths.as_slice() {
                    self.paths = Paths::One(*last);
                }
            }
        }
    }
}

/// Every destination.
#[derive(Debug)]
pub(crate) struct Destinations {
    records: Slab<Destination>,
    index: Index,
    seed: Seed,
}

impl Destinations {
    /// None yet. The seed keeps neighbors from choosing prefixes that collide.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { records: Slab::default(), index: Index::default(), seed }
    }

    /// The number of a prefix.
    pub(crate) fn find(&self, prefix: &IpNet) -> Option<DestinationId> {
        self.index.find(self.seed.prefix(prefix), |id| self.records[id].prefix == *prefix)
    }

    /// The number of a prefix, a new one if it has none.
    pub(crate) fn find_or_insert(&mut self, prefix: IpNet) -> DestinationId {
        let hash = self.seed.prefix(&prefix);
        if let Some(id) = self.index.find(hash, |id| self.records[id].prefix == prefix) {
            return id;
        }
        let id = self.records.insert(Destination::new(prefix));
        self.index.insert(hash, id, |id| self.seed.prefix(&self.records[id].prefix));
        id
    }

    /// Forgets a destination; its number is free.
    pub(crate) fn remove(&mut self, id: DestinationId) {
        if let Some(destination) = self.records.remove(id) {
            self.index.remove(self.seed.prefix(&destination.prefix), id);
        }
    }

    /// Whether the number is somebody's.
    pub(crate) fn contains(&self, id: DestinationId) -> bool {
        self.records.get(id).is_some()
    }

    /// A destination whose number is held.
    pub(crate) fn at(&self, id: DestinationId) -> &Destination {
        &self.records[id]
    }

    /// A destination whose number is held.
    pub(crate) fn at_mut(&mut self, id: DestinationId) -> &mut Destination {
        &mut self.records[id]
    }

    /// All, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DestinationId, &Destination)> {
        self.records.iter()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_within_its_memory() {
        assert!(size_of::<Option<Destination>>() <= 40, "{} octets a prefix", size_of::<Option<Destination>>());
    }

    #[test]
    fn paths_keep_their_order_when_one_goes() {
        let mut destination = Destination::new("10.0.0.0/8".parse().unwrap());
        let path = |set| Path { set, since: 0 };
        (0..3).for_each(|set| destination.push(path(set)));
        destination.remove(1);
        assert_eq!(destination.paths(), [path(0), path(2)]);
        destination.remove(0);
        assert_eq!(destination.paths(), [path(2)]);
        destination.remove(0);
        assert_eq!(destination.paths(), []);
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
        destinations.remove(id);
        assert_eq!(destinations.find(&short), None);
        assert_eq!(destinations.iter().count(), 2);
    }
}
