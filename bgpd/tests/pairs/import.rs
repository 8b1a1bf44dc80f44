//! What becomes of what a neighbor says.

use std::sync::Arc;

use bgpd::policy::{Action, Match, Policy, PrefixRange, Rule, Set};
use bgpd::settings::{PolicyName, PrefixLimit, Settings};
use bgpd::speaker::{Event, FibChoice, NextHopState};
use bgpd::wire::PathAttributes;
use bytes::BufMut;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("inner", neighbor("10.0.0.21", 64512))
}

fn network(settings: Settings) -> Network {
    Network::new(5, [(address("10.0.0.1"), settings)])
}

fn left(network: &mut Network) -> Raw {
    Raw::establish(network, GATEWAY, "10.0.0.11", 64513)
}

/// Why the only path of a prefix is not used; `None`: it is.
fn why_not(network: &Network, prefix: &str) -> Option<String> {
    let paths = network.route(GATEWAY, prefix).unwrap().paths;
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0].best, paths[0].not_best.is_none());
    paths[0].not_best.clone()
}

/// Why the only path of a prefix was refused.
fn refused(network: &Network, neighbor: &str, prefix: &str) -> Option<String> {
    let route = network.received(GATEWAY, neighbor).into_iter().find(|route| route.prefix == prefix.parse().unwrap());
    route.unwrap().paths[0].rejected.clone()
}

/// An UPDATE for 10.1.0.0/16 whose ORIGIN is 7.
fn malformed(out: &mut bytes::BytesMut) {
    out.put_bytes(0xFF, 16);
    out.put_slice(&[0, 19 + 4 + 20 + 3, 2, 0, 0, 0, 20]);
    out.put_slice(&[0x40, 1, 1, 7]);
    out.put_slice(&[0x40, 2, 6, 2, 1, 0, 0, 0xFC, 1]);
    out.put_slice(&[0x40, 3, 4, 10, 0, 0, 11]);
    out.put_slice(&[16, 10, 1]);
}

#[test]
fn a_malformed_update_withdraws_the_route_that_was_there() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    assert_eq!(network.fib(GATEWAY).len(), 2);
    left.say(&mut network, malformed);
    assert_eq!(network.fib(GATEWAY).into_keys().collect::<Vec<_>>(), ["10.2.0.0/16"]);
    assert!(!left.is_closed(&network));
    let Some(Event::Refused { neighbor, text, .. }) = network.nodes[GATEWAY].events.last() else { panic!("{network}") };
    assert_eq!(neighbor.as_deref(), Some("left"));
    assert_eq!(text, "UPDATE: ORIGIN is 7, allowed are 0, 1 and 2; its routes count as withdrawn");
}

#[test]
fn a_prefix_announced_and_withdrawn_at_once_is_announced() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.say(&mut network, |out| {
        out.put_bytes(0xFF, 16);
        out.put_slice(&[0, 19 + 7 + 20 + 3, 2, 0, 3, 16, 10, 1, 0, 20]);
        out.put_slice(&[0x40, 1, 1, 0]);
        out.put_slice(&[0x40, 2, 6, 2, 1, 0, 0, 0xFC, 1]);
        out.put_slice(&[0x40, 3, 4, 10, 0, 0, 11]);
        out.put_slice(&[16, 10, 1]);
    });
    assert_eq!(network.fib(GATEWAY).len(), 1);
}

#[test]
fn loops_are_kept_but_not_used() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    let mut inner = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    left.announce(&mut network, &path(&[64513, 64512]), "10.0.0.11", &["10.1.0.0/16"]);
    let internal = PathAttributes { local_pref: Some(100), ..path(&[65001]) };
    let originated_here = PathAttributes { originator_id: Some([10, 0, 0, 1].into()), ..internal.clone() };
    let through_our_cluster = PathAttributes { cluster_list: vec![[10, 0, 0, 1].into()], ..internal };
    inner.announce(&mut network, &originated_here, "10.0.0.21", &["10.2.0.0/16"]);
    inner.announce(&mut network, &through_our_cluster, "10.0.0.21", &["10.3.0.0/16"]);
    assert_eq!(network.fib(GATEWAY).len(), 0);
    let refused = |neighbor, prefix| refused(&network, neighbor, prefix).unwrap();
    assert_eq!(refused("left", "10.1.0.0/16"), "our own AS is in AS_PATH");
    assert_eq!(refused("inner", "10.2.0.0/16"), "ORIGINATOR_ID is our own");
    assert_eq!(refused("inner", "10.3.0.0/16"), "our cluster is in CLUSTER_LIST");
}

