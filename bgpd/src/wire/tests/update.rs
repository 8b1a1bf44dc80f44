//! UPDATE: where its parts are.

use super::*;

#[test]
fn the_parts_of_an_update_are_located() {
    let attributes = [MP_REACH, MP_UNREACH, ORIGIN, AS_PATH, NEXT_HOP].concat();
    let frame = update_message(&[16, 192, 168, 0], &attributes, &[8, 10, 32, 1, 2, 3, 4]);
    let update = update(&frame, &external());
    assert_eq!(texts(update.withdrawn), ["192.168.0.0/16", "0.0.0.0/0"]);
    assert_eq!(texts(update.nlri), ["10.0.0.0/8", "1.2.3.4/32"]);
    assert_eq!(texts(update.mp_withdrawn.unwrap()), ["2001:db8::/32"]);
    let (next_hop, nlri) = update.mp_nlri.unwrap();
    assert_eq!(next_hop, MpNextHop::from(IpAddr::V6("fd64:64::2".parse().unwrap())));
    assert_eq!(texts(nlri), ["2001:db8::/32"]);
    assert!(!update.ignored_family);
    assert_eq!(update.end_of_rib(), None);
}

#[test]
fn host_bits_are_cleared() {
    let frame = update_message(&[9, 10, 0xFF, 1, 0xFF], &[], &[]);
    assert_eq!(texts(update(&frame, &external()).withdrawn), ["10.128.0.0/9", "128.0.0.0/1"]);
}

#[test]
fn fields_longer_than_the_update_reset_the_session() {
    let broken: [&[u8]; 4] = [&[0, 3, 0, 0], &[0, 1, 0, 0], &[0, 0, 0, 1], &[0xFF, 0xFF, 0, 0]];
    for body in broken {
        assert_eq!(refusal(&message(UPDATE, body), &external()), (3, 1, vec![]), "{body:?}");
    }
}

#[test]
fn broken_nlri_in_the_own_fields_reset_the_session() {
    let broken: [&[u8]; 4] = [&[33, 1, 2, 3, 4, 5], &[255], &[8], &[8, 10, 32, 1, 2, 3]];
    for nlri in broken {
        assert_eq!(refusal(&update_message(nlri, &[], &[]), &external()), (3, 10, vec![]), "withdrawn {nlri:?}");
        let attributes = [ORIGIN, AS_PATH, NEXT_HOP].concat();
        assert_eq!(refusal(&update_message(&[], &attributes, nlri), &external()), (3, 10, vec![]), "{nlri:?}");
        let ipv6 = Context { families: Families::IPV6, ..external() };
        assert_eq!(refusal(&update_message(nlri, &[], &[]), &ipv6), (3, 10, vec![]));
    }
}

#[test]
fn nlri_stand_where_the_attribute_length_says() {
    // The last attribute claims 200 octets; the NLRI behind it are still found (RFC 7606 §4).
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP, &[0xC0, 8, 200, 0]].concat();
    let frame = update_message(&[], &attributes, &[8, 10, 8, 11]);
    assert_eq!(texts(update(&frame, &external()).nlri), ["10.0.0.0/8", "11.0.0.0/8"]);
}

#[test]
fn an_end_of_rib_is_known_for_each_family() {
    for (family, bytes) in [
        (Family::Ipv4, update_message(&[], &[], &[])),
        (Family::Ipv6, update_message(&[], &[0x80, 15, 3, 0, 2, 1], &[])),
        (Family::Ipv6, update_message(&[], &[0x90, 15, 0, 3, 0, 2, 1], &[])),
        (Family::Ipv4, update_message(&[], &[0x80, 15, 3, 0, 1, 1], &[])),
    ] {
        assert_eq!(update(&bytes, &external()).end_of_rib(), Some(family));
    }
}

