//! What neighbors hear: attributes, next hops, and what is kept from them.

use bgpd::policy::{self, Action, Edit, Match, Policy, Rule};
use bgpd::settings::{NextHopSelf, PolicyName, SessionSettings, Settings};
use bgpd::speaker::{Input, NextHopState};
use bgpd::types::Community;
use bgpd::types::Family;
use bgpd::wire::{PathAttributes, UnknownAttribute, write_route_refresh};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, range, router};

const GATEWAY: usize = 0;

/// AS 64512 at 10.0.0.1, with neighbors at 10.0.0.11 (AS 64513), .12 (AS 64514), .21 and .22 (internal).
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .with_neighbor("inner", neighbor("10.0.0.21", 64512))
        .with_neighbor("other-inner", neighbor("10.0.0.22", 64512))
}

fn network(settings: Settings) -> Network {
    Network::new(3, [(address("10.0.0.1"), settings)])
}

fn internal(network: &mut Network, from: &str) -> Raw {
    let mut raw = Raw::establish(network, GATEWAY, from, 64512).internal();
    raw.hear(network);
    raw
}

/// Everything that an attribute set can carry.
fn rich() -> PathAttributes {
    PathAttributes {
        med: Some(50),
        communities: vec![Community(0xFC01_0007)],
        unknown: vec![UnknownAttribute { code: 99, value: vec![1, 2] }],
        ..path(&[64513, 65001])
    }
}

fn rich_internal() -> PathAttributes {
    PathAttributes { local_pref: Some(250), ..path(&[65001]) }
}

#[test]
fn an_external_route_goes_to_an_external_neighbor_with_our_as_and_address() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    left.announce(&mut network, &rich(), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    assert_eq!(
        right.hear(&mut network),
        ["10.1.0.0/16,10.2.0.0/16 via 10.0.0.1 igp [64512 64513 65001] communities 64513:7 \
          unknown [UnknownAttribute { code: 99, value: [1, 2] }]"]
    );
}

#[test]
fn an_external_route_goes_to_an_internal_neighbor_with_its_next_hop_and_med_and_the_default_local_pref() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut inner = internal(&mut network, "10.0.0.21");
    left.announce(&mut network, &PathAttributes { med: Some(50), ..path(&[64513]) }, "10.0.0.99", &["10.1.0.0/16"]);
    assert_eq!(inner.hear(&mut network), ["10.1.0.0/16 via 10.0.0.99 igp [64513] med 50 pref 100"]);
}

#[test]
fn an_internal_route_goes_to_external_neighbors_without_what_is_internal() {
    let mut network = network(gateway());
    let mut inner = internal(&mut network, "10.0.0.21");
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let attributes = PathAttributes {
        med: Some(9),
        originator_id: Some([10, 9, 9, 9].into()),
        cluster_list: vec![[10, 9, 9, 8].into()],
        ..rich_internal()
    };
    inner.announce(&mut network, &attributes, "10.0.0.21", &["10.1.0.0/16"]);
    assert_eq!(left.hear(&mut network), ["10.1.0.0/16 via 10.0.0.1 igp [64512 65001]"]);
}

#[test]
fn a_route_never_goes_back_nor_from_one_internal_neighbor_to_another() {
    let mut network = network(gateway());
    let mut inner = internal(&mut network, "10.0.0.21");
    let mut other = internal(&mut network, "10.0.0.22");
    inner.announce(&mut network, &rich_internal(), "10.0.0.21", &["10.1.0.0/16"]);
    assert_eq!(inner.hear(&mut network), [""; 0]);
    assert_eq!(other.hear(&mut network), [""; 0]);
}

