//! What comes into the RIB: loops, import policy, next hops.

use std::sync::Arc;

use ipnet::IpNet;

use super::{
    AttributeSet, Content, DestinationId, Filter, Forward, Key, Outcome, OwnRoute, Rank, Received, Rejection, Rib,
    SetId, Source, SourceId, is_martian,
};
use crate::policy::{LEAST_LOCAL_PREF, Route};
use crate::types::Community;
use crate::wire::{AttrError, DecodeError, PathAttributes, Treatment};

impl Rib {
    /// Takes the prefixes of an UPDATE that have one next hop. `since` is in seconds from the speaker's beginning.
    /// What was wrong is returned; where it asks for treat-as-withdraw, the prefixes are withdrawn (RFC 7606 §2).
    ///
    /// # Errors
    /// What ends the session.
    pub(crate) fn import(
        &mut self,
        source: SourceId,
        key: &Key<'_>,
        prefixes: impl Iterator<Item = IpNet>,
        since: u32,
    ) -> Result<Vec<AttrError>, DecodeError> {
        let mut bytes = std::mem::take(&mut self.scratch);
        key.write(&mut bytes);
        let result = self.import_key(source, key, &bytes, prefixes, since);
        self.scratch = bytes;
        result
    }

    fn import_key(
        &mut self,
        source: SourceId,
        key: &Key<'_>,
        bytes: &[u8],
        prefixes: impl Iterator<Item = IpNet>,
        since: u32,
    ) -> Result<Vec<AttrError>, DecodeError> {
        if let Some(set) = self.known_for_every_prefix(source, bytes) {
            prefixes.for_each(|prefix| self.announce(source, prefix, set, since));
            return Ok(Vec::new());
        }
        let received = key.parse(&self.sources[source]);
        if let Some(error) = received.parsed.reset() {
            return Err(error);
        }
        if received.parsed.treatment() >= Some(Treatment::TreatAsWithdraw) {
            prefixes.for_each(|prefix| {
                self.withdraw(source, &prefix);
            });
            return Ok(received.parsed.errors);
        }
        let looks_at_prefix = self.sources[source].import.looks_at_prefix();
        let mut last: Option<(Outcome, SetId)> = None;
        for prefix in prefixes {
            let set = match last {
                Some((_, set)) if !looks_at_prefix => set,
                _ => self.judged(source, bytes, &received, prefix, &mut last),
            };
            self.announce(source, prefix, set, since);
        }
        Ok(received.parsed.errors)
    }

    /// The set of a prefix that policy looks at; often that of the one before.
    fn judged(
        &mut self,
        source: SourceId,
        bytes: &[u8],
        received: &Received,
        prefix: IpNet,
        last: &mut Option<(Outcome, SetId)>,
    ) -> SetId {
        let outcome = self.sources[source].judge(received, prefix);
        let set = match last {
            Some((known, set)) if *known == outcome => *set,
            _ => self.set_of(source, bytes, received, &outcome),
        };
        *last = Some((outcome, set));
        set
    }

    /// The set with these bytes, where import policy answers the same for all prefixes and has been asked.
    fn known_for_every_prefix(&self, source: SourceId, bytes: &[u8]) -> Option<SetId> {
        let Source { import, generation, .. } = &self.sources[source];
        if import.looks_at_prefix() {
            return None;
        }
        self.sets.find(source, bytes, |set| set.outcome.generation == *generation && !set.outcome.long_lived)
    }

    /// The set for these bytes and this outcome, a new one if there is none; to be carried by a path at once.
    fn set_of(&mut self, source: SourceId, bytes: &[u8], received: &Received, outcome: &Outcome) -> SetId {
        if let Some(set) = self.sets.find(source, bytes, |set| *set.outcome == *outcome) {
            return set;
        }
        let rank = self.sources[source].rank(&received.parsed.attributes, outcome);
        let forward = match received.next_hop {
            _ if outcome.rejected.is_some() => Forward::Nowhere,
            Some(next_hop) if !is_martian(&next_hop, &self.sources[source]) => {
                Forward::To(self.next_hops.hold(next_hop, source))
            }
            _ => Forward::Martian,
        };
        let outcome = self.sources[source].share(outcome);
        self.sets.insert(AttributeSet::new(source, Content::Received(bytes.into()), outcome, forward, rank))
    }

    /// Asks import policy again about a path that is kept.
    pub(crate) fn import_again(&mut self, source: SourceId, destination: DestinationId) {
        let Some(path) = self.path_of(source, destination) else { return };
        let Content::Received(bytes) = self.sets.at(path.set).content.clone() else { return };
        let Some(key) = Key::read(&bytes) else { return };
        let received = key.parse(&self.sources[source]);
        let mut outcome = self.sources[source].judge(&received, self.destinations.at(destination).prefix);
        outcome.long_lived = self.is_long_lived(source, destination);
        let set = self.set_of(source, &bytes, &received, &outcome);
        self.put(source, destination, set, path.since);
    }

