//! Work that grows with the table, done a slice a turn.

use std::collections::BTreeMap;

use super::Speaker;
use crate::rib::{DestinationId, NextHopId, Rib, SetId, SourceId};
use crate::types::{Families, Family};

/// Destinations looked at in one turn.
const SLICE: usize = 1024;

/// What is to be done to destinations.
#[derive(Debug)]
pub(super) enum Sweep {
    /// They wait for a next hop that the host now knows.
    Waiting(Vec<(DestinationId, SetId)>),
    /// All that a source has a path to, from a number on.
    Source { source: SourceId, from: DestinationId, work: Work },
}

/// What is done to the paths of a source.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Work {
    /// The session is gone, and its paths go.
    Flush,
    /// Stale paths of these families have had their time.
    Expire(Families),
    /// The same of what was stale before the last session.
    Doomed,
    /// Stale paths of these families become the last resort.
    LongLived(Families),
    /// Import policy has changed.
    Import,
    /// The neighbor has sent all of this family again: what it did not send goes (RFC 7313 §4.2).
    NotSentAgain(Family),
    /// The host has said something new of these next hops; whether neighbors hear of their paths again.
    NextHops(BTreeMap<NextHopId, bool>),
}

impl Sweep {
    pub(super) fn of(source: SourceId, work: Work) -> Self {
        Self::Source { source, from: 0, work }
    }

    pub(super) fn import(source: SourceId) -> Self {
        Self::of(source, Work::Import)
    }

    pub(super) fn not_sent_again(source: SourceId, family: Family) -> Self {
        Self::of(source, Work::NotSentAgain(family))
    }

    pub(super) fn next_hop(source: SourceId, next_hop: NextHopId, again: bool) -> Self {
        Self::of(source, Work::NextHops([(next_hop, again)].into()))
    }

    /// Whether it is about what is stale of a source.
    pub(super) fn is_of_stale(&self, of: SourceId) -> bool {
        matches!(self, Self::Source { source, work: Work::Expire(_) | Work::LongLived(_), .. } if *source == of)
    }

    /// Takes in another sweep, if that does not ask for what this one has already passed.
    fn merge(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Source { source, from: 0, work: Work::NextHops(next_hops) },
                Self::Source { source: other_source, work: Work::NextHops(more), .. },
            ) if source == other_source => {
                for (next_hop, again) in more {
                    *next_hops.entry(*next_hop).or_default() |= again;
                }
                true
            }
            (
                Self::Source { source, from: 0, work: Work::Import },
                Self::Source { source: other_source, work: Work::Import, .. },
            ) => source == other_source,
            _ => false,
        }
    }

    /// How many destinations it has yet to look at, at most.
    fn left(&self, rib: &Rib) -> usize {
        match self {
            Self::Waiting(destinations) => destinations.len(),
            Self::Source { source, .. } => rib.received_of(*source),
        }
    }

    /// Looks at the next destination; `false`: there is none.
    fn step(&mut self, rib: &mut Rib) -> bool {
        match self {
            Self::Waiting(destinations) => match destinations.pop() {
                Some((destination, set)) => rib.touch_if_known(destination, set),
                None => return false,
            },
            Self::Source { source, from, work } => {
                let next = match work {
                    Work::Expire(_) | Work::LongLived(_) => rib.next_stale(*source, *from),
                    Work::Doomed => rib.next_doomed(*source, *from),
                    Work::Flush | Work::Import | Work::NotSentAgain(_) | Work::NextHops(_) => {
                        rib.next_received(*source, *from)
                    }
                };
                let Some(destination) = next else { return false };
                *from = destination + 1;
                work.apply(rib, *source, destination);
            }
        }
        true
    }
}

impl Work {
    fn apply(&self, rib: &mut Rib, source: SourceId, destination: DestinationId) {
        match self {
            Self::Flush | Self::Doomed => {
                rib.take(source, destination);
            }
            Self::Expire(families) => rib.expire(source, destination, *families),
            Self::LongLived(families) => rib.make_long_lived(source, destination, *families),
            Self::Import => rib.import_again(source, destination),
            Self::NotSentAgain(family) => rib.take_unrefreshed(source, destination, *family),
            Self::NextHops(next_hops) => {
                let news = rib.next_hops_by(source, destination).filter_map(|next_hop| next_hops.get(&next_hop));
                if let Some(again) = news.max().copied() {
                    rib.touch(destination, again);
                }
            }
        }
    }
}

impl Speaker {
    /// Puts work behind what waits already.
    pub(super) fn sweep(&mut self, sweep: Sweep) {
        if !self.sweeps.iter_mut().any(|known| known.merge(&sweep)) {
            self.sweeps.push_back(sweep);
        }
    }

    /// How many destinations wait to be looked at, at most: what they touch, neighbors are told.
    pub(super) fn unswept(&self) -> usize {
        self.sweeps.iter().map(|sweep| sweep.left(&self.rib)).sum()
    }

    /// One turn's slice.
    pub(super) fn run_sweeps(&mut self) {
        let mut left = SLICE;
        while let Some(sweep) = self.sweeps.front_mut().filter(|_| left > 0) {
            left -= 1;
            if sweep.step(&mut self.rib) {
                continue;
            }
            match self.sweeps.pop_front() {
                Some(Sweep::Source { source, work: Work::Flush, .. }) => {
                    self.monitor_leaving(source);
                    self.rib.remove_source(source);
                    self.unpark();
                }
                Some(Sweep::Source { source, work: Work::NotSentAgain(family), .. }) => {
                    self.rib.forget_refresh(source, family);
                }
                _ => {}
            }
        }
    }

    /// What a session has left is swept away: nobody waits for that any more.
    fn unpark(&mut self) {
        for group in self.groups.iter_mut() {
            if group.out.unpark() {
                self.connections.wake(group);
            }
        }
    }
}
