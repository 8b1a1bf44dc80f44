//! Path attributes and their RFC 7606 treatments.

use Treatment::{AttributeDiscard, SessionReset, TreatAsWithdraw};

use super::*;
use crate::types::{Community, ExtendedCommunity, LargeCommunity};

/// What is there beside the attribute in question: all that is mandatory, and not itself.
fn with(attribute: &[u8], context: &Context) -> Vec<u8> {
    let local_pref: &[u8] = if context.internal { LOCAL_PREF } else { &[] };
    let as_path = if context.four_octet_as { AS_PATH } else { &[0x40, 2, 4, 2, 1, 0xFC, 0] };
    let others = [ORIGIN, as_path, NEXT_HOP, local_pref].into_iter().filter(|other| other.get(1) != attribute.get(1));
    [&[attribute][..], &others.collect::<Vec<_>>()].concat().concat()
}

/// The errors of an UPDATE that announces something with this attribute.
fn errors(attribute: &[u8], context: &Context) -> (Vec<AttrFault>, Option<Treatment>) {
    let parsed = parse(&update_message(&[], &with(attribute, context), TEN), context);
    (parsed.errors.iter().map(|error| error.fault).collect(), parsed.treatment())
}

/// What one attribute comes to where it is right.
fn read(attribute: &[u8], context: &Context) -> PathAttributes {
    let parsed = parse(&update_message(&[], &with(attribute, context), TEN), context);
    assert_eq!(parsed.errors, []);
    parsed.attributes
}

