//! Routes of our own: originated prefixes and aggregates.

use bgpd::policy::{Action, Match, Policy, Protocol, Rule, Set};
use bgpd::settings::{Originate, PolicyName, Settings};
use bgpd::speaker::{FibChoice, NextHopState};
use bgpd::wire::{Origin, PathAttributes};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, originate, router};

const GATEWAY: usize = 0;

fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
}

fn network(settings: Settings) -> Network {
    Network::new(9, [(address("10.0.0.1"), settings)])
}

fn neighbors(network: &mut Network) -> (Raw, Raw) {
    let left = Raw::establish(network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::establish(network, GATEWAY, "10.0.0.12", 64514);
    right.hear(network);
    (left, right)
}

fn choice(network: &Network, prefix: &str) -> Option<FibChoice> {
    network.nodes[GATEWAY].fib.get(&prefix.parse().unwrap()).cloned()
}

#[test]
fn an_originated_prefix_reaches_the_fib_only_as_it_was_told() {
    let mut settings = gateway();
    settings.originate = vec![
        originate("10.1.0.0/16"),
        Originate { discard: true, ..originate("10.2.0.0/16") },
        Originate { next_hop: Some(address("10.0.0.50")), ..originate("10.3.0.0/16") },
        Originate { next_hop: Some(address("10.0.0.1")), ..originate("10.4.0.0/16") },
    ];
    let mut network = network(settings);
    network.run_for(std::time::Duration::from_secs(1));
    assert_eq!(choice(&network, "10.1.0.0/16"), None);
    assert!(!network.nodes[GATEWAY].fib_changes.contains(&"10.1.0.0/16".parse().unwrap()));
    assert_eq!(choice(&network, "10.2.0.0/16"), Some(FibChoice { discard: true, ..FibChoice::default() }));
    let next_hop = address("10.0.0.50").into();
    let through = FibChoice { best: vec![next_hop], accepted: vec![next_hop], ..FibChoice::default() };
    assert_eq!(choice(&network, "10.3.0.0/16"), Some(through));
    assert_eq!(choice(&network, "10.4.0.0/16").unwrap().not_installed, Some("its next hop is this host"));
    let route = network.route(GATEWAY, "10.1.0.0/16").unwrap();
    assert_eq!((route.paths[0].neighbor.as_str(), route.paths[0].neighbor_address), ("originate", None));
}

#[test]
fn our_own_prefix_is_not_overruled_by_a_neighbor() {
    let mut network = network(gateway().originating(&["10.1.0.0/16"]));
    let (mut left, mut right) = neighbors(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), [""; 0]);
    let choice = choice(&network, "10.1.0.0/16").unwrap();
    assert_eq!((choice.best.len(), choice.discard), (0, false));
    assert_eq!(choice.not_installed, Some("our own prefix: the kernel knows the way"));
    assert_eq!(choice.accepted, [address("10.0.0.11").into()]);
    let paths = network.route(GATEWAY, "10.1.0.0/16").unwrap().paths;
    assert_eq!(paths[1].not_best.as_deref(), Some("not our own route"));
}

