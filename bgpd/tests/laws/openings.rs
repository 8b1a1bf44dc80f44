//! RFC 4271 §6.1 and §6.2, RFC 5492, RFC 6286, RFC 6608, RFC 6793, RFC 9072: what is wrong on the way to a session.

use std::time::Duration;

use bgpd::settings::{NeighborSettings, RemoteAs, Settings};
use bgpd::types::Family;
use bgpd::types::{Families, HoldTime};
use bgpd::view::SessionState;
use bgpd::wire::{Notification, RouteRefresh, write_keepalive, write_route_refresh};
use bytes::BytesMut;

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, NLRI, ORIGIN, Scene, Session};
use crate::network::Network;
use crate::octets::{message, notification, octets, update};
use crate::raw::{Raw, open};
use crate::settings::{Told, address, neighbor, router};

/// What follows an OPEN.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// A KEEPALIVE, and with the neighbor's a session of this hold time.
    Session(u64),
    /// A NOTIFICATION: code, subcode, and data in hex.
    Refused(u8, u8, &'static str),
}
use Then::{Refused, Session as Opened};

/// IPv4 and IPv6 unicast, and AS 64513 in four octets.
const CAPABILITIES: &str = "02 12 01 04 00010001 01 04 00020001 41 04 0000FC01";
/// Version 4, AS 64513, 90 s, 10.0.0.11.
const FIXED: &str = "04 FC01 005A 0A00000B";

/// A speaker that waits for AS 64513.
fn gateway() -> NeighborSettings {
    NeighborSettings { passive: true, ..neighbor("10.0.0.11", 64513) }
}

fn network(neighbor: &NeighborSettings) -> Network {
    let settings: Settings = router(64512, "10.0.0.1").with_neighbor("says", neighbor.clone());
    Network::new(7, [(address("10.0.0.1"), settings)])
}

/// An OPEN: its fixed part, and its optional parameters behind their length.
fn opening(fixed: &str, parameters: &str) -> Vec<u8> {
    let parameters = octets(parameters);
    message(1, &[octets(fixed), vec![u8::try_from(parameters.len()).unwrap()], parameters].concat())
}

fn fixed(fixed: &str) -> Vec<u8> {
    opening(fixed, CAPABILITIES)
}

fn capabilities(parameters: &str) -> Vec<u8> {
    opening(FIXED, parameters)
}

