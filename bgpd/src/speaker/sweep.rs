//! Work that grows with the table, done a slice a turn.

use super::Speaker;
use crate::rib::{DestinationId, NextHopId, Rib, SourceId};

/// Destinations looked at in one slice.
const SLICE: usize = 1024;

/// What is done to the paths of a source, and where it stands.
#[derive(Debug)]
pub(super) struct Sweep {
    source: SourceId,
    from: DestinationId,
    work: Work,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Work {
    /// The session is gone, and its paths go.
    Flush,
    /// Import policy has changed.
    Import,
    /// The host has said something new of a next hop.
    NextHop { next_hop: NextHopId, again: bool },
}

impl Sweep {
    pub(super) fn flush(source: SourceId) -> Self {
        Self { source, from: 0, work: Work::Flush }
    }

    pub(super) fn import(source: SourceId) -> Self {
        Self { source, from: 0, work: Work::Import }
    }

    pub(super) fn next_hop(next_hop: NextHopId, again: bool, source: SourceId) -> Self {
        Self { source, from: 0, work: Work::NextHop { next_hop, again } }
    }

    /// Does a slice; `false`: that was the last.
    fn run(&mut self, rib: &mut Rib) -> bool {
        for _ in 0..SLICE {
            let Some(destination) = rib.next_received(self.source, self.from) else { return false };
            self.from = destination + 1;
            match self.work {
                Work::Flush => {
                    rib.take(self.source, destination);
                }
                Work::Import => rib.import_again(self.source, destination),
                Work::NextHop { next_hop, again } if rib.leads_to(next_hop, self.source, destination) => {
                    rib.touch(destination, again);
                }
                Work::NextHop { .. } => {}
            }
        }
        true
    }
}

impl Speaker {
    /// Puts work behind what waits already; work of the same kind that has begun begins anew.
    pub(super) fn sweep(&mut self, sweep: Sweep) {
        self.sweeps.retain(|known| (known.source, known.work) != (sweep.source, sweep.work));
        self.sweeps.push_back(sweep);
    }

    /// One slice of the first.
    pub(super) fn run_sweep(&mut self) {
        let Some(mut sweep) = self.sweeps.pop_front() else { return };
        if sweep.run(&mut self.rib) {
            self.sweeps.push_front(sweep);
        } else if sweep.work == Work::Flush {
            self.sweeps.retain(|other| other.source != sweep.source);
            self.rib.remove_source(sweep.source);
        }
    }
}
