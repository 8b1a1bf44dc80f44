#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::samples::{Sample, naive};

const OURS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 20, 0, 10)), IpAddr::V6(Ipv6Addr::new(0xfd20, 0, 0, 0, 0, 0, 0, 10))];

fn long(ipv6: bool) -> Vec<u8> {
    Sample { payload: vec![7; 3000], ..Sample::new(ipv6, true) }.packet()
}

fn told(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let header = Header::parse(packet)?;
    let mut out = vec![0xee; 2000];
    let len = too_big(packet, &header, mtu, OURS[usize::from(header.source.is_ipv6())], &mut out)?;
    out.truncate(len);
    Some(out)
}

/// Zero when both checksums are right.
fn checksums(packet: &[u8]) -> (u16, u16) {
    let header = Header::parse(packet).unwrap();
    let message = &packet[header.payload..header.length];
    if header.source.is_ipv4() {
        return (naive(&packet[..20]), naive(message));
    }
    let [high, low] = (message.len() as u16).to_be_bytes();
    (0, naive(&[&packet[8..40], &[high, low, 0, ICMPV6], message].concat()))
}

#[test]
fn an_error_says_what_fits_quotes_the_packet_and_is_no_longer_than_any_path_takes() {
    for (ipv6, len, kind) in [(false, 576, [3, 4]), (true, 1280, [2, 0])] {
        let packet = long(ipv6);
        let error = told(&packet, 1420).unwrap();
        let header = Header::parse(&error).unwrap();
        let message = &error[header.payload..];
        assert_eq!((error.len(), header.source), (len, OURS[usize::from(ipv6)]));
        assert_eq!(header.destination, Header::parse(&packet).unwrap().source);
        assert_eq!((&message[..2], &message[4..8]), (&kind[..], &1420u32.to_be_bytes()[..]));
        assert!(packet.starts_with(&message[8..]));
        assert_eq!(checksums(&error), (0, 0));
    }
}

#[test]
fn nobody_is_told_of_errors_groups_and_later_fragments() {
    let change = |ipv6: bool, at: usize, value: u8| {
        let mut packet = long(ipv6);
        packet[at] = value;
        told(&packet, 1420)
    };
    assert!(change(false, 16, 10).is_some() && change(true, 24, 0xfd).is_some());
    assert_eq!(change(false, 16, 224), None, "multicast");
    assert_eq!(change(true, 24, 0xff), None, "multicast");
    assert_eq!(change(false, 16, 255), None, "class E");
    assert_eq!(change(false, 12, 0), change(false, 12, 127), "no host, and a host that is not there");
    assert_eq!(change(false, 7, 1), None, "a later fragment");
    assert!(change(false, 6, 0x20).is_some(), "a first fragment");
    for (ipv6, at, protocol) in [(false, 9, ICMP), (true, 6, ICMPV6)] {
        let about = |kind| {
            let mut packet = long(ipv6);
            let payload = Header::parse(&packet).unwrap().payload;
            (packet[at], packet[payload]) = (protocol, kind);
            told(&packet, 1420).is_some()
        };
        let [errors, others] = if ipv6 { [[1, 2, 137], [128, 129, 135]] } else { [[3, 11, 5], [8, 0, 13]] };
        assert_eq!((errors.map(about), others.map(about)), ([false; 3], [true; 3]));
    }
    let mut fragment = long(true);
    fragment[6] = IPV6_FRAGMENT;
    fragment[40..48].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 9]);
    assert!(told(&fragment, 1420).is_some());
    fragment[43] = 8 + 1;
    assert_eq!(told(&fragment, 1420), None);
}

#[test]
fn an_echo_is_as_long_as_asked_and_its_answer_is_known_also_in_fragments() {
    for own in OURS {
        let (ipv6, far) = (own.is_ipv6(), if own.is_ipv4() { "10.20.0.11" } else { "fd20::11" }.parse().unwrap());
        let request = Echo { source: own, destination: far, identifier: 0x1234, sequence: 0x5678 };
        for length in [516u16, 517, 9001] {
            let mut out = vec![0xee; 10_000];
            echo(&request, length, &mut out).unwrap();
            let header = Header::parse(&out).unwrap();
            assert_eq!((header.length, header.source, header.destination), (usize::from(length), own, far));
            assert_eq!(checksums(&out[..usize::from(length)]), (0, 0));
            assert_eq!(reply(&out, &header), None, "a request");
            assert!(ipv6 || out[6] & 0x40 != 0, "DF");
            out[header.payload] = if ipv6 { 129 } else { 0 };
            let expected = Reply::Whole { identifier: 0x1234, sequence: 0x5678, fragments: None };
            assert_eq!(reply(&out, &header), Some(expected));
            out[header.payload + 8] = 0;
            assert_eq!(reply(&out, &header), None, "somebody else's ping");
        }
        assert_eq!(echo(&request, 30, &mut [0; 100]), None);
    }
}

#[test]
fn the_fragments_of_an_answer_are_known_by_their_identification() {
    let request = Echo { source: OURS[0], destination: "10.20.0.11".parse().unwrap(), identifier: 1, sequence: 2 };
    let mut out = vec![0; 600];
    echo(&request, 600, &mut out).unwrap();
    (out[20], out[4], out[5], out[6]) = (0, 0xab, 0xcd, 0x20);
    let header = Header::parse(&out).unwrap();
    assert_eq!(reply(&out, &header), Some(Reply::Whole { identifier: 1, sequence: 2, fragments: Some(0xabcd) }));
    (out[6], out[7]) = (0, 70);
    assert_eq!(reply(&out, &header), Some(Reply::Fragment(0xabcd)));
    let request = Echo { source: OURS[1], destination: "fd20::11".parse().unwrap(), ..request };
    let mut out = vec![0; 600];
    echo(&request, 592, &mut out).unwrap();
    out.copy_within(40..592, 48);
    (out[4], out[5], out[6]) = (2, 48, IPV6_FRAGMENT);
    out[40..49].copy_from_slice(&[ICMPV6, 0, 0, 1, 0, 0, 0xab, 0xcd, 129]);
    let header = Header::parse(&out).unwrap();
    assert_eq!(reply(&out, &header), Some(Reply::Whole { identifier: 1, sequence: 2, fragments: Some(0xabcd) }));
    out[42] = 2;
    assert_eq!(reply(&out, &header), Some(Reply::Fragment(0xabcd)));
}

proptest! {
    #[test]
    fn any_octets_are_survived_and_every_error_is_a_packet(
        mut octets in proptest::collection::vec(any::<u8>(), 20..1500),
        version in 4u8..8,
        protocol in prop_oneof![Just(ICMP), Just(ICMPV6), Just(IPV6_FRAGMENT), Just(6), any::<u8>()],
        mtu: u16,
    ) {
        let length = octets.len();
        octets[0] = (version << 4) | (5 + (octets[0] & 3));
        if version == 4 {
            octets[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            octets[9] = protocol;
        } else {
            octets[4..6].copy_from_slice(&(length.saturating_sub(40) as u16).to_be_bytes());
            octets[6] = protocol;
        }
        let Some(header) = Header::parse(&octets) else { return Ok(()) };
        reply(&octets, &header);
        if let Some(error) = told(&octets, mtu) {
            let told_to = Header::parse(&error).unwrap();
            prop_assert_eq!((told_to.length, told_to.destination), (error.len(), header.source));
            prop_assert_eq!(checksums(&error), (0, 0));
            prop_assert!(!may_be_told(&error, &told_to), "no error about an error");
        }
    }
}
