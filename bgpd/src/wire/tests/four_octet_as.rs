//! Neighbors with two octets an AS (RFC 6793).

use super::*;

/// AS_PATH with two octets a number.
fn as_path(numbers: &[u16]) -> Vec<u8> {
    let octets = numbers.iter().flat_map(|number| number.to_be_bytes());
    attribute(0x40, AttrCode::AS_PATH, &[2, numbers.len() as u8].into_iter().chain(octets).collect::<Vec<_>>())
}

/// AS4_PATH of one segment.
fn as4_path(kind: u8, numbers: &[u32]) -> Vec<u8> {
    let octets = numbers.iter().flat_map(|number| number.to_be_bytes());
    attribute(0xC0, AttrCode::AS4_PATH, &[kind, numbers.len() as u8].into_iter().chain(octets).collect::<Vec<_>>())
}

fn from_old(attributes: &[&[u8]]) -> ParsedAttributes {
    parse(&announcing(&[&[ORIGIN, NEXT_HOP], attributes].concat()), &old())
}

#[test]
fn numbers_that_did_not_fit_are_put_back() {
    let parsed = from_old(&[&as_path(&[64512, 23456, 7]), &as4_path(2, &[70000, 7])]);
    assert_eq!(parsed.errors, []);
    assert_eq!(parsed.attributes.as_path, path(&[64512, 70000, 7])); // RFC 6793 §4.2.3
}

#[test]
fn an_as4_path_longer_than_the_path_is_not_used() {
    let parsed = from_old(&[&as_path(&[64512, 23456]), &as4_path(2, &[1, 2, 70000])]);
    assert_eq!(parsed.errors, []);
    assert_eq!(parsed.attributes.as_path, path(&[64512, 23456]));
}

#[test]
fn the_first_as_is_judged_after_the_numbers_are_put_back() {
    let parsed = from_old(&[&as_path(&[64512, 23456]), &as4_path(2, &[64513, 70000])]);
    assert_eq!(
        parsed.errors.iter().map(|error| error.fault).collect::<Vec<_>>(),
        [AttrFault::FirstAsn { found: Some(asn(64513)) }]
    );
}

#[test]
fn as4_attributes_from_a_neighbor_with_four_octets_are_dropped_unread() {
    let parsed = parse(
        &announcing(&[ORIGIN, AS_PATH, NEXT_HOP, &as4_path(9, &[0]), &attribute(0xC0, AttrCode::AS4_AGGREGATOR, &[1])]),
        &external(),
    );
    assert_eq!(parsed.errors, []); // RFC 6793 §4.1
    assert_eq!(parsed.attributes.as_path, path(&[64512]));
    assert_eq!(parsed.attributes.unknown, []);
}

#[test]
fn a_malformed_as4_path_is_discarded() {
    let malformed = [
        attribute(0xC0, AttrCode::AS4_PATH, &[]),
        attribute(0xC0, AttrCode::AS4_PATH, &[2, 1, 0, 0, 0]),
        attribute(0xC0, AttrCode::AS4_PATH, &[2, 2, 0, 1, 0, 0]),
        attribute(0xC0, AttrCode::AS4_PATH, &[2, 0, 2, 1, 0, 1, 0, 0]),
        as4_path(7, &[70000]),
    ];
    for attribute in malformed {
        let parsed = from_old(&[&as_path(&[64512, 23456]), &attribute]);
        assert_eq!(parsed.treatment(), Some(Treatment::AttributeDiscard), "{attribute:?}"); // RFC 6793 §6
        assert_eq!(parsed.attributes.as_path, path(&[64512, 23456]));
    }
}

#[test]
fn confederation_segments_in_an_as4_path_are_dropped() {
    for kind in [3, 4] {
        let confederation = as4_path(kind, &[5, 6]);
        let both = [&as4_path(2, &[70000])[3..], &confederation[3..]].concat();
        let parsed = from_old(&[&as_path(&[64512, 23456]), &attribute(0xC0, AttrCode::AS4_PATH, &both)]);
        assert_eq!(parsed.errors, []); // RFC 6793 §6
        assert_eq!(parsed.attributes.as_path, path(&[64512, 70000]));
    }
}

