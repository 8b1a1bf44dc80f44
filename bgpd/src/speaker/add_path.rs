//! Several paths to a prefix for a neighbor that takes them (RFC 7911): what it was told, and what it is to be told.
//!
//! Such a neighbor is an update group of its own. Whenever anything about a prefix changes, it is told every path that
//! may be used, as many as are installed together at most, and what it was told before and is no longer among them is
//! withdrawn. A path keeps its identifier as long as the neighbor knows of it; no identifier is given to another.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::export::Best;
use super::groups::{Audience, Group, Member};
use super::sender::{Sender, Told, Writing};
use crate::rib::{DestinationId, Path, Rib, SetId, SourceId};
use crate::types::{Families, Family};
use crate::wire;

/// A path for as long as it is there: whose it is, and which one of those that it tells.
pub(super) type PathKey = (SourceId, Option<u32>);

/// What one neighbor was told.
#[derive(Debug)]
pub(super) struct ToldPaths {
    /// Of the others it is told the best path alone.
    pub(super) families: Families,
    /// In the order in which they were told.
    told: BTreeMap<DestinationId, Vec<PathKey>>,
    ids: BTreeMap<PathKey, Id>,
    last_id: u32,
}

/// The identifier of a path.
#[derive(Debug)]
struct Id {
    id: u32,
    /// Destinations that it is told of.
    uses: usize,
}

impl ToldPaths {
    pub(super) fn new(families: Families) -> Self {
        Self { families, told: BTreeMap::new(), ids: BTreeMap::new(), last_id: 0 }
    }

    /// The paths to a destination, each with its identifier.
    pub(super) fn of(&self, destination: DestinationId) -> impl Iterator<Item = (PathKey, u32)> {
        let keys = self.told.get(&destination).into_iter().flatten();
        keys.filter_map(|key| Some((*key, self.ids.get(key)?.id)))
    }

    /// The identifier of a path that is about to be told.
    fn id(&mut self, key: PathKey) -> u32 {
        let last_id = &mut self.last_id;
        let entry = self.ids.entry(key).or_insert_with(|| {
            *last_id = last_id.wrapping_add(1);
            Id { id: *last_id, uses: 0 }
        });
        entry.id
    }

    /// It is told of one more destination.
    fn hold(&mut self, key: PathKey) {
        if let Some(id) = self.ids.get_mut(&key) {
            id.uses += 1;
        }
    }

    /// Forgets the identifier of a path that could not be told at all.
    fn forget_unused(&mut self, key: PathKey) {
        if self.ids.get(&key).is_some_and(|id| id.uses == 0) {
            self.ids.remove(&key);
        }
    }

    /// A destination is told by these paths now, which are held. The identifiers of what it was told by before, and is no
    /// longer, come back.
    fn replace(&mut self, destination: DestinationId, now: Vec<PathKey>) -> Vec<u32> {
        let before = match now.is_empty() {
            true => self.told.remove(&destination),
            false => self.told.insert(destination, now.clone()),
        };
        let before = before.unwrap_or_default();
        before.into_iter().filter_map(|key| self.release(key).filter(|_| !now.contains(&key))).collect()
    }

    /// One destination less; the identifier that it was told with.
    fn release(&mut self, key: PathKey) -> Option<u32> {
        let id = self.ids.get_mut(&key)?;
        id.uses -= 1;
        let (number, unused) = (id.id, id.uses == 0);
        if unused {
            self.ids.remove(&key);
        }
        Some(number)
    }
}

/// A path that may be told, and of which destination.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    set: SetId,
    destination: DestinationId,
    prefix: IpNet,
}

/// Paths that leave with the same attributes.
#[derive(Debug)]
struct Batch {
    family: Family,
    told: Told,
    candidates: Vec<Candidate>,
}

