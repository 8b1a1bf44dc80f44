//! OPEN.

use std::time::Duration;

use super::*;
use crate::types::BgpIdentifier;

/// AS 64512, hold time 90, 10.20.0.10, and these parameters behind their length.
fn open_body(parameters: &[u8]) -> Vec<u8> {
    let mut body = vec![4, 0xFC, 0, 0, 90, 10, 20, 0, 10, u8::try_from(parameters.len()).unwrap()];
    body.extend_from_slice(parameters);
    body
}

fn read(body: &[u8]) -> Result<Open, (u8, u8, Vec<u8>)> {
    match decode(&message(OPEN, body), &external()) {
        Ok(Message::Open(open)) => Ok(open),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(answer(&error)),
    }
}

fn with_capabilities(capabilities: &[u8]) -> Result<Open, (u8, u8, Vec<u8>)> {
    read(&open_body(&[&[2, u8::try_from(capabilities.len()).unwrap()], capabilities].concat()))
}

fn open(capabilities: Vec<Capability>) -> Open {
    let router_id = BgpIdentifier::new(Ipv4Addr::new(10, 20, 0, 10)).unwrap();
    Open { asn: asn(64512), hold_time: 90, router_id, capabilities }
}

fn other(code: u8, value: &[u8]) -> Capability {
    Capability::Other { code, value: value.to_vec() }
}

#[test]
fn a_bare_open_is_ipv4_with_two_octets() {
    let read = read(&open_body(&[])).unwrap();
    assert_eq!(read, open(vec![]));
    assert_eq!(read.families(), Families::IPV4); // RFC 4760 §8
    assert!(!read.four_octet_as());
}

#[test]
fn another_version_is_answered_with_ours() {
    for version in [0, 3, 5] {
        let mut body = open_body(&[]);
        body[0] = version;
        assert_eq!(read(&body), Err((2, 1, vec![0, 4])));
    }
}

#[test]
fn as_0_is_refused_in_the_header_and_in_the_capability() {
    let mut body = open_body(&[]);
    body[1..3].fill(0);
    assert_eq!(read(&body), Err((2, 2, vec![])));
    assert_eq!(with_capabilities(&[65, 4, 0, 0, 0, 0]), Err((2, 2, vec![])));
}

#[test]
fn a_zero_identifier_is_refused() {
    let mut body = open_body(&[]);
    body[5..9].fill(0);
    assert_eq!(read(&body), Err((2, 3, vec![])));
}

#[test]
fn hold_times_of_one_and_two_seconds_are_left_to_the_state_machine() {
    for seconds in 0..=3 {
        let mut body = open_body(&[]);
        body[4] = seconds;
        assert_eq!(read(&body).unwrap().hold_time, u16::from(seconds));
    }
}

