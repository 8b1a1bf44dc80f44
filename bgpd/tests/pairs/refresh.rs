//! Route refresh by family, with its begin and its end (RFC 2918, RFC 7313).

use std::time::Duration;

use bgpd::settings::Settings;
use bgpd::speaker::Command;
use bgpd::types::Family;
use bgpd::wire::{self, Capability, Context, RouteRefresh};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

/// AS 64512 at 10.0.0.1, with neighbors at 10.0.0.11 and .12, and a prefix of each family.
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .originating(&["10.244.0.0/16", "fd00:244::/48"])
}

fn network() -> Network {
    let mut network = Network::new(11, [(address("10.0.0.1"), gateway())]);
    let companions = vec![(address("10.0.0.1"), address("fd00::1"))];
    network.input(GATEWAY, bgpd::speaker::Input::Companions(companions));
    network
}

fn enhanced(network: &mut Network, from: &str, number: u32) -> Raw {
    let agreed = |context: &mut Context| context.enhanced_refresh = true;
    Raw::with(network, GATEWAY, from, number, &[Capability::EnhancedRouteRefresh], agreed)
}

fn refresh(raw: &mut Raw, network: &mut Network, family: Family, subtype: u8) {
    raw.say(network, |out| wire::write_route_refresh(family, subtype, out));
}

/// Lets what grows with the table take its turns.
fn hear(raw: &mut Raw, network: &mut Network) -> Vec<String> {
    network.run_for(Duration::from_millis(10));
    raw.hear(network)
}

#[test]
fn a_family_is_sent_again_between_its_begin_and_its_end_and_the_other_is_not() {
    let mut network = network();
    let mut left = enhanced(&mut network, "10.0.0.11", 64513);
    for (family, route) in [
        (Family::Ipv4, "10.244.0.0/16 via 10.0.0.1 igp [64512]"),
        (Family::Ipv6, "fd00:244::/48 via fd00::1 igp [64512]"),
    ] {
        refresh(&mut left, &mut network, family, RouteRefresh::REQUEST);
        let expected = [format!("begin of refresh {family}"), route.to_owned(), format!("end of refresh {family}")];
        assert_eq!(hear(&mut left, &mut network), expected);
    }
}

#[test]
fn without_the_enhanced_refresh_the_routes_come_alone() {
    let mut network = network();
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::REQUEST);
    assert_eq!(hear(&mut left, &mut network), ["10.244.0.0/16 via 10.0.0.1 igp [64512]"]);
    // Its marks mean nothing here.
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::BEGIN);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::END);
    network.run_for(Duration::from_secs(1));
    assert!(network.fib(GATEWAY).contains_key("10.1.0.0/16"));
}

#[test]
fn a_refresh_of_nothing_has_a_begin_and_an_end_too() {
    let mut settings = gateway();
    settings.originate.clear();
    let mut network = Network::new(11, [(address("10.0.0.1"), settings)]);
    let mut left = enhanced(&mut network, "10.0.0.11", 64513);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::REQUEST);
    assert_eq!(hear(&mut left, &mut network), ["begin of refresh ipv4", "end of refresh ipv4"]);
}

#[test]
fn a_refresh_asked_for_before_end_of_rib_begins_after_it() {
    let mut network = network();
    let mut left = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    left.say(&mut network, |out| {
        let mut open = crate::raw::open(64513, "10.0.0.11");
        open.capabilities.push(Capability::EnhancedRouteRefresh);
        open.write(out);
        wire::write_keepalive(out);
        wire::write_route_refresh(Family::Ipv4, RouteRefresh::REQUEST, out);
    });
    let heard = hear(&mut left, &mut network);
    let at = |line: &str| heard.iter().position(|heard| heard == line).unwrap_or_else(|| panic!("{line}: {heard:?}"));
    assert!(at("end of ipv4") < at("begin of refresh ipv4"), "{heard:?}"); // RFC 7313 §4.1
    assert!(at("begin of refresh ipv4") < at("end of refresh ipv4"), "{heard:?}");
    assert_eq!(heard.iter().filter(|line| line.starts_with("10.244.0.0/16")).count(), 2, "{heard:?}");
}

#[test]
fn a_large_table_is_all_between_begin_and_end() {
    let mut network = network();
    let mut left = enhanced(&mut network, "10.0.0.11", 64513);
    let mut right = enhanced(&mut network, "10.0.0.12", 64514);
    let prefixes: Vec<String> = (0..3000).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).collect();
    for prefixes in prefixes.chunks(500) {
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        left.announce(&mut network, &path(&[64513]), "10.0.0.11", &prefixes);
    }
    hear(&mut right, &mut network);
    // Asked for twice at once it is told once.
    right.say(&mut network, |out| {
        wire::write_route_refresh(Family::Ipv4, RouteRefresh::REQUEST, out);
        wire::write_route_refresh(Family::Ipv4, RouteRefresh::REQUEST, out);
    });
    network.run_for(Duration::from_secs(1));
    let heard = right.hear(&mut network);
    assert_eq!(heard.first().map(String::as_str), Some("begin of refresh ipv4"));
    assert_eq!(heard.last().map(String::as_str), Some("end of refresh ipv4"));
    assert_eq!(heard.iter().filter(|line| line.starts_with("end")).count(), 1);
    for prefix in prefixes {
        let told = |line: &String| line.split([' ', ',']).any(|word| word == prefix);
        assert!(heard.iter().any(told), "{prefix}");
    }
}

