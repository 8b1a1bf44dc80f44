//! Monitoring stations: what they hear of each neighbor, and what they cost (RFC 7854).

use std::time::Duration;

use bgpd::speaker::{Command, Input, Monitoring, Stop};
use bytes::BytesMut;

use crate::common::bmp;
use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, range, router};

const GATEWAY: usize = 0;
/// 2024-10-04; what a station is told counts from here.
const WALL: Duration = Duration::from_secs(1_728_000_000);
const TWO: &str = "10.0.0.12/64600/10.0.0.12";

fn network() -> Network {
    let settings =
        router(64512, "192.0.2.1").with_range("nodes", range("10.0.0.0/16", 64600, 10)).originating(&["10.9.0.0/16"]);
    Network::new(1, [(address("10.0.0.1"), settings)])
}

fn connect(network: &mut Network) {
    network.input(GATEWAY, Input::StationUp { station: "tower".to_owned(), wall: WALL });
}

/// What the station hears until there is nothing more, and what the speaker says then.
fn listen(network: &mut Network) -> (Vec<String>, Monitoring) {
    let mut out = BytesMut::new();
    loop {
        let speaker = &mut network.nodes[GATEWAY].speaker;
        match speaker.poll_station(network.now, "tower", &mut out) {
            Monitoring::More => {}
            end => {
                let mut octets = out.to_vec();
                let lines = bmp::read(&mut octets);
                assert!(octets.is_empty(), "a message is not whole");
                return (lines, end);
            }
        }
    }
}

fn hear(network: &mut Network) -> Vec<String> {
    let (lines, end) = listen(network);
    assert_eq!(end, Monitoring::Nothing);
    assert_eq!(network.nodes[GATEWAY].speaker.stations_waiting().count(), 0);
    lines
}

#[test]
fn a_station_hears_of_every_session_and_then_of_its_routes() {
    let mut network = network();
    let mut one = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64600);
    let mut two = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64600);
    one.announce(&mut network, &path(&[64600, 65001]), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    one.announce(&mut network, &path(&[64600, 65001]), "fd00::11", &["fd01::/32"]);
    two.announce(&mut network, &path(&[64600]), "10.0.0.12", &["10.1.0.0/16"]);
    network.run_for(Duration::from_secs(1));
    connect(&mut network);
    let at = |peer: &str| format!("{peer} at 1728000000");
    let (one, two) = (at("10.0.0.11/64600/10.0.0.11"), at(TWO));
    let up = "at 10.0.0.1 ports 179 40000: 64512 hold 90 / 64600 hold 90";
    let expected = [
        format!("initiation 1=vpngw {} 2=192.0.2.1", env!("CARGO_PKG_VERSION")),
        format!("up {one} {up}"),
        format!("up {two} {up}"),
        format!("route {one} +10.1.0.0/16 +10.2.0.0/16 via 10.0.0.11 [64600 65001]"),
        format!("route {one} +fd01::/32 via fd00::11 [64600 65001]"),
        format!("route {one} end of ipv4"),
        format!("route {one} end of ipv6"),
        format!("route {two} +10.1.0.0/16 via 10.0.0.12 [64600]"),
        format!("route {two} end of ipv4"),
        format!("route {two} end of ipv6"),
    ];
    assert_eq!(hear(&mut network), expected);
}

#[test]
fn what_a_neighbor_says_is_heard_as_it_says_it() {
    let mut network = network();
    connect(&mut network);
    hear(&mut network);
    network.run_for(Duration::from_secs(5));
    let mut two = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64600);
    two.announce(&mut network, &path(&[64600]), "10.0.0.12", &["10.1.0.0/16"]);
    two.withdraw(&mut network, &["10.1.0.0/16"]);
    two.announce(&mut network, &path(&[64999]), "10.0.0.12", &["10.3.0.0/16"]); // not its AS: before policy all the same
    let heard = hear(&mut network);
    assert_eq!(
        heard[1..],
        [
            format!("route {TWO} at 1728000005 +10.1.0.0/16 via 10.0.0.12 [64600]"),
            format!("route {TWO} at 1728000005 -10.1.0.0/16"),
            format!("route {TWO} at 1728000005 +10.3.0.0/16 via 10.0.0.12 [64999]"),
        ]
    );
    assert!(heard[0].starts_with(&format!("up {TWO} ")), "{heard:?}");
}

