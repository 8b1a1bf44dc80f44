#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PEERS: u8 = 4;

fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

/// Peers 0 to 3 exist; a group may name 4, which does not.
fn ids() -> HashMap<PublicKey, PeerId> {
    (0..PEERS).map(|number| (key(number), PeerId(u32::from(number)))).collect()
}

fn with_allowed_ips(number: u8, allowed_ips: Vec<IpNet>) -> PeerSettings {
    PeerSettings { allowed_ips, ..PeerSettings::new("", key(number)) }
}

/// What the table must say, found by looking at every prefix.
#[derive(Debug, Default)]
struct Naive {
    fixed: Vec<(IpNet, u8)>,
    routed: BTreeMap<IpNet, Group>,
    down: Vec<u8>,
}

impl Naive {
    /// Peers that may carry the packet: several where the flow decides.
    fn egress(&self, destination: IpAddr) -> Vec<u8> {
        for length in (0..=128).rev() {
            let matches = |prefix: &IpNet| prefix.prefix_len() == length && prefix.contains(&destination);
            let fixed: Vec<u8> =
                self.fixed.iter().filter(|(prefix, _)| matches(prefix)).map(|(_, peer)| *peer).collect();
            if let Some((first, others)) = fixed.split_first() {
                return self.live(&[*first], others);
            }
            let numbers = |keys: &[PublicKey]| -> Vec<u8> { keys.iter().map(|key| key.0[0]).collect() };
            match self.routed.iter().find(|(prefix, _)| matches(prefix)) {
                Some((_, group)) if group.send.is_empty() && group.backup.is_empty() => {}
                Some((_, group)) => return self.live(&numbers(&group.send), &numbers(&group.backup)),
                None => {}
            }
        }
        Vec::new()
    }

    fn live(&self, send: &[u8], backup: &[u8]) -> Vec<u8> {
        let exist = |peers: &[u8]| -> Vec<u8> { peers.iter().copied().filter(|peer| *peer < PEERS).collect() };
        let up = |peers: &[u8]| -> Vec<u8> { peers.iter().copied().filter(|peer| !self.down.contains(peer)).collect() };
        let (send, backup) = (exist(send), exist(backup));
        if !up(&send).is_empty() {
            return up(&send);
        }
        up(&backup).first().or(send.first()).or(backup.first()).copied().into_iter().collect()
    }

    fn admits(&self, source: IpAddr, peer: u8) -> bool {
        self.fixed.iter().any(|(prefix, owner)| *owner == peer && prefix.contains(&source))
            || self.routed.iter().any(|(prefix, group)| prefix.contains(&source) && group.accept.contains(&key(peer)))
    }
}

/// Few addresses and all lengths, so that prefixes nest and meet.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u32..4, 0u32..4).prop_map(|(high, low)| IpAddr::V4((high << 30 | low).into())),
        (0u128..4, 0u128..4).prop_map(|(high, low)| IpAddr::V6((high << 126 | low).into())),
    ]
}

fn prefix() -> impl Strategy<Value = IpNet> {
    (address(), prop_oneof![Just(0u8), 1u8..=3, 30u8..=32, 126u8..=128]).prop_map(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, length.min(most)).unwrap().trunc()
    })
}

fn keys() -> impl Strategy<Value = Vec<PublicKey>> {
    proptest::sample::subsequence((0..=PEERS).map(key).collect::<Vec<_>>(), 0..=3)
}

fn group() -> impl Strategy<Value = Group> {
    (keys(), keys(), keys()).prop_map(|(send, backup, accept)| Group { send, backup, accept })
}

#[derive(Clone, Debug)]
enum Step {
    Route(IpNet, Option<Group>),
    Down(u8, bool),
    Fixed(Vec<(IpNet, u8)>),
}

fn step() -> impl Strategy<Value = Step> {
    let fixed = proptest::collection::vec((prefix(), 0..PEERS), 0..6);
    prop_oneof![
        6 => (prefix(), proptest::option::weighted(0.7, group())).prop_map(|(prefix, group)| Step::Route(prefix, group)),
        2 => (0..PEERS, any::<bool>()).prop_map(|(peer, down)| Step::Down(peer, down)),
        1 => fixed.prop_map(Step::Fixed),
    ]
}

