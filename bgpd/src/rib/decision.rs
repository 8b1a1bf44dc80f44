//! Which of several paths is the best (RFC 4271 §9.1.2.2), as a total order.
//!
//! MED counts only between paths that entered by the same neighboring AS, so comparing two at a time is no order:
//! the winner would depend on who came first. Therefore paths are put in order within each AS first, and then the
//! heads of these groups, which MED does not touch, are merged.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Source;
use crate::policy::DEFAULT_LOCAL_PREF;
use crate::types::Community;
use crate::wire::{Origin, PathAttributes};

/// What the decision looks at in an attribute set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rank {
    /// It has LLGR_STALE: the last resort.
    pub(crate) long_lived_stale: bool,
    /// 0: learned; else ours, the greater the better.
    pub(crate) own: u8,
    /// LOCAL_PREF, or what stands for it.
    pub(crate) local_pref: u32,
    /// ORIGIN.
    pub(crate) origin: Origin,
    /// Learned from an external neighbor.
    pub(crate) external: bool,
    /// Entries of CLUSTER_LIST.
    pub(crate) cluster_list_length: u16,
    /// AS_PATH, counted.
    pub(crate) as_path_length: u32,
    /// The AS by which the route entered ours; 0 = it began here.
    pub(crate) neighbor_as: u32,
    /// MULTI_EXIT_DISC; a missing one counts as 0.
    pub(crate) med: u32,
    /// ORIGINATOR_ID, or the identifier of the neighbor.
    pub(crate) router_id: u32,
}

impl Rank {
    /// Of attributes as import policy left them.
    pub(crate) fn new(attributes: &PathAttributes, source: &Source) -> Self {
        Self {
            long_lived_stale: attributes.communities.contains(&Community::LLGR_STALE), // RFC 9494 §4.3
            own: source.own_preference(),
            local_pref: attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            origin: attributes.origin,
            external: source.is_external(),
            cluster_list_length: attributes.cluster_list.len() as u16, // an attribute has at most 65535 octets
            as_path_length: attributes.as_path.length(),
            neighbor_as: attributes.as_path.first().map_or(0, |asn| asn.get()),
            med: attributes.med.unwrap_or(0), // RFC 4271 §9.1.2.2 c
            router_id: attributes.originator_id.map_or(source.router_id.address().to_bits(), |id| id.to_bits()), // RFC 4456 §9
        }
    }
}

/// A path as the decision sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// From its attribute set.
    pub(crate) rank: &'a Rank,
    /// Cost to reach the next hop.
    pub(crate) metric: u32,
    /// The neighbor's address.
    pub(crate) neighbor: &'a IpAddr,
    /// Our end of its session: two neighbors may share an address.
    pub(crate) local: &'a SocketAddr,
}

/// A step of the decision. What comes up to [`Step::Metric`] must be equal for paths to be used together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Step {
    /// The others before those with LLGR_STALE (RFC 9494 §4.3).
    LongLivedStale,
    /// Ours before learned ones.
    Own,
    /// The greater LOCAL_PREF (§9.1.1).
    LocalPref,
    /// The shorter AS_PATH (§9.1.2.2 a).
    AsPathLength,
    /// The lower ORIGIN (b).
    Origin,
    /// The lower MED, between paths by the same AS (c).
    Med,
    /// External before internal (d).
    External,
    /// The nearer next hop (e).
    Metric,
    /// The lower identifier (f), ORIGINATOR_ID in its place (RFC 4456 §9).
    RouterId,
    /// The shorter CLUSTER_LIST (RFC 4456 §9).
    ClusterList,
    /// The lower neighbor address (g).
    Address,
    /// The lower local address and port.
    Session,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LongLivedStale => "long-lived stale",
            Self::Own => "not our own route",
            Self::LocalPref => "lower LOCAL_PREF",
            Self::AsPathLength => "longer AS_PATH",
            Self::Origin => "higher ORIGIN",
            Self::Med => "higher MED",
            Self::External => "internal, the best is external",
            Self::Metric => "next hop further away",
            Self::RouterId => "higher router ID",
            Self::ClusterList => "longer CLUSTER_LIST",
            Self::Address => "higher neighbor address",
            Self::Session => "higher local address or port",
        })
    }
}