#[test]
fn an_aggregate_stands_while_something_more_specific_does() {
    let mut network = network(gateway().aggregating("10.42.0.0/16", true, true));
    let (mut left, mut right) = neighbors(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.42.1.0/24", "10.42.2.0/24", "10.43.1.0/24"]);
    let heard = right.hear(&mut network);
    assert_eq!(
        heard,
        [
            "10.43.1.0/24 via 10.0.0.1 igp [64512 64513]",
            "10.42.0.0/16 via 10.0.0.1 igp [64512] atomic yes aggregator 64512 10.0.0.1",
        ]
    );
    assert_eq!(choice(&network, "10.42.0.0/16"), Some(FibChoice { discard: true, ..FibChoice::default() }));
    assert_eq!(choice(&network, "10.42.1.0/24").unwrap().best, [address("10.0.0.11").into()]);

    left.withdraw(&mut network, &["10.42.1.0/24"]);
    assert_eq!(right.hear(&mut network), [""; 0]);
    left.withdraw(&mut network, &["10.42.2.0/24"]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.42.0.0/16"]);
    assert_eq!(choice(&network, "10.42.0.0/16"), None);
}

#[test]
fn an_aggregate_that_is_not_alone_goes_with_what_it_sums_up() {
    let mut network = network(gateway().aggregating("10.42.0.0/16", false, false));
    let (mut left, mut right) = neighbors(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.42.1.0/24"]);
    assert_eq!(right.hear(&mut network).len(), 2);
    assert_eq!(choice(&network, "10.42.0.0/16"), None, "no discard was asked for");
}

#[test]
fn a_path_that_is_not_used_supports_no_aggregate() {
    let mut network = network(gateway().aggregating("10.42.0.0/16", true, true));
    let (mut left, _right) = neighbors(&mut network);
    left.announce(&mut network, &path(&[64513, 64512]), "10.0.0.11", &["10.42.1.0/24"]);
    left.announce(&mut network, &path(&[64513]), "127.0.0.1", &["10.42.2.0/24"]);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.42.0.0/16"]);
    assert!(network.route(GATEWAY, "10.42.0.0/16").unwrap().paths.iter().all(|path| path.neighbor == "left"));
    network.answer(GATEWAY, address("10.0.0.11"), NextHopState::default());
    assert_eq!(network.fib(GATEWAY).len(), 0);
}

#[test]
fn the_least_certain_origin_is_the_aggregates() {
    let mut network = network(gateway().aggregating("10.42.0.0/16", true, true));
    let (mut left, mut right) = neighbors(&mut network);
    let with = |origin| PathAttributes { origin, ..path(&[64513]) };
    left.announce(&mut network, &with(Origin::Igp), "10.0.0.11", &["10.42.1.0/24"]);
    right.hear(&mut network);
    left.announce(&mut network, &with(Origin::Incomplete), "10.0.0.11", &["10.42.2.0/24"]);
    assert!(right.hear(&mut network)[0].contains(" incomplete [64512]"));
    left.announce(&mut network, &with(Origin::Egp), "10.0.0.11", &["10.42.2.0/24"]);
    assert!(right.hear(&mut network)[0].contains(" egp [64512]"));
    left.withdraw(&mut network, &["10.42.2.0/24"]);
    assert!(right.hear(&mut network)[0].contains(" igp [64512]"));
}

#[test]
fn an_aggregate_told_later_counts_what_is_there() {
    let mut network = network(gateway());
    let (mut left, mut right) = neighbors(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.42.1.0/24", "10.43.1.0/24"]);
    right.hear(&mut network);
    network.reload(GATEWAY, gateway().aggregating("10.42.0.0/16", true, true));
    network.run_for(std::time::Duration::from_secs(1));
    let heard = right.hear(&mut network);
    assert!(heard.contains(&"withdraw 10.42.1.0/24".to_owned()), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("10.42.0.0/16 via")), "{heard:?}");

    network.reload(GATEWAY, gateway());
    network.run_for(std::time::Duration::from_secs(1));
    let heard = right.hear(&mut network);
    assert!(heard.contains(&"withdraw 10.42.0.0/16".to_owned()), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("10.42.1.0/24")), "{heard:?}");
}

#[test]
fn our_own_routes_pass_the_export_policy_by_their_protocol() {
    let only = |protocol| {
        let matches = Match { protocol: Some(protocol), ..Match::default() };
        let rule = Rule { line: 1, matches, set: Set::default(), action: Action::Accept };
        Policy { name: "only".to_owned(), rules: vec![rule] }
    };
    let table =
        [(Protocol::Originate, "10.1.0.0/16"), (Protocol::Aggregate, "10.42.0.0/16"), (Protocol::Bgp, "10.43.0.0/16")];
    for (protocol, told) in table {
        let settings = gateway()
            .originating(&["10.1.0.0/16"])
            .aggregating("10.42.0.0/16", true, true)
            .with_policy(only(protocol))
            .session("right", |session| session.export = Some(PolicyName::Named("only".to_owned())));
        let mut network = network(settings);
        let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
        left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.42.1.0/24", "10.43.0.0/16"]);
        Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
        let advertised = network.advertised(GATEWAY, "right");
        let prefixes: Vec<_> = advertised.iter().map(|route| route.prefix.to_string()).collect();
        assert_eq!(prefixes, [told], "{protocol:?}");
    }
}
