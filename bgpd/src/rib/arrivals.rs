//! What neighbors say of prefixes, taken in by the dozen.
//!
//! A prefix is two loads from memory that is not in the cache: a line of the hash table, and the record. One after the
//! other they are most of what a route costs; side by side they are a tenth of that. So the line is fetched when a prefix
//! comes, and it waits until there are 64: then all are looked up, and then each is done.

use ipnet::IpNet;

use super::{DestinationId, Rib, SetId, SourceId};

/// How many are looked up side by side.
const BATCH: usize = 64;

/// What a neighbor says of a prefix.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    prefix: IpNet,
    /// Of the prefix.
    hash: u64,
    news: News,
}

#[derive(Clone, Copy, Debug)]
enum News {
    /// There is a path with this set.
    Announced(SetId),
    /// There is none any more: of several, none with this identifier (RFC 7911).
    Withdrawn(Option<u32>),
}

/// Those that wait, all of one source.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    source: SourceId,
    /// Seconds from the speaker's beginning.
    since: u32,
    waiting: Vec<Arrival>,
    found: Vec<Option<DestinationId>>,
}

/// Which hashes a batch has begun with: a Bloom filter of one function.
#[derive(Default)]
struct Begun([u64; 16]);

impl Begun {
    fn place(hash: u64) -> (usize, u64) {
        (hash as usize >> 6 & 15, 1 << (hash & 63))
    }

    fn insert(&mut self, hash: u64) {
        let (word, bit) = Self::place(hash);
        self.0[word] |= bit;
    }

    fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.0[word] & bit != 0
    }
}

impl Arrivals {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Rib {
    /// Takes the path of `source` away, the one with this identifier where it tells several; at the latest with
    /// [`Rib::take_in`].
    pub(crate) fn withdraw(&mut self, source: SourceId, path_id: Option<u32>, prefix: IpNet, since: u32) {
        self.hear(source, prefix, News::Withdrawn(path_id), since);
    }

    /// Takes a path of `source`, at the latest with [`Rib::take_in`].
    pub(super) fn arrive(&mut self, source: SourceId, prefix: IpNet, set: SetId, since: u32) {
        self.hear(source, prefix, News::Announced(set), since);
    }

    fn hear(&mut self, source: SourceId, prefix: IpNet, news: News, since: u32) {
        let Arrivals { source: other, waiting, .. } = &self.arrivals;
        if waiting.len() == BATCH || *other != source {
            self.take_in();
        }
        (self.arrivals.source, self.arrivals.since) = (source, since);
        let hash = self.destinations.fetch(&prefix);
        self.arrivals.waiting.push(Arrival { prefix, hash, news });
    }

    /// Takes in all that has arrived: nothing else may look at the paths before.
    pub(crate) fn take_in(&mut self) {
        if self.arrivals.waiting.is_empty() {
            return;
        }
        let Arrivals { source, since, mut waiting, mut found } = std::mem::take(&mut self.arrivals);
        let Rib { destinations, .. } = self;
        found.extend(waiting.iter().map(|Arrival { prefix, hash, .. }| destinations.find_hashed(*hash, prefix)));
        let mut begun = Begun::default();
        for (Arrival { prefix, hash, news }, found) in waiting.drain(..).zip(found.drain(..)) {
            // What was not there before this batch may be by now.
            let found = found.or_else(|| begun.may_have(hash).then(|| self.destinations.find_hashed(hash, &prefix))?);
            match (found, news) {
                (Some(destination), News::Announced(set)) => self.renew(source, destination, set, since),
                (Some(destination), News::Withdrawn(path_id)) => {
                    self.take_path(source, path_id, destination);
                }
                (None, News::Announced(set)) => {
                    begun.insert(hash);
                    self.begin(source, hash, prefix, set, since);
                }
                (None, News::Withdrawn(_)) => {}
            }
        }
        self.arrivals = Arrivals { source, since, waiting, found };
    }
}