#[test]
fn what_says_more_is_no_end_of_rib() {
    let mp_unreach = [0x80, 15, 3, 0, 2, 1];
    for frame in [
        update_message(TEN, &[], &[]),
        update_message(TEN, &mp_unreach, &[]),
        update_message(&[], MP_UNREACH, &[]),
        update_message(&[], &[&mp_unreach, ORIGIN].concat(), &[]),
        update_message(&[], ORIGIN, &[]),
        update_message(&[], &[0x80, 15, 3, 0, 1, 128], &[]),
    ] {
        assert_eq!(update(&frame, &external()).end_of_rib(), None, "{frame:?}");
    }
    let ipv6 = Context { families: Families::IPV6, ..external() };
    assert_eq!(update(&update_message(TEN, &[], &[]), &ipv6).end_of_rib(), None);
}

#[test]
fn a_family_that_was_not_negotiated_is_ignored_and_flagged() {
    let ipv4 = Context { families: Families::IPV4, ..external() };
    for mp in [MP_REACH, MP_UNREACH] {
        let frame = announcing(&[mp, ORIGIN, AS_PATH, NEXT_HOP]);
        let update = update(&frame, &ipv4);
        assert!(update.ignored_family && update.mp_nlri.is_none() && update.mp_withdrawn.is_none());
        assert_eq!(texts(update.nlri), ["10.0.0.0/8"]);
        assert_eq!(update.attributes.parse(&ipv4).treatment(), None);
    }
    let ipv6 = Context { families: Families::IPV6, ..external() };
    let frame = update_message(TEN, &[MP_REACH, ORIGIN, AS_PATH, NEXT_HOP].concat(), TEN);
    let update = update(&frame, &ipv6);
    assert!(update.ignored_family && update.nlri.is_empty() && update.withdrawn.is_empty());
    assert!(update.mp_nlri.is_some());
}

#[test]
fn a_family_that_no_speaker_here_carries_is_ignored_with_its_next_hop() {
    let vpnv4 = [&[0x80, 14, 20, 0, 1, 128, 12][..], &[0; 12], &[0, 0, 1, 2]].concat();
    let frame = update_message(&[], &[&vpnv4, ORIGIN, AS_PATH].concat(), &[]);
    let update = update(&frame, &external());
    assert!(update.ignored_family && update.mp_nlri.is_none());
    assert_eq!(update.attributes.parse(&external()).treatment(), None);
}

/// MP_REACH_NLRI with a next hop of so many octets and one prefix.
fn mp_reach(afi: u8, next_hop: &[u8], nlri: &[u8]) -> Vec<u8> {
    let value = [&[0, afi, 1, u8::try_from(next_hop.len()).unwrap()], next_hop, &[0], nlri].concat();
    attribute(0x80, AttrCode::MP_REACH_NLRI, &value)
}

#[test]
fn next_hops_have_the_lengths_of_their_family() {
    let global = "fd64:64::2".parse::<std::net::Ipv6Addr>().unwrap();
    let link_local = "fe80::1".parse::<std::net::Ipv6Addr>().unwrap();
    let both = [global.octets(), link_local.octets()].concat();
    let two_globals = [global.octets(), global.octets()].concat();
    let only = MpNextHop { address: IpAddr::V6(global), link_local: None };
    let table: [(u8, &[u8], MpNextHop); 6] = [
        (1, &[10, 0, 0, 1], IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)).into()),
        (1, &global.octets(), only), // RFC 8950 §3
        (1, &both, MpNextHop { link_local: Some(link_local), ..only }),
        (2, &global.octets(), only),
        (2, &both, MpNextHop { link_local: Some(link_local), ..only }), // RFC 2545 §3
        (2, &two_globals, only),
    ];
    for (afi, octets, next_hop) in table {
        let frame = update_message(&[], &[&mp_reach(afi, octets, &[8, 10]), ORIGIN, AS_PATH].concat(), &[]);
        assert_eq!(update(&frame, &external()).mp_nlri.unwrap().0, next_hop, "{afi} {octets:?}");
    }
}

#[test]
fn a_next_hop_of_any_other_length_resets_the_session_with_the_attribute() {
    for afi in [1, 2] {
        for length in (0..=40).filter(|length| ![16, 32].contains(length) && (afi, *length) != (1, 4)) {
            let attribute = mp_reach(afi, &vec![1; length], &[8, 10]);
            let frame = update_message(&[], &[&attribute, ORIGIN, AS_PATH].concat(), &[]);
            assert_eq!(refusal(&frame, &external()), (3, 9, attribute), "{afi} {length}"); // RFC 7606 §7.11
        }
    }
}

