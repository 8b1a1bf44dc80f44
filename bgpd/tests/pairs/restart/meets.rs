//! What a kept source meets besides: a batch of routes, refreshes (RFC 7313), monitoring stations (RFC 7854).

use bgpd::speaker::{Input, Monitoring, Stop};
use bgpd::wire::{self, MpNextHop, RouteRefresh};
use bytes::BytesMut;

use super::*;
use crate::common::bmp;

fn listen(network: &mut Network) -> Vec<String> {
    let mut out = BytesMut::new();
    while network.nodes[GATEWAY].speaker.poll_station(network.now, "tower", &mut out) == Monitoring::More {}
    let mut octets = out.to_vec();
    let lines = bmp::read(&mut octets);
    assert_eq!(octets, [], "a message is not whole");
    lines
}

fn connect_station(network: &mut Network) {
    network.input(GATEWAY, Input::StationUp { station: "tower".to_owned(), wall: Duration::ZERO });
}

/// One that can refresh its routes, too.
fn refreshing(network: &mut Network) -> Raw {
    let capabilities = [Capability::EnhancedRouteRefresh, Capability::GracefulRestart(restart())];
    Raw::with(network, GATEWAY, "10.0.0.11", 64513, &capabilities, |context| context.enhanced_refresh = true)
}

fn mark(left: &mut Raw, network: &mut Network, subtype: u8) {
    left.say(network, |out| wire::write_route_refresh(Family::Ipv4, subtype, out));
}

#[test]
fn routes_that_come_together_with_the_end_of_rib_are_told_again() {
    let (mut network, left, mut right) = settled();
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    let next_hop = MpNextHop { address: address("10.0.0.11"), link_local: None };
    let prefixes = [TWO[0].parse().unwrap()];
    left.say_agreed(&mut network, |out, context| {
        assert_eq!(wire::write_reach(out, context, &path(&[64513]), next_hop, &prefixes), 1);
        Family::ALL.into_iter().for_each(|family| wire::write_end_of_rib(out, family));
    });
    network.run_for(SECOND);
    assert_eq!((kept(&network), stale(&network)), (vec![TWO[0].to_owned()], Vec::new()));
    assert_eq!(right.hear(&mut network), ["withdraw 10.2.0.0/16"]);
}

#[test]
fn a_refresh_that_the_end_of_the_session_cuts_short_takes_nothing_away() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    let mut left = refreshing(&mut network);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    mark(&mut left, &mut network, RouteRefresh::BEGIN);
    tell(&mut network, &mut left, &TWO[..1]);
    left.lose(&mut network);
    network.run_for(SECOND);
    assert_eq!(stale(&network), TWO);

    let mut left = refreshing(&mut network);
    mark(&mut left, &mut network, RouteRefresh::END); // of nothing
    network.run_for(SECOND);
    assert_eq!((kept(&network).len(), stale(&network)), (2, TWO.map(str::to_owned).to_vec()));
    tell(&mut network, &mut left, &TWO[1..]);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!(kept(&network), TWO[1..]);
}

#[test]
fn a_refresh_counts_in_a_session_that_took_over_what_was_there() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    let mut left = refreshing(&mut network);
    mark(&mut left, &mut network, RouteRefresh::BEGIN); // RFC 7313 §4.2: too early
    mark(&mut left, &mut network, RouteRefresh::END);
    network.run_for(SECOND);
    assert_eq!(stale(&network), TWO);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    mark(&mut left, &mut network, RouteRefresh::BEGIN);
    tell(&mut network, &mut left, &TWO[1..]);
    mark(&mut left, &mut network, RouteRefresh::END);
    network.run_for(SECOND);
    assert_eq!(kept(&network), TWO[1..]);
}

#[test]
fn a_station_hears_that_a_neighbor_was_left_without_a_word() {
    let (mut network, _left, _right) = settled();
    connect_station(&mut network);
    listen(&mut network);
    network.input(GATEWAY, Input::Stop(Stop::Keep));
    let heard = listen(&mut network);
    let downs: Vec<_> = heard.iter().filter(|line| line.starts_with("down ")).collect();
    assert_eq!(downs.len(), 2, "{heard:?}");
    assert!(downs[0].starts_with("down 10.0.0.11/") && downs[0].ends_with(" 2 8"), "{downs:?}"); // Event 8
    assert!(downs[1].starts_with("down 10.0.0.12/") && downs[1].ends_with(" 1 Cease/Administrative Shutdown"));
}

#[test]
fn a_station_is_not_shown_what_is_left_of_an_earlier_session() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    tell(&mut network, &mut left, &TWO[1..]);
    connect_station(&mut network);
    let routes = |heard: Vec<String>| {
        let announced = heard.into_iter().filter(|line| line.contains(" +"));
        announced.map(|line| line[line.find('+').unwrap()..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(routes(listen(&mut network)), ["+10.2.0.0/16 via 10.0.0.11 [64513]"]);
    tell(&mut network, &mut left, &TWO[..1]);
    assert_eq!(routes(listen(&mut network)), ["+10.1.0.0/16 via 10.0.0.11 [64513]"]);
}