/// Holds every line against a speaker of its own that has connected.
fn check(neighbor: &NeighborSettings, lines: impl IntoIterator<Item = (&'static str, Vec<u8>, Then)>) {
    for (what, says, then) in lines {
        let mut network = network(neighbor);
        let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
        raw.take(&mut network);
        raw.say(&mut network, |out| out.extend_from_slice(&says));
        match then {
            Refused(code, subcode, data) => {
                refused(what, &mut raw, &mut network, &Notification { code, subcode, data: octets(data) });
            }
            Opened(hold_time) => {
                assert_eq!(raw.take(&mut network), message(4, &[]), "{what}");
                raw.say(&mut network, write_keepalive);
                let view = network.neighbor(GATEWAY, "says");
                assert_eq!((view.state, view.last_error), (SessionState::Established, None), "{what}");
                assert_eq!(view.hold_time, Some(Duration::from_secs(hold_time)), "{what}");
            }
        }
    }
}

fn refused(what: &str, raw: &mut Raw, network: &mut Network, expected: &Notification) {
    let heard = raw.take(network);
    assert_eq!(heard, notification(expected.code, expected.subcode, &expected.data), "{what}: {heard:02x?}\n{network}");
    assert!(raw.is_closed(network), "{what}");
    let error = network.neighbor(GATEWAY, "says").last_error.unwrap();
    assert_eq!((error.sent, error.notification.as_ref()), (true, Some(expected)), "{what}");
}

#[test]
fn a_header_that_is_none_ends_every_connection() {
    let with_length = |length: u16, kind: u8| [&[0xFF; 16][..], &length.to_be_bytes(), &[kind], &[0; 30]].concat();
    let no_marker = [vec![0xFE], message(4, &[])[1..].to_vec()].concat();
    let lines = || {
        [
            ("a marker that is not all ones", no_marker.clone(), Refused(1, 1, "")),
            ("18 octets", with_length(18, 4), Refused(1, 2, "0012")),
            ("4097 octets", with_length(4097, 2), Refused(1, 2, "1001")),
            ("an OPEN of 28", with_length(28, 1), Refused(1, 2, "001C")),
            ("an UPDATE of 22", with_length(22, 2), Refused(1, 2, "0016")),
            ("a NOTIFICATION of 20", with_length(20, 3), Refused(1, 2, "0014")),
            ("a KEEPALIVE of 20", with_length(20, 4), Refused(1, 2, "0014")),
            ("a ROUTE-REFRESH of 22", with_length(22, 5), Refused(1, 2, "0016")),
            ("type 0", with_length(19, 0), Refused(1, 3, "00")),
            ("type 6", with_length(19, 6), Refused(1, 3, "06")),
            ("type 255", with_length(4096, 255), Refused(1, 3, "FF")),
        ]
    };
    check(&gateway(), lines());
    for (what, says, then) in lines() {
        let Refused(code, subcode, data) = then else { panic!("{then:?}") };
        // One that offers extended messages must take them (RFC 8654 §4).
        let mut scene = Scene::with(Session::External, |neighbor| neighbor.session.extended_messages = false);
        scene.say(&says);
        scene.ends(what, &Notification { code, subcode, data: octets(data) });
    }
}

#[test]
fn an_open_that_is_not_acceptable_is_refused_with_the_reason() {
    check(
        &gateway(),
        [
            ("good", fixed(FIXED), Opened(90)),
            ("version 3", fixed("03 FC01 005A 0A00000B"), Refused(2, 1, "0004")),
            ("version 5", fixed("05 FC01 005A 0A00000B"), Refused(2, 1, "0004")),
            ("AS 0", fixed("04 0000 005A 0A00000B"), Refused(2, 2, "")),
            ("identifier 0.0.0.0", fixed("04 FC01 005A 00000000"), Refused(2, 3, "")),
            ("our identifier, from outside (RFC 6286 §2.3)", fixed("04 FC01 005A 0A000001"), Opened(90)),
            ("1 s", fixed("04 FC01 0001 0A00000B"), Refused(2, 6, "")),
            ("2 s", fixed("04 FC01 0002 0A00000B"), Refused(2, 6, "")),
            ("3 s", fixed("04 FC01 0003 0A00000B"), Opened(3)),
            ("more than ours", fixed("04 FC01 FFFF 0A00000B"), Opened(90)),
        ],
    );
}

#[test]
fn an_as_that_is_not_the_configured_one_is_refused() {
    let four_octets = |number: &str| format!("02 0C 01 04 00010001 41 04 {number}");
    check(
        &gateway(),
        [
            ("another", opening("04 FC02 005A 0A00000B", &four_octets("0000FC02")), Refused(2, 2, "")),
            (
                "AS_TRANS, and the right one in four octets",
                opening("04 5BA0 005A 0A00000B", &four_octets("0000FC01")),
                Opened(90),
            ),
            ("AS_TRANS alone", opening("04 5BA0 005A 0A00000B", "02 06 01 04 00010001"), Refused(2, 2, "")),
            ("AS 0 in four octets", opening("04 5BA0 005A 0A00000B", &four_octets("00000000")), Refused(2, 2, "")),
            (
                "the right one, but AS 0 in two octets",
                opening("04 0000 005A 0A00000B", &four_octets("0000FC01")),
                Refused(2, 2, ""),
            ),
        ],
    );
    let internal = NeighborSettings { asn: RemoteAs::Internal, ..gateway() };
    let ours = "02 0C 01 04 00010001 41 04 0000FC00";
    check(
        &internal,
        [
            ("our AS and identifier (RFC 6286 §2.3)", opening("04 FC00 005A 0A000001", ours), Refused(2, 3, "")),
            ("our AS", opening("04 FC00 005A 0A00000B", ours), Opened(90)),
        ],
    );
}

#[test]
fn a_hold_time_of_zero_is_accepted_only_where_it_is_configured() {
    let zero = || fixed("04 FC01 0000 0A00000B");
    check(&gateway(), [("not configured", zero(), Refused(2, 6, ""))]);
    let mut configured = gateway();
    configured.session.hold_time = HoldTime::new(0).unwrap();
    check(&configured, [("configured", zero(), Opened(0)), ("configured here alone", fixed(FIXED), Opened(0))]);
}

#[test]
fn optional_parameters_have_the_length_that_they_say_and_are_capabilities() {
    check(
        &gateway(),
        [
            ("none at all: IPv4, two octets an AS number", capabilities(""), Opened(90)),
            ("authentication", capabilities("01 01 00"), Refused(2, 4, "")),
            ("type 9", capabilities("09 00"), Refused(2, 4, "")),
            ("a parameter longer than all of them", capabilities("02 07 01 04 00010001"), Refused(2, 0, "")),
            ("a capability longer than its parameter", capabilities("02 06 01 05 00010001"), Refused(2, 0, "")),
            ("a capability without a length", capabilities("02 07 01 04 00010001 02"), Refused(2, 0, "")),
            (
                "parameters longer than they say",
                message(1, &octets(&format!("{FIXED} 00 0206 01 04 00010001"))),
                Refused(2, 0, ""),
            ),
            (
                "parameters shorter than they say",
                message(1, &octets(&format!("{FIXED} 09 0206 01 04 00010001"))),
                Refused(2, 0, ""),
            ),
            (
                "extended, one parameter (RFC 9072 §2)",
                message(1, &octets(&format!("{FIXED} FF FF 0009 02 0006 01 04 00010001"))),
                Opened(90),
            ),
            (
                "extended, though short enough",
                message(1, &octets(&format!("{FIXED} 01 FF 0009 02 0006 01 04 00010001"))),
                Opened(90),
            ),
            (
                "extended, and a length that lies",
                message(1, &octets(&format!("{FIXED} FF FF 0008 02 0006 01 04 00010001"))),
                Refused(2, 0, ""),
            ),
        ],
    );
}

#[test]
fn a_capability_of_a_length_that_it_cannot_have_is_as_if_absent_but_for_the_as_number() {
    check(
        &gateway(),
        [
            ("four-octet AS of three octets", capabilities("02 05 41 03 00FC01"), Refused(2, 0, "")),
            ("four-octet AS of no octet", capabilities("02 02 41 00"), Refused(2, 0, "")),
            ("graceful restart of one octet", capabilities("02 09 01 04 00010001 40 01 00"), Opened(90)),
            ("multiprotocol of three octets, and so IPv4", capabilities("02 05 01 03 000200"), Opened(90)),
            ("route refresh of one octet", capabilities("02 09 01 04 00010001 02 01 00"), Opened(90)),
            ("one that nobody knows", capabilities("02 0A 01 04 00010001 F0 02 0102"), Opened(90)),
            ("one twice", capabilities("02 0C 01 04 00010001 01 04 00010001"), Opened(90)),
        ],
    );
    let mut network = network(&gateway());
    let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    raw.say(&mut network, |out| out.extend_from_slice(&capabilities("02 0B 01 04 00010001 40 01 00 02 00")));
    raw.say(&mut network, write_keepalive);
    assert_eq!(network.neighbor(GATEWAY, "says").capabilities, ["multiprotocol ipv4", "route-refresh"]);
}

#[test]
fn no_family_in_common_is_refused_with_ours_as_data() {
    check(
        &gateway(),
        [("L2VPN", capabilities("02 06 01 04 00190041"), Refused(2, 7, "01 04 00010001 01 04 00020001"))],
    );
    let mut ipv6 = gateway();
    ipv6.session.families = Some(Families::IPV6);
    check(&ipv6, [("no capability: IPv4 (RFC 4760 §8)", capabilities(""), Refused(2, 7, "01 04 00020001"))]);
}

/// UPDATE, ROUTE-REFRESH and OPEN, good ones and malformed ones.
fn unexpected() -> [(&'static str, u8, Vec<u8>); 5] {
    let mut refresh = BytesMut::new();
    write_route_refresh(Family::Ipv4, RouteRefresh::REQUEST, &mut refresh);
    [
        ("an UPDATE", 2, update("", &[ORIGIN, AS_PATH, NEXT_HOP], NLRI)),
        ("a malformed UPDATE", 2, update("21", &[], "")),
        ("a ROUTE-REFRESH", 5, refresh.to_vec()),
        ("an OPEN", 1, fixed(FIXED)),
        ("a malformed OPEN", 1, fixed("03 FC01 005A 0A00000B")),
    ]
}

/// RFC 6608 §4: the data is the type of the message.
#[test]
fn a_message_that_has_no_place_in_its_state_ends_the_connection() {
    for (what, kind, says) in unexpected() {
        let expected = |subcode| Notification { data: vec![kind], ..Notification::new(5, subcode) };
        if kind != 1 {
            let mut network = network(&gateway());
            let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
            raw.take(&mut network);
            raw.say(&mut network, |out| out.extend_from_slice(&says));
            refused(what, &mut raw, &mut network, &expected(1));
        }

        let mut network = network(&gateway());
        let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
        raw.say(&mut network, |out| open(64513, "10.0.0.11").write(out));
        raw.take(&mut network);
        raw.say(&mut network, |out| out.extend_from_slice(&says));
        refused(what, &mut raw, &mut network, &expected(2));

        if kind == 1 {
            let mut scene = Scene::new(Session::External);
            scene.say(&says);
            scene.ends(what, &expected(3));
        }
    }
    let mut network = network(&gateway());
    let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    raw.take(&mut network);
    raw.say(&mut network, write_keepalive);
    refused("a KEEPALIVE", &mut raw, &mut network, &Notification { data: vec![4], ..Notification::new(5, 1) });
}
