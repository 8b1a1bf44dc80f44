//! Routes of our own: prefixes that are originated, and aggregates.
//!
//! An aggregate is there while something more specific has a best path. How many there are is counted as decisions
//! change; a new aggregate counts what is there already, a slice a turn.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::policy::Protocol;
use crate::rib::{Change, DestinationId, OwnRoute, Rib, Source, SourceId};
use crate::settings::{Aggregate, Originate, Settings};
use crate::wire::{Aggregator, Origin, PathAttributes};

/// Destinations counted in one slice.
const SLICE: usize = 4096;

/// Ours in the RIB.
#[derive(Debug)]
pub(super) struct OwnRoutes {
    originate: SourceId,
    aggregate: SourceId,
    aggregator: Aggregator,
    originated: BTreeMap<IpNet, OwnRoute>,
    aggregates: Vec<Summary>,
}

/// One aggregate.
#[derive(Debug)]
struct Summary {
    settings: Aggregate,
    /// Destinations below it that have a best path, by ORIGIN.
    contributors: [usize; 3],
    /// Destinations below this number are counted; `None`: all are.
    counted: Option<DestinationId>,
    /// What it stands in the RIB with.
    announced: Option<Origin>,
}

impl OwnRoutes {
    pub(super) fn new(rib: &mut Rib, settings: &Settings) -> Self {
        let mut source = |protocol| rib.add_source(Source::new(protocol, [].into(), settings));
        Self {
            originate: source(Protocol::Originate),
            aggregate: source(Protocol::Aggregate),
            aggregator: Aggregator { asn: settings.asn, address: settings.router_id.address() },
            originated: BTreeMap::new(),
            aggregates: Vec::new(),
        }
    }

    /// Makes the RIB as the settings want it.
    pub(super) fn reload(&mut self, rib: &mut Rib, settings: &Settings, since: u32) {
        self.reload_originated(rib, &settings.originate, since);
        let aggregator = Aggregator { asn: settings.asn, address: settings.router_id.address() };
        let same_aggregator = std::mem::replace(&mut self.aggregator, aggregator) == aggregator;
        self.aggregates.retain(|summary| {
            let stays = same_aggregator && settings.aggregates.contains(&summary.settings);
            if !stays && summary.announced.is_some() {
                rib.retract(self.aggregate, &summary.settings.prefix);
            }
            stays
        });
        for aggregate in &settings.aggregates {
            if !self.aggregates.iter().any(|known| known.settings == *aggregate) {
                let settings = aggregate.clone();
                self.aggregates.push(Summary { settings, contributors: [0; 3], counted: Some(0), announced: None });
            }
        }
    }

    fn reload_originated(&mut self, rib: &mut Rib, originate: &[Originate], since: u32) {
        let wanted: BTreeMap<IpNet, OwnRoute> =
            originate.iter().map(|own| (own.prefix.trunc(), own_route(own))).collect();
        for prefix in self.originated.keys().filter(|prefix| !wanted.contains_key(*prefix)) {
            rib.retract(self.originate, prefix);
        }
        for (prefix, route) in &wanted {
            if self.originated.get(prefix) != Some(route) {
                rib.announce_own(self.originate, *prefix, route.clone(), since);
            }
        }
        self.originated = wanted;
    }

    /// Whether an aggregate stands for this prefix towards neighbors.
    pub(super) fn is_suppressed(&self, prefix: impl Fn() -> IpNet) -> bool {
        // While the prefix has a best path, so has the aggregate.
        self.aggregates.iter().any(|summary| summary.settings.summary_only && summary.covers(&prefix()))
    }

    /// Decisions have changed.
    pub(super) fn take_note(&mut self, changes: &[Change], rib: &mut Rib, since: u32) {
        if self.aggregates.is_empty() {
            return;
        }
        for change in changes.iter().filter(|change| change.before != change.now) {
            self.count_again(change, rib, since);
        }
    }

    fn count_again(&mut self, change: &Change, rib: &mut Rib, since: u32) {
        let prefix = rib.prefix(change.destination);
        for summary in self.aggregates.iter_mut().filter(|summary| summary.covers(&prefix)) {
            if summary.counted.is_some_and(|counted| counted <= change.destination) {
                continue; // it will be counted
            }
            if let Some(origin) = change.before {
                summary.contributors[origin as usize] -= 1;
            }
            if let Some(origin) = change.now {
                summary.contributors[origin as usize] += 1;
            }
            summary.announce(self.aggregate, self.aggregator, rib, since);
        }
    }

    /// Whether a new aggregate still counts.
    pub(super) fn is_counting(&self) -> bool {
        self.aggregates.iter().any(|summary| summary.counted.is_some())
    }

    /// One slice of counting. Nothing may be touched: what is decided is what is counted.
    pub(super) fn count(&mut self, rib: &mut Rib, since: u32) {
        for summary in &mut self.aggregates {
            for _ in 0..SLICE {
                let Some(from) = summary.counted else { break };
                let next = rib.next_best(from);
                summary.counted = next.map(|destination| destination + 1);
                let Some(destination) = next else { break };
                if summary.covers(&rib.prefix(destination))
                    && let Some(origin) = rib.best_origin(destination)
                {
                    summary.contributors[origin as usize] += 1;
                }
            }
            summary.announce(self.aggregate, self.aggregator, rib, since);
        }
    }
}

impl Summary {
    /// Whether the prefix is more specific.
    fn covers(&self, prefix: &IpNet) -> bool {
        self.settings.prefix.prefix_len() < prefix.prefix_len() && self.settings.prefix.contains(prefix)
    }

    /// Brings the RIB up to date.
    fn announce(&mut self, source: SourceId, aggregator: Aggregator, rib: &mut Rib, since: u32) {
        let wanted = self.origin();
        if wanted == self.announced {
            return;
        }
        self.announced = wanted;
        let prefix = self.settings.prefix.trunc();
        let Some(origin) = wanted else {
            rib.retract(source, &prefix);
            return;
        };
        let attributes = PathAttributes {
            origin,
            atomic_aggregate: true, // RFC 9774 §3: AS numbers are dropped, not put in an AS_SET; RFC 4271 §5.1.6
            aggregator: Some(aggregator), // RFC 4271 §5.1.7
            ..PathAttributes::default()
        };
        rib.announce_own(
            source,
            prefix,
            OwnRoute { attributes, next_hop: None, discard: self.settings.discard },
            since,
        );
    }

    /// RFC 4271 §9.2.2.2: the least certain ORIGIN of what is aggregated.
    fn origin(&self) -> Option<Origin> {
        let [igp, egp, incomplete] = self.contributors;
        [(incomplete, Origin::Incomplete), (egp, Origin::Egp), (igp, Origin::Igp)]
            .into_iter()
            .find(|(count, _)| *count > 0)
            .map(|(_, origin)| origin)
    }
}

fn own_route(originate: &Originate) -> OwnRoute {
    OwnRoute { attributes: PathAttributes::default(), next_hop: originate.next_hop, discard: originate.discard }
}