fn apply(now: Instant, table: &mut Table, naive: &mut Naive, step: Step) {
    match step {
        Step::Route(prefix, group) => {
            match &group {
                Some(group) => drop(naive.routed.insert(prefix, group.clone())),
                None => drop(naive.routed.remove(&prefix)),
            }
            table.apply(now, Change { prefix, group });
        }
        Step::Down(peer, down) => {
            naive.down.retain(|other| *other != peer);
            naive.down.extend(down.then_some(peer));
            table.set_down(PeerId(peer.into()), down);
        }
        Step::Fixed(prefixes) => {
            let of = |peer| prefixes.iter().filter(|(_, owner)| *owner == peer).map(|(prefix, _)| *prefix).collect();
            let peers: Vec<_> = (0..PEERS).map(|peer| with_allowed_ips(peer, of(peer))).collect();
            table.set_peers(&peers, ids());
            naive.fixed = (0..PEERS).flat_map(|peer| of(peer).into_iter().map(move |prefix| (prefix, peer))).collect();
            let mut seen = std::collections::HashSet::new();
            naive.fixed.retain(|entry| seen.insert(*entry));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_table_says_what_a_look_at_every_prefix_says(
        steps in proptest::collection::vec(step(), 1..40),
        addresses in proptest::collection::vec((address(), any::<u64>()), 20),
    ) {
        let (mut table, mut naive) = (Table::default(), Naive::default());
        table.set_peers(&[], ids());
        let mut now = Instant::now();
        for step in steps {
            apply(now, &mut table, &mut naive, step);
            now += LINGER;
            table.forget(now);
            for (address, flow) in &addresses {
                let expected = naive.egress(*address);
                let chosen = table.egress(*address, || *flow).map(|peer| peer.0 as u8);
                prop_assert!(chosen.map_or(expected.is_empty(), |peer| expected.contains(&peer)), "{chosen:?} {expected:?}");
                for peer in 0..PEERS {
                    prop_assert_eq!(table.admits(*address, PeerId(peer.into())), naive.admits(*address, peer));
                }
            }
        }
    }

    #[test]
    fn a_table_whose_routes_are_all_withdrawn_holds_nothing(changes in proptest::collection::vec((prefix(), group()), 1..40)) {
        let (mut table, now) = (Table::default(), Instant::now());
        for (prefix, group) in &changes {
            table.apply(now, Change { prefix: *prefix, group: Some(group.clone()) });
        }
        for (prefix, _) in &changes {
            table.apply(now, Change { prefix: *prefix, group: None });
        }
        table.forget(now + LINGER);
        prop_assert_eq!(table.next_timeout(), None);
        prop_assert_eq!(table.groups.in_use(), 0);
        prop_assert_eq!(table.ipv4.len() + table.ipv6.len(), 0);
    }
}

#[test]
fn prefixes_with_the_same_choice_share_one_group() {
    let mut table = Table::default();
    let group = Group { send: vec![key(1)], ..Group::default() };
    for third in 0..200 {
        let prefix = format!("10.0.{third}.0/24").parse().unwrap();
        table.apply(Instant::now(), Change { prefix, group: Some(group.clone()) });
    }
    assert_eq!(table.groups.in_use(), 1);
}

#[test]
fn flows_of_live_peers_stay_when_another_dies() {
    let mut table = Table::default();
    table.set_peers(&[], ids());
    let group = Group { send: vec![key(0), key(1), key(2)], ..Group::default() };
    table.apply(Instant::now(), Change { prefix: "10.0.0.0/8".parse().unwrap(), group: Some(group) });
    let choose = |table: &Table, flow: u64| table.egress([10, 1, 1, 1].into(), || flow << 33 | flow).unwrap();
    let before: Vec<_> = (0..300).map(|flow| choose(&table, flow)).collect();
    table.set_down(PeerId(1), true);
    for (flow, before) in before.into_iter().enumerate() {
        let after = choose(&table, flow as u64);
        assert!(if before == PeerId(1) { after != PeerId(1) } else { after == before });
    }
}

#[test]
fn what_was_on_its_way_when_a_route_moved_or_went_is_accepted_for_a_while() {
    let (mut table, mut now) = (Table::default(), Instant::now());
    table.set_peers(&[], ids());
    let prefix: IpNet = "10.0.0.0/8".parse().unwrap();
    let by = |number| Some(Group { send: vec![key(number)], accept: vec![key(number)], ..Group::default() });
    let accepted = |table: &Table| -> Vec<u32> {
        (0..u32::from(PEERS)).filter(|peer| table.admits([10, 1, 1, 1].into(), PeerId(*peer))).collect()
    };
    let sends = |table: &Table| table.egress([10, 1, 1, 1].into(), || 0);
    table.apply(now, Change { prefix, group: by(0) });
    assert_eq!(table.next_timeout(), None, "nobody was accepted before");
    table.apply(now, Change { prefix, group: by(1) });
    assert_eq!((sends(&table), accepted(&table)), (Some(PeerId(1)), vec![0, 1]));
    now += LINGER / 2;
    table.apply(now, Change { prefix, group: None });
    assert_eq!((sends(&table), accepted(&table)), (None, vec![1]));
    now += LINGER / 2;
    table.forget(now);
    assert_eq!(accepted(&table), [1], "the first one's end is not the second one's");
    assert_eq!(table.next_timeout(), Some(now + LINGER / 2));
    table.forget(now + LINGER / 2);
    assert_eq!((accepted(&table), table.next_timeout()), (vec![], None));
    assert_eq!((table.groups.in_use(), table.ipv4.len()), (0, 0));
}
