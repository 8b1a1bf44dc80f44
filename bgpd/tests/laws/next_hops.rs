//! RFC 4271 §5.1.3 and §6.3, RFC 7606 §7.3, RFC 4760 §3, RFC 8950: next hops that are well formed and yet lead nowhere.
//! They cost the route, never the session, and people are shown why.

use std::net::IpAddr;

use bgpd::settings::NeighborSettings;
use bgpd::speaker::{Input, NextHopState};
use bgpd::wire::{Notification, write_keepalive};

use crate::frame::{AS_PATH, GATEWAY, NLRI, ORIGIN, Scene, Session};
use crate::network::Network;
use crate::octets::{both_families, octets, update, updates};
use crate::raw::Raw;
use crate::settings::{Told, address, neighbor, originate, router};

const LEADS_NOWHERE: Option<&str> = Some("its next hop is no address that packets can be sent to");

fn ipv4(next_hop: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, "40 03 04", next_hop], NLRI)
}

/// 10.1.0.0/16 in MP_REACH_NLRI.
fn ipv4_over_ipv6(next_hop: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, "80 0E 18 0001 01 10", next_hop, "00 10 0A01"], "")
}

/// fd00:1::/32.
fn ipv6(next_hop: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, "80 0E 1A 0002 01 10", next_hop, "00 20 FD000001"], "")
}

/// The host's answer where it is not the usual one, that everything is on a link.
fn scene(next_hop: &str, state: Option<NextHopState>) -> Scene {
    let mut scene = Scene::new(Session::External);
    if let Some(state) = state {
        scene.network.nodes[GATEWAY].next_hops.insert(address(next_hop), state);
    }
    scene
}

/// The neighbor says it; the prefix is not used, for this reason, or it is.
fn hold(what: &str, mut scene: Scene, says: &[u8], prefix: &str, why: Option<&str>) {
    scene.say(says);
    let paths = scene.network.route(GATEWAY, prefix).unwrap().paths;
    assert_eq!(paths[0].not_best.as_deref(), why, "{what}");
    let heard = scene.hears.hear(&mut scene.network);
    match why {
        Some(_) => assert_eq!(heard, [format!("withdraw {prefix}")], "{what}"),
        None => assert!(heard[0].starts_with(prefix), "{what}: {heard:?}"),
    }
    assert_eq!(scene.network.fib(GATEWAY).contains_key(prefix), why.is_none(), "{what}");
    assert!(!scene.says.is_closed(&scene.network), "{what}");
    assert_eq!(scene.network.neighbor(GATEWAY, "says").last_error, None, "{what}");
}

#[test]
fn addresses_of_no_host_are_not_used() {
    let lines = [
        ("0.0.0.0", ipv4("00000000")),
        ("0.0.0.1", ipv4("00000001")),
        ("127.0.0.1", ipv4("7F000001")),
        ("224.0.0.5", ipv4("E0000005")),
        ("240.0.0.1", ipv4("F0000001")),
        ("255.255.255.255", ipv4("FFFFFFFF")),
        ("::", ipv4_over_ipv6("00000000000000000000000000000000")),
    ];
    for (what, says) in lines {
        hold(what, scene("192.0.2.1", None), &says, "10.1.0.0/16", LEADS_NOWHERE);
    }
    let lines = [
        ("::", ipv6("00000000000000000000000000000000")),
        ("::1", ipv6("00000000000000000000000000000001")),
        ("ff02::1", ipv6("FF020000000000000000000000000001")),
        ("::ffff:127.0.0.1", ipv6("00000000000000000000FFFF7F000001")),
    ];
    for (what, says) in lines {
        hold(what, scene("192.0.2.1", None), &says, "fd00:1::/32", LEADS_NOWHERE);
    }
}

#[test]
fn what_the_host_says_of_an_address_decides() {
    let up = NextHopState { up: true, connected: true, ..NextHopState::default() };
    let ours = NextHopState { local: true, ..up.clone() };
    let far = NextHopState { connected: false, ..up.clone() };
    let down = NextHopState { up: false, reason: Some("no route".to_owned()), ..up.clone() };
    let lines = [
        ("on the link", up, None),
        ("our own (§6.3 a)", ours, Some("next hop 10.0.0.99 is our own address")),
        ("off the link (§6.3 b)", far, Some("next hop 10.0.0.99 is not on a link shared with the neighbor")),
        ("without a way", down, Some("next hop 10.0.0.99 unreachable: no route")),
    ];
    for (what, state, why) in lines {
        hold(what, scene("10.0.0.99", Some(state)), &ipv4("0A000063"), "10.1.0.0/16", why);
    }
}

#[test]
fn off_the_link_is_used_where_the_neighbor_is_further_than_one_hop() {
    let mut scene = Scene::with(Session::External, |neighbor| neighbor.session.ebgp_multihop = Some(4));
    let far = NextHopState { up: true, ..NextHopState::default() };
    scene.network.nodes[GATEWAY].next_hops.insert(address("10.0.0.11"), far.clone());
    scene.network.nodes[GATEWAY].next_hops.insert(address("10.0.0.99"), far);
    hold("multihop", scene, &ipv4("0A000063"), "10.1.0.0/16", None);
}

