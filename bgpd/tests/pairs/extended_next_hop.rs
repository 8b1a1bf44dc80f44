//! IPv4 routes over IPv6 next hops (RFC 8950).

use std::time::Duration;

use bgpd::settings::Settings;
use bgpd::speaker::Input;
use bgpd::wire::{Capability, NextHopEncoding};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

/// AS 64512 on a link without IPv4: at fd00::1, with neighbors at fd00::11, ::12 and, internal, ::21 and ::22.
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("fd00::11", 64513))
        .with_neighbor("right", neighbor("fd00::12", 64514))
        .with_neighbor("inner", neighbor("fd00::21", 64512))
        .with_neighbor("old-inner", neighbor("fd00::22", 64512))
}

fn network(settings: Settings) -> Network {
    Network::new(7, [(address("fd00::1"), settings)])
}

fn extended(network: &mut Network, from: &str, number: u32) -> Raw {
    let capability = Capability::ExtendedNextHop(vec![NextHopEncoding::IPV4_OVER_IPV6]);
    Raw::with(network, GATEWAY, from, number, &[capability], |context| context.internal = number == 64512)
}

#[test]
fn an_ipv4_route_goes_over_ipv6_to_whoever_takes_it() {
    let mut network = network(gateway());
    let mut left = extended(&mut network, "fd00::11", 64513);
    let mut right = extended(&mut network, "fd00::12", 64514);
    let mut old = Raw::settled(&mut network, GATEWAY, "fd00::22", 64512).internal();
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["10.1.0.0/16"]);
    assert_eq!(network.fib(GATEWAY), [("10.1.0.0/16".to_owned(), vec!["fd00::11".to_owned()])].into());
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16 via fd00::1 igp [64512 64513]"]);
    assert_eq!(old.hear(&mut network), [""; 0], "it cannot use the next hop, and there is no other");
    assert_eq!(network.neighbor(GATEWAY, "right").note, None);
    let note = network.neighbor(GATEWAY, "old-inner").note.unwrap();
    assert!(note.contains("ipv4 is not announced with ourselves as next hop"), "{note}");
    left.withdraw(&mut network, &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16"]);
}

#[test]
fn an_internal_neighbor_that_takes_it_gets_the_next_hop_as_it_is() {
    let mut network = network(gateway());
    let mut left = extended(&mut network, "fd00::11", 64513);
    let mut inner = extended(&mut network, "fd00::21", 64512);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["10.1.0.0/16"]);
    assert_eq!(inner.hear(&mut network), ["10.1.0.0/16 via fd00::11 igp [64513] pref 100"]);
}

#[test]
fn an_ipv4_address_of_the_link_comes_before_ipv6() {
    let mut network = network(gateway());
    network.input(GATEWAY, Input::Companions(vec![(address("fd00::1"), address("192.0.2.1"))]));
    let mut left = extended(&mut network, "fd00::11", 64513);
    let mut right = extended(&mut network, "fd00::12", 64514);
    let mut old = Raw::settled(&mut network, GATEWAY, "fd00::22", 64512).internal();
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16 via 192.0.2.1 igp [64512 64513]"]);
    assert_eq!(old.hear(&mut network), ["10.1.0.0/16 via 192.0.2.1 igp [64513] pref 100"]);
}

#[test]
fn an_ipv6_next_hop_is_taken_from_a_neighbor_that_never_offered_it() {
    let mut network = network(gateway());
    let mut left = Raw::settled(&mut network, GATEWAY, "fd00::11", 64513);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["10.1.0.0/16"]);
    assert_eq!(network.fib(GATEWAY), [("10.1.0.0/16".to_owned(), vec!["fd00::11".to_owned()])].into());
}

#[test]
fn switched_off_it_is_neither_offered_nor_used() {
    let mut network = network(gateway().session("right", |session| session.extended_next_hop = false));
    let mut left = extended(&mut network, "fd00::11", 64513);
    let mut right = extended(&mut network, "fd00::12", 64514);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), [""; 0]);
}

#[test]
fn two_speakers_on_an_ipv6_link_exchange_ipv4_prefixes() {
    let side = |number, id: &str, at: &str, other, prefix: &str| {
        router(number, id).with_neighbor("other", neighbor(at, other)).originating(&[prefix])
    };
    let left = side(64512, "192.0.2.1", "fd00::2", 64513, "10.1.0.0/16");
    let right = side(64513, "192.0.2.2", "fd00::1", 64512, "10.2.0.0/16");
    let mut network = Network::new(1, [(address("fd00::1"), left), (address("fd00::2"), right)]);
    network.run_for(Duration::from_secs(30));
    assert_eq!(network.fib(0), [("10.2.0.0/16".to_owned(), vec!["fd00::2".to_owned()])].into());
    assert_eq!(network.fib(1), [("10.1.0.0/16".to_owned(), vec!["fd00::1".to_owned()])].into());
    assert!(network.neighbor(0, "other").capabilities.contains(&"extended-next-hop".to_owned()));
}