impl Sender<'_> {
    /// Tells of the run's destinations that are of families with several paths; the others stay in the run.
    pub(super) fn send_paths(&self, told: &mut ToldPaths, group: &mut Group, writing: &mut Writing) {
        let Some(member) = group.members.first().cloned() else { return };
        let mut destinations = Vec::new();
        writing.run.retain(|due| {
            let prefix = self.rib.prefix(due.destination);
            let is_ours = told.families.contains(Family::of(&prefix));
            destinations.extend(is_ours.then_some((due.destination, prefix)));
            !is_ours
        });
        let candidates = self.candidates(&destinations, &member);
        let mut told_now: BTreeMap<DestinationId, Vec<PathKey>> = BTreeMap::new();
        for candidates in candidates.chunk_by(|left, right| left.set == right.set) {
            self.announce_paths(candidates, &member, told, &mut told_now, writing);
        }
        let mut withdrawn = Vec::new();
        for (destination, prefix) in destinations {
            let now = told_now.remove(&destination).unwrap_or_default();
            if now.is_empty() {
                group.out.told.remove(destination);
            } else {
                group.out.told.insert(destination);
            }
            withdrawn.extend(told.replace(destination, now).into_iter().map(|id| (id, prefix)));
        }
        self.withdraw_paths(&mut withdrawn, writing);
        writing.end_segment(Audience::EVERYBODY);
    }

    /// What may be told of each destination, sorted by attribute set.
    fn candidates(&self, destinations: &[(DestinationId, IpNet)], member: &Member) -> Vec<Candidate> {
        let carried = destinations.iter().filter(|(destination, _)| self.carries(*destination));
        let candidates = carried.flat_map(|(destination, prefix)| {
            let eligible = self.rib.eligible(*destination).into_iter().map(|(_, path)| path.set);
            let others = eligible.filter(|set| self.rib.set(*set).source != member.source);
            others.take(self.rib.multipath()).map(|set| Candidate { set, destination: *destination, prefix: *prefix })
        });
        let mut candidates: Vec<Candidate> = candidates.collect();
        candidates.sort_by_key(|candidate| candidate.set);
        candidates
    }

    /// Announces paths with one attribute set, and notes them.
    fn announce_paths(
        &self,
        candidates: &[Candidate],
        member: &Member,
        told: &mut ToldPaths,
        told_now: &mut BTreeMap<DestinationId, Vec<PathKey>>,
        writing: &mut Writing,
    ) {
        let Some(first) = candidates.first() else { return };
        let mut parsed = std::mem::take(&mut writing.best);
        let best = Best::new(self.rib, first.set, &mut parsed);
        if self.exporter.may_tell(&best) {
            let key = (best.set.source, best.set.path_id());
            for batch in self.batches(&best, candidates, member) {
                self.exporter.attributes(&best, &batch.told.changes, &mut writing.told);
                for candidate in self.write_paths(&batch, told.id(key), writing) {
                    told_now.entry(candidate.destination).or_default().push(key);
                    told.hold(key);
                }
            }
            told.forget_unused(key);
        }
        writing.best = parsed;
    }

    /// Paths with one attribute set, by what export policy makes of them.
    fn batches(&self, best: &Best<'_>, candidates: &[Candidate], member: &Member) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut inquiry = self.exporter.filter.ask(best.attributes);
        for candidate in candidates {
            let Some(told) = self.judge(best, inquiry.as_mut(), candidate.prefix) else { continue };
            if told.kept && told.next_hop.address == member.address {
                continue; // RFC 4271 §5.1.3: nobody is told that it is its own next hop
            }
            let family = Family::of(&candidate.prefix);
            match batches.iter_mut().find(|batch| batch.family == family && batch.told == told) {
                Some(batch) => batch.candidates.push(*candidate),
                None => batches.push(Batch { family, told, candidates: vec![*candidate] }),
            }
        }
        batches
    }

    /// Writes a batch; what had room comes back.
    fn write_paths(&self, batch: &Batch, id: u32, writing: &mut Writing) -> Vec<Candidate> {
        let paths: Vec<(u32, IpNet)> = batch.candidates.iter().map(|candidate| (id, candidate.prefix)).collect();
        let mut announced = Vec::new();
        let mut at = 0;
        while at < paths.len() {
            let rest = &paths[at..];
            let next_hop = batch.told.next_hop;
            let written = wire::write_reach(&mut writing.bytes, self.context, &writing.told, next_hop, rest);
            announced.extend_from_slice(&batch.candidates[at..at + written]);
            if written == 0 {
                writing.too_long.push(paths[at].1); // RFC 8654 §4: what was told before is withdrawn
            }
            at += written.max(1);
        }
        announced
    }

    fn withdraw_paths(&self, withdrawn: &mut [(u32, IpNet)], writing: &mut Writing) {
        withdrawn.sort_by_key(|(_, prefix)| Family::of(prefix));
        for paths in withdrawn.chunk_by(|left, right| Family::of(&left.1) == Family::of(&right.1)) {
            let mut at = 0;
            while at < paths.len() {
                // A path alone always fits in a message.
                at += wire::write_unreach(&mut writing.bytes, self.context, &paths[at..]).max(1);
            }
        }
    }
}

/// The path that is there under a key.
pub(super) fn path_of(rib: &Rib, destination: DestinationId, (source, id): PathKey) -> Option<Path> {
    rib.paths(destination).iter().copied().find(|path| {
        let set = rib.set(path.set);
        set.source == source && set.path_id() == id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_stays_with_its_path_and_is_never_another_s() {
        let mut told = ToldPaths::new(Families::ALL);
        let [left, right, other] = [(1, None), (1, Some(7)), (2, Some(7))];
        assert_eq!(tell(&mut told, 10, &[left, right]), ([1, 2].to_vec(), [].to_vec()));
        assert_eq!(tell(&mut told, 11, &[right, other]), ([2, 3].to_vec(), [].to_vec()));
        assert_eq!(tell(&mut told, 10, &[right]), ([2].to_vec(), [1].to_vec()));
        assert_eq!(told.of(10).collect::<Vec<_>>(), [(right, 2)]);
        assert_eq!(tell(&mut told, 10, &[]), ([].to_vec(), [2].to_vec()));
        // One is still told of another destination, the other's identifier is gone with it.
        assert_eq!(tell(&mut told, 10, &[right, left]), ([2, 4].to_vec(), [].to_vec()));
    }

    /// With which identifiers a destination is told, and which are withdrawn.
    fn tell(told: &mut ToldPaths, destination: DestinationId, keys: &[PathKey]) -> (Vec<u32>, Vec<u32>) {
        let ids = keys.iter().map(|key| {
            let id = told.id(*key);
            told.hold(*key);
            id
        });
        (ids.collect(), told.replace(destination, keys.to_vec()))
    }
}
