//! RFC 2918 and RFC 7313: ROUTE-REFRESH, octet by octet.

use bgpd::view::SessionState;
use bgpd::wire::{Notification, write_keepalive};

use crate::frame::{GATEWAY, Scene, Session};
use crate::network::Network;
use crate::octets::{message, notification, octets};
use crate::raw::Raw;
use crate::settings::{Told, address, neighbor, router};

/// An OPEN of AS 64513 with IPv4, route refresh, and the enhanced one where `enhanced`.
fn opening(enhanced: bool) -> Vec<u8> {
    let capabilities = if enhanced {
        "02 10 01 04 00010001 02 00 46 00 41 04 0000FC01"
    } else {
        "02 0E 01 04 00010001 02 00 41 04 0000FC01"
    };
    let parameters = octets(capabilities);
    message(1, &[octets("04 FC01 005A 0A00000B"), vec![parameters.len() as u8], parameters].concat())
}

fn established(enhanced: bool) -> (Network, Raw) {
    let mut says = neighbor("10.0.0.11", 64513);
    says.passive = true;
    let settings = router(64512, "10.0.0.1").with_neighbor("says", says).originating(&["10.20.0.0/16"]);
    let mut network = Network::new(7, [(address("10.0.0.1"), settings)]);
    let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    raw.say(&mut network, |out| out.extend_from_slice(&opening(enhanced)));
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
    assert_eq!(raw.take(&mut network), crate::octets::update("", &[routes], "10 0A14"));
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