#[test]
fn an_optional_parameter_that_is_not_capabilities_is_unsupported() {
    for kind in [0, 1, 3, 254] {
        assert_eq!(read(&open_body(&[kind, 1, 0])), Err((2, 4, vec![])), "{kind}");
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let broken: [&[u8]; 5] = [&[2], &[2, 1], &[2, 3, 2, 0], &[2, 2, 1, 4], &[2, 1, 65]];
    for parameters in broken {
        assert_eq!(read(&open_body(parameters)), Err((2, 0, vec![])), "{parameters:?}");
    }
    let mut short = open_body(&[2, 2, 2, 0]);
    short[9] = 3;
    assert_eq!(read(&short), Err((2, 0, vec![])));
    let mut long = open_body(&[2, 2, 2, 0]);
    long[9] = 5;
    assert_eq!(read(&long), Err((2, 0, vec![])));
}

#[test]
fn every_capability_of_the_field_is_read_and_named() {
    let ipv4_over_ipv6 = Capability::ExtendedNextHop(vec![NextHopEncoding::IPV4_OVER_IPV6]);
    let add_path = Capability::AddPath(vec![
        AddPathFamily { afi: 1, safi: 1, mode: 3 },
        AddPathFamily { afi: 25, safi: 70, mode: 1 },
    ]);
    let graceful_restart = Capability::GracefulRestart(GracefulRestart {
        restarted: false,
        notification: true,
        restart_time: Duration::from_secs(120),
        families: vec![KeptFamily::new(Family::Ipv4, true)],
    });
    let long_lived = Capability::LongLived(vec![LongLivedFamily::new(Family::Ipv4, true, Duration::from_secs(256))]);
    let table: [(&[u8], Capability, &str); 17] = [
        (&[1, 4, 0, 1, 0, 1], Family::Ipv4.into(), "multiprotocol ipv4"),
        (&[1, 4, 0, 2, 0, 1], Family::Ipv6.into(), "multiprotocol ipv6"),
        (&[1, 4, 0, 25, 0, 70], Capability::Multiprotocol { afi: 25, safi: 70 }, "multiprotocol 25/70"),
        (&[2, 0], Capability::RouteRefresh, "route-refresh"),
        (&[5, 6, 0, 1, 0, 1, 0, 2], ipv4_over_ipv6, "extended-next-hop"),
        (&[6, 0], Capability::ExtendedMessage, "extended-message"),
        (&[9, 1, 3], Capability::Role(3), "role customer"),
        (&[9, 1, 5], Capability::Role(5), "role 5"),
        (&[64, 6, 0x40, 120, 0, 1, 1, 0x80], graceful_restart, "graceful-restart 120s N ipv4:F"),
        (&[65, 4, 0, 0, 0xFC, 0], Capability::FourOctetAs(64512), "four-octet-as"),
        (&[69, 8, 0, 1, 1, 3, 0, 25, 70, 1], add_path, "add-path ipv4 both 25/70 receive"),
        (&[70, 0], Capability::EnhancedRouteRefresh, "enhanced-route-refresh"),
        (&[71, 7, 0, 1, 1, 0x80, 0, 1, 0], long_lived, "long-lived-graceful-restart ipv4:F 256s"),
        (&[73, 5, 2, b'g', b'w', 1, b'x'], other(73, &[2, b'g', b'w', 1, b'x']), "fqdn"),
        (&[75, 2, 1, b'v'], other(75, &[1, b'v']), "software-version"),
        (&[99, 1, 7], other(99, &[7]), "capability 99"),
        (&[128, 0], other(128, &[]), "capability 128"),
    ];
    for (bytes, capability, name) in table {
        assert_eq!(with_capabilities(bytes), Ok(open(vec![capability.clone()])), "{name}");
        assert_eq!(capability.name(), name);
        assert_eq!(capability.code(), bytes[0]);
    }
}

#[test]
fn a_capability_of_odd_length_is_as_if_absent() {
    let odd: [&[u8]; 13] = [
        &[1, 3, 0, 1, 0],
        &[1, 5, 0, 1, 0, 1, 0],
        &[2, 1, 0],
        &[5, 5, 0, 1, 0, 1, 0],
        &[6, 1, 0],
        &[9, 0],
        &[64, 3, 0, 120, 0],
        &[64, 0],
        &[64, 1, 0x40],
        &[69, 3, 0, 1, 1],
        &[70, 1, 0],
        &[71, 6, 0, 1, 1, 0, 0, 0],
        &[73, 3, 9, b'g', b'w'],
    ];
    for bytes in odd {
        let read = with_capabilities(&[bytes, &[2, 0]].concat()).unwrap();
        assert_eq!(read.capabilities, [Capability::RouteRefresh], "{bytes:?}");
    }
}

#[test]
fn a_four_octet_as_of_odd_length_is_refused() {
    let odd: [&[u8]; 3] = [&[65, 0], &[65, 2, 0xFC, 0], &[65, 5, 0, 0, 0xFC, 0, 0]];
    for bytes in odd {
        assert_eq!(with_capabilities(bytes), Err((2, 0, vec![])), "{bytes:?}");
    }
}

#[test]
fn the_capability_says_the_as_that_two_octets_cannot() {
    let mut body = open_body(&[2, 6, 65, 4, 0, 1, 0, 1]);
    body[1..3].copy_from_slice(&[0x5B, 0xA0]); // AS_TRANS
    let read = read(&body).unwrap();
    assert_eq!(read.asn, asn(65537));
    assert!(read.four_octet_as());
}

#[test]
fn families_are_what_the_multiprotocol_capabilities_say() {
    let families = |capabilities| open(capabilities).families();
    let vpnv4 = Capability::Multiprotocol { afi: 1, safi: 128 };
    assert_eq!(families(vec![Family::Ipv6.into()]), Families::IPV6);
    assert_eq!(families(vec![Family::Ipv6.into(), Family::Ipv4.into()]), Families::ALL);
    assert!(families(vec![vpnv4]).is_empty());
}

#[test]
fn capabilities_in_parameters_of_their_own_are_one_list() {
    let read = read(&open_body(&[2, 2, 2, 0, 2, 2, 6, 0, 2, 0])).unwrap();
    assert_eq!(read.capabilities, [Capability::RouteRefresh, Capability::ExtendedMessage]);
}

#[test]
fn extended_parameters_are_read_whatever_the_short_length_says() {
    for length in [1, 7, 255] {
        let mut body = open_body(&[]);
        body[9] = length;
        body.extend([255, 0, 5, 2, 0, 2, 2, 0]);
        assert_eq!(read(&body).unwrap().capabilities, [Capability::RouteRefresh], "{length}"); // RFC 9072 §2
    }
}

#[test]
fn extended_parameters_with_a_wrong_length_are_refused() {
    let broken: [&[u8]; 5] = [
        &[0, 255, 0, 5, 2, 0, 2, 2, 0], // RFC 9072 §2: the short length must not be 0
        &[255, 255, 0, 4, 2, 0, 2, 2, 0],
        &[255, 255, 0, 6, 2, 0, 2, 2, 0],
        &[255, 255, 0, 5, 2, 0, 3, 2, 0],
        &[255, 255, 0],
    ];
    for tail in broken {
        let body = [&open_body(&[])[..9], tail].concat();
        assert_eq!(read(&body), Err((2, 0, vec![])), "{tail:?}");
    }
}

#[test]
fn an_open_is_written_in_the_short_form_up_to_255_octets_of_parameters() {
    // 2 octets of parameter, 2 of capability, so many of value.
    for (value, extended) in [(251, false), (252, true)] {
        let mut out = BytesMut::new();
        let open = open(vec![other(99, &vec![7; value])]);
        open.write(&mut out);
        assert_eq!(out[HEADER + 9], 255);
        assert_eq!(out[HEADER + 10] == 255, extended, "{value}");
        assert_eq!(read(&out[HEADER..]), Ok(open));
    }
}

#[test]
fn a_large_as_is_written_as_as_trans() {
    let mut out = BytesMut::new();
    let open = Open { asn: asn(4_200_000_000), ..open(vec![Capability::FourOctetAs(4_200_000_000)]) };
    open.write(&mut out);
    assert_eq!(out[HEADER + 1..HEADER + 3], [0x5B, 0xA0]);
    assert_eq!(read(&out[HEADER..]), Ok(open));
}

#[test]
fn the_bits_of_graceful_restart_are_where_the_rfcs_put_them() {
    let both = GracefulRestart {
        restarted: true,
        notification: true,
        restart_time: Duration::from_secs(4095),
        families: vec![KeptFamily::new(Family::Ipv4, true), KeptFamily::new(Family::Ipv6, false)],
    };
    let long_lived = vec![
        LongLivedFamily::new(Family::Ipv4, false, GracefulRestart::MAX_STALE_TIME),
        LongLivedFamily { afi: 25, safi: 70, forwarding: true, stale_time: Duration::from_secs(1) },
    ];
    let capabilities = vec![Capability::GracefulRestart(both), Capability::LongLived(long_lived)];
    let names: Vec<_> = capabilities.iter().map(Capability::name).collect();
    assert_eq!(
        names,
        ["graceful-restart 4095s R N ipv4:F ipv6", "long-lived-graceful-restart ipv4 16777215s 25/70:F 1s"]
    );
    let mut out = BytesMut::new();
    open(capabilities.clone()).write(&mut out);
    let bytes =
        [64, 10, 0xCF, 0xFF, 0, 1, 1, 0x80, 0, 2, 1, 0, 71, 14, 0, 1, 1, 0, 0xFF, 0xFF, 0xFF, 0, 25, 70, 0x80, 0, 0, 1];
    assert_eq!(out[HEADER + 12..], bytes);
    assert_eq!(read(&out[HEADER..]), Ok(open(capabilities)));
}