#[test]
fn a_reflector_tells_everybody_of_a_client_and_the_client_of_everybody() {
    let settings = gateway().session("inner", |session| session.route_reflector_client = true);
    let mut network = network(settings);
    let mut client = internal(&mut network, "10.0.0.21");
    let mut other = internal(&mut network, "10.0.0.22");
    client.announce(&mut network, &rich_internal(), "10.0.0.21", &["10.1.0.0/16"]);
    assert_eq!(
        other.hear(&mut network),
        ["10.1.0.0/16 via 10.0.0.21 igp [65001] pref 250 originator 10.0.0.21 clusters 10.0.0.1"]
    );
    let reflected = PathAttributes {
        originator_id: Some([10, 9, 9, 9].into()),
        cluster_list: vec![[10, 9, 9, 8].into()],
        ..rich_internal()
    };
    other.announce(&mut network, &reflected, "10.0.0.22", &["10.2.0.0/16"]);
    assert_eq!(
        client.hear(&mut network),
        ["10.2.0.0/16 via 10.0.0.22 igp [65001] pref 250 originator 10.9.9.9 clusters 10.0.0.1,10.9.9.8"]
    );
}

#[test]
fn well_known_communities_keep_a_route_where_they_say() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut inner = internal(&mut network, "10.0.0.21");
    let prefixes = [
        (Community::NO_EXPORT, "10.1.0.0/16"),
        (Community::NO_EXPORT_SUBCONFED, "10.2.0.0/16"),
        (Community::NO_ADVERTISE, "10.3.0.0/16"),
    ];
    for (community, prefix) in prefixes {
        let attributes = PathAttributes { communities: vec![community], ..path(&[64513]) };
        left.announce(&mut network, &attributes, "10.0.0.11", &[prefix]);
    }
    assert_eq!(right.hear(&mut network), [""; 0]);
    let heard = inner.hear(&mut network);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("10.1.0.0/16") && heard[1].starts_with("10.2.0.0/16"));
}

#[test]
fn a_route_that_becomes_secret_is_withdrawn() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    right.hear(&mut network);
    let secret = PathAttributes { communities: vec![Community::NO_EXPORT], ..path(&[64513]) };
    left.announce(&mut network, &secret, "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16"]);
    left.withdraw(&mut network, &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), [""; 0]);
}

#[test]
fn a_route_too_long_to_pass_on_is_withdrawn() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    right.hear(&mut network);
    // It fits as it comes, but not with our AS before it.
    let unknown = UnknownAttribute { code: 99, value: vec![0; 4096 - 19 - 4 - 4 - 9 - 7 - 4 - 3] };
    left.announce(
        &mut network,
        &PathAttributes { unknown: vec![unknown], ..path(&[64513]) },
        "10.0.0.11",
        &["10.1.0.0/16"],
    );
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16"]);
    let last = format!("{:?}", network.nodes[GATEWAY].events.last());
    assert!(last.contains("10.1.0.0/16 is too long to be passed on"), "{network}");
}

#[test]
fn what_an_internal_neighbor_cannot_reach_itself_goes_by_us() {
    let tunnel = NextHopState { up: true, connected: true, tunnel: true, ..NextHopState::default() };
    let table = [
        (NextHopSelf::Auto, false, "10.0.0.11"),
        (NextHopSelf::Auto, true, "10.0.0.1"),
        (NextHopSelf::Always, false, "10.0.0.1"),
        (NextHopSelf::Never, true, "10.0.0.11"),
    ];
    for (next_hop_self, behind_tunnel, told) in table {
        let mut network = network(gateway().session("inner", |session| session.next_hop_self = next_hop_self));
        let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
        let mut inner = internal(&mut network, "10.0.0.21");
        left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
        if behind_tunnel {
            inner.hear(&mut network);
            network.answer(GATEWAY, address("10.0.0.11"), tunnel.clone());
        }
        let heard = inner.hear(&mut network);
        assert_eq!(
            heard,
            [format!("10.1.0.0/16 via {told} igp [64513] pref 100")],
            "{next_hop_self:?} {behind_tunnel}"
        );
    }
}

#[test]
fn no_neighbor_is_told_that_it_is_its_own_next_hop() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut inner = internal(&mut network, "10.0.0.21");
    left.announce(&mut network, &path(&[64513]), "10.0.0.21", &["10.1.0.0/16"]);
    assert_eq!(inner.hear(&mut network), [""; 0]);
}