/// `Less`: `left` is better, because of this step. MED counts if the AS is the same.
pub(crate) fn compare(left: &Candidate<'_>, right: &Candidate<'_>) -> (Ordering, Step) {
    let (l, r) = (left.rank, right.rank);
    let med = || if l.neighbor_as == r.neighbor_as { l.med.cmp(&r.med) } else { Ordering::Equal };
    decided(l.long_lived_stale.cmp(&r.long_lived_stale), Step::LongLivedStale)
        .or_else(|| decided(r.own.cmp(&l.own), Step::Own))
        .or_else(|| decided(r.local_pref.cmp(&l.local_pref), Step::LocalPref))
        .or_else(|| decided(l.as_path_length.cmp(&r.as_path_length), Step::AsPathLength))
        .or_else(|| decided(l.origin.cmp(&r.origin), Step::Origin))
        .or_else(|| decided(med(), Step::Med))
        .or_else(|| decided(r.external.cmp(&l.external), Step::External))
        .or_else(|| decided(left.metric.cmp(&right.metric), Step::Metric))
        .or_else(|| decided(l.router_id.cmp(&r.router_id), Step::RouterId))
        .or_else(|| decided(l.cluster_list_length.cmp(&r.cluster_list_length), Step::ClusterList))
        .or_else(|| decided(left.neighbor.cmp(right.neighbor), Step::Address))
        .unwrap_or_else(|| (left.local.cmp(right.local), Step::Session))
}

fn decided(order: Ordering, step: Step) -> Option<(Ordering, Step)> {
    order.is_ne().then_some((order, step))
}

/// A path with what the decision looks at.
pub(crate) type Ranked<'a, T> = (Candidate<'a>, T);

/// The first of what [`order`] makes of the paths.
pub(crate) fn best<'a, T>(paths: impl Iterator<Item = Ranked<'a, T>>) -> Option<Ranked<'a, T>> {
    // The best of each AS, where MED counts.
    let mut heads: Vec<Ranked<'a, T>> = Vec::new();
    for path in paths {
        match heads.iter_mut().find(|head| head.0.rank.neighbor_as == path.0.rank.neighbor_as) {
            Some(head) if compare(&path.0, &head.0).0.is_lt() => *head = path,
            Some(_) => {}
            None => heads.push(path),
        }
    }
    heads.into_iter().min_by(|left, right| compare(&left.0, &right.0).0)
}

/// Puts paths in order, the best first. The result does not depend on the order before.
pub(crate) fn order<T>(paths: &mut Vec<Ranked<'_, T>>) {
    let same_med = paths.windows(2).all(|pair| pair[0].0.rank.med == pair[1].0.rank.med);
    if same_med {
        paths.sort_by(|(left, _), (right, _)| compare(left, right).0);
    } else {
        order_by_as(paths);
    }
}

/// Within each AS first, where MED counts; then the heads of these groups are merged, which MED does not touch.
fn order_by_as<T>(paths: &mut Vec<Ranked<'_, T>>) {
    let neighbor_as = |path: &Ranked<'_, T>| path.0.rank.neighbor_as;
    paths.sort_by(|left, right| neighbor_as(left).cmp(&neighbor_as(right)).then_with(|| compare(&left.0, &right.0).0));
    let mut groups: Vec<VecDeque<Ranked<'_, T>>> = Vec::new();
    for path in paths.drain(..) {
        match groups.last_mut() {
            Some(group) if group.front().map(neighbor_as) == Some(neighbor_as(&path)) => group.push_back(path),
            _ => groups.push([path].into()),
        }
    }
    while let Some(best) = (0..groups.len()).min_by(|left, right| compare(&groups[*left][0].0, &groups[*right][0].0).0)
    {
        paths.extend(groups[best].pop_front());
        if groups[best].is_empty() {
            groups.swap_remove(best);
        }
    }
}

/// Why `paths[position]` is not the best of paths in order; `None` for the best itself.
pub(crate) fn reason<T>(paths: &[Ranked<'_, T>], position: usize) -> Option<Step> {
    let (this, _) = paths.get(position)?;
    let (best, _) = paths.first().filter(|_| position > 0)?;
    match compare(best, this) {
        (Ordering::Less, step) => Some(step),
        // It loses within its own AS to one that the best beats.
        _ => paths[..position]
            .iter()
            .rfind(|(other, _)| other.rank.neighbor_as == this.rank.neighbor_as)
            .map(|(other, _)| compare(other, this).1),
    }
}

/// Whether two paths are used together: equal up to the metric.
pub(crate) fn is_equal_cost(left: &Candidate<'_>, right: &Candidate<'_>) -> bool {
    left.rank.own == 0 && compare(left, right).1 > Step::Metric
}
