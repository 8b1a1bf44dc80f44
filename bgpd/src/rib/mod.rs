//! Routes: what came in, what is best, what the FIB shall have (RFC 4271 §3.2).
//!
//! One record per prefix holds every path to it, the best first; Adj-RIB-In and Loc-RIB are views of it. A path is
//! the number of an attribute set. Whoever changes a path *touches* its destination; `Rib::decide` then decides
//! each touched destination once and tells what became of it. Next hops are the host's to judge: a path whose next
//! hop is down, or does not admit the prefix, is not eligible (§9.1.2).

mod adj_out;
mod arrivals;
mod bits;
mod decision;
mod destinations;
mod fib;
mod hash;
mod import;
mod key;
mod look;
mod next_hops;
mod paths;
mod records;
mod refresh;
mod select;
mod sets;
mod slab;
mod source;
mod stale;
mod update;
mod walk;

#[cfg(test)]
mod tests;

use self::arrivals::Arrivals;
use self::destinations::Destinations;
use self::hash::Seed;
use self::next_hops::NextHops;
use self::sets::Sets;
use self::slab::Slab;
use crate::wire::{Origin, ParsedAttributes};

pub(crate) use self::adj_out::{AdjRibOut, Due, NOTHING, Pending};
pub(crate) use self::bits::Bits;
pub(crate) use self::decision::Rank;
pub(crate) use self::key::{Key, is_martian};
pub(crate) use self::next_hops::{Answered, NextHopId, Request};
pub(crate) use self::paths::Path;
pub(crate) use self::records::DestinationId;
pub(crate) use self::refresh::Refresh;
pub(crate) use self::select::Verdict;
pub(crate) use self::sets::{AttributeSet, Content, Forward, Outcome, OwnRoute, Rejection, SetId};
pub(crate) use self::source::{Filter, Source, SourceId, plain_context};

/// What a decision changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// The destination.
    pub(crate) destination: DestinationId,
    /// Whose the best path was before; `None`: there was none.
    pub(crate) source: Option<SourceId>,
    /// ORIGIN of the best path before; `None`: there was none.
    pub(crate) before: Option<Origin>,
    /// ORIGIN of the best path now.
    pub(crate) now: Option<Origin>,
    /// It is about the best path, not only about others.
    pub(crate) best: bool,
}

/// A destination whose decision is due.
#[derive(Clone, Copy, Debug)]
struct Touched {
    destination: DestinationId,
    best_before: Option<SetId>,
    /// The path that came, where that is all that happened.
    news: Option<SetId>,
}

/// All routes of a speaker.
#[derive(Debug)]
pub(crate) struct Rib {
    destinations: Destinations,
    sets: Sets,
    sources: Slab<Source>,
    next_hops: NextHops,
    /// How many equal paths are installed.
    multipath: usize,
    /// Somebody is told of more than the best paths.
    tells_several: bool,
    /// Destinations that have a best path.
    best: Bits,
    /// Counts the decisions.
    decided: u64,
    /// Destinations without any path.
    empty: Bits,
    touched: Vec<Touched>,
    /// Sets that lost their last path; kept until the decision has seen the change.
    released: Vec<SetId>,
    fib: fib::Queue,
    arrivals: Arrivals,
    scratch: Scratch,
}

/// Memory of the last UPDATE, for the next.
#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    parsed: ParsedAttributes,
}

impl Rib {
    /// How many destinations have a best path.
    pub(crate) fn reachable(&self) -> usize {
        self.best.len()
    }

    /// Nothing yet.
    pub(crate) fn new(seed: u64, multipath: u8) -> Self {
        let seed = Seed::new(seed);
        Self {
            destinations: Destinations::new(seed),
            sets: Sets::new(seed),
            sources: Slab::default(),
            next_hops: NextHops::default(),
            multipath: usize::from(multipath),
            tells_several: false,
            best: Bits::default(),
            decided: 0,
            empty: Bits::default(),
            touched: Vec::new(),
            released: Vec::new(),
            fib: fib::Queue::default(),
            arrivals: Arrivals::default(),
            scratch: Scratch::default(),
        }
    }
}
