//! Work that grows with the table, done a slice a turn.

use std::collections::BTreeMap;

use super::Speaker;
use crate::rib::{DestinationId, NextHopId, Rib, SourceId};
use crate::types::Family;

/// Destinations looked at in one turn.
const SLICE: usize = 1024;

/// What is to be done to destinations.
#[derive(Debug)]
pub(super) enum Sweep {
    /// They wait for a next hop that the host now knows.
    Waiting(Vec<DestinationId>),
    /// All that a source has a path to, from a number on.
    Source { source: SourceId, from: DestinationId, work: Work },
}

/// What is done to the paths of a source.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Work {
    /// The session is gone, and its paths go.
    Flush,
    /// Import policy has changed.
    Import,
    /// The neighbor has sent all of this family again: what it did not send goes (RFC 7313 §4.2).
    Stale(Family),
    /// The host has said something new of these next hops; whether neighbors hear of their paths again.
    NextHops(BTreeMap<NextHopId, bool>),
}

impl Sweep {
    pub(super) fn flush(source: SourceId) -> Self {
        Self::Source { source, from: 0, work: Work::Flush }
    }

    pub(super) fn import(source: SourceId) -> Self {
        Self::Source { source, from: 0, work: Work::Import }
    }

    pub(super) fn stale(source: SourceId, family: Family) -> Self {
        Self::Source { source, from: 0, work: Work::Stale(family) }
    }

    pub(super) fn next_hop(source: SourceId, next_hop: NextHopId, again: bool) -> Self {
        Self::Source { source, from: 0, work: Work::NextHops([(next_hop, again)].into()) }
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
            Self::Source { source, .. } => rib.source(*source).received.len(),
        }
    }

    /// Looks at the next destination; `false`: there is none.
    fn step(&mut self, rib: &mut Rib) -> bool {
        match self {
            Self::Waiting(destinations) => match destinations.pop() {
                Some(destination) => rib.touch_if_known(destination),
                None => return false,
            },
            Self::Source { source, from, work } => {
                let Some(destination) = rib.next_received(*source, *from) else { return false };
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
            Self::Flush => {
                rib.take(source, destination);
            }
            Self::Import => rib.import_again(source, destination),
            Self::Stale(family) => rib.take_stale(source, destination, *family),
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
                    self.rib.remove_source(source);
                    self.unpark();
                }
                Some(Sweep::Source { source, work: Work::Stale(family), .. }) => {
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
                group.members.iter().for_each(|member| self.connections.mark_writable(member.connection));
            }
        }
    }
}
