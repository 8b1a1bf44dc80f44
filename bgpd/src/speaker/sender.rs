//! One neighbor's routes: which of them it hears of, in which UPDATEs.

use bytes::BytesMut;
use ipnet::IpNet;

use super::export::{Best, Exporter};
use super::own::OwnRoutes;
use crate::rib::{AdjRibOut, DestinationId, Rib, SetId, SourceId};
use crate::types::Family;
use crate::wire::{self, Context, MpNextHop, PathAttributes};

/// One neighbor's view of the RIB.
pub(super) struct Sender<'a> {
    pub(super) exporter: Exporter<'a>,
    pub(super) context: &'a Context,
    pub(super) rib: &'a Rib,
    pub(super) own: &'a OwnRoutes,
    /// What the neighbor itself announces.
    pub(super) source: SourceId,
}

/// Destinations that leave with the same attributes.
#[derive(Debug)]
struct Batch {
    family: Family,
    next_hop: MpNextHop,
    attributes: PathAttributes,
    /// Rules of the export policy whose `set` made them so.
    changes: Vec<u32>,
    routes: Vec<(DestinationId, IpNet)>,
}

impl<'a> Sender<'a> {
    /// The best path with this set, if this neighbor may hear of it.
    pub(super) fn best(&self, set: SetId) -> Option<Best<'a>> {
        let best = Best::new(self.rib, set);
        // Never back to where it came from.
        (best.set.source != self.source && self.exporter.may_tell(&best)).then_some(best)
    }

    /// Whether a prefix may be told at all.
    pub(super) fn carries(&self, prefix: &IpNet) -> bool {
        self.context.families.contains(Family::of(prefix)) && !self.own.is_suppressed(prefix)
    }

    /// How a prefix is told: its next hop, and the rules of export policy that change it.
    pub(super) fn judge(&self, best: &Best<'_>, prefix: IpNet) -> Option<(MpNextHop, Vec<u32>)> {
        let changes = self.exporter.evaluate(best, prefix)?;
        Some((self.exporter.next_hop(best, Family::of(&prefix), &changes)?, changes))
    }

    /// Tells of destinations whose best path has this set, or that have none. What had no room in an UPDATE is returned.
    pub(super) fn send(
        &self,
        set: Option<SetId>,
        run: &[DestinationId],
        adj: &mut AdjRibOut,
        out: &mut BytesMut,
    ) -> Vec<IpNet> {
        if set.is_some_and(|set| self.rib.is_gone(set)) {
            return Vec::new(); // what was told stays told until the sweep comes by
        }
        let best = set.and_then(|set| self.best(set));
        let mut batches = Batches::new(self, best.as_ref());
        let mut withdrawn = Vec::new();
        for &destination in run {
            if !batches.take(destination) && adj.told.remove(destination) {
                withdrawn.push(self.rib.prefix(destination));
            }
        }
        let mut too_long = Vec::new();
        for batch in batches.all {
            self.write_batch(&batch, adj, out, &mut too_long);
        }
        for (destination, prefix) in &too_long {
            if adj.told.remove(*destination) {
                withdrawn.push(*prefix); // RFC 8654 §4: what the neighbor has is no longer true
            }
        }
        self.write_withdrawn(withdrawn, out);
        too_long.into_iter().map(|(_, prefix)| prefix).collect()
    }

    fn write_batch(
        &self,
        batch: &Batch,
        adj: &mut AdjRibOut,
        out: &mut BytesMut,
        too_long: &mut Vec<(DestinationId, IpNet)>,
    ) {
        let prefixes: Vec<IpNet> = batch.routes.iter().map(|(_, prefix)| *prefix).collect();
        let mut at = 0;
        while at < prefixes.len() {
            let written = wire::write_reach(out, self.context, &batch.attributes, batch.next_hop, &prefixes[at..]);
            if written == 0 {
                too_long.push(batch.routes[at]);
                at += 1;
            }
            for (destination, _) in &batch.routes[at..at + written] {
                adj.told.insert(*destination);
            }
            at += written;
        }
    }

    fn write_withdrawn(&self, mut prefixes: Vec<IpNet>, out: &mut BytesMut) {
        prefixes.sort_unstable_by_key(Family::of);
        for prefixes in prefixes.chunk_by(|left, right| Family::of(left) == Family::of(right)) {
            let mut at = 0;
            while at < prefixes.len() {
                // A prefix alone always fits in a message.
                at += wire::write_unreach(out, self.context, &prefixes[at..]).max(1);
            }
        }
    }
}

/// The routes of a run, by what they leave with.
struct Batches<'a> {
    sender: &'a Sender<'a>,
    best: Option<&'a Best<'a>>,
    all: Vec<Batch>,
    /// By family: where the last route went, where that is where all go.
    same: [Option<Option<usize>>; 2],
}

impl<'a> Batches<'a> {
    fn new(sender: &'a Sender<'a>, best: Option<&'a Best<'a>>) -> Self {
        Self { sender, best, all: Vec::new(), same: [None; 2] }
    }

    /// Takes a route in; `false`: it is not to be told.
    fn take(&mut self, destination: DestinationId) -> bool {
        let Some(best) = self.best else { return false };
        let prefix = self.sender.rib.prefix(destination);
        if !self.sender.carries(&prefix) {
            return false;
        }
        let family = Family::of(&prefix);
        let place = match self.same[family as usize] {
            Some(place) => place,
            None => {
                let place = self
                    .sender
                    .judge(best, prefix)
                    .map(|(next_hop, changes)| self.place(best, family, next_hop, changes));
                if !self.sender.exporter.filter.looks_at_prefix() {
                    self.same[family as usize] = Some(place);
                }
                place
            }
        };
        if let Some(place) = place {
            self.all[place].routes.push((destination, prefix));
        }
        place.is_some()
    }

    fn place(&mut self, best: &Best<'_>, family: Family, next_hop: MpNextHop, changes: Vec<u32>) -> usize {
        let known = self.all.iter().position(|batch| batch.family == family && batch.changes == changes);
        known.unwrap_or_else(|| {
            let attributes = self.sender.exporter.attributes(best, &changes);
            self.all.push(Batch { family, next_hop, attributes, changes, routes: Vec::new() });
            self.all.len() - 1
        })
    }
}
