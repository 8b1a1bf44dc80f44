//! RFC 4271 §9.1.2.2, step by step, and as an order.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use crate::rib::decision::{self, Candidate, Rank, Step, is_equal_cost};
use crate::wire::Origin;

/// A candidate that owns what it is made of.
#[derive(Clone, Copy, Debug)]
struct Known {
    rank: Rank,
    metric: u32,
    neighbor: IpAddr,
    local: SocketAddr,
}

impl Known {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { rank: &self.rank, metric: self.metric, neighbor: &self.neighbor, local: &self.local }
    }
}

/// In order, each with why it is not the best.
fn ordered<T: Copy>(paths: &[(Known, T)]) -> Vec<(T, Option<Step>)> {
    let mut ranked: Vec<_> = paths.iter().map(|(known, name)| (known.candidate(), *name)).collect();
    decision::order(&mut ranked);
    (0..ranked.len()).map(|position| (ranked[position].1, decision::reason(&ranked, position))).collect()
}

fn candidate() -> Known {
    let rank = Rank {
        long_lived_stale: false,
        own: 0,
        local_pref: 100,
        origin: Origin::Igp,
        external: true,
        cluster_list_length: 0,
        as_path_length: 2,
        neighbor_as: 64513,
        med: 10,
        router_id: 1,
    };
    Known { rank, metric: 5, neighbor: [10, 0, 0, 1].into(), local: local(179) }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 254], port))
}

/// A candidate that loses against [`candidate`] by this step, although it wins all later ones.
fn loser(step: Step) -> Known {
    let mut loser = candidate();
    // Everything better than the other, ...
    let best = Rank {
        long_lived_stale: false,
        own: 1,
        local_pref: 300,
        origin: Origin::Igp,
        external: true,
        cluster_list_length: 0,
        as_path_length: 0,
        neighbor_as: 64513,
        med: 0,
        router_id: 0,
    };
    // ... from the step after on.
    let from = |later: Step| step < later;
    loser.rank.own = u8::from(from(Step::Own));
    loser.rank.local_pref = if from(Step::LocalPref) { best.local_pref } else { 100 };
    loser.rank.as_path_length = if from(Step::AsPathLength) { 0 } else { 2 };
    loser.rank.med = if from(Step::Med) { 0 } else { 10 };
    loser.metric = if from(Step::Metric) { 0 } else { 5 };
    loser.rank.router_id = if from(Step::RouterId) { 0 } else { 1 };
    loser.neighbor = if from(Step::Address) { [9, 0, 0, 1].into() } else { [10, 0, 0, 1].into() };
    match step {
        Step::LongLivedStale => loser.rank.long_lived_stale = true,
        Step::Own => {}
        Step::LocalPref => loser.rank.local_pref = 99,
        Step::AsPathLength => loser.rank.as_path_length = 3,
        Step::Origin => loser.rank.origin = Origin::Egp,
        Step::Med => loser.rank.med = 11,
        Step::External => loser.rank.external = false,
        Step::Metric => loser.metric = 6,
        Step::RouterId => loser.rank.router_id = 2,
        Step::ClusterList => loser.rank.cluster_list_length = 1,
        Step::Address => loser.neighbor = [10, 0, 0, 2].into(),
        Step::Session => loser.local = local(1790),
    }
    loser
}

#[test]
fn each_step_outweighs_all_that_come_after_it() {
    let steps = [
        Step::LongLivedStale,
        Step::Own,
        Step::LocalPref,
        Step::AsPathLength,
        Step::Origin,
        Step::Med,
        Step::External,
        Step::Metric,
        Step::RouterId,
        Step::ClusterList,
        Step::Address,
        Step::Session,
    ];
    for step in steps {
        let mut winner = candidate();
        winner.rank.own = u8::from(step == Step::Own);
        let found = ordered(&[(loser(step), "loser"), (winner, "winner")]);
        assert_eq!(found, [("winner", None), ("loser", Some(step))]);
    }
}

#[test]
fn med_counts_between_paths_by_the_same_as_only() {
    let mut other_as = candidate();
    other_as.rank.neighbor_as = 64999;
    other_as.rank.med = 0;
    other_as.rank.router_id = 2;
    let found = ordered(&[(other_as, "other"), (candidate(), "first")]);
    assert_eq!(found, [("first", None), ("other", Some(Step::RouterId))]);
    assert!(is_equal_cost(&candidate().candidate(), &other_as.candidate()));
}

/// The classic: comparing two at a time, A beats B, B beats C, C beats A.
#[test]
fn med_does_not_make_the_order_depend_on_who_came_first() {
    let with = |neighbor_as, med, router_id, metric| {
        let mut path = candidate();
        (path.rank.neighbor_as, path.rank.med, path.rank.router_id, path.metric) =
            (neighbor_as, med, router_id, metric);
        path
    };
    let (a, b, c) = (with(1, 10, 1, 10), with(2, 5, 1, 20), with(1, 0, 1, 30));
    let mut results = Vec::new();
    for paths in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        let found = ordered(&paths.map(|path| (path, path.metric)));
        results.push(found.into_iter().map(|(metric, _)| metric).collect::<Vec<_>>());
    }
    assert!(results.iter().all(|result| *result == [20, 30, 10]), "{results:?}");
}