#[test]
fn ipv4_over_an_ipv6_next_hop_is_accepted_if_it_resolves() {
    let next_hop = "FD000000000000000000000000000099";
    hold("it does", scene("fd00::99", None), &ipv4_over_ipv6(next_hop), "10.1.0.0/16", None);
    let down = NextHopState::default();
    let why = Some("next hop fd00::99 unreachable");
    hold("it does not", scene("fd00::99", Some(down)), &ipv4_over_ipv6(next_hop), "10.1.0.0/16", why);
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_installed_as_what_it_is() {
    let mut scene = Scene::new(Session::External);
    let says = ipv6("00000000000000000000FFFF0A000063");
    scene.say(&says);
    let choice = &scene.network.nodes[GATEWAY].fib[&"fd00:1::/32".parse().unwrap()];
    let installed: Vec<IpAddr> = choice.best.iter().map(|next_hop| next_hop.address).collect();
    assert_eq!(installed, [address("10.0.0.99")]);
    assert!(scene.network.nodes[GATEWAY].wanted.iter().all(|wanted| wanted.address != address("::ffff:10.0.0.99")));
}

/// RFC 8950 §3 and §4: IPv4 in MP_REACH_NLRI, octet by octet, to who has offered it and where there is no IPv4 address.
#[test]
fn ipv4_goes_over_an_ipv6_next_hop_to_who_offers_it() {
    let ours = "40 01 01 00  40 02 06 02 01 0000FC00";
    let over_ipv6 = update("", &["90 0E 0018 0001 01 10 FD000000000000000000000000000001 00 10 0A14", ours], "");
    let lines = [
        ("it does", "05 06 0001 0001 0002", over_ipv6.clone()),
        ("among others", "05 0C 0001 0002 0002 0001 0001 0002", over_ipv6),
        ("it does not", "", vec![]),
        ("for multicast alone", "05 06 0001 0002 0002", vec![]),
        ("over IPv4, which says nothing", "05 06 0001 0001 0001", vec![]),
        ("of a length that it cannot have", "05 05 0001 0001 00", vec![]),
    ];
    for (what, capability, expected) in lines {
        let settings = router(64512, "10.0.0.1")
            .with_neighbor("says", NeighborSettings { passive: true, ..neighbor("fd00::11", 64513) })
            .originating(&["10.20.0.0/16"]);
        let mut network = Network::new(7, [(address("fd00::1"), settings)]);
        let mut raw = Raw::connect(&mut network, GATEWAY, "fd00::11", 64513);
        raw.say(&mut network, |out| out.extend_from_slice(&both_families(90, capability)));
        raw.say(&mut network, write_keepalive);
        let heard = updates(&raw.take(&mut network));
        let routes: Vec<_> = heard.into_iter().filter(|update| !is_end_of_rib(update)).collect();
        assert_eq!(routes.concat(), expected, "{what}");
    }
}

/// RFC 4760 §3, RFC 8950 §3: lengths that a next hop of IPv4 routes cannot have.
#[test]
fn an_ipv4_route_with_a_next_hop_of_another_length_ends_the_session() {
    let ok = "FD000000000000000000000000000099";
    let link_local = "FE800000000000000000000000000099";
    let with = |length: &str, next_hop: &str| {
        let value = format!("0001 01 {length} {next_hop} 00 10 0A01");
        format!("80 0E {:02X} {value}", octets(&value).len())
    };
    let taken = [
        ("4 octets", with("04", "0A00000B")),
        ("16", with("10", ok)),
        ("32", with("20", &format!("{ok}{link_local}"))),
    ];
    for (what, attribute) in taken {
        let mut scene = Scene::new(Session::External);
        scene.say(&update("", &[ORIGIN, AS_PATH, &attribute], ""));
        assert!(!scene.says.is_closed(&scene.network), "{what}");
        assert_eq!(scene.hears.hear(&mut scene.network).len(), 1, "{what}");
    }
    for (what, attribute) in [
        ("none", with("00", "")),
        ("8 octets", with("08", "0A00000B00000000")),
        ("24", with("18", &format!("{ok}0000000000000000"))),
    ] {
        let mut scene = Scene::new(Session::External);
        scene.say(&update("", &[ORIGIN, AS_PATH, &attribute], ""));
        scene.ends(what, &Notification { data: octets(&attribute), ..Notification::new(3, 9) });
    }
}

/// RFC 2545 §3: IPv6 over an IPv4 session has the link's global IPv6 address, and without one it is not told.
#[test]
fn ipv6_over_an_ipv4_session_goes_by_the_address_of_the_link() {
    let ours = "40 01 01 00  40 02 06 02 01 0000FC00";
    let told = update("", &["90 0E 001A 0002 01 10 FD000000000000000000000000000001 00 20 FD000020", ours], "");
    for (has_address, expected) in [(true, told), (false, vec![])] {
        let (mut scene, _) = Scene::opened("", |_| ());
        if !has_address {
            scene.network.input(GATEWAY, Input::Companions(Vec::new()));
        }
        scene.answer();
        scene.reload_all(|settings| settings.originate = vec![originate("fd00:20::/32")]);
        let heard = scene.answer();
        assert_eq!(heard, expected, "{has_address}: {heard:02x?}");
        assert_eq!(scene.network.neighbor(GATEWAY, "says").note.is_none(), has_address);
    }
}

fn is_end_of_rib(update: &[u8]) -> bool {
    update.len() == 23 || update.ends_with(&octets("90 0F 0003 0002 01"))
}
