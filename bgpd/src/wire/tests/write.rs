//! Messages as this speaker writes them, and what is asked of an AS_PATH.

use super::*;
use crate::types::{Community, ExtendedCommunity, LargeCommunity};

fn v4() -> MpNextHop {
    IpAddr::V4(Ipv4Addr::new(169, 254, 64, 2)).into()
}

fn v6() -> MpNextHop {
    IpAddr::V6("fd64:64::2".parse().unwrap()).into()
}

fn attributes() -> PathAttributes {
    PathAttributes { as_path: path(&[64512]), ..Default::default() }
}

fn reach(attributes: &PathAttributes, next_hop: MpNextHop, prefixes: &[IpNet]) -> (usize, Vec<u8>) {
    let mut out = BytesMut::new();
    let count = write_reach(&mut out, &external(), attributes, next_hop, prefixes);
    (count, out.to_vec())
}

/// So many /24s or /64s.
fn many(family: Family, count: u32) -> Vec<IpNet> {
    let text = |number: u32| match family {
        Family::Ipv4 => format!("{}.{}.{}.0/24", number >> 16 & 0xFF, number >> 8 & 0xFF, number & 0xFF),
        Family::Ipv6 => format!("2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xFFFF),
    };
    (0..count).map(|number| net(&text(number))).collect()
}

#[test]
fn ipv4_by_an_ipv4_next_hop_stands_in_the_own_fields() {
    let (count, frame) = reach(&attributes(), v4(), &[net("10.0.0.0/8")]);
    assert_eq!((count, frame), (1, announcing(&[ORIGIN, AS_PATH, NEXT_HOP])));
}

#[test]
fn ipv6_stands_in_mp_reach_before_all_other_attributes() {
    let (count, frame) = reach(&attributes(), v6(), &[net("2001:db8::/32")]);
    let mp_reach = [&[0x90, 14, 0, 26][..], &MP_REACH[3..]].concat();
    assert_eq!((count, frame), (1, update_message(&[], &[&mp_reach, ORIGIN, AS_PATH].concat(), &[]))); // RFC 7606 §5.1
}

#[test]
fn ipv4_by_an_ipv6_next_hop_stands_in_mp_reach() {
    let next_hop = MpNextHop { link_local: Some("fe80::1".parse().unwrap()), ..v6() };
    let (count, frame) = reach(&attributes(), next_hop, &[net("10.0.0.0/8")]);
    assert_eq!(count, 1);
    let update = update(&frame, &external());
    assert!(update.nlri.is_empty());
    let (found, nlri) = update.mp_nlri.unwrap();
    assert_eq!((found, texts(nlri)), (next_hop, vec!["10.0.0.0/8".to_owned()])); // RFC 8950
}

#[test]
fn an_update_is_filled_to_its_last_octet_and_the_next_goes_on() {
    for (family, next_hop, octets) in [(Family::Ipv4, v4(), 4), (Family::Ipv6, v6(), 9)] {
        let prefixes = many(family, 3000);
        let mut rest = &prefixes[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let (count, frame) = reach(&attributes(), next_hop, rest);
            assert!(count > 0 && frame.len() <= MAX_MESSAGE);
            assert!(count == rest.len() || MAX_MESSAGE - frame.len() < octets);
            let update = update(&frame, &external());
            found.extend(update.mp_nlri.map_or(update.nlri, |(_, nlri)| nlri).iter());
            rest = &rest[count..];
        }
        assert_eq!(found, prefixes);
    }
}

#[test]
fn withdrawals_are_packed_the_same_way() {
    for (family, octets) in [(Family::Ipv4, 4), (Family::Ipv6, 9)] {
        let prefixes = many(family, 3000);
        let mut rest = &prefixes[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let mut out = BytesMut::new();
            let count = write_unreach(&mut out, &external(), rest);
            assert!(count > 0 && out.len() <= MAX_MESSAGE);
            assert!(count == rest.len() || MAX_MESSAGE - out.len() < octets);
            let update = update(&out, &external());
            assert_eq!(update.attributes.parse(&external()).treatment(), None);
            found.extend(update.mp_withdrawn.unwrap_or(update.withdrawn).iter());
            rest = &rest[count..];
        }
        assert_eq!(found, prefixes);
    }
}

#[test]
fn an_extended_message_holds_more() {
    let context = Context { max_message: 65535, max_received: 65535, ..external() };
    let mut out = BytesMut::new();
    let count = write_reach(&mut out, &context, &attributes(), v4(), &many(Family::Ipv4, 20_000));
    assert!(count > 16_000 && out.len() > 65_530, "{count} in {}", out.len());
    assert_eq!(update(&out, &context).nlri.iter().count(), count);
}

#[test]
fn attributes_without_room_for_a_prefix_write_nothing() {
    // 4096 - 23 octets of message and lengths - 20 of the other attributes - 4 of this one's header - 2 of prefix
    let unknown = |octets| PathAttributes {
        unknown: vec![UnknownAttribute { code: 99, value: vec![0; octets] }],
        ..attributes()
    };
    let room = MAX_MESSAGE - 23 - ORIGIN.len() - AS_PATH.len() - NEXT_HOP.len() - 4 - TEN.len();
    assert_eq!(reach(&unknown(room), v4(), &[net("10.0.0.0/8")]).0, 1);
    assert_eq!(reach(&unknown(room + 1), v4(), &[net("10.0.0.0/8")]), (0, vec![])); // RFC 8654 §4
    for next_hop in [v4(), v6()] {
        assert_eq!(reach(&unknown(100_000), next_hop, &[net("10.0.0.0/8")]), (0, vec![]));
    }
}

#[test]
fn what_stood_before_a_message_stays() {
    let mut out = BytesMut::new();
    write_keepalive(&mut out);
    let huge = PathAttributes { unknown: vec![UnknownAttribute { code: 99, value: vec![0; 5000] }], ..attributes() };
    assert_eq!(write_reach(&mut out, &external(), &huge, v6(), &[net("::/0")]), 0);
    assert_eq!(write_reach(&mut out, &external(), &attributes(), v6(), &[net("::/0")]), 1);
    assert_eq!(frame_length(&out, MAX_MESSAGE), Ok(Some(HEADER)));
    update(&out[HEADER..], &external());
}

#[test]
fn no_prefixes_are_no_message() {
    assert_eq!(reach(&attributes(), v4(), &[]), (0, vec![]));
    let mut out = BytesMut::new();
    assert_eq!(write_unreach::<IpNet>(&mut out, &external(), &[]), 0);
    assert!(out.is_empty());
}

#[test]
fn host_bits_are_not_sent() {
    let (_, frame) = reach(&attributes(), v4(), &[net("10.255.255.255/9")]);
    assert_eq!(frame[frame.len() - 3..], [9, 10, 128]);
}

#[test]
fn attributes_stand_in_the_order_of_their_codes() {
    let full = PathAttributes {
        origin: Origin::Incomplete,
        as_path: path(&[64512]),
        med: Some(1),
        local_pref: Some(100),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: asn(7), address: Ipv4Addr::new(1, 1, 1, 1) }),
        communities: vec![Community::NO_EXPORT],
        originator_id: Some(Ipv4Addr::new(1, 2, 3, 4)),
        cluster_list: vec![Ipv4Addr::new(5, 6, 7, 8)],
        extended_communities: vec![ExtendedCommunity(9)],
        large_communities: vec![LargeCommunity { global: 1, local1: 2, local2: 3 }],
        only_to_customer: Some(64512),
        unknown: [(25, vec![]), (33, vec![]), (99, vec![1])]
            .map(|(code, value)| UnknownAttribute { code, value })
            .to_vec(),
        partial: PartialBits::default(),
    };
    let (_, frame) = reach(&full, v4(), &[net("10.0.0.0/8")]);
    let expected: [&[u8]; 16] = [
        &[0x40, 1, 1, 2],
        AS_PATH,
        NEXT_HOP,
        &[0x80, 4, 4, 0, 0, 0, 1],
        LOCAL_PREF,
        &[0x40, 6, 0],
        &[0xC0, 7, 8, 0, 0, 0, 7, 1, 1, 1, 1],
        &[0xC0, 8, 4, 0xFF, 0xFF, 0xFF, 1],
        &[0x80, 9, 4, 1, 2, 3, 4],
        &[0x80, 10, 4, 5, 6, 7, 8],
        &[0xC0, 16, 8, 0, 0, 0, 0, 0, 0, 0, 9],
        &[0xE0, 25, 0], // Partial
        &[0xC0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
        &[0xE0, 33, 0],
        &[0xC0, 35, 4, 0, 0, 0xFC, 0],
        &[0xE0, 99, 1, 1],
    ];
    assert_eq!(frame, announcing(&expected));
}