#[test]
fn as_sets_and_as_0_weigh_as_much_in_an_as4_path() {
    for attribute in [as4_path(1, &[70000]), as4_path(2, &[0])] {
        let parsed = from_old(&[&as_path(&[64512, 23456]), &attribute]);
        assert_eq!(parsed.treatment(), Some(Treatment::TreatAsWithdraw)); // RFC 9774 §3, RFC 7607 §2
    }
}

fn aggregator(asn: u16) -> Vec<u8> {
    attribute(0xC0, AttrCode::AGGREGATOR, &[&asn.to_be_bytes()[..], &[1, 1, 1, 1]].concat())
}

fn as4_aggregator(asn: u32) -> Vec<u8> {
    attribute(0xC0, AttrCode::AS4_AGGREGATOR, &[&asn.to_be_bytes()[..], &[2, 2, 2, 2]].concat())
}

#[test]
fn an_aggregator_that_did_not_fit_is_put_back() {
    let parsed =
        from_old(&[&as_path(&[64512, 23456]), &aggregator(23456), &as4_path(2, &[70000]), &as4_aggregator(70000)]);
    assert_eq!(parsed.attributes.aggregator, Some(Aggregator { asn: asn(70000), address: Ipv4Addr::new(2, 2, 2, 2) }));
    assert_eq!(parsed.attributes.as_path, path(&[64512, 70000]));
}

#[test]
fn another_aggregator_since_makes_both_as4_attributes_old_news() {
    let parsed = from_old(&[&as_path(&[64512, 23456]), &aggregator(7), &as4_path(2, &[70000]), &as4_aggregator(70000)]);
    assert_eq!(parsed.attributes.aggregator, Some(Aggregator { asn: asn(7), address: Ipv4Addr::new(1, 1, 1, 1) }));
    assert_eq!(parsed.attributes.as_path, path(&[64512, 23456])); // RFC 6793 §4.2.3
}

#[test]
fn a_malformed_as4_aggregator_is_discarded() {
    for attribute in [as4_aggregator(0), attribute(0xC0, AttrCode::AS4_AGGREGATOR, &[0; 6])] {
        let parsed = from_old(&[&as_path(&[64512]), &aggregator(23456), &attribute]);
        assert_eq!(parsed.treatment(), Some(Treatment::AttributeDiscard));
        assert_eq!(
            parsed.attributes.aggregator,
            Some(Aggregator { asn: Asn::TRANS, address: Ipv4Addr::new(1, 1, 1, 1) })
        );
    }
}

/// The attributes that we send to an OLD speaker.
fn to_old(attributes: &PathAttributes) -> Vec<u8> {
    let mut out = BytesMut::new();
    let next_hop = IpAddr::V4(Ipv4Addr::new(169, 254, 64, 2)).into();
    assert_eq!(write_reach(&mut out, &old(), attributes, next_hop, &[net("10.0.0.0/8")]), 1);
    out[HEADER + 4..out.len() - TEN.len()].to_vec()
}

#[test]
fn a_neighbor_with_two_octets_gets_as_trans_and_the_whole_path_beside_it() {
    let aggregator = Some(Aggregator { asn: asn(70001), address: Ipv4Addr::new(1, 1, 1, 1) });
    let sent = to_old(&PathAttributes { as_path: path(&[64512, 70000]), aggregator, ..Default::default() });
    let expected = [
        ORIGIN,
        &as_path(&[64512, 23456]),
        NEXT_HOP,
        &[0xC0, 7, 6, 0x5B, 0xA0, 1, 1, 1, 1],
        &as4_path(2, &[64512, 70000]),
        &[0xC0, 18, 8, 0, 1, 0x11, 0x71, 1, 1, 1, 1],
    ];
    assert_eq!(sent, expected.concat());
}

#[test]
fn numbers_that_fit_need_no_as4_attributes() {
    let aggregator = Some(Aggregator { asn: asn(7), address: Ipv4Addr::new(1, 1, 1, 1) });
    let sent = to_old(&PathAttributes { as_path: path(&[64512, 65535]), aggregator, ..Default::default() });
    assert_eq!(sent, [ORIGIN, &as_path(&[64512, 65535]), NEXT_HOP, &[0xC0, 7, 6, 0, 7, 1, 1, 1, 1]].concat());
}