/// The neighbor has announced three prefixes, and begins to send IPv4 again.
fn begun(network: &mut Network) -> Raw {
    let mut left = enhanced(network, "10.0.0.11", 64513);
    left.announce(network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    left.announce(network, &path(&[64513]), "fd00::11", &["fd00:1::/48"]);
    refresh(&mut left, network, Family::Ipv4, RouteRefresh::BEGIN);
    left
}

fn learned(network: &Network) -> Vec<String> {
    network.fib(GATEWAY).into_keys().collect()
}

#[test]
fn what_is_not_sent_again_goes_at_the_end_and_not_before() {
    let mut network = network();
    let mut left = begun(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.2.0.0/16", "10.3.0.0/16"]);
    network.run_for(Duration::from_secs(60));
    assert_eq!(learned(&network), ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "fd00:1::/48"]);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::END);
    network.run_for(Duration::from_secs(1));
    assert_eq!(learned(&network), ["10.2.0.0/16", "10.3.0.0/16", "fd00:1::/48"]); // RFC 7313 §4.2
    assert_eq!(network.neighbor(GATEWAY, "left").received, 3);
}

#[test]
fn a_second_begin_starts_over_and_an_end_without_a_begin_is_ignored() {
    let mut network = network();
    let mut left = begun(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.2.0.0/16"]);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::BEGIN);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    refresh(&mut left, &mut network, Family::Ipv6, RouteRefresh::END);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::END);
    network.run_for(Duration::from_secs(1));
    assert_eq!(learned(&network), ["10.1.0.0/16", "fd00:1::/48"]);
    refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::END);
    network.run_for(Duration::from_secs(1));
    assert_eq!(learned(&network), ["10.1.0.0/16", "fd00:1::/48"]);
}

#[test]
fn an_end_that_never_comes_is_taken_for_granted_after_seven_minutes() {
    let mut network = network();
    let mut left = begun(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.2.0.0/16"]);
    for _ in 0..13 {
        network.run_for(Duration::from_secs(30));
        left.say(&mut network, wire::write_keepalive);
    }
    assert!(learned(&network).contains(&"10.1.0.0/16".to_owned()));
    network.run_for(Duration::from_secs(31));
    assert_eq!(learned(&network), ["10.2.0.0/16", "fd00:1::/48"]);
}

#[test]
fn a_begin_before_the_neighbor_s_end_of_rib_is_ignored_where_it_marks_that() {
    let restart = Capability::Other { code: 64, value: vec![0, 120, 0, 1, 1, 0] };
    for (told, kept) in [(false, vec!["10.1.0.0/16"]), (true, vec![])] {
        let mut network = network();
        let capabilities = [Capability::EnhancedRouteRefresh, restart.clone()];
        let mut left = Raw::with(&mut network, GATEWAY, "10.0.0.11", 64513, &capabilities, |_| {});
        left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
        if told {
            left.say(&mut network, |out| wire::write_end_of_rib(out, Family::Ipv4));
        }
        refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::BEGIN);
        refresh(&mut left, &mut network, Family::Ipv4, RouteRefresh::END);
        network.run_for(Duration::from_secs(1));
        assert_eq!(learned(&network), kept); // RFC 7313 §4.2
    }
}

#[test]
fn a_mark_of_a_bad_length_ends_the_session_with_the_message_as_data() {
    let mut network = network();
    let mut left = begun(&mut network);
    let message = [vec![0xFF; 16], vec![0, 24, 5], vec![0, 1, RouteRefresh::END, 1, 0]].concat();
    left.say(&mut network, |out| out.extend_from_slice(&message));
    let notification = network.neighbor(GATEWAY, "left").last_error.unwrap().notification.unwrap();
    assert_eq!((notification.code, notification.subcode), (7, 1)); // RFC 7313 §5
    assert_eq!(notification.data, message);
}

#[test]
fn speakers_that_refresh_each_other_keep_all_routes() {
    let side = |number, id: &str, at: &str, other, prefix: &str| {
        router(number, id).with_neighbor("other", neighbor(at, other)).originating(&[prefix])
    };
    let left = side(64512, "192.0.2.1", "10.0.0.2", 64513, "10.1.0.0/16");
    let right = side(64513, "192.0.2.2", "10.0.0.1", 64512, "10.2.0.0/16");
    let mut network = Network::new(1, [(address("10.0.0.1"), left), (address("10.0.0.2"), right)]);
    network.run_for(Duration::from_secs(30));
    let changes = network.nodes[0].fib_changes.len();
    network.try_command(0, "other", &Command::Refresh).unwrap();
    network.run_for(Duration::from_secs(30));
    assert_eq!(network.fib(0).len(), 1);
    assert_eq!(network.nodes[0].fib_changes.len(), changes, "nothing has changed");
}