/// RFC and clause, neighbor, attribute, what is wrong with it, what follows, and the subcode where nothing is announced.
type Row = (&'static str, Context, &'static [u8], AttrFault, Treatment, u8);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    use AttrFault::{AsSet, Confederation, Origin, SegmentLength, SegmentType, UnknownWellKnown, ZeroAsn};
    let length = |found| AttrFault::Length { found };
    vec![
        ("7606 7.1",  external(), &[0x40, 1, 2, 0, 0],                                 length(2),                TreatAsWithdraw,  5),
        ("7606 7.1",  external(), &[0x40, 1, 0],                                       length(0),                TreatAsWithdraw,  5),
        ("7606 7.1",  external(), &[0x40, 1, 1, 3],                                    Origin { found: 3 },      TreatAsWithdraw,  6),
        ("7606 7.2",  external(), &[0x40, 2, 6, 0, 1, 0, 0, 0xFC, 0],                  SegmentType { found: 0 }, TreatAsWithdraw,  11),
        ("7606 7.2",  external(), &[0x40, 2, 6, 5, 1, 0, 0, 0xFC, 0],                  SegmentType { found: 5 }, TreatAsWithdraw,  11),
        ("7606 7.2",  external(), &[0x40, 2, 6, 2, 2, 0, 0, 0xFC, 0],                  SegmentLength,            TreatAsWithdraw,  11),
        ("7606 7.2",  external(), &[0x40, 2, 7, 2, 1, 0, 0, 0xFC, 0, 2],               SegmentLength,            TreatAsWithdraw,  11),
        ("7606 7.2",  external(), &[0x40, 2, 2, 2, 0],                                 SegmentLength,            TreatAsWithdraw,  11),
        ("9774 3",    external(), &[0x40, 2, 12, 2, 1, 0, 0, 0xFC, 0, 1, 1, 0, 0, 0, 7], AsSet,                  TreatAsWithdraw,  11),
        ("9774 3",    external(), &[0x40, 2, 6, 4, 1, 0, 0, 0xFC, 0],                  AsSet,                    TreatAsWithdraw,  11),
        ("5065 5",    external(), &[0x40, 2, 6, 3, 1, 0, 0, 0xFC, 0],                  Confederation,            TreatAsWithdraw,  11),
        ("7607 2",    internal(), &[0x40, 2, 6, 2, 1, 0, 0, 0, 0],                     ZeroAsn,                  TreatAsWithdraw,  11),
        ("7606 7.3",  external(), &[0x40, 3, 5, 1, 2, 3, 4, 5],                        length(5),                TreatAsWithdraw,  5),
        ("7606 7.4",  external(), &[0x80, 4, 3, 0, 0, 1],                              length(3),                TreatAsWithdraw,  5),
        ("7606 7.5",  internal(), &[0x40, 5, 5, 0, 0, 0, 0, 1],                        length(5),                TreatAsWithdraw,  5),
        ("7606 7.6",  external(), &[0x40, 6, 1, 0],                                    length(1),                AttributeDiscard, 0),
        ("7606 7.7",  external(), &[0xC0, 7, 6, 0xFC, 0, 1, 2, 3, 4],                  length(6),                AttributeDiscard, 0),
        ("7606 7.7",  old(),      &[0xC0, 7, 8, 0, 0, 0xFC, 0, 1, 2, 3, 4],            length(8),                AttributeDiscard, 0),
        ("7607 2",    external(), &[0xC0, 7, 8, 0, 0, 0, 0, 1, 2, 3, 4],               ZeroAsn,                  AttributeDiscard, 0),
        ("7606 7.8",  external(), &[0xC0, 8, 6, 0, 0, 0, 1, 0, 0],                     length(6),                TreatAsWithdraw,  5),
        ("7606 7.8",  external(), &[0xC0, 8, 0],                                       length(0),                TreatAsWithdraw,  5),
        ("7606 7.9",  internal(), &[0x80, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8],               length(8),                TreatAsWithdraw,  5),
        ("7606 7.10", internal(), &[0x80, 10, 6, 1, 2, 3, 4, 5, 6],                    length(6),                TreatAsWithdraw,  5),
        ("7606 7.10", internal(), &[0x80, 10, 0],                                      length(0),                TreatAsWithdraw,  5),
        ("7606 7.14", external(), &[0xC0, 16, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1],           length(9),                TreatAsWithdraw,  5),
        ("7606 7.14", external(), &[0xC0, 16, 0],                                      length(0),                TreatAsWithdraw,  5),
        ("8092 6",    external(), &[0xC0, 32, 8, 0, 0, 0, 1, 0, 0, 0, 1],              length(8),                TreatAsWithdraw,  5),
        ("8092 6",    external(), &[0xC0, 32, 0],                                      length(0),                TreatAsWithdraw,  5),
        ("9234 5",    external(), &[0xC0, 35, 3, 0, 0xFC, 0],                          length(3),                TreatAsWithdraw,  5),
        ("9234 5",    internal(), &[0xC0, 35, 8, 0, 0, 0xFC, 0, 0, 0, 0xFC, 1],        length(8),                TreatAsWithdraw,  5),
        ("4271 6.3",  external(), &[0x40, 99, 2, 1, 2],                                UnknownWellKnown,         SessionReset,     2),
        ("4271 6.3",  external(), &[0x00, 11, 0],                                      UnknownWellKnown,         SessionReset,     2),
    ]
}

#[test]
fn every_row_of_rfc_7606_section_7_has_its_treatment() {
    for (clause, context, attribute, fault, treatment, _) in rows() {
        assert_eq!(errors(attribute, &context), (vec![fault], Some(treatment)), "RFC {clause}: {attribute:?}");
    }
}

#[test]
fn without_anything_announced_all_but_discard_resets_with_the_data_of_its_subcode() {
    for (clause, context, attribute, fault, treatment, subcode) in rows() {
        let parsed = parse(&update_message(TEN, attribute, &[]), &context);
        assert_eq!(
            parsed.errors.iter().map(|error| error.fault).collect::<Vec<_>>(),
            [fault],
            "RFC {clause}: {attribute:?}"
        );
        let reset = parsed.reset().map(|error| answer(&error));
        if treatment == AttributeDiscard {
            assert_eq!((parsed.treatment(), reset), (Some(AttributeDiscard), None), "RFC {clause}: {attribute:?}");
        } else {
            // RFC 4271 §6.3: the attribute, but for a malformed AS_PATH.
            let data = if subcode == 11 { Vec::new() } else { attribute.to_vec() };
            let expected = (Some(SessionReset), Some((3, subcode, data))); // RFC 7606 §5.2
            assert_eq!((parsed.treatment(), reset), expected, "RFC {clause}: {attribute:?}");
        }
    }
}