#[test]
fn our_own_as_may_stand_in_a_path_as_often_as_allowed() {
    let mut network = network(gateway().session("left", |session| session.allow_own_asn = 1));
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513, 64512]), "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(&mut network, &path(&[64513, 64512, 64512]), "10.0.0.11", &["10.2.0.0/16"]);
    assert_eq!(network.fib(GATEWAY).into_keys().collect::<Vec<_>>(), ["10.1.0.0/16"]);
}

#[test]
fn too_many_prefixes_end_the_session_until_it_is_reset() {
    let mut network = network(gateway().session("left", |session| session.max_prefixes = Some(PrefixLimit::new(2))));
    let mut left = left(&mut network);
    left.hear(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.2.0.0/16"]);
    assert_eq!(left.hear(&mut network), [""; 0]);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.3.0.0/16"]);
    let heard = left.hear(&mut network);
    assert_eq!(heard, ["notification 6/1 Cease/Maximum Number of Prefixes Reached"]);
    assert!(left.is_closed(&network));
    assert_eq!(network.fib(GATEWAY).len(), 0);
    let note = network.neighbor(GATEWAY, "left").note.unwrap();
    assert_eq!(note, "sent more than 2 ipv4 prefixes: down until reset");

    let refused = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert!(refused.is_closed(&network));
    network.command(GATEWAY, "left", bgpd::speaker::Command::Reset);
    let mut again = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(again.hear(&mut network), ["open 64512 hold 90", "end of ipv4", "end of ipv6"]);
}

#[test]
fn next_hops_that_lead_nowhere_are_not_used_and_the_session_stays() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    let next_hops = ["0.0.0.1", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"];
    for (number, next_hop) in (1..).zip(next_hops) {
        left.announce(&mut network, &path(&[64513]), next_hop, &[&format!("10.{number}.0.0/16")]);
        let why = why_not(&network, &format!("10.{number}.0.0/16")).unwrap();
        assert_eq!(why, "its next hop is no address that packets can be sent to", "{next_hop}");
    }
    left.announce(&mut network, &path(&[64513]), "::1", &["fd00::/16"]);
    assert!(why_not(&network, "fd00::/16").is_some());
    assert_eq!(network.fib(GATEWAY).len(), 0);
    assert!(!left.is_closed(&network));
}

#[test]
fn what_the_host_says_of_a_next_hop_decides() {
    let up = NextHopState { up: true, connected: true, ..NextHopState::default() };
    let table = [
        (up.clone(), None),
        (NextHopState { up: false, ..up.clone() }, Some("next hop 10.0.0.99 unreachable")),
        (
            NextHopState { up: false, reason: Some("no route".to_owned()), ..up.clone() },
            Some("next hop 10.0.0.99 unreachable: no route"),
        ),
        (NextHopState { local: true, ..up.clone() }, Some("next hop 10.0.0.99 is our own address")),
        (
            NextHopState { connected: false, ..up.clone() },
            Some("next hop 10.0.0.99 is not on a link shared with the neighbor"),
        ),
        (NextHopState { connected: false, tunnel: true, ..up.clone() }, None),
        (
            NextHopState {
                admits: Some(["10.9.0.0/16".parse().unwrap()].into()),
                wireguard_peer: Some("homelab".to_owned()),
                ..up.clone()
            },
            Some("outside routed-ips of homelab"),
        ),
        (NextHopState { admits: Some(["10.0.0.0/8".parse().unwrap()].into()), ..up.clone() }, None),
    ];
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.99", &["10.1.0.0/16"]);
    for (state, why) in table {
        network.answer(GATEWAY, address("10.0.0.99"), state.clone());
        assert_eq!(why_not(&network, "10.1.0.0/16").as_deref(), why, "{state:?}");
        assert_eq!(network.fib(GATEWAY).len(), usize::from(why.is_none()), "{state:?}");
    }
}

#[test]
fn a_multihop_neighbor_may_name_next_hops_elsewhere() {
    let mut network = network(gateway().session("left", |session| session.ebgp_multihop = Some(4)));
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.99", &["10.1.0.0/16"]);
    network.answer(GATEWAY, address("10.0.0.99"), NextHopState { up: true, ..NextHopState::default() });
    assert_eq!(why_not(&network, "10.1.0.0/16"), None);
}

#[test]
fn a_path_waits_for_the_hosts_answer() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    network.nodes[GATEWAY].mute = true;
    left.announce(&mut network, &path(&[64513]), "10.0.0.99", &["10.1.0.0/16"]);
    assert_eq!(why_not(&network, "10.1.0.0/16").as_deref(), Some("next hop 10.0.0.99 not resolved yet"));
    network.answer(
        GATEWAY,
        address("10.0.0.99"),
        NextHopState { up: true, connected: true, ..NextHopState::default() },
    );
    assert_eq!(network.fib(GATEWAY).len(), 1);
}

