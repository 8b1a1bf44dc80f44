//! By which way a connection comes.

use std::net::SocketAddr;

use bgpd::settings::Settings;
use bgpd::speaker::{Command, CommandError, Event, Input, Via};
use bgpd::types::Families;
use bgpd::view::SessionState;

use crate::network::Network;
use crate::raw::{Raw, open};
use crate::settings::{Told, address, neighbor, range, router};

const GATEWAY: usize = 0;

fn network(settings: Settings) -> Network {
    Network::new(7, [(address("10.0.0.1"), settings)])
}

fn last_refusal(network: &Network) -> String {
    match network.nodes[GATEWAY].events.last() {
        Some(Event::Refused { text, .. }) => text.clone(),
        event => panic!("{event:?}"),
    }
}

#[test]
fn a_neighbor_behind_a_tunnel_is_heard_through_the_tunnel_only() {
    let mut far = neighbor("169.254.64.2", 64513);
    far.via = Some("homelab".to_owned());
    let mut network = network(router(64512, "10.0.0.1").with_neighbor("far", far));
    let via = Via { name: "homelab".to_owned(), up: true, interface: "wg0".to_owned() };
    network.input(GATEWAY, Input::Vias(vec![via]));
    let refusals = [
        (Some("eth0"), "neighbor far is reached via homelab: wg0, not eth0"),
        (None, "neighbor far is reached via homelab, and the host does not say how this came"),
    ];
    for (interface, text) in refusals {
        network.nodes[GATEWAY].interface = interface;
        let mut stray = Raw::connect(&mut network, GATEWAY, "169.254.64.2", 64513);
        assert!(stray.is_closed(&network));
        assert_eq!(stray.hear(&mut network), [""; 0], "without a word");
        assert_eq!(last_refusal(&network), text);
    }
    network.nodes[GATEWAY].interface = Some("wg0");
    Raw::establish(&mut network, GATEWAY, "169.254.64.2", 64513);
    assert_eq!(network.state(GATEWAY, "far"), SessionState::Established);
}

#[test]
fn two_links_may_know_the_same_link_local_address() {
    let on = |link: &str, number| {
        let mut neighbor = neighbor("fe80::1", number);
        neighbor.zone = Some(link.to_owned());
        neighbor.passive = true;
        neighbor
    };
    let settings =
        router(64512, "10.0.0.1").with_neighbor("left", on("eth0", 64513)).with_neighbor("right", on("eth1", 64514));
    let mut network = network(settings);
    for (interface, number) in [("eth1", 64514), ("eth0", 64513)] {
        network.nodes[GATEWAY].interface = Some(interface);
        let id = format!("192.0.2.{}", number - 64512);
        let mut neighbor = Raw::connect(&mut network, GATEWAY, "fe80::1", number);
        neighbor.say(&mut network, |out| open(number, &id).write(out));
        neighbor.say(&mut network, bgpd::wire::write_keepalive);
    }
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
    assert_eq!(network.state(GATEWAY, "right"), SessionState::Established);
    network.nodes[GATEWAY].interface = Some("eth2");
    assert!(Raw::connect(&mut network, GATEWAY, "fe80::1", 64513).is_closed(&network));

    // Commands tell them apart too.
    let nobody = |name: &str| Err(CommandError::NoSuchNeighbor(name.to_owned()));
    assert_eq!(network.try_command(GATEWAY, "fe80::1", &Command::Resend), nobody("fe80::1"));
    assert_eq!(network.try_command(GATEWAY, "fe80::1%eth2", &Command::Resend), nobody("fe80::1%eth2"));
    network.command(GATEWAY, "fe80::1%eth1", Command::Disable(None));
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
    assert_eq!(network.neighbor(GATEWAY, "right").note.unwrap(), "disabled");
}

#[test]
fn a_session_with_another_socket_than_the_configured_neighbors_survives_a_reload() {
    let mut agent = neighbor("10.0.60.21", 64531);
    agent.passive = true;
    agent.local_address = Some(address("10.0.0.2"));
    let settings = router(64512, "10.0.0.1").with_range("cilium", range("10.0.60.0/24", 64520, 2));
    let settings = settings.with_neighbor("agent", agent);
    let mut network = network(settings.clone());
    let local = SocketAddr::new(address("10.0.0.1"), 179);
    let mut cilium = Raw::connect_to(&mut network, GATEWAY, local, "10.0.60.21", 64520);
    cilium.say(&mut network, |out| open(64520, "10.0.60.21").write(out));
    cilium.say(&mut network, bgpd::wire::write_keepalive);
    network.reload(GATEWAY, settings.originating(&["10.20.0.0/16"]));
    assert_eq!(network.state(GATEWAY, "cilium/10.0.60.21"), SessionState::Established);
}

#[test]
fn a_session_offers_what_its_link_carries_when_it_begins() {
    let settings = router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .session("left", |session| session.families = None)
        .originating(&["10.20.0.0/16", "fd00:20::/32"]);
    let mut network = network(settings.clone());
    let told = |network: &mut Network| {
        let heard = Raw::establish(network, GATEWAY, "10.0.0.11", 64513).hear(network);
        (network.neighbor(GATEWAY, "left").families, heard[1..].to_vec())
    };
    let ipv4 = ["10.20.0.0/16 via 10.0.0.1 igp [64512]", "end of ipv4"];
    assert_eq!(told(&mut network), (Families::IPV4, ipv4.map(str::to_owned).to_vec()));

    // The session goes on as it began; the next one offers more.
    network.input(GATEWAY, Input::Companions(vec![(address("10.0.0.1"), address("fd00::1"))]));
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!(view.families, Families::IPV4);
    assert_eq!(view.note.unwrap(), "ipv6 can be carried since the link has an address of it: after a reset");
    network.command(GATEWAY, "left", Command::Reset);
    let (families, heard) = told(&mut network);
    assert_eq!(families, Families::ALL);
    assert!(heard.contains(&"fd00:20::/32 via fd00::1 igp [64512]".to_owned()), "{heard:?}");

    // What is written wins.
    network.reload(GATEWAY, settings.session("left", |session| session.families = Some(Families::IPV4)));
    assert_eq!(told(&mut network), (Families::IPV4, ipv4.map(str::to_owned).to_vec()));
}
