//! BLACKHOLE (RFC 7999): dropped where import policy asks for it, and never passed on beyond our AS.

use bgpd::policy::{Action, Match, Policy, PrefixRange, PrefixSet, Rule, Set};
use bgpd::settings::PolicyName;
use bgpd::speaker::NextHopState;
use bgpd::types::Community;
use bgpd::wire::PathAttributes;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

fn marked() -> PathAttributes {
    PathAttributes { communities: vec![Community::BLACKHOLE], ..path(&[64513]) }
}

/// Takes hosts of 10.1.0.0/16; `named`: only those with BLACKHOLE.
fn hosts(named: bool) -> Policy {
    let prefix = PrefixSet::from_iter([PrefixRange { prefix: "10.1.0.0/16".parse().unwrap(), min: 16, max: 32 }]);
    let matches = Match {
        prefix: Some(prefix.into()),
        community: named.then(|| vec![Community::BLACKHOLE.into()]),
        ..Match::default()
    };
    let rule = Rule { line: 1, matches, set: Set::default(), action: Action::Accept };
    Policy { name: "hosts".to_owned(), rules: vec![rule] }
}

/// AS 64512 at 10.0.0.1 with an external neighbor at 10.0.0.11 that has this policy, another and an internal one.
fn network(policy: Option<Policy>) -> Network {
    let mut settings = router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .with_neighbor("inner", neighbor("10.0.0.21", 64512));
    if let Some(policy) = policy {
        let name = PolicyName::Named(policy.name.clone());
        settings = settings.with_policy(policy).session("left", |session| session.import = Some(name));
    }
    Network::new(13, [(address("10.0.0.1"), settings)])
}

fn announced(network: &mut Network, prefixes: &[&str]) -> Raw {
    let mut left = Raw::settled(network, GATEWAY, "10.0.0.11", 64513);
    left.announce(network, &marked(), "10.0.0.11", prefixes);
    left
}

#[test]
fn what_policy_lets_pass_by_its_community_is_dropped_and_stays_in_our_as() {
    let mut network = network(Some(hosts(true)));
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut inner = Raw::settled(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    let mut left = announced(&mut network, &["10.1.2.3/32", "10.20.0.1/32"]);
    assert_eq!(network.fib(GATEWAY), [("10.1.2.3/32".to_owned(), vec!["discard".to_owned()])].into());
    let choice = &network.nodes[GATEWAY].fib[&"10.1.2.3/32".parse().unwrap()];
    assert_eq!(choice.accepted, [address("10.0.0.11").into()], "what is on its way is still taken");
    assert_eq!(right.hear(&mut network), [""; 0]);
    let heard = inner.hear(&mut network);
    assert_eq!(heard, ["10.1.2.3/32 via 10.0.0.11 igp [64513] pref 100 communities 65535:666,65535:65281"]);
    left.withdraw(&mut network, &["10.1.2.3/32"]);
    assert!(network.fib(GATEWAY).is_empty());
}

#[test]
fn a_policy_that_does_not_name_it_does_not_ask_for_it() {
    for policy in [Some(hosts(false)), None] {
        let mut network = network(policy);
        let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
        announced(&mut network, &["10.1.2.3/32"]);
        let expected = [("10.1.2.3/32".to_owned(), vec!["10.0.0.11".to_owned()])].into();
        assert_eq!(network.fib(GATEWAY), expected); // RFC 7999 §4
        assert_eq!(right.hear(&mut network), [""; 0]); // RFC 7999 §3.2
    }
}

#[test]
fn a_route_with_the_same_attributes_but_the_community_is_a_usual_one() {
    let mut network = network(Some(hosts(true)));
    let mut left = announced(&mut network, &["10.1.2.3/32"]);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.2.3/32"]);
    assert!(network.fib(GATEWAY).is_empty(), "no rule takes it without");
}

#[test]
fn nothing_is_dropped_outside_of_what_its_peer_may_announce() {
    let mut network = network(Some(hosts(true)));
    announced(&mut network, &["10.1.2.3/32"]);
    let ceiling = NextHopState {
        up: true,
        connected: true,
        tunnel: true,
        admits: Some(["10.1.128.0/17".parse().unwrap()].into()),
        ..NextHopState::default()
    };
    network.answer(GATEWAY, address("10.0.0.11"), ceiling);
    network.run_for(std::time::Duration::from_secs(1));
    assert!(network.fib(GATEWAY).is_empty());
}
