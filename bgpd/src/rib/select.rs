//! The decision for one destination: what is eligible, what is best.

use std::fmt;

use super::decision::{self, Candidate, Step};
use super::destinations::Destination;
use super::next_hops::Tracked;
use super::{AttributeSet, Change, DestinationId, Forward, Outcome, Path, Rejection, Rib, SetId};

/// Whether a path may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict<'a> {
    /// With the cost of its next hop.
    Eligible { metric: u32 },
    /// A route of ours, or accepted, but not to be used now.
    Ineligible(Ineligible<'a>),
    /// Kept as it came, not accepted.
    Rejected,
}

/// Why an accepted path is not used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ineligible<'a> {
    /// Its session has ended.
    Gone,
    /// Its next hop is no address to send to.
    Martian,
    /// The host has not answered.
    Unresolved(&'a Tracked),
    /// The host has no way to it.
    Unreachable(&'a Tracked),
    /// It is ours, and the neighbor is elsewhere (RFC 4271 §6.3).
    OwnAddress(&'a Tracked),
    /// External, one hop away, but the next hop is not (RFC 4271 §6.3).
    OffLink(&'a Tracked),
    /// The prefix may not be sent there.
    Ceiling(&'a Tracked),
}

/// Paths in order, the best first, with what the decision saw.
pub(crate) struct Ranking<'a> {
    /// Those that may be used.
    pub(crate) eligible: Vec<(Candidate<'a>, Path)>,
    /// Those that may not.
    pub(crate) others: Vec<(Path, Verdict<'a>)>,
}

impl Rib {
    /// The set of the best path.
    pub(crate) fn best(&self, destination: DestinationId) -> Option<SetId> {
        self.best
            .contains(destination)
            .then(|| self.destinations.at(destination).paths().first().map(|path| path.set))?
    }

    /// For how many destinations a decision is due.
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Decides every touched destination, once. What has changed is appended.
    pub(crate) fn decide(&mut self, changes: &mut Vec<Change>) {
        let mut touched = std::mem::take(&mut self.touched);
        for due in touched.drain(..) {
            let (now, again) = self.select(due.destination);
            let had_best = due.best_before.is_some();
            if had_best || now.is_some() {
                self.fib.mark(due.destination);
            }
            if again && had_best || !self.is_same(due.best_before, now) {
                let origin = |set: Option<SetId>| set.map(|set| self.sets.at(set).rank.origin);
                changes.push(Change {
                    destination: due.destination,
                    before: origin(due.best_before),
                    now: origin(now),
                });
            }
        }
        self.touched = touched;
        self.forget_released();
    }

    /// Whether a best path is told in the same words as the one before.
    fn is_same(&self, before: Option<SetId>, now: Option<SetId>) -> bool {
        match (before, now) {
            (Some(before), Some(now)) if before != now => {
                let (before, now) = (self.sets.at(before), self.sets.at(now));
                // Bytes that policy was asked about again.
                let same_bytes = before.source == now.source && before.content == now.content;
                same_bytes
                    && before.attributes(&self.sources[before.source]) == now.attributes(&self.sources[now.source])
            }
            _ => before == now,
        }
    }

    /// Puts the paths of a destination in order. What comes back is the best, and whether neighbors hear of it again.
    fn select(&mut self, id: DestinationId) -> (Option<SetId>, bool) {
        let destination = self.destinations.at(id);
        let best = match destination.paths() {
            [] => None,
            [only] => match self.verdict(destination, *only) {
                Verdict::Eligible { .. } => Some(only.set),
                verdict => self.is_last_resort(*only, &verdict).then_some(only.set),
            },
            _ => {
                let Ranking { eligible, others } = self.rank(destination);
                let best = eligible.first().map(|(_, path)| path.set);
                let order: Vec<Path> =
                    eligible.iter().map(|(_, path)| *path).chain(others.iter().map(|(path, _)| *path)).collect();
                self.destinations.at_mut(id).paths_mut().copy_from_slice(&order);
                best
            }
        };
        if best.is_some() {
            self.best.insert(id)
        } else {
            self.best.remove(id)
        };
        let record = self.destinations.at_mut(id);
        record.touched = false;
        (best, std::mem::take(&mut record.again))
    }

    /// All paths of a destination, in order.
    pub(crate) fn rank(&self, destination: &Destination) -> Ranking<'_> {
        let mut eligible = Vec::new();
        let mut others = Vec::new();
        for path in destination.paths() {
            let metric = match self.verdict(destination, *path) {
                Verdict::Eligible { metric } => metric,
                verdict => {
                    others.push((*path, verdict));
                    continue;
                }
            };
            eligible.push((self.candidate(*path, metric), *path));
        }
        if eligible.is_empty() {
            let last = others.extract_if(.., |(path, verdict)| self.is_last_resort(*path, verdict));
            eligible.extend(last.map(|(path, _)| (self.candidate(path, u32::MAX), path)));
        }
        decision::order(&mut eligible);
        others.sort_by_key(|(path, verdict)| {
            let source = &self.sources[self.sets.at(path.set).source];
            (matches!(verdict, Verdict::Rejected), source.address, source.local)
        });
        Ranking { eligible, others }
    }

    /// The paths of a destination that may be used, in the order of the last decision.
    pub(crate) fn eligible(&self, destination: &Destination) -> Vec<(Candidate<'_>, Path)> {
        let paths = || destination.paths().iter().map(|path| (*path, self.verdict(destination, *path)));
        let eligible = paths().filter_map(|(path, verdict)| match verdict {
            Verdict::Eligible { metric } => Some((self.candidate(path, metric), path)),
            Verdict::Ineligible(_) | Verdict::Rejected => None,
        });
        let eligible: Vec<_> = eligible.collect();
        if !eligible.is_empty() {
            return eligible;
        }
        let last = paths().filter(|(path, verdict)| self.is_last_resort(*path, verdict));
        last.map(|(path, _)| (self.candidate(path, u32::MAX), path)).collect()
    }

    /// Whether a path is used where no other can be: a dead tunnel, whose neighbor may yet come back in time.
    fn is_last_resort(&self, path: Path, verdict: &Verdict<'_>) -> bool {
        let Verdict::Ineligible(Ineligible::Unreachable(next_hop)) = verdict else { return false };
        self.sources[self.sets.at(path.set).source].waits && next_hop.state.as_ref().is_some_and(|state| state.tunnel)
    }

    fn candidate(&self, path: Path, metric: u32) -> Candidate<'_> {
        let set = self.sets.at(path.set);
        let source = &self.sources[set.source];
        Candidate { rank: &set.rank, metric, neighbor: &source.address, local: &source.local }
    }

    /// Whether a path may be used (RFC 4271 §9.1.2).
    pub(crate) fn verdict(&self, destination: &Destination, path: Path) -> Verdict<'_> {
        let set = self.sets.at(path.set);
        if !set.is_accepted() {
            return Verdict::Rejected;
        }
        if set.own().is_some() {
            return Verdict::Eligible { metric: 0 };
        }
        if self.sources[set.source].gone {
            return Verdict::Ineligible(Ineligible::Gone);
        }
        let next_hop = match set.forward {
            Forward::To(id) => self.next_hops.at(id),
            Forward::Nowhere | Forward::Martian => return Verdict::Ineligible(Ineligible::Martian),
        };
        match self.obstacle(destination, set, next_hop) {
            None => Verdict::Eligible { metric: next_hop.state.as_ref().map_or(0, |state| state.metric) },
            Some(obstacle) => Verdict::Ineligible(obstacle),
        }
    }

    fn obstacle<'a>(
        &self,
        destination: &Destination,
        set: &AttributeSet,
        next_hop: &'a Tracked,
    ) -> Option<Ineligible<'a>> {
        let source = &self.sources[set.source];
        let Some(state) = &next_hop.state else { return Some(Ineligible::Unresolved(next_hop)) };
        if state.local {
            let here = source.is_on_this_host() || next_hop.next_hop.address == source.address;
            return (!here).then_some(Ineligible::OwnAddress(next_hop));
        }
        if !state.up {
            return Some(Ineligible::Unreachable(next_hop));
        }
        if source.is_external() && !source.multihop && !state.connected && !state.tunnel {
            return Some(Ineligible::OffLink(next_hop));
        }
        (!next_hop.admits(&destination.prefix)).then_some(Ineligible::Ceiling(next_hop))
    }

    /// Why the path at `position` among the eligible is not the best.
    pub(crate) fn lost_by(ranking: &Ranking<'_>, position: usize) -> Option<Step> {
        decision::reason(&ranking.eligible, position)
    }

    /// How many of the eligible paths are installed together.
    pub(crate) fn multipath_len(&self, eligible: &[(Candidate<'_>, Path)]) -> usize {
        let Some((best, _)) = eligible.first() else { return 0 };
        let equal = eligible.iter().skip(1).take_while(|(other, _)| decision::is_equal_cost(best, other));
        1 + equal.take(self.multipath.saturating_sub(1)).count()
    }
}

impl fmt::Display for Ineligible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("its session has ended"),
            Self::Martian => f.write_str("its next hop is no address that packets can be sent to"),
            Self::Unresolved(tracked) => write!(f, "next hop {} not resolved yet", tracked.next_hop.address),
            Self::Unreachable(tracked) => {
                write!(f, "next hop {} unreachable", tracked.next_hop.address)?;
                match tracked.state.as_ref().and_then(|state| state.reason.as_deref()) {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            Self::OwnAddress(tracked) => write!(f, "next hop {} is our own address", tracked.next_hop.address),
            Self::OffLink(tracked) => {
                write!(f, "next hop {} is not on a link shared with the neighbor", tracked.next_hop.address)
            }
            Self::Ceiling(tracked) => match tracked.state.as_ref().and_then(|state| state.wireguard_peer.as_deref()) {
                Some(peer) => write!(f, "outside routed-ips of {peer}"),
                None => write!(f, "outside what may be sent to {}", tracked.next_hop.address),
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy.as_ref().map_or("accept-all", |policy| policy.name.as_str());
        match (self.rejected, self.rule) {
            (None, Some(rule)) => write!(f, "rule {} of policy {policy}", rule + 1),
            (None, None) => f.write_str("accepted without a policy"),
            (Some(Rejection::OwnAs), _) => f.write_str("our own AS is in AS_PATH"),
            (Some(Rejection::OwnOriginatorId), _) => f.write_str("ORIGINATOR_ID is our own"),
            (Some(Rejection::OwnClusterId), _) => f.write_str("our cluster is in CLUSTER_LIST"),
            (Some(Rejection::NoPolicy), _) => f.write_str("no import policy (RFC 8212)"),
            (Some(Rejection::Policy), Some(rule)) => write!(f, "rejected by rule {} of policy {policy}", rule + 1),
            (Some(Rejection::Policy), None) => write!(f, "no rule of policy {policy} matches"),
        }
    }
}
