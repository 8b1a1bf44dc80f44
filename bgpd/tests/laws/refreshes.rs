//! RFC 2918 and RFC 7313: ROUTE-REFRESH, octet by octet.

use std::time::Duration;

use bgpd::view::SessionState;
use bgpd::wire::{Notification, write_keepalive};

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, ORIGIN, Scene, Session};
use crate::network::Network;
use crate::octets::{message, notification, octets, opening, update};
use crate::raw::Raw;
use crate::settings::{Told, address, neighbor, originate, router};

/// IPv4, route refresh, four-octet AS, and the enhanced refresh where `enhanced`.
fn capabilities(enhanced: bool) -> &'static str {
    if enhanced { "01 04 00010001 02 00 46 00 41 04 0000FC01" } else { "01 04 00010001 02 00 41 04 0000FC01" }
}

fn established(enhanced: bool) -> (Network, Raw) {
    let mut says = neighbor("10.0.0.11", 64513);
    says.passive = true;
    let settings = router(64512, "10.0.0.1").with_neighbor("says", says).originating(&["10.20.0.0/16"]);
    let mut network = Network::new(7, [(address("10.0.0.1"), settings)]);
    let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    raw.say(&mut network, |out| out.extend_from_slice(&opening(capabilities(enhanced))));
    raw.say(&mut network, write_keepalive);
    assert_eq!(network.state(GATEWAY, "says"), SessionState::Established);
    raw.take(&mut network);
    (network, raw)
}

#[test]
fn a_mark_of_a_bad_length_is_sent_back_and_what_is_unknown_ignored() {
    let long_begin = message(5, &octets("0001 01 01 00"));
    let long_end = message(5, &octets("0001 02 01 0000"));
    let lines = [
        ("a long begin", true, &long_begin, Some(&long_begin)),
        ("a long end", true, &long_end, Some(&long_end)),
        ("a long begin that was not agreed on", false, &long_begin, None),
        ("a long request", true, &message(5, &octets("0001 00 01 00")), None),
        ("subtype 3", true, &message(5, &octets("0001 03 01")), None),
        ("subtype 255, long", true, &message(5, &octets("0001 FF 01 0000")), None),
        ("a family that was not agreed on", true, &message(5, &octets("0002 00 01")), None),
        ("a family that nobody knows", true, &message(5, &octets("0019 00 41")), None),
        ("an end without a begin", true, &message(5, &octets("0001 02 01")), None),
    ];
    for (what, enhanced, says, sent_back) in lines {
        let (mut network, mut raw) = established(enhanced);
        raw.say(&mut network, |out| out.extend_from_slice(says));
        let heard = raw.take(&mut network);
        let expected = sent_back.map(|sent_back| Notification { data: sent_back.clone(), ..Notification::new(7, 1) });
        let octets = expected.as_ref().map_or(Vec::new(), |said| notification(said.code, said.subcode, &said.data));
        assert_eq!(heard, octets, "{what}: {heard:02x?}");
        assert_eq!(raw.is_closed(&network), expected.is_some(), "{what}");
        let error = network.neighbor(GATEWAY, "says").last_error;
        assert_eq!(error.and_then(|error| error.notification), expected, "{what}");
    }
}

#[test]
fn a_request_is_answered_with_the_routes_of_its_family() {
    let (mut network, mut raw) = established(false);
    let routes = "40 01 01 00  40 02 06 02 01 0000FC00  40 03 04 0A000001";
    raw.say(&mut network, |out| out.extend_from_slice(&message(5, &octets("0001 00 01"))));
    assert_eq!(raw.take(&mut network), update("", &[routes], "10 0A14"));
}

#[test]
fn a_request_before_the_session_stands_is_out_of_place() {
    let mut scene = Scene::new(Session::External);
    let mut again = Raw::connect(&mut scene.network, GATEWAY, "10.0.0.11", 64513);
    again.take(&mut scene.network);
    again.say(&mut scene.network, |out| out.extend_from_slice(&message(5, &octets("0001 00 01"))));
    assert_eq!(again.take(&mut scene.network), notification(5, 1, &[5]));
    assert!(!scene.says.is_closed(&scene.network), "the other connection's session stays");
}

/// RFC 7313 §4: who has the enhanced refresh hears BoRR and EoRR around the routes, of each family by itself.
#[test]
fn an_answer_stands_between_its_begin_and_its_end() {
    let ours = "40 01 01 00  40 02 06 02 01 0000FC00";
    let ipv4 = update("", &[ours, "40 03 04 0A000001"], "10 0A14");
    let ipv6 = update("", &["90 0E 001A 0002 01 10 FD000000000000000000000000000001 00 20 FD000020", ours], "");
    for (afi, route) in [("0001", ipv4), ("0002", ipv6)] {
        let (mut scene, _) = Scene::opened("02 00 46 00", |_| ());
        scene.reload_all(|settings| settings.originate = vec![originate("10.20.0.0/16"), originate("fd00:20::/32")]);
        scene.answer();
        scene.say(&message(5, &octets(&format!("{afi} 00 01"))));
        scene.network.run_for(Duration::from_millis(10));
        let mark = |subtype| message(5, &octets(&format!("{afi} {subtype} 01")));
        let heard = scene.answer();
        assert_eq!(heard, [mark("01"), route, mark("02")].concat(), "{afi}: {heard:02x?}");
    }
}

/// RFC 7313 §4: what did not come between them goes with EoRR and not before.
#[test]
fn what_the_neighbor_does_not_send_again_goes_with_its_end() {
    let (mut scene, _) = Scene::opened("02 00 46 00", |_| ());
    let mark = |subtype| message(5, &octets(&format!("0001 {subtype} 01")));
    let announce = |nlri| update("", &[ORIGIN, AS_PATH, NEXT_HOP], nlri);
    scene.say(&announce("10 0A01 10 0A02"));
    scene.network.run_for(Duration::from_millis(10));
    scene.answer();
    scene.hears.take(&mut scene.network);
    for (what, says, hears) in [
        ("BoRR", mark("01"), vec![]),
        ("one of two", announce("10 0A01"), vec![]),
        ("EoRR of IPv6", message(5, &octets("0002 02 01")), vec![]),
        ("EoRR", mark("02"), update("10 0A02", &[], "")),
        ("EoRR again", mark("02"), vec![]),
    ] {
        scene.say(&says);
        scene.network.run_for(Duration::from_millis(10));
        assert_eq!(scene.hears.take(&mut scene.network), hears, "{what}");
        assert_eq!(scene.answer(), [0; 0], "{what}");
    }
    assert_eq!(scene.network.neighbor(GATEWAY, "says").last_error, None);
}

/// RFC 7313 §3.2: marks mean something where both have the capability.
#[test]
fn without_the_capability_marks_change_nothing() {
    let (mut scene, _) = Scene::opened("02 00", |_| ());
    scene.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP], "10 0A01"));
    scene.network.run_for(Duration::from_millis(10));
    scene.hears.take(&mut scene.network);
    scene.say(&message(5, &octets("0001 01 01")));
    scene.say(&message(5, &octets("0001 02 01")));
    scene.network.run_for(Duration::from_millis(10));
    assert_eq!(scene.hears.take(&mut scene.network), [0; 0][..]);
    assert!(!scene.says.is_closed(&scene.network));
}