#[test]
fn ipv6_over_an_ipv4_session_needs_an_address_of_the_link() {
    let mut network = network(gateway().originating(&["fd00:20::/32"]));
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(left.hear(&mut network), ["open 64512 hold 90", "end of ipv4", "end of ipv6"]);
    let note = network.neighbor(GATEWAY, "left").note.unwrap();
    assert_eq!(note, "ipv6 is not announced with ourselves as next hop: the link has no ipv6 address");

    network.input(GATEWAY, Input::Companions(vec![(address("10.0.0.1"), address("fd00::1"))]));
    assert_eq!(left.hear(&mut network), ["fd00:20::/32 via fd00::1 igp [64512]"]);
    assert_eq!(network.neighbor(GATEWAY, "left").note, None);

    network.input(GATEWAY, Input::Companions(Vec::new()));
    assert_eq!(left.hear(&mut network), ["withdraw fd00:20::/32"]);
}

#[test]
fn end_of_rib_comes_for_each_family_also_when_there_is_nothing() {
    let mut network = network(gateway());
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(left.hear(&mut network), ["open 64512 hold 90", "end of ipv4", "end of ipv6"]);
}

#[test]
fn a_table_is_sent_packed_and_before_end_of_rib() {
    let prefixes: Vec<String> = (0..=255).map(|third| format!("10.1.{third}.0/24")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let mut network = network(gateway().originating(&prefixes));
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    let heard = left.hear(&mut network);
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert_eq!(heard[1].split(" via ").next().unwrap().split(',').count(), 256);
    assert_eq!(heard[2..], ["end of ipv4", "end of ipv6"]);
}

#[test]
fn a_route_refresh_is_answered_with_everything() {
    let mut network = network(gateway().originating(&["10.20.0.0/16"]));
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    left.hear(&mut network);
    left.say(&mut network, |out| write_route_refresh(Family::Ipv4, 0, out));
    assert_eq!(left.hear(&mut network), ["10.20.0.0/16 via 10.0.0.1 igp [64512]"]);
}

#[test]
fn export_policy_sees_the_route_as_it_is_here_and_changes_what_is_told() {
    let set = policy::Set {
        med: Some(77),
        prepend: 2,
        community: Edit { add: vec![Community(0xFC00_0001)], ..Edit::default() },
        ..policy::Set::default()
    };
    let matches = Match { local_pref: Some(250..=250), neighbor: Some(vec!["inner".to_owned()]), ..Match::default() };
    let rules = vec![Rule { line: 3, matches, set, action: Action::Accept }];
    let settings = gateway()
        .with_policy(Policy { name: "to-left".to_owned(), rules })
        .session("left", |session| session.export = Some(PolicyName::Named("to-left".to_owned())));
    let mut network = network(settings);
    let mut inner = internal(&mut network, "10.0.0.21");
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    inner.announce(&mut network, &rich_internal(), "10.0.0.21", &["10.1.0.0/16"]);
    let other = PathAttributes { local_pref: Some(100), ..path(&[65001]) };
    inner.announce(&mut network, &other, "10.0.0.21", &["10.2.0.0/16"]);
    assert_eq!(
        left.hear(&mut network),
        ["10.1.0.0/16 via 10.0.0.1 igp [64512 64512 64512 65001] med 77 communities 64512:1"]
    );
    let advertised = network.advertised(GATEWAY, "left");
    assert_eq!(advertised.len(), 1);
    assert_eq!(advertised[0].paths[0].attributes.as_path.to_string(), "64512 64512 64512 65001");
    assert_eq!(advertised[0].paths[0].next_hop, Some(address("10.0.0.1")));
}

#[test]
fn private_as_numbers_are_taken_out_but_for_ours_and_the_neighbors_own() {
    let prepend = policy::Set { prepend: 1, ..policy::Set::default() };
    let rules = vec![Rule { line: 1, matches: Match::default(), set: prepend, action: Action::Accept }];
    let settings = |remove| {
        gateway()
            .with_policy(Policy { name: "twice".to_owned(), rules: rules.clone() })
            .session("left", |session| session.export = Some(PolicyName::Named("twice".to_owned())))
            .session("left", |session| session.remove_private_asn = remove)
            .session("inner", |session| session.remove_private_asn = remove)
    };
    let mut network = network(settings(true));
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut inner = internal(&mut network, "10.0.0.21");
    let long = [64514, 65001, 3356, 4_200_000_001, 64513, 13335, 65535];
    right.announce(&mut network, &path(&long), "10.0.0.12", &["10.1.0.0/16"]);
    let told = "10.1.0.0/16 via 10.0.0.1 igp [64512 64512 3356 64513 13335 65535]";
    assert_eq!(left.hear(&mut network), [told]);
    let whole = "10.1.0.0/16 via 10.0.0.12 igp [64514 65001 3356 4200000001 64513 13335 65535] pref 100";
    assert_eq!(inner.hear(&mut network), [whole], "our own AS sees all of it");
    assert_eq!(network.advertised(GATEWAY, "left")[0].paths[0].attributes.as_path.length(), 6);
    network.reload(GATEWAY, settings(false));
    let whole = "10.1.0.0/16 via 10.0.0.1 igp [64512 64512 64514 65001 3356 4200000001 64513 13335 65535]";
    assert_eq!(left.hear(&mut network), [whole]);
}

#[test]
fn an_external_neighbor_without_policy_hears_nothing_and_is_heard_in_vain() {
    let settings = gateway().originating(&["10.20.0.0/16"]).session("left", |session| {
        *session = SessionSettings { families: session.families, graceful_restart: None, ..SessionSettings::default() };
    });
    let mut network = network(settings);
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(left.hear(&mut network), ["open 64512 hold 90", "end of ipv4", "end of ipv6"]);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.received, view.accepted, view.advertised), (1, 0, 0));
    assert!(view.note.unwrap().starts_with("(Policy): nothing passes without import and export policy"));
    assert_eq!(network.received(GATEWAY, "left")[0].paths[0].rejected.as_deref(), Some("no import policy (RFC 8212)"));
    assert_eq!(network.route(GATEWAY, "10.1.0.0/16").unwrap().paths.len(), 0);
}

