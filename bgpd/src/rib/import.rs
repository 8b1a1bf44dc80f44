//! What comes into the RIB: loops, import policy, next hops.

use std::sync::Arc;

use ipnet::IpNet;

use super::{
    AttributeSet, Content, DestinationId, Filter, Forward, Key, Outcome, OwnRoute, Path, Rank, Rejection, Rib, Scratch,
    SetId, Source, SourceId, is_martian,
};
use crate::policy::{Inquiry, LEAST_LOCAL_PREF, NewNextHop, Route};
use crate::role::Role;
use crate::types::{Community, Family, NextHop};
use crate::wire::{AttrError, DecodeError, PathAttributes, Treatment};

/// A path as it came.
struct Received<'a> {
    key: &'a [u8],
    /// Of its set.
    hash: u64,
    attributes: &'a PathAttributes,
    /// Where it leads; `None`: the neighbor did not say.
    next_hop: Option<NextHop>,
}

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
        let mut scratch = std::mem::take(&mut self.scratch);
        key.write(&mut scratch.key);
        let result = self.import_key(source, key, &mut scratch, prefixes, since);
        self.scratch = scratch;
        result
    }

    fn import_key(
        &mut self,
        source: SourceId,
        key: &Key<'_>,
        scratch: &mut Scratch,
        prefixes: impl Iterator<Item = IpNet>,
        since: u32,
    ) -> Result<Vec<AttrError>, DecodeError> {
        let limited = self.sources[source].most.is_some();
        let hash = self.sets.hash(source, &scratch.key);
        if let Some(set) = self.known_for_every_prefix(source, hash, &scratch.key) {
            prefixes.for_each(|prefix| {
                if !limited || self.has_room(source, key.path_id, &prefix) {
                    self.arrive(source, prefix, set, since);
                }
            });
            return Ok(Vec::new());
        }
        let parsed = &mut scratch.parsed;
        let next_hop = key.parse(&self.sources[source], parsed);
        if let Some(error) = parsed.reset() {
            return Err(error);
        }
        if parsed.treatment() >= Some(Treatment::TreatAsWithdraw) {
            prefixes.for_each(|prefix| self.withdraw(source, key.path_id, prefix, since));
            return Ok(std::mem::take(&mut parsed.errors));
        }
        let received = Received { key: &scratch.key, hash, attributes: &parsed.attributes, next_hop };
        let import = self.sources[source].import.clone();
        let looks_at_prefix = import.looks_at_prefix();
        let mut inquiry = import.ask(received.attributes);
        let mut last: Option<(Outcome, SetId)> = None;
        for prefix in prefixes {
            if limited && !self.has_room(source, key.path_id, &prefix) {
                continue; // before there is a set for it, which nothing would carry
            }
            let set = match last {
                Some((_, set)) if !looks_at_prefix => set,
                _ => self.judged(source, &received, (prefix, inquiry.as_mut()), &mut last),
            };
            self.arrive(source, prefix, set, since);
        }
        Ok(std::mem::take(&mut parsed.errors))
    }

    /// The set of a prefix that policy looks at; often that of the one before.
    fn judged(
        &mut self,
        source: SourceId,
        received: &Received<'_>,
        (prefix, inquiry): (IpNet, Option<&mut Inquiry<'_>>),
        last: &mut Option<(Outcome, SetId)>,
    ) -> SetId {
        let outcome = self.sources[source].judge(received, prefix, inquiry);
        let set = match last {
            Some((known, set)) if *known == outcome => *set,
            _ => self.set_of(source, received, &outcome),
        };
        *last = Some((outcome, set));
        set
    }

    /// The set with these bytes, where import policy answers the same for all prefixes and has been asked.
    fn known_for_every_prefix(&self, source: SourceId, hash: u64, bytes: &[u8]) -> Option<SetId> {
        let Source { import, generation, .. } = &self.sources[source];
        if import.looks_at_prefix() {
            return None;
        }
        self.sets.find(hash, source, bytes, |set| set.outcome.generation == *generation && !set.outcome.long_lived)
    }

    /// The set for these bytes and this outcome, a new one if there is none; to be carried by a path at once.
    fn set_of(&mut self, source: SourceId, received: &Received<'_>, outcome: &Outcome) -> SetId {
        if let Some(set) = self.sets.find(received.hash, source, received.key, |set| *set.outcome == *outcome) {
            return set;
        }
        let rank = self.sources[source].rank(received.attributes, outcome);
        let forward = match outcome.next_hop.map(NextHop::from).or(received.next_hop) {
            _ if outcome.rejected.is_some() => Forward::Nowhere,
            Some(next_hop) if !is_martian(&next_hop, &self.sources[source]) => {
                Forward::To(self.next_hops.hold(next_hop, source))
            }
            _ => Forward::Martian,
        };
        let discard = self.sources[source].discards(received.attributes, outcome);
        let outcome = self.sources[source].share(outcome);
        let set = AttributeSet::new(source, Content::Received(received.key.into()), outcome, forward, rank);
        let set = set.discarding(discard);
        self.sources[source].set_octets += set.octets();
        self.sets.insert(received.hash, set)
    }

    /// Asks import policy again about the paths that are kept.
    pub(crate) fn import_again(&mut self, source: SourceId, destination: DestinationId) {
        let paths: Vec<Path> = self.paths_of(source, destination).collect();
        paths.into_iter().for_each(|path| self.import_path_again(source, destination, path));
    }

    fn import_path_again(&mut self, source: SourceId, destination: DestinationId, path: Path) {
        let Content::Received(bytes) = self.sets.at(path.set).content.clone() else { return };
        let Some(key) = Key::read(&bytes) else { return };
        let mut parsed = std::mem::take(&mut self.scratch.parsed);
        let next_hop = key.parse(&self.sources[source], &mut parsed);
        let hash = self.sets.hash(source, &bytes);
        let received = Received { key: &bytes, hash, attributes: &parsed.attributes, next_hop };
        let import = self.sources[source].import.clone();
        let mut inquiry = import.ask(received.attributes);
        let prefix = self.prefix(destination);
        let mut outcome = self.sources[source].judge(&received, prefix, inquiry.as_mut());
        outcome.long_lived = self.is_long_lived(source, destination);
        let set = self.set_of(source, &received, &outcome);
        self.put(source, destination, set, path.since);
        self.scratch.parsed = parsed;
    }

    /// A route of ours, as it stands in the Loc-RIB.
    pub(crate) fn announce_own(&mut self, source: SourceId, prefix: IpNet, route: OwnRoute, since: u32) {
        let hash = self.sets.hash(source, &[]);
        let set = match self.sets.find(hash, source, &[], |set| set.own() == Some(&route)) {
            Some(set) => set,
            None => self.insert_own(hash, source, route),
        };
        let hash = self.destinations.fetch(&prefix);
        match self.destinations.find_hashed(hash, &prefix) {
            Some(destination) => self.renew(source, destination, set, since),
            None => self.begin(source, hash, prefix, set, since),
        }
    }

    fn insert_own(&mut self, hash: u64, source: SourceId, route: OwnRoute) -> SetId {
        let outcome = Outcome::default();
        let rank = self.sources[source].rank(&route.attributes, &outcome);
        let forward = match route.next_hop {
            Some(next_hop) => Forward::To(self.next_hops.hold(next_hop.into(), source)),
            None => Forward::Nowhere,
        };
        let outcome = self.sources[source].share(&outcome);
        self.sets.insert(hash, AttributeSet::new(source, Content::Own(Box::new(route)), outcome, forward, rank))
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

    /// What becomes of a path. `inquiry`: of its policy, where it has one, about its attributes.
    fn judge(&self, received: &Received<'_>, prefix: IpNet, inquiry: Option<&mut Inquiry<'_>>) -> Outcome {
        let attributes = received.attributes;
        let draining = self.draining && self.is_external();
        let outcome = Outcome { generation: self.generation, draining, ..Outcome::default() };
        if let Some(loop_found) = self.find_loop(attributes) {
            return Outcome { rejected: Some(loop_found), ..outcome };
        }
        let (policy, inquiry) = match (&self.import, inquiry) {
            (Filter::Nothing, _) => return Outcome { rejected: Some(Rejection::NoPolicy), ..outcome },
            (Filter::Policy(policy), Some(inquiry)) => (policy, inquiry),
            (Filter::Everything | Filter::Policy(_), _) => return outcome,
        };
        let route = Route {
            prefix,
            protocol: self.protocol,
            neighbor: &self.names,
            next_hop: received.next_hop.map(|next_hop| next_hop.address),
            asn: self.local_asn,
        };
        let answer = inquiry.evaluate(&route);
        let rejected = (!answer.accepted).then_some(Rejection::Policy);
        let next_hop = match policy.next_hop(&answer.changes, Family::of(&prefix)) {
            Some(NewNextHop::Address(address)) => Some(address),
            Some(NewNextHop::Ourselves) | None => None,
        };
        let policy = Some(Arc::clone(policy));
        Outcome { rejected, policy, rule: answer.rule, changes: answer.changes, next_hop, ..outcome }
    }

    /// Whether the route was here before, or must not come from there.
    fn find_loop(&self, attributes: &PathAttributes) -> Option<Rejection> {
        let ours = attributes.as_path.iter().filter(|asn| *asn == self.asn || *asn == self.local_asn);
        if ours.count() > usize::from(self.allow_own_asn) {
            return Some(Rejection::OwnAs); // RFC 4271 §9.1.2
        }
        let us = self.local_router_id.address();
        if attributes.originator_id == Some(us) {
            return Some(Rejection::OwnOriginatorId); // RFC 4456 §8
        }
        if attributes.cluster_list.contains(&us) {
            return Some(Rejection::OwnClusterId); // RFC 4456 §8
        }
        let leaked = self.role.is_some_and(|role| role.is_leak(attributes.only_to_customer, self.context.remote_asn));
        leaked.then_some(Rejection::Leak)
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
        if self.role.is_some_and(Role::marks_received) {
            attributes.only_to_customer.get_or_insert(self.context.remote_asn.get()); // RFC 9234 §5
        }
        if outcome.draining {
            attributes.add_community(Community::GRACEFUL_SHUTDOWN); // RFC 8326 §4.2
        }
        if self.is_external() && attributes.communities.contains(&Community::BLACKHOLE) {
            attributes.add_community(Community::NO_EXPORT); // RFC 7999 §3.2
        }
        if outcome.long_lived {
            attributes.add_community(Community::LLGR_STALE); // RFC 9494 §4.2
        }
        if self.is_leaving(attributes) {
            attributes.local_pref = Some(LEAST_LOCAL_PREF);
        }
    }

    /// Whether packets are to be dropped: the path carries BLACKHOLE, and import policy asks for it.
    fn discards(&self, attributes: &PathAttributes, outcome: &Outcome) -> bool {
        let Some(policy) = &outcome.policy else { return false };
        if !policy.asks_for_blackhole(outcome.rule, &outcome.changes) {
            return false;
        }
        let mut changed = attributes.clone();
        self.apply(outcome, &mut changed);
        changed.communities.contains(&Community::BLACKHOLE)
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