/// Cilium on the gateway's own node: it dials from the node's address, which is also its next hop.
#[test]
fn a_neighbor_on_this_very_host_is_announced_but_never_installed() {
    let settings = gateway().with_neighbor("cilium", neighbor("10.0.0.1", 64520));
    let mut network = network(settings);
    let mut left = left(&mut network);
    left.hear(&mut network);
    let mut cilium = Raw::establish(&mut network, GATEWAY, "10.0.0.1", 64520);
    cilium.announce(&mut network, &path(&[64520]), "10.0.0.1", &["10.244.1.0/24"]);
    assert_eq!(why_not(&network, "10.244.1.0/24"), None);
    assert_eq!(left.hear(&mut network), ["10.244.1.0/24 via 10.0.0.1 igp [64512 64520]"]);
    let choice = &network.nodes[GATEWAY].fib[&"10.244.1.0/24".parse().unwrap()];
    assert_eq!((choice.best.len(), choice.not_installed), (0, Some("its next hop is this host")));
}

#[test]
fn an_ipv6_next_hop_that_is_an_ipv4_address_is_that_address() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "::ffff:10.0.0.11", &["fd00:244::/48"]);
    let choice = &network.nodes[GATEWAY].fib[&"fd00:244::/48".parse().unwrap()];
    assert_eq!(choice.best, [address("10.0.0.11").into()]);
}

#[test]
fn destinations_that_no_route_may_capture_are_announced_but_not_installed() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["169.254.0.0/16"]);
    let choice = &network.nodes[GATEWAY].fib[&"169.254.0.0/16".parse().unwrap()];
    let next_hop = address("10.0.0.11").into();
    let expected = FibChoice {
        not_installed: Some("link-local destinations are never installed"),
        accepted: vec![next_hop],
        ..FibChoice::default()
    };
    assert_eq!(*choice, expected);
}

/// A group may announce inside its pods' range only; everything else is refused and listed, with the rule.
#[test]
fn import_policy_by_prefix_splits_one_update() {
    let inside = PrefixRange { prefix: "10.244.0.0/16".parse().unwrap(), min: 24, max: 24 };
    let matches = Match { prefix: Some(Arc::new([inside].into_iter().collect())), ..Match::default() };
    let set = Set { local_pref: Some(200), ..Set::default() };
    let accept = Rule { line: 12, matches, set, action: Action::Accept };
    let reject = Rule { line: 16, matches: Match::default(), set: Set::default(), action: Action::Reject };
    let settings = gateway()
        .with_policy(Policy { name: "from-left".to_owned(), rules: vec![accept, reject] })
        .session("left", |session| session.import = Some(PolicyName::Named("from-left".to_owned())));
    let mut network = network(settings);
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.244.1.0/24", "10.0.0.0/8", "10.244.2.0/24"]);
    assert_eq!(network.fib(GATEWAY).into_keys().collect::<Vec<_>>(), ["10.244.1.0/24", "10.244.2.0/24"]);
    let accepted = &network.route(GATEWAY, "10.244.1.0/24").unwrap().paths[0];
    assert_eq!(accepted.attributes.local_pref, Some(200));
    let policy = accepted.policy.as_ref().unwrap();
    assert_eq!((policy.name.as_str(), policy.rule, policy.line), ("from-left", 1, 12));
    assert_eq!(refused(&network, "left", "10.0.0.0/8").unwrap(), "rejected by rule 2 of policy from-left");
    let before = &network.received(GATEWAY, "left")[1].paths[0];
    assert_eq!((before.attributes.local_pref, before.rejected.as_deref()), (None, None));
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.received, view.accepted), (3, 2));
}