#[test]
fn another_as_is_shown_where_one_is_told_to() {
    let settings = gateway()
        .originating(&["10.20.0.0/16"])
        .session("left", |session| session.local_asn = Some(crate::settings::asn(65000)));
    let mut network = network(settings);
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    let heard = left.hear(&mut network);
    assert_eq!(heard[..2], ["open 65000 hold 90", "10.20.0.0/16 via 10.0.0.1 igp [65000]"]);
}

#[test]
fn neighbors_that_share_an_address_are_told_apart_by_our_socket() {
    let settings = router(64512, "10.0.0.1").with_range("nodes", range("10.0.0.0/24", 64513, 8));
    let mut network = network(settings.originating(&["10.20.0.0/16"]));
    let agent = std::net::SocketAddr::new(address("10.0.0.1"), 1790);
    let mut cilium = Raw::settled(&mut network, GATEWAY, "10.0.0.30", 64513);
    let mut other = Raw::connect_to(&mut network, GATEWAY, agent, "10.0.0.30", 64513);
    other.say(&mut network, |out| crate::raw::open(64513, "10.0.0.31").write(out));
    other.say(&mut network, bgpd::wire::write_keepalive);
    other.hear(&mut network);
    cilium.announce(&mut network, &path(&[64513]), "10.0.0.30", &["10.1.0.0/16"]);
    assert_eq!(other.hear(&mut network), ["10.1.0.0/16 via 10.0.0.1 igp [64512 64513]"]);
    let names: Vec<String> =
        network.nodes[GATEWAY].speaker.neighbors(network.now).into_iter().map(|view| view.name).collect();
    assert_eq!(names, ["nodes/10.0.0.30", "nodes/10.0.0.30@10.0.0.1:1790"]);
}