#[test]
fn a_partial_bit_is_never_taken_back() {
    let received: [&[u8]; 5] = [
        &[0xE0, 7, 8, 0, 0, 0, 7, 1, 1, 1, 1],
        &[0xE0, 8, 4, 0, 0, 0, 1],
        &[0xE0, 16, 8, 0, 0, 0, 0, 0, 0, 0, 9],
        &[0xE0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
        &[0xE0, 35, 4, 0, 0, 0xFC, 0],
    ];
    for attribute in received {
        let frame = announcing(&[ORIGIN, AS_PATH, NEXT_HOP, attribute]);
        let read = parse(&frame, &external()).attributes;
        assert_eq!(reach(&read, v4(), &[net("10.0.0.0/8")]).1, frame); // RFC 4271 §5
    }
}

#[test]
fn a_partial_bit_goes_with_its_attribute() {
    let malformed = [&[0x40, 6, 0], &[0xE0, 7, 1, 0][..]].concat();
    let read = parse(&announcing(&[ORIGIN, AS_PATH, NEXT_HOP, &malformed]), &external()).attributes;
    assert_eq!((read.aggregator, read.partial), (None, PartialBits::default()));
    let as4_path = [0xE0, 17, 6, 2, 1, 0, 0, 0xFC, 0];
    let as_path = [0x40, 2, 4, 2, 1, 0xFC, 0];
    let read = parse(&announcing(&[ORIGIN, &as_path, NEXT_HOP, &as4_path]), &old()).attributes;
    assert_eq!(read.partial, PartialBits::default());
}

#[test]
fn an_end_of_rib_is_written_for_each_family() {
    for (family, frame) in [
        (Family::Ipv4, update_message(&[], &[], &[])),
        (Family::Ipv6, update_message(&[], &[0x90, 15, 0, 3, 0, 2, 1], &[])),
    ] {
        let mut out = BytesMut::new();
        write_end_of_rib(&mut out, family);
        assert_eq!(out, frame[..]);
        assert_eq!(update(&out, &external()).end_of_rib(), Some(family));
    }
}

#[test]
fn a_path_answers_what_is_asked_of_it() {
    let path = path(&[64512, 7, 64512, 13335]);
    assert_eq!(path.length(), 4);
    assert_eq!(path.first(), Some(asn(64512)));
    assert_eq!(path.origin_asn(), Some(asn(13335)));
    assert!(path.contains(asn(7)) && !path.contains(asn(8)));
    assert_eq!(path.count(asn(64512)), 2);
    assert_eq!(path.to_string(), "64512 7 64512 13335");
}

#[test]
fn an_empty_path_has_no_ends() {
    let path = AsPath::default();
    assert_eq!((path.length(), path.first(), path.origin_asn(), path.to_string()), (0, None, None, String::new()));
}

#[test]
fn prepending_puts_a_number_before_all_others() {
    let mut prepended = path(&[7]);
    prepended.prepend(asn(8), 0);
    assert_eq!(prepended, path(&[7]));
    prepended.prepend(asn(8), 2);
    assert_eq!(prepended, path(&[8, 8, 7]));
    prepended.prepend(asn(9), 255);
    assert_eq!(prepended.length(), 258);
    assert_eq!(prepended.origin_asn(), Some(asn(7)));

    let mut empty = AsPath::default();
    empty.prepend(asn(9), 1);
    assert_eq!(empty, path(&[9]));
}

#[test]
fn a_path_beyond_255_numbers_is_written_as_two_segments() {
    let attributes = PathAttributes { as_path: path(&[64512; 300]), ..Default::default() };
    let (_, frame) = reach(&attributes, v4(), &[net("10.0.0.0/8")]);
    assert_eq!(parse(&frame, &external()).attributes.as_path, attributes.as_path);
    let as_path = frame.windows(2).position(|octets| octets == [2, 255]).unwrap(); // RFC 4271 §5.1.2 b
    assert_eq!(frame[as_path + 2 + 255 * 4..][..2], [2, 45]);
}