#[test]
fn a_next_hop_that_nobody_needs_is_given_up() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(&mut network, &path(&[64513, 65001]), "10.0.0.12", &["10.2.0.0/16"]);
    assert_eq!(network.nodes[GATEWAY].wanted.len(), 2);
    left.withdraw(&mut network, &["10.2.0.0/16"]);
    assert_eq!(network.nodes[GATEWAY].wanted, [address("10.0.0.11").into()].into());
    network.command(GATEWAY, "left", bgpd::speaker::Command::Disable(None));
    network.run_for(std::time::Duration::from_secs(1));
    assert_eq!(network.nodes[GATEWAY].wanted.len(), 0);
}

#[test]
fn withdrawing_attributes_that_are_wrong_ends_the_session() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.hear(&mut network);
    // ORIGIN 7, and nothing is announced that could count as withdrawn instead.
    left.say(&mut network, |out| {
        out.put_bytes(0xFF, 16);
        out.put_slice(&[0, 19 + 7 + 4, 2, 0, 3, 16, 10, 1, 0, 4, 0x40, 1, 1, 7]);
    });
    assert_eq!(left.hear(&mut network), ["notification 3/6 UPDATE Message Error/Invalid ORIGIN Attribute"]);
    assert!(left.is_closed(&network));
}

#[test]
fn an_address_is_answered_by_the_longest_prefix_that_is_used() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.0.0.0/8", "10.1.0.0/16"]);
    left.announce(&mut network, &path(&[64513, 64512]), "10.0.0.11", &["10.1.1.0/24"]);
    left.announce(&mut network, &path(&[64513]), "127.0.0.1", &["10.1.2.0/24", "192.0.2.0/24"]);
    let longest = |address: &str| {
        let speaker = &network.nodes[GATEWAY].speaker;
        speaker.longest_match(network.now, address.parse().unwrap()).map(|route| route.prefix.to_string())
    };
    assert_eq!(longest("10.200.0.1").as_deref(), Some("10.0.0.0/8"));
    assert_eq!(longest("10.1.200.1").as_deref(), Some("10.1.0.0/16"));
    assert_eq!(longest("10.1.1.1").as_deref(), Some("10.1.0.0/16"), "the /24 was refused");
    assert_eq!(longest("10.1.2.1").as_deref(), Some("10.1.0.0/16"), "the /24 has no next hop");
    assert_eq!(longest("192.0.2.1").as_deref(), Some("192.0.2.0/24"), "it says why it is not used");
    assert_eq!(longest("198.51.100.1"), None);
    assert_eq!(longest("::1"), None);
}

#[test]
fn a_path_that_accept_all_let_in_says_so() {
    let mut network = network(gateway());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(&mut network, &path(&[64513, 64512]), "10.0.0.11", &["10.2.0.0/16"]);
    let policy = |prefix: &str| {
        let received = network.received(GATEWAY, "left");
        let route = received.into_iter().find(|route| route.prefix == prefix.parse().unwrap()).unwrap();
        route.paths[0].policy.as_ref().map(|policy| (policy.name.clone(), policy.line))
    };
    assert_eq!(policy("10.1.0.0/16"), Some(("accept-all".to_owned(), 0)));
    assert_eq!(policy("10.2.0.0/16"), None, "it was refused before any policy");
}