#[test]
fn an_mp_attribute_too_short_for_itself_resets_the_session() {
    let reach = &MP_REACH[3..MP_REACH.len() - 5];
    for end in 0..reach.len() {
        let attribute = attribute(0x80, AttrCode::MP_REACH_NLRI, &reach[..end]);
        assert_eq!(refusal(&update_message(&[], &attribute, &[]), &external()), (3, 9, attribute), "{end}");
    }
    for end in 0..3 {
        let attribute = attribute(0x80, AttrCode::MP_UNREACH_NLRI, &MP_UNREACH[3..3 + end]);
        assert_eq!(refusal(&update_message(&[], &attribute, &[]), &external()), (3, 9, attribute), "{end}");
    }
}

#[test]
fn broken_nlri_in_an_mp_attribute_reset_the_session() {
    let broken: [(u8, &[u8]); 4] = [(2, &[129]), (2, &[32, 1, 2, 3]), (1, &[33, 1, 2, 3, 4, 5]), (1, &[8, 10, 8])];
    for (afi, nlri) in broken {
        let reach = mp_reach(afi, &[1; 16], nlri);
        assert_eq!(refusal(&update_message(&[], &reach, &[]), &external()), (3, 9, reach), "{afi} {nlri:?}");
        let unreach = attribute(0x80, AttrCode::MP_UNREACH_NLRI, &[&[0, afi, 1], nlri].concat());
        assert_eq!(refusal(&update_message(&[], &unreach, &[]), &external()), (3, 9, unreach), "{afi} {nlri:?}");
    }
}

#[test]
fn an_mp_attribute_that_comes_twice_resets_the_session() {
    for mp in [MP_REACH, MP_UNREACH] {
        let frame = announcing(&[mp, ORIGIN, mp, AS_PATH, NEXT_HOP]);
        assert_eq!(refusal(&frame, &external()), (3, 1, vec![])); // RFC 7606 §3(g)
    }
}

#[test]
fn mp_attributes_may_stand_anywhere() {
    let frame = announcing(&[ORIGIN, MP_UNREACH, AS_PATH, NEXT_HOP, MP_REACH]);
    let update = update(&frame, &external());
    assert!(update.mp_nlri.is_some() && update.mp_withdrawn.is_some());
    assert_eq!(update.attributes.parse(&external()).treatment(), None);
}

fn key(frame: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    update(frame, &external()).attributes.key(&mut key);
    key
}

#[test]
fn equal_attributes_have_equal_keys_whatever_they_announce() {
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP].concat();
    assert_eq!(key(&update_message(&[], &attributes, TEN)), key(&update_message(TEN, &attributes, &[8, 11, 8, 12])));
    let other = mp_reach(2, &[1; 16], &[64, 1, 2, 3, 4, 5, 6, 7, 8]);
    let first = update_message(&[], &[MP_REACH, ORIGIN, AS_PATH].concat(), &[]);
    let second = update_message(&[], &[ORIGIN, &other[..], AS_PATH].concat(), &[]);
    assert_eq!(key(&first), key(&second));
}

#[test]
fn what_parses_otherwise_has_another_key() {
    let keys = [
        announcing(&[ORIGIN, AS_PATH]),
        announcing(&[ORIGIN, AS_PATH, NEXT_HOP]),
        announcing(&[MP_REACH, ORIGIN, AS_PATH]),
        update_message(&[], &[ORIGIN, AS_PATH].concat(), &[]),
        update_message(&[], &[MP_REACH, ORIGIN, AS_PATH].concat(), &[]),
        update_message(&[], &[&[0xC0], &MP_REACH[1..], ORIGIN, AS_PATH].concat(), &[]),
        update_message(&[], &[MP_REACH, ORIGIN, AS_PATH, &[0x40]].concat(), &[]),
    ]
    .map(|frame| key(&frame));
    for (position, first) in keys.iter().enumerate() {
        assert!(keys[..position].iter().all(|second| second != first), "{position}");
    }
}