#[test]
fn a_path_that_loses_within_its_as_says_so() {
    let mut best = candidate();
    best.rank.neighbor_as = 2;
    best.metric = 3;
    let mut head = candidate();
    head.rank.med = 0;
    head.metric = 9;
    let nearer_but_higher_med = Known { metric: 1, ..candidate() };
    let found = ordered(&[(nearer_but_higher_med, "med"), (head, "head"), (best, "best")]);
    assert_eq!(found, [("best", None), ("head", Some(Step::Metric)), ("med", Some(Step::Med))]);
}

#[test]
fn our_own_routes_are_never_used_together() {
    let mut own = candidate();
    own.rank.own = 2;
    let other = Known { local: local(1), ..own };
    assert!(!is_equal_cost(&own.candidate(), &other.candidate()));
}

/// Few values, so that ties are common.
fn any_candidate() -> impl Strategy<Value = Known> {
    let rank = (0u8..4, 99u32..101, 0u8..3, any::<bool>(), 0u16..2, 1u32..3, 1u32..4, 0u32..3, 1u32..3);
    (rank, 0u32..3, 1u8..4, 1u16..3).prop_map(|(rank, metric, octet, port)| {
        let (kind, local_pref, origin, external, cluster_list_length, as_path_length, neighbor_as, med, router_id) =
            rank;
        let origin = [Origin::Igp, Origin::Egp, Origin::Incomplete][usize::from(origin)];
        let rank = Rank {
            long_lived_stale: kind > 1,
            own: kind % 2,
            local_pref,
            origin,
            external,
            cluster_list_length,
            as_path_length,
            neighbor_as,
            med,
            router_id,
        };
        Known { rank, metric, neighbor: [10, 0, 0, octet].into(), local: local(port) }
    })
}

proptest! {
    #[test]
    fn the_order_does_not_depend_on_the_order_before(
        (sorted, shuffled) in proptest::collection::vec(any_candidate(), 1..12)
            .prop_map(|paths| {
                // Two paths of one session do not exist.
                let mut paths = paths;
                paths.sort_by_key(|path| (path.neighbor, path.local));
                paths.dedup_by_key(|path| (path.neighbor, path.local));
                paths
            })
            .prop_flat_map(|paths| (Just(paths.clone()), Just(paths).prop_shuffle()))
    ) {
        let number = |paths: &[Known]| (0..).zip(paths).map(|(number, known)| (*known, number)).collect::<Vec<_>>();
        let (left, right) = (ordered(&number(&sorted)), ordered(&number(&shuffled)));
        let session = |paths: &[Known], number: usize| (paths[number].neighbor, paths[number].local);
        let left_sessions: Vec<_> = left.iter().map(|(number, why)| (session(&sorted, *number), *why)).collect();
        let right_sessions: Vec<_> = right.iter().map(|(number, why)| (session(&shuffled, *number), *why)).collect();
        prop_assert_eq!(left_sessions, right_sessions);
        let numbered = || (0..).zip(&shuffled).map(|(number, known)| (known.candidate(), number));
        prop_assert_eq!(decision::best(numbered()).map(|(_, number)| number), right.first().map(|(number, _)| *number));
        // One after the other: who loses against the best changes nothing.
        let mut best = 0;
        for (arrived, path) in shuffled.iter().enumerate() {
            if decision::compare(&path.candidate(), &shuffled[best].candidate()).0.is_lt() {
                best = decision::best(numbered().take(arrived + 1)).map_or(0, |(_, number)| number);
            }
        }
        prop_assert_eq!(Some(best), right.first().map(|(number, _)| *number));
        for (position, (number, why)) in left.iter().enumerate() {
            prop_assert_eq!(why.is_none(), position == 0);
            // Within an AS no later path beats an earlier one.
            let this = sorted[*number];
            for (earlier, _) in &left[..position] {
                let earlier = sorted[*earlier];
                if earlier.rank.neighbor_as == this.rank.neighbor_as {
                    prop_assert!(decision::compare(&earlier.candidate(), &this.candidate()).0.is_lt());
                }
            }
        }
    }

    #[test]
    fn comparing_is_antisymmetric(left in any_candidate(), right in any_candidate()) {
        let forth = decision::compare(&left.candidate(), &right.candidate());
        let back = decision::compare(&right.candidate(), &left.candidate());
        prop_assert_eq!(forth.0, back.0.reverse());
        prop_assert_eq!(forth.1, back.1);
    }
}
