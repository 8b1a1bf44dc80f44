//! The decision for one destination: what is eligible, what is best.

use std::fmt;

use super::decision::{self, Candidate, Step};
use super::destinations::{AGAIN, ANEW};
use super::next_hops::Tracked;
use super::{AttributeSet, Change, DestinationId, Forward, Outcome, Path, Rejection, Rib, SetId, Touched};
use crate::types::NextHop;
use crate::wire::{ParsedAttributes, PathAttributes};

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

/// The last set that was asked about, and whether its paths may be used, for any prefix.
#[derive(Default)]
struct Judged {
    /// Of a best path that another is compared with.
    best: Option<(SetId, Option<u32>)>,
    /// Of a path that came.
    news: Option<(SetId, Option<u32>)>,
}

impl Rib {
    /// The set of the best path.
    pub(crate) fn best(&self, destination: DestinationId) -> Option<SetId> {
        self.best.contains(destination).then(|| self.destinations.paths(destination).first().map(|path| path.set))?
    }

    /// For how many destinations a decision is due.
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Decides every touched destination, once. What has changed is appended.
    pub(crate) fn decide(&mut self, changes: &mut Vec<Change>) {
        let mut touched = std::mem::take(&mut self.touched);
        self.decided += touched.len() as u64;
        let mut judged = Judged::default();
        for due in touched.drain(..) {
            let (now, again) = self.select(&due, &mut judged);
            let had_best = due.best_before.is_some();
            if had_best || now.is_some() {
                self.fib.mark(due.destination);
            }
            let best = again && had_best || !self.is_same(due.best_before, now);
            if best || self.tells_several {
                let before = due.best_before.map(|set| self.sets.at(set));
                changes.push(Change {
                    destination: due.destination,
                    source: before.map(|set| set.source),
                    before: before.map(|set| set.rank.origin),
                    now: now.map(|set| self.sets.at(set).rank.origin),
                    best,
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
                same_bytes && self.attributes(before) == self.attributes(now)
            }
            _ => before == now,
        }
    }

    fn attributes(&self, set: &AttributeSet) -> (PathAttributes, Option<NextHop>) {
        let mut parsed = ParsedAttributes::default();
        let next_hop = set.attributes(&self.sources[set.source], &mut parsed);
        (parsed.attributes, next_hop)
    }

    /// Puts the best path of a destination first. What comes back is that path, and whether neighbors hear of it again.
    fn select(&mut self, due: &Touched, judged: &mut Judged) -> (Option<SetId>, bool) {
        let id = due.destination;
        let flags = self.destinations.lower(id);
        let best = match self.destinations.paths(id) {
            [] => {
                self.best.remove(id);
                return (None, flags & AGAIN != 0);
            }
            [only] => self.judge(id, *only, &mut judged.news).map(|_| (0, only.set)),
            [best, .., last] if flags & ANEW == 0 && self.stays_best(due, *best, *last, judged) => Some((0, best.set)),
            _ => self.best_position(id),
        };
        let best = best.or_else(|| self.last_resort(id)).map(|(position, set)| {
            if position > 0 {
                self.destinations.paths_mut(id)[..=position].rotate_right(1);
            }
            set
        });
        match best {
            Some(_) => self.best.insert(id),
            None => self.best.remove(id),
        };
        (best, flags & AGAIN != 0)
    }

    /// Whether the best path is still the best, since all that happened is that another came, the last: one that loses
    /// against the best leaves it in its place, whatever MED it has.
    fn stays_best(&self, due: &Touched, best: Path, last: Path, judged: &mut Judged) -> bool {
        if due.best_before != Some(best.set) || due.news != Some(last.set) {
            return false;
        }
        let id = due.destination;
        match (self.judge(id, best, &mut judged.best), self.judge(id, last, &mut judged.news)) {
            (Some(metric), Some(other)) => {
                decision::compare(&self.candidate(best, metric), &self.candidate(last, other)).0.is_lt()
            }
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// As [`Rib::usable`], where the path before often had the same set.
    fn judge(&self, id: DestinationId, path: Path, last: &mut Option<(SetId, Option<u32>)>) -> Option<u32> {
        if let Some((set, usable)) = *last
            && set == path.set
        {
            return usable;
        }
        let usable = self.usable(id, path);
        let depends_on_prefix = match self.sets.at(path.set).forward {
            Forward::To(next_hop) => self.next_hops.at(next_hop).has_ceiling(),
            Forward::Nowhere | Forward::Martian => false,
        };
        *last = (!depends_on_prefix).then_some((path.set, usable));
        usable
    }

    /// Where the best path stands, and its set.
    fn best_position(&self, id: DestinationId) -> Option<(usize, SetId)> {
        let paths = self.destinations.paths(id).iter().enumerate();
        let usable = paths.filter_map(|(position, path)| {
            Some((self.candidate(*path, self.usable(id, *path)?), (position, path.set)))
        });
        decision::best(usable).map(|(_, best)| best)
    }

    /// The cost of a path's next hop, where the path may be used.
    fn usable(&self, id: DestinationId, path: Path) -> Option<u32> {
        match self.verdict(id, path) {
            Verdict::Eligible { metric } => Some(metric),
            Verdict::Ineligible(_) | Verdict::Rejected => None,
        }
    }

    /// All paths of a destination, in order.
    pub(crate) fn rank(&self, id: DestinationId) -> Ranking<'_> {
        let mut eligible = Vec::new();
        let mut others = Vec::new();
        for path in self.destinations.paths(id) {
            let metric = match self.verdict(id, *path) {
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

    /// The paths of a destination that may be used, in order.
    pub(crate) fn eligible(&self, id: DestinationId) -> Vec<(Candidate<'_>, Path)> {
        let paths = self.destinations.paths(id).iter();
        let mut eligible: Vec<_> =
            paths.filter_map(|path| Some((self.candidate(*path, self.usable(id, *path)?), *path))).collect();
        if eligible.is_empty() {
            eligible.extend(self.last_resorts(id).map(|(candidate, _, path)| (candidate, path)));
        }
        decision::order(&mut eligible);
        eligible
    }

    /// Where the best path stands of a destination without usable ones, and its set.
    fn last_resort(&self, id: DestinationId) -> Option<(usize, SetId)> {
        decision::best(self.last_resorts(id).map(|(candidate, position, path)| (candidate, (position, path.set))))
            .map(|(_, best)| best)
    }

    /// The paths of a destination that are used where no other can be, with their positions.
    fn last_resorts(&self, id: DestinationId) -> impl Iterator<Item = (Candidate<'_>, usize, Path)> {
        let paths = self.destinations.paths(id).iter().enumerate();
        let resorts = paths.filter(move |(_, path)| self.is_last_resort(**path, &self.verdict(id, **path)));
        resorts.map(|(position, path)| (self.candidate(*path, u32::MAX), position, *path))
    }

    /// Whether a path is used where no other can be: a dead tunnel, whose neighbor may yet come back in time.
    fn is_last_resort(&self, path: Path, verdict: &Verdict<'_>) -> bool {
        let Verdict::Ineligible(Ineligible::Unreachable(next_hop)) = verdict else { return false };
        let waits = self.sources[self.sets.at(path.set).source].waits;
        waits && next_hop.state.as_ref().is_some_and(|state| state.tunnel)
    }

    fn candidate(&self, path: Path, metric: u32) -> Candidate<'_> {
        let set = self.sets.at(path.set);
        let source = &self.sources[set.source];
        let path_id = source.tells_several().then(|| set.path_id()).flatten().unwrap_or(0);
        Candidate { rank: &set.rank, metric, neighbor: &source.address, local: &source.local, path_id }
    }

    /// Whether a path may be used (RFC 4271 §9.1.2).
    pub(crate) fn verdict(&self, destination: DestinationId, path: Path) -> Verdict<'_> {
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
        destination: DestinationId,
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
        let chosen_here = set.outcome.next_hop.is_some();
        if source.is_external() && !source.multihop && !chosen_here && !state.connected && !state.tunnel {
            return Some(Ineligible::OffLink(next_hop));
        }
        (!next_hop.admits(|| self.prefix(destination))).then_some(Ineligible::Ceiling(next_hop))
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
            (Some(Rejection::Leak), _) => f.write_str("a route leak: OTC keeps it from coming this way (RFC 9234)"),
            (Some(Rejection::NoPolicy), _) => f.write_str("no import policy (RFC 8212)"),
            (Some(Rejection::Policy), Some(rule)) => write!(f, "rejected by rule {} of policy {policy}", rule + 1),
            (Some(Rejection::Policy), None) => write!(f, "no rule of policy {policy} matches"),
        }
    }
}
