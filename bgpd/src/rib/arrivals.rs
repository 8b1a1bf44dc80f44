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
        for (Arrival { prefix, hash, news }, found) in waiting.drain(..).zip(found.drain(..)) {
            match (found, news) {
                (Some(destination), News::Announced(set)) => self.renew(source, destination, set, since),
                (Some(destination), News::Withdrawn(path_id)) => {
                    self.take_path(source, path_id, destination);
                }
                // It was not there before this batch; it may be by now.
                (None, News::Announced(set)) => {
                    let destination = self.destinations.find_or_insert(hash, prefix);
                    self.renew(source, destination, set, since);
                }
                (None, News::Withdrawn(path_id)) => self.retract(source, path_id, &prefix),
            }
        }
        self.arrivals = Arrivals { source, since, waiting, found };
    }
}
