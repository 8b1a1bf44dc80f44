//! What a session has left, while it is swept away.

use bgpd::settings::Settings;
use bgpd::speaker::Input;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;
/// Many slices of a sweep.
const PREFIXES: usize = 30_000;

fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("client", neighbor("10.0.0.21", 64512))
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .session("client", |session| session.route_reflector_client = true)
}

fn prefixes() -> Vec<String> {
    (0..PREFIXES).map(|number| format!("11.{}.{}.0/24", number / 256, number % 256)).collect()
}

/// A session of the client with its routes, broken off.
fn broken_off() -> Network {
    let mut network = Network::new(3, [(address("10.0.0.1"), gateway())]);
    let mut client = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    let attributes = bgpd::wire::PathAttributes { local_pref: Some(100), ..path(&[65001]) };
    for some in prefixes().chunks(500) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        client.announce(&mut network, &attributes, "10.0.0.99", &some);
    }
    assert_eq!(network.fib(GATEWAY).len(), PREFIXES);
    network.input(GATEWAY, Input::Closed { connection: client.id(), error: None });
    network
}

/// Without KEEPALIVEs and the OPEN.
fn updates(raw: &mut Raw, network: &mut Network) -> Vec<String> {
    raw.hear(network).into_iter().filter(|line| !line.starts_with("open")).collect()
}

#[test]
fn a_neighbor_that_returns_at_once_does_not_hear_what_it_said_before() {
    let mut network = broken_off();
    let mut client = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    assert!(network.routes(GATEWAY).len() > PREFIXES / 2, "the sweep has only begun");
    network.run_for(std::time::Duration::from_secs(1));
    assert_eq!(updates(&mut client, &mut network), ["end of ipv4", "end of ipv6"]);
    assert_eq!(network.routes(GATEWAY).len(), 0);
}

#[test]
fn a_neighbor_that_comes_meanwhile_hears_of_what_stays_only() {
    let mut network = broken_off();
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    let all = prefixes();
    let last = all.last().unwrap();
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &[last]);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    assert!(network.routes(GATEWAY).len() > PREFIXES / 2, "the sweep has only begun");
    network.run_for(std::time::Duration::from_secs(1));
    assert_eq!(updates(&mut left, &mut network), ["end of ipv4", "end of ipv6"]);
    let told = format!("{last} via 10.0.0.1 igp [64512 64513]");
    let mut heard = updates(&mut right, &mut network);
    heard.sort();
    assert_eq!(heard, [told.as_str(), "end of ipv4", "end of ipv6"]);
    assert_eq!(network.fib(GATEWAY)[last.as_str()], ["10.0.0.11"]);
}

#[test]
fn who_was_told_before_hears_that_it_is_gone_once() {
    let mut network = Network::new(3, [(address("10.0.0.1"), gateway())]);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    right.hear(&mut network);
    network.input(GATEWAY, Input::Closed { connection: left.id(), error: None });
    network.command(GATEWAY, "right", bgpd::speaker::Command::Resend);
    network.run_for(std::time::Duration::from_secs(1));
    assert_eq!(updates(&mut right, &mut network), ["withdraw 10.1.0.0/16"]);
}
