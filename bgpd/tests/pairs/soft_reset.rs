//! Soft reset: what was received is kept before policy, so that new policy and commands need no new session.

use std::time::Duration;

use bgpd::policy::{Action, Match, PathMatch, Policy, Rule, Set};
use bgpd::settings::{PolicyName, Settings};
use bgpd::speaker::Command;
use bgpd::wire::{Capability, write_keepalive};

use crate::network::Network;
use crate::raw::{Raw, open, path};
use crate::settings::{Told, address, asn, neighbor, router};

const GATEWAY: usize = 0;

/// From `left` only what has been in this AS.
fn gateway(through: u32) -> Settings {
    let as_path = PathMatch { asns: [asn(through)].into_iter().collect(), ..PathMatch::default() };
    let matches = Match { as_path: Some(as_path), ..Match::default() };
    let rules = vec![Rule { line: 1, matches, set: Set::default(), action: Action::Accept }];
    router(64512, "10.0.0.1")
        .originating(&["10.20.0.0/16"])
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_policy(Policy { name: "from-left".to_owned(), rules })
        .session("left", |session| session.import = Some(PolicyName::Named("from-left".to_owned())))
}

fn network() -> Network {
    Network::new(29, [(address("10.0.0.1"), gateway(65001))])
}

fn announce(network: &mut Network, left: &mut Raw) {
    left.announce(network, &path(&[64513, 65001]), "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(network, &path(&[64513, 65002]), "10.0.0.11", &["10.2.0.0/16"]);
    left.hear(network);
}

fn used(network: &Network) -> Vec<String> {
    network.fib(GATEWAY).into_keys().filter(|prefix| prefix != "10.20.0.0/16").collect()
}

#[test]
fn a_new_import_policy_takes_what_the_old_one_refused_without_asking_for_it() {
    let mut network = network();
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    announce(&mut network, &mut left);
    assert_eq!(used(&network), ["10.1.0.0/16"]);
    network.reload(GATEWAY, gateway(65002));
    network.run_for(Duration::from_secs(1));
    assert_eq!(used(&network), ["10.2.0.0/16"]);
    assert_eq!(left.hear(&mut network), [""; 0]);
    assert_eq!(network.neighbor(GATEWAY, "left").counters.flaps, 0);
}

#[test]
fn refresh_asks_for_every_family_and_the_answer_changes_nothing() {
    let mut network = network();
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    announce(&mut network, &mut left);
    network.command(GATEWAY, "left", Command::Refresh);
    assert_eq!(left.hear(&mut network), ["refresh ipv4", "refresh ipv6"]);
    announce(&mut network, &mut left);
    assert_eq!((used(&network).len(), network.neighbor(GATEWAY, "left").received), (1, 2));
}

#[test]
fn a_neighbor_that_cannot_be_asked_is_judged_by_what_is_kept() {
    let mut network = network();
    let mut left = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut silent = open(64513, "10.0.0.11");
    silent
        .capabilities
        .retain(|capability| !matches!(capability, Capability::RouteRefresh | Capability::EnhancedRouteRefresh));
    left.say(&mut network, |out| silent.write(out));
    left.say(&mut network, write_keepalive);
    announce(&mut network, &mut left);
    network.command(GATEWAY, "left", Command::Refresh);
    network.run_for(Duration::from_secs(1));
    assert_eq!((left.hear(&mut network), used(&network)), (vec![], vec!["10.1.0.0/16".to_owned()]));
}

#[test]
fn resend_sends_everything_again_and_the_session_stays() {
    let mut network = network();
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    for _ in 0..2 {
        network.command(GATEWAY, "left", Command::Resend);
        assert_eq!(left.hear(&mut network), ["10.20.0.0/16 via 10.0.0.1 igp [64512]"]);
    }
    assert!(!left.is_closed(&network));
}