    /// A route of ours, as it stands in the Loc-RIB.
    pub(crate) fn announce_own(&mut self, source: SourceId, prefix: IpNet, route: OwnRoute, since: u32) {
        let set = match self.sets.find(source, &[], |set| set.own() == Some(&route)) {
            Some(set) => set,
            None => self.insert_own(source, route),
        };
        self.announce(source, prefix, set, since);
    }

    fn insert_own(&mut self, source: SourceId, route: OwnRoute) -> SetId {
        let outcome = Outcome::default();
        let rank = self.sources[source].rank(&route.attributes, &outcome);
        let forward = match route.next_hop {
            Some(next_hop) => Forward::To(self.next_hops.hold(next_hop.into(), source)),
            None => Forward::Nowhere,
        };
        let outcome = self.sources[source].share(&outcome);
        self.sets.insert(AttributeSet::new(source, Content::Own(Box::new(route)), outcome, forward, rank))
    }
}

impl Source {
    /// Policy has changed, or the neighbor's paths are about to go, or to stay after all: what is said of them from now on
    /// is new.
    pub(crate) fn judge_by(&mut self, import: Filter, draining: bool) {
        self.import = import;
        self.draining = draining;
        self.outcomes.clear();
        self.generation += 1;
    }

    /// What becomes of a path.
    fn judge(&self, received: &Received, prefix: IpNet) -> Outcome {
        let attributes = &received.parsed.attributes;
        let draining = self.draining && self.is_external();
        let outcome = Outcome { generation: self.generation, draining, ..Outcome::default() };
        if let Some(loop_found) = self.find_loop(attributes) {
            return Outcome { rejected: Some(loop_found), ..outcome };
        }
        let policy = match &self.import {
            Filter::Nothing => return Outcome { rejected: Some(Rejection::NoPolicy), ..outcome },
            Filter::Everything => return outcome,
            Filter::Policy(policy) => policy,
        };
        let route = Route {
            prefix,
            protocol: self.protocol,
            neighbor: &self.names,
            next_hop: received.next_hop.map(|next_hop| next_hop.address),
            asn: self.local_asn,
        };
        let answer = policy.evaluate(&route, attributes);
        let rejected = (!answer.accepted).then_some(Rejection::Policy);
        Outcome { rejected, policy: Some(Arc::clone(policy)), rule: answer.rule, changes: answer.changes, ..outcome }
    }

    /// Whether the route was here before.
    fn find_loop(&self, attributes: &PathAttributes) -> Option<Rejection> {
        let ours = attributes.as_path.iter().filter(|asn| *asn == self.asn || *asn == self.local_asn);
        if ours.count() > usize::from(self.allow_own_asn) {
            return Some(Rejection::OwnAs); // RFC 4271 §9.1.2
        }
        let us = self.local_router_id.address();
        if attributes.originator_id == Some(us) {
            return Some(Rejection::OwnOriginatorId); // RFC 4456 §8
        }
        attributes.cluster_list.contains(&us).then_some(Rejection::OwnClusterId) // RFC 4456 §8
    }

    /// What the decision looks at, after import policy.
    fn rank(&self, attributes: &PathAttributes, outcome: &Outcome) -> Rank {
        if outcome.changes.is_empty() && !outcome.draining && !outcome.long_lived && !self.is_leaving(attributes) {
            return Rank::new(attributes, self);
        }
        let mut changed = attributes.clone();
        self.apply(outcome, &mut changed);
        Rank::new(&changed, self)
    }

    /// What import makes of attributes: first what policy changes, so that one that takes GRACEFUL_SHUTDOWN away is
    /// obeyed, and one that sets LOCAL_PREF does not hide that a path is about to go.
    pub(crate) fn apply(&self, outcome: &Outcome, attributes: &mut PathAttributes) {
        if let Some(policy) = &outcome.policy {
            policy.apply(&outcome.changes, self.local_asn, attributes);
        }
        if outcome.draining {
            attributes.add_community(Community::GRACEFUL_SHUTDOWN); // RFC 8326 §4.2
        }
        if outcome.long_lived {
            attributes.add_community(Community::LLGR_STALE); // RFC 9494 §4.2
        }
        if self.is_leaving(attributes) {
            attributes.local_pref = Some(LEAST_LOCAL_PREF);
        }
    }

    /// RFC 8326 §4.1: an external neighbor says that the path is about to go.
    fn is_leaving(&self, attributes: &PathAttributes) -> bool {
        self.is_external() && attributes.communities.contains(&Community::GRACEFUL_SHUTDOWN)
    }

    /// The same outcome, allocated once.
    fn share(&mut self, outcome: &Outcome) -> Arc<Outcome> {
        if let Some(known) = self.outcomes.iter().find(|known| ***known == *outcome) {
            return Arc::clone(known);
        }
        let shared = Arc::new(outcome.clone());
        self.outcomes.push(Arc::clone(&shared));
        shared
    }
}