#[test]
fn the_end_of_a_session_says_who_ended_it() {
    let mut network = network();
    connect(&mut network);
    let two = |network: &mut Network| Raw::establish(network, GATEWAY, "10.0.0.12", 64600);
    two(&mut network);
    network.command(GATEWAY, "nodes/10.0.0.12", Command::Disable(None));
    let heard = hear(&mut network);
    assert!(heard.last().unwrap().ends_with(" 1 Cease/Administrative Shutdown"), "{heard:?}");
    network.command(GATEWAY, "nodes/10.0.0.12", Command::Enable);

    let mut raw = two(&mut network);
    let notification = bgpd::wire::Notification::new(6, 4);
    raw.say(&mut network, |out| notification.write(out));
    let heard = hear(&mut network);
    assert!(heard.last().unwrap().ends_with(" 3 Cease/Administrative Reset"), "{heard:?}");

    network.run_for(Duration::from_secs(60));
    let raw = two(&mut network);
    network.input(GATEWAY, Input::Closed { connection: raw.id(), error: None });
    let heard = hear(&mut network);
    assert!(heard.last().unwrap().starts_with(&format!("down {TWO} at ")), "{heard:?}");
    assert!(heard.last().unwrap().ends_with(" 4"), "{heard:?}");

    two(&mut network);
    network.input(GATEWAY, Input::Stop(Stop::Withdraw));
    let (heard, end) = listen(&mut network);
    assert_eq!(end, Monitoring::Over);
    let [.., down, termination] = heard.as_slice() else { panic!("{heard:?}") };
    assert!(down.ends_with(" 1 Cease/Administrative Shutdown"), "{down}");
    assert_eq!(termination, "termination 1=[0, 0]");
}

#[test]
fn statistics_come_every_minute() {
    let mut network = network();
    connect(&mut network);
    let mut two = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64600);
    two.announce(&mut network, &path(&[64600]), "10.0.0.12", &["10.1.0.0/16", "10.2.0.0/16"]);
    hear(&mut network);
    network.run_for(Duration::from_secs(59));
    assert_eq!(hear(&mut network), Vec::<String>::new());
    network.run_for(Duration::from_secs(2));
    assert_eq!(hear(&mut network), [format!("statistics {TWO} at 1728000060 7=2 8=3 9/1/1=2 9/2/1=0")]);
}

#[test]
fn a_long_table_is_shown_in_slices_and_what_changes_meanwhile_comes_between() {
    let mut network = network();
    let mut two = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64600);
    let prefixes: Vec<String> = (0..2000).map(|number| format!("20.{}.{}.0/24", number / 256, number % 256)).collect();
    for some in prefixes.chunks(500) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        two.announce(&mut network, &path(&[64600]), "10.0.0.12", &some);
    }
    network.run_for(Duration::from_secs(1));
    connect(&mut network);
    let mut out = BytesMut::new();
    let speaker = &mut network.nodes[GATEWAY].speaker;
    assert_eq!(speaker.poll_station(network.now, "tower", &mut out), Monitoring::More);
    assert!(out.len() < 64 * 1024, "{}", out.len());
    two.withdraw(&mut network, &["20.7.0.0/24"]);
    two.announce(&mut network, &path(&[64600, 65001]), "10.0.0.12", &["20.0.0.0/24"]);
    let (rest, _) = listen(&mut network);
    let mut octets = out.to_vec();
    let heard = [bmp::read(&mut octets), rest].concat();
    let mut known = std::collections::BTreeMap::new();
    for line in heard.iter().filter(|line| line.starts_with("route ")) {
        let path = line.split_once(" via ").map_or("", |(_, path)| path);
        for word in line.split(' ') {
            if let Some(prefix) = word.strip_prefix('+') {
                known.insert(prefix.to_owned(), path);
            } else if let Some(prefix) = word.strip_prefix('-') {
                known.remove(prefix);
            }
        }
    }
    assert_eq!(known.len(), 1999);
    assert_eq!(known["20.0.0.0/24"], "10.0.0.12 [64600 65001]");
    assert_eq!(known["20.0.1.0/24"], "10.0.0.12 [64600]");
    assert!(!known.contains_key("20.7.0.0/24"));
}

#[test]
fn a_station_that_does_not_read_is_dropped_and_costs_no_more() {
    let mut network = network();
    connect(&mut network);
    let mut two = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64600);
    let long = path(&[64600; 900]);
    for _ in 0..3000 {
        two.announce(&mut network, &long, "10.0.0.12", &["10.1.0.0/16"]);
    }
    assert_eq!(network.nodes[GATEWAY].speaker.stations_waiting().collect::<Vec<_>>(), ["tower"]);
    assert_eq!(listen(&mut network), (Vec::new(), Monitoring::Behind));
    network.input(GATEWAY, Input::StationDown { station: "tower".to_owned() });
    assert_eq!(listen(&mut network).1, Monitoring::Over);
    connect(&mut network);
    assert!(hear(&mut network).iter().any(|line| line.contains(" +10.1.0.0/16 via 10.0.0.12 [64600 ")));
}
