//! A dead tunnel is no reason to forget what nobody else knows.

use bgpd::speaker::{Input, NextHopState, Via};

use super::*;

const VIA: &str = "far";

fn through_the_tunnel() -> Settings {
    let mut settings = gateway();
    settings.neighbors.get_mut("left").unwrap().via = Some(VIA.to_owned());
    settings
}

fn tunnel(network: &mut Network, up: bool) {
    let via = Via { name: VIA.to_owned(), up, interface: "wg0".to_owned() };
    network.input(GATEWAY, Input::Vias(vec![via]));
    let state = NextHopState { up, tunnel: true, ..NextHopState::default() };
    network.answer(GATEWAY, address("10.0.0.11"), state);
}

fn settled_through_the_tunnel() -> (Network, Raw, Raw) {
    let mut network = Network::new(5, [(address("10.0.0.1"), through_the_tunnel())]);
    network.nodes[GATEWAY].interface = Some("wg0");
    tunnel(&mut network, true);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut left = left(&mut network);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    right.hear(&mut network);
    assert_eq!(kept(&network), TWO);
    left.hear(&mut network);
    (network, left, right)
}

#[test]
fn the_last_path_through_a_dead_tunnel_stays_until_the_restart_time_ends() {
    let (mut network, mut left, mut right) = settled_through_the_tunnel();
    tunnel(&mut network, false);
    assert_eq!(left.hear(&mut network), [""; 0], "what it was told stays true as well");
    network.run_for(RESTART_TIME - SECOND);
    assert_eq!((kept(&network), stale(&network).len()), (TWO.map(str::to_owned).to_vec(), 2));
    assert!(paths(&network, TWO[0])[0].best);
    assert_eq!(right.hear(&mut network), [""; 0]);
    network.run_for(2 * SECOND);
    assert_eq!(kept(&network), [""; 0]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16,10.2.0.0/16"]);
}

#[test]
fn another_usable_path_takes_over_from_a_dead_tunnel_at_once() {
    let (mut network, _left, mut right) = settled_through_the_tunnel();
    right.announce(&mut network, &path(&[64514, 7, 8]), "10.0.0.12", &TWO[..1]);
    assert_eq!(network.fib(GATEWAY)[TWO[0]], ["10.0.0.11"]);
    tunnel(&mut network, false);
    network.run_for(SECOND);
    assert_eq!(network.fib(GATEWAY)[TWO[0]], ["10.0.0.12"]);
    assert_eq!(network.nodes[GATEWAY].fib[&TWO[0].parse().unwrap()].backup, []);
    let why = paths(&network, TWO[0])[1].not_best.clone();
    assert_eq!(why.as_deref(), Some("next hop 10.0.0.11 unreachable"));
    assert_eq!(network.fib(GATEWAY)[TWO[1]], ["10.0.0.11"], "nobody else knows it");
}

#[test]
fn a_tunnel_that_comes_back_in_time_changes_nothing() {
    let (mut network, _left, mut right) = settled_through_the_tunnel();
    network.nodes[GATEWAY].fib_changes.clear();
    tunnel(&mut network, false);
    network.run_for(RESTART_TIME / 2);
    tunnel(&mut network, true);
    comes_back_unchanged(&mut network, &mut right);
}

#[test]
fn a_session_that_comes_another_way_does_not_make_a_dead_tunnel_usable() {
    let mut settings = through_the_tunnel();
    settings.neighbors.get_mut("left").unwrap().via = None;
    let (mut network, left, _right) = settled_with(settings, restart());
    left.lose(&mut network);
    let dead = NextHopState { up: false, tunnel: true, ..NextHopState::default() };
    network.answer(GATEWAY, address("10.0.0.11"), dead);
    network.run_for(SECOND);
    assert_eq!(kept(&network), TWO);
    super::left(&mut network);
    network.run_for(SECOND);
    assert_eq!(kept(&network), [""; 0]);
}

#[test]
fn a_neighbor_without_graceful_restart_is_told_of_the_dead_tunnel_and_loses_all() {
    let mut network = Network::new(5, [(address("10.0.0.1"), through_the_tunnel())]);
    network.nodes[GATEWAY].interface = Some("wg0");
    tunnel(&mut network, true);
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    tell(&mut network, &mut left, &TWO);
    tunnel(&mut network, false);
    network.run_for(SECOND);
    assert_eq!(left.hear(&mut network), ["notification 6/2 Cease/Administrative Shutdown: \"tunnel down\""]);
    assert_eq!(network.routes(GATEWAY).len(), 0);
}