#[test]
fn an_unknown_well_known_attribute_resets_whatever_is_announced() {
    let unknown = attribute(0x40, AttrCode(99), &[1, 2]);
    assert_eq!(attribute_refusal(&announcing(&[ORIGIN, AS_PATH, NEXT_HOP, &unknown]), &external()), (3, 2, unknown));
}

#[test]
fn a_withdrawal_without_fault_needs_no_mandatory_attribute() {
    for frame in [update_message(TEN, &[], &[]), update_message(&[], MP_UNREACH, &[]), update_message(TEN, ORIGIN, &[])]
    {
        assert_eq!(parse(&frame, &internal()).treatment(), None);
    }
}

#[test]
fn wrong_flags_make_the_update_a_withdrawal() {
    let attributes = [
        ORIGIN,
        AS_PATH,
        NEXT_HOP,
        LOCAL_PREF,
        MP_REACH,
        MP_UNREACH,
        &[0x80, 4, 4, 0, 0, 0, 1],
        &[0x40, 6, 0],
        &[0xC0, 7, 8, 0, 0, 0xFC, 0, 1, 2, 3, 4],
        &[0xC0, 8, 4, 0, 0, 0, 1],
        &[0x80, 9, 4, 1, 2, 3, 4],
        &[0x80, 10, 4, 1, 2, 3, 4],
        &[0xC0, 16, 8, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xC0, 32, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    for original in attributes {
        for bit in [0x80, 0x40] {
            let mut wrong = original.to_vec();
            wrong[0] ^= bit;
            let found = AttrFault::Flags { found: wrong[0] };
            assert_eq!(errors(&wrong, &internal()), (vec![found], Some(TreatAsWithdraw)), "{wrong:?}"); // RFC 7606 §3(c)
            if !AttrCode(wrong[1]).eq(&AttrCode::MP_REACH_NLRI) {
                assert_eq!(attribute_refusal(&update_message(TEN, &wrong, &[]), &internal()), (3, 4, wrong));
            }
        }
        for bit in [0x20, 0x01, 0x0F] {
            let mut partial = original.to_vec();
            partial[0] |= bit;
            assert_eq!(errors(&partial, &internal()), (vec![], None), "{partial:?}");
        }
    }
}

#[test]
fn a_missing_mandatory_attribute_makes_the_update_a_withdrawal() {
    let all = [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF];
    for (position, code) in
        [AttrCode::ORIGIN, AttrCode::AS_PATH, AttrCode::NEXT_HOP, AttrCode::LOCAL_PREF].into_iter().enumerate()
    {
        let mut rest = all.to_vec();
        rest.remove(position);
        let parsed = parse(&announcing(&rest), &internal());
        assert_eq!(parsed.errors, [AttrError { code, fault: AttrFault::Missing, attribute: vec![] }]);
        assert_eq!(parsed.treatment(), Some(TreatAsWithdraw)); // RFC 7606 §3(d)
    }
}

#[test]
fn a_malformed_mandatory_attribute_is_not_also_missing() {
    let frame = announcing(&[&[0x40, 1, 1, 9], AS_PATH, NEXT_HOP]);
    assert_eq!(parse(&frame, &external()).errors.len(), 1);
}

#[test]
fn next_hop_is_mandatory_for_the_own_field_alone() {
    let frame = update_message(&[], &[MP_REACH, ORIGIN, AS_PATH].concat(), &[]);
    assert_eq!(parse(&frame, &external()).errors, []);
    let frame = announcing(&[MP_REACH, ORIGIN, AS_PATH]);
    assert_eq!(parse(&frame, &external()).treatment(), Some(TreatAsWithdraw));
}

#[test]
fn local_pref_originator_id_and_cluster_list_mean_nothing_from_an_external_neighbor() {
    let shapes: [&[u8]; 7] = [
        LOCAL_PREF,
        &[0x40, 5, 1, 0],
        &[0xC0, 5, 4, 0, 0, 0, 1],
        &[0x80, 9, 4, 1, 2, 3, 4],
        &[0x80, 9, 0],
        &[0x80, 10, 4, 1, 2, 3, 4],
        &[0x80, 10, 5, 1, 2, 3, 4, 5],
    ];
    for attribute in shapes {
        let read = read(attribute, &external());
        assert_eq!((read.local_pref, read.originator_id, read.cluster_list), (None, None, vec![])); // RFC 7606 §7.5, 7.9, 7.10
    }
}

#[test]
fn from_an_internal_neighbor_they_are_read() {
    let frame = announcing(&[
        ORIGIN,
        AS_PATH,
        NEXT_HOP,
        LOCAL_PREF,
        &[0x80, 9, 4, 1, 2, 3, 4],
        &[0x80, 10, 8, 1, 1, 1, 1, 2, 2, 2, 2],
    ]);
    let parsed = parse(&frame, &internal());
    assert_eq!(parsed.errors, []);
    assert_eq!(parsed.attributes.local_pref, Some(100));
    assert_eq!(parsed.attributes.originator_id, Some(Ipv4Addr::new(1, 2, 3, 4)));
    assert_eq!(parsed.attributes.cluster_list, [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(2, 2, 2, 2)]);
}

#[test]
fn the_first_of_a_repeated_attribute_counts() {
    let frame = announcing(&[
        ORIGIN,
        AS_PATH,
        NEXT_HOP,
        &[0x80, 4, 4, 0, 0, 0, 1],
        &[0x80, 4, 4, 0, 0, 0, 2],
        &[0x40, 1, 1, 9],
    ]);
    let parsed = parse(&frame, &external());
    assert_eq!(parsed.attributes.med, Some(1));
    assert_eq!(parsed.attributes.origin, Origin::Igp);
    assert!(parsed.errors.iter().all(|error| error.fault == AttrFault::Repeated));
    assert_eq!(parsed.treatment(), Some(AttributeDiscard)); // RFC 7606 §3(g)
}

#[test]
fn a_repeated_unknown_attribute_counts_once_too() {
    let unknown = attribute(0xC0, AttrCode(99), &[1]);
    let parsed = parse(&announcing(&[ORIGIN, AS_PATH, NEXT_HOP, &unknown, &unknown]), &external());
    assert_eq!(parsed.attributes.unknown.len(), 1);
    assert_eq!(parsed.treatment(), Some(AttributeDiscard));
}

#[test]
fn the_strongest_of_several_treatments_wins() {
    let discard = attribute(0x40, AttrCode::ATOMIC_AGGREGATE, &[0]);
    let withdraw = attribute(0x80, AttrCode::MULTI_EXIT_DISC, &[0]);
    let reset = attribute(0x40, AttrCode(99), &[]);
    let treatment =
        |extra: &[&[u8]]| parse(&announcing(&[&[ORIGIN, AS_PATH, NEXT_HOP], extra].concat()), &external()).treatment();
    assert_eq!(treatment(&[]), None);
    assert_eq!(treatment(&[&discard]), Some(AttributeDiscard));
    assert_eq!(treatment(&[&discard, &withdraw]), Some(TreatAsWithdraw));
    assert_eq!(treatment(&[&withdraw, &reset, &discard]), Some(SessionReset)); // RFC 7606 §3(h)
}

#[test]
fn an_attribute_that_overruns_makes_the_update_a_withdrawal() {
    let overruns: [&[u8]; 5] = [&[0xC0], &[0xC0, 8], &[0xC0, 8, 1], &[0xD0, 8, 0], &[0xD0, 8, 1, 0, 0, 0, 0, 1]];
    for overrun in overruns {
        let parsed = parse(&announcing(&[ORIGIN, AS_PATH, NEXT_HOP, overrun]), &external());
        assert_eq!(parsed.errors.len(), 1, "{overrun:?}");
        assert_eq!(parsed.errors[0].fault, AttrFault::Overrun);
        assert_eq!(parsed.treatment(), Some(TreatAsWithdraw)); // RFC 7606 §4
        assert_eq!(attribute_refusal(&update_message(TEN, overrun, &[]), &external()), (3, 1, vec![]));
    }
}

#[test]
fn a_path_that_does_not_begin_with_the_neighbor_is_a_withdrawal_where_asked() {
    let lax = Context { enforce_first_asn: false, ..external() };
    let foreign = attribute(0x40, AttrCode::AS_PATH, &[2, 2, 0, 0, 0, 7, 0, 0, 0xFC, 0]);
    assert_eq!(
        errors(&foreign, &external()),
        (vec![AttrFault::FirstAsn { found: Some(asn(7)) }], Some(TreatAsWithdraw))
    );
    assert_eq!(read(&foreign, &lax).as_path, path(&[7, 64512]));
    assert_eq!(read(&foreign, &internal()).as_path, path(&[7, 64512]));

    let empty = attribute(0x40, AttrCode::AS_PATH, &[]);
    assert_eq!(errors(&empty, &external()), (vec![AttrFault::FirstAsn { found: None }], Some(TreatAsWithdraw)));
    assert_eq!(read(&empty, &lax).as_path, AsPath::default());
    assert_eq!(read(&empty, &internal()).as_path, AsPath::default());
}

#[test]
fn optional_attributes_of_unknown_meaning_are_kept_if_transitive() {
    let parsed = parse(
        &announcing(&[ORIGIN, AS_PATH, NEXT_HOP, &[0xC0, 99, 2, 1, 2], &[0xC0, 36, 0], &[0x80, 26, 3, 1, 2, 3]]),
        &external(),
    );
    assert_eq!(parsed.errors, []);
    let kept = [UnknownAttribute { code: 36, value: vec![] }, UnknownAttribute { code: 99, value: vec![1, 2] }];
    assert_eq!(parsed.attributes.unknown, kept);
}

#[test]
fn lists_are_sorted_without_repetition() {
    let communities =
        read(&attribute(0xC0, AttrCode::COMMUNITIES, &[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]), &external()).communities;
    assert_eq!(communities, [Community(1), Community(2)]);
    let extended = [[0_u8, 0, 0, 0, 0, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let extended = read(&attribute(0xC0, AttrCode::EXTENDED_COMMUNITIES, &extended), &external()).extended_communities;
    assert_eq!(extended, [ExtendedCommunity(1), ExtendedCommunity(2)]);
    let large = [[2_u8, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]].concat();
    let large = read(&attribute(0xC0, AttrCode::LARGE_COMMUNITY, &large), &external()).large_communities;
    let community = |global, local1, local2| LargeCommunity { global, local1, local2 };
    assert_eq!(large, [community(1, 2, 3), community(0x0200_0000, 0x0200_0000, 0x0200_0000)]);
}

#[test]
fn the_extended_length_bit_is_accepted_for_any_length() {
    let long = [&[0xD0, 8, 0, 4][..], &[0, 0, 0, 1]].concat();
    assert_eq!(read(&long, &external()).communities, [Community(1)]);
}

#[test]
fn errors_are_told_in_one_line() {
    let parsed = parse(&announcing(&[&[0x40, 1, 1, 7], NEXT_HOP, &[0xC0, 8, 9]]), &external());
    let lines: Vec<String> = parsed.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        ["ORIGIN is 7, allowed are 0, 1 and 2", "COMMUNITIES is longer than the attributes", "AS_PATH is missing"]
    );
}
