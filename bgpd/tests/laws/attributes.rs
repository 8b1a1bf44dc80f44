//! RFC 7606 §7: every attribute's own error handling.

use crate::frame::Then::{Discarded, Reset, Told};
use crate::frame::{AS_PATH, DISCARDED, LOCAL_PREF, NEXT_HOP, NLRI, ORIGIN, PASSED_ON, Session, WITHDRAWN, check};
use crate::octets::update;

/// 10.1.0.0/16 is announced again, with one more attribute.
fn with(attribute: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, NEXT_HOP, attribute], NLRI)
}

/// The same, from an internal neighbor.
fn internal_with(attribute: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, attribute], NLRI)
}

#[test]
fn a_malformed_origin_withdraws() {
    let origin = |attribute| update("", &[attribute, AS_PATH, NEXT_HOP], NLRI);
    check(
        Session::External,
        [
            ("IGP is one", origin("40 01 01 00"), Told(&[])), // as before
            ("EGP is one", origin("40 01 01 01"), Told(&["10.1.0.0/16 via 10.0.0.1 egp [64512 64513]"])),
            ("INCOMPLETE is one", origin("40 01 01 02"), Told(PASSED_ON)),
            ("there is no 3", origin("40 01 01 03"), WITHDRAWN),
            ("there is no 255", origin("40 01 01 FF"), WITHDRAWN),
            ("no octet", origin("40 01 00"), WITHDRAWN),
            ("two octets", origin("40 01 02 0000"), WITHDRAWN),
        ],
    );
}

#[test]
fn a_malformed_as_path_withdraws() {
    let as_path = |attribute| update("", &[ORIGIN, attribute, NEXT_HOP], NLRI);
    check(
        Session::External,
        [
            (
                "two segments",
                as_path("40 02 0C 02 01 0000FC01 02 01 0000FDE9"),
                Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513 65001]"]),
            ),
            ("a segment of type 0", as_path("40 02 06 00 01 0000FC01"), WITHDRAWN),
            ("a segment of type 5", as_path("40 02 06 05 01 0000FC01"), WITHDRAWN),
            ("a segment longer than the attribute", as_path("40 02 06 02 02 0000FC01"), WITHDRAWN),
            ("half a number left", as_path("40 02 08 02 01 0000FC01 FC02"), WITHDRAWN),
            ("one octet left", as_path("40 02 07 02 01 0000FC01 02"), WITHDRAWN),
            ("a segment of no numbers", as_path("40 02 02 02 00"), WITHDRAWN),
            ("a segment of no numbers behind a good one", as_path("40 02 08 02 01 0000FC01 02 00"), WITHDRAWN),
            ("no segment: not the neighbor's AS first", as_path("40 02 00"), WITHDRAWN),
        ],
    );
}

#[test]
fn a_malformed_next_hop_withdraws() {
    let next_hop = |attribute| update("", &[ORIGIN, AS_PATH, attribute], NLRI);
    check(
        Session::External,
        [
            ("four octets", next_hop(NEXT_HOP), Told(PASSED_ON)),
            ("no octet", next_hop("40 03 00"), WITHDRAWN),
            ("three octets", next_hop("40 03 03 0A0000"), WITHDRAWN),
            ("five octets", next_hop("40 03 05 0A00000B 00"), WITHDRAWN),
            ("an IPv6 address", next_hop("40 03 10 FD000000000000000000000000000011"), WITHDRAWN),
        ],
    );
}

#[test]
fn a_malformed_med_withdraws() {
    check(
        Session::External,
        [
            ("four octets, and not carried into a third AS", with("80 04 04 00000007"), Told(PASSED_ON)),
            ("no octet", with("80 04 00"), WITHDRAWN),
            ("three octets", with("80 04 03 000007"), WITHDRAWN),
            ("five octets", with("80 04 05 0000000007"), WITHDRAWN),
        ],
    );
}

#[test]
fn local_pref_is_dropped_from_outside_and_withdraws_inside() {
    check(
        Session::External,
        [
            ("four octets", with("40 05 04 000000C8"), Told(PASSED_ON)),
            ("malformed, but dropped before it is looked at", with("40 05 03 0000C8"), Told(PASSED_ON)),
        ],
    );
    let local_pref = |attribute| update("", &[ORIGIN, AS_PATH, NEXT_HOP, attribute], NLRI);
    check(
        Session::Internal,
        [
            ("four octets", local_pref(LOCAL_PREF), Told(PASSED_ON)),
            ("no octet", local_pref("40 05 00"), WITHDRAWN),
            ("three octets", local_pref("40 05 03 0000C8"), WITHDRAWN),
            ("five octets", local_pref("40 05 05 00000000C8"), WITHDRAWN),
        ],
    );
}

#[test]
fn a_malformed_atomic_aggregate_is_dropped() {
    let aggregate = Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] atomic yes"]);
    check(
        Session::External,
        [("no octet", with("40 06 00"), aggregate), ("one octet", with("40 06 01 00"), DISCARDED)],
    );
}

#[test]
fn a_malformed_aggregator_is_dropped() {
    let aggregated = Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] aggregator 64513 10.9.9.9"]);
    check(
        Session::External,
        [
            ("eight octets", with("C0 07 08 0000FC01 0A090909"), aggregated),
            ("six octets where AS numbers have four", with("C0 07 06 FC01 0A090909"), DISCARDED),
            ("no octet", with("C0 07 00"), DISCARDED),
            ("nine octets", with("C0 07 09 0000FC01 0A090909 00"), DISCARDED),
            ("AS 0 (RFC 7607 §2)", with("C0 07 08 00000000 0A090909"), DISCARDED),
        ],
    );
    let old = |attribute| update("", &[ORIGIN, "40 02 04 02 01 FC01", NEXT_HOP, attribute], NLRI);
    check(
        Session::Old,
        [
            ("six octets", old("C0 07 06 FC01 0A090909"), aggregated),
            ("AS 0 in two octets (RFC 7607 §2)", old("C0 07 06 0000 0A090909"), DISCARDED),
            ("eight octets where AS numbers have two", old("C0 07 08 0000FC01 0A090909"), DISCARDED),
        ],
    );
}

#[test]
fn malformed_communities_withdraw() {
    let communities = Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] communities 64513:1,64513:2"]);
    check(
        Session::External,
        [
            ("two", with("C0 08 08 FC010001 FC010002"), communities),
            ("none", with("C0 08 00"), WITHDRAWN),
            ("one and a half", with("C0 08 06 FC010001 FC01"), WITHDRAWN),
        ],
    );
}

#[test]
fn originator_id_is_dropped_from_outside_and_withdraws_inside() {
    check(
        Session::External,
        [
            ("four octets", with("80 09 04 0A090909"), Told(PASSED_ON)),
            ("malformed, but dropped before it is looked at", with("80 09 03 0A0909"), Told(PASSED_ON)),
        ],
    );
    check(
        Session::Internal,
        [
            ("four octets", internal_with("80 09 04 0A090909"), Told(PASSED_ON)),
            ("no octet", internal_with("80 09 00"), WITHDRAWN),
            ("three octets", internal_with("80 09 03 0A0909"), WITHDRAWN),
            ("five octets", internal_with("80 09 05 0A09090909"), WITHDRAWN),
        ],
    );
}

#[test]
fn cluster_list_is_dropped_from_outside_and_withdraws_inside() {
    check(
        Session::External,
        [
            ("one", with("80 0A 04 0A090909"), Told(PASSED_ON)),
            ("malformed, but dropped before it is looked at", with("80 0A 03 0A0909"), Told(PASSED_ON)),
        ],
    );
    check(
        Session::Internal,
        [
            ("two", internal_with("80 0A 08 0A090909 0A090908"), Told(PASSED_ON)),
            ("none", internal_with("80 0A 00"), WITHDRAWN),
            ("one and a half", internal_with("80 0A 06 0A090909 0A09"), WITHDRAWN),
        ],
    );
}

/// MP_REACH_NLRI alone.
fn mp_reach(value: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, value], "")
}

#[test]
fn a_malformed_mp_reach_nlri_ends_the_session() {
    // AFI, SAFI, next hop, reserved, fd00:1::/32
    const GOOD: &str = "80 0E 1A 0002 01 10 FD000000000000000000000000000011 00 20 FD000001";
    let told = Told(&["fd00:1::/32 via fd00::1 incomplete [64512 64513]"]);
    let both = "80 0E 2A 0002 01 20 FD000000000000000000000000000011 FE800000000000000000000000000011 00 20 FD000001";
    check(
        Session::External,
        [
            ("a global next hop", mp_reach(GOOD), told),
            ("a global and a link-local one", mp_reach(both), told),
            ("no octet", mp_reach("80 0E 00"), Reset(3, 9, "80 0E 00")),
            ("three octets", mp_reach("80 0E 03 0002 01"), Reset(3, 9, "80 0E 03 0002 01")),
            ("no next hop", mp_reach("80 0E 05 0002 01 00 00"), Reset(3, 9, "80 0E 05 0002 01 00 00")),
            ("a next hop, and no more", mp_reach(NO_RESERVED), Reset(3, 9, NO_RESERVED)),
            ("a next hop of 15 octets", mp_reach(NEXT_HOP_15), Reset(3, 9, NEXT_HOP_15)),
            ("a next hop of 24 octets", mp_reach(NEXT_HOP_24), Reset(3, 9, NEXT_HOP_24)),
            ("a next hop longer than the attribute", mp_reach(NEXT_HOP_BEYOND), Reset(3, 9, NEXT_HOP_BEYOND)),
            ("an IPv4 next hop for IPv6", mp_reach(NEXT_HOP_4), Reset(3, 9, NEXT_HOP_4)),
            ("a prefix of 129 bits", mp_reach(PREFIX_129), Reset(3, 9, PREFIX_129)),
            ("a prefix that ends behind the attribute", mp_reach(PREFIX_CUT), Reset(3, 9, PREFIX_CUT)),
        ],
    );
}

const NO_RESERVED: &str = "80 0E 14 0002 01 10 FD000000000000000000000000000011";
const NEXT_HOP_15: &str = "80 0E 19 0002 01 0F FD0000000000000000000000000000 00 20 FD000001";
const NEXT_HOP_24: &str = "80 0E 22 0002 01 18 FD000000000000000000000000000011 FE80000000000000 00 20 FD000001";
const NEXT_HOP_BEYOND: &str = "80 0E 09 0002 01 10 FD00000000";
const NEXT_HOP_4: &str = "80 0E 0E 0002 01 04 0A00000B 00 20 FD000001";
const PREFIX_129: &str =
    "80 0E 27 0002 01 10 FD000000000000000000000000000011 00 81 FD000001000000000000000000000000 80";
const PREFIX_CUT: &str = "80 0E 19 0002 01 10 FD000000000000000000000000000011 00 20 FD0000";

#[test]
fn a_malformed_mp_unreach_nlri_ends_the_session() {
    let alone = |attribute| update("", &[attribute], "");
    check(
        Session::External,
        [
            ("one prefix", alone("80 0F 08 0002 01 20 FD000001"), Told(&["withdraw fd00:1::/32"])),
            ("no octet", alone("80 0F 00"), Reset(3, 9, "80 0F 00")),
            ("two octets", alone("80 0F 02 0002"), Reset(3, 9, "80 0F 02 0002")),
            ("a prefix of 129 bits", alone("80 0F 05 0002 01 81 FD"), Reset(3, 9, "80 0F 05 0002 01 81 FD")),
            (
                "a prefix that ends behind it",
                alone("80 0F 06 0002 01 20 FD00"),
                Reset(3, 9, "80 0F 06 0002 01 20 FD00"),
            ),
        ],
    );
}

#[test]
fn malformed_extended_communities_withdraw() {
    check(
        Session::External,
        [
            ("one, of any type (§7.14)", with("C0 10 08 3F0000000000002A"), Told(PASSED_ON)),
            ("none", with("C0 10 00"), WITHDRAWN),
            ("one and a half", with("C0 10 0C 0002FC0100000001 0002FC01"), WITHDRAWN),
        ],
    );
}

#[test]
fn malformed_large_communities_withdraw() {
    let large = Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] large 64513:1:2"]);
    check(
        Session::External,
        [
            ("one", with("C0 20 0C 0000FC01 00000001 00000002"), large),
            ("none (RFC 8092 §6)", with("C0 20 00"), WITHDRAWN),
            ("one and a half (RFC 8092 §6)", with("C0 20 10 0000FC01 00000001 00000002 0000FC01"), WITHDRAWN),
        ],
    );
}

/// RFC 7606 §7.13, §7.15 and §7.16 are about attributes that this speaker does not read.
#[test]
fn attributes_that_are_not_read_here_are_no_error_whatever_is_in_them() {
    let ipv6_communities = Told(&[
        "10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] unknown [UnknownAttribute { code: 25, value: [1] }]",
    ]);
    let attr_set = Told(&[
        "10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] unknown [UnknownAttribute { code: 128, value: [2] }]",
    ]);
    check(
        Session::External,
        [
            ("Traffic Engineering (§7.13), not transitive", with("80 18 01 00"), Told(PASSED_ON)),
            ("IPv6 extended communities (§7.15)", with("C0 19 01 01"), ipv6_communities),
            ("ATTR_SET (§7.16)", with("C0 80 01 02"), attr_set),
        ],
    );
}

/// RFC 6793 §6: between speakers with four-octet numbers both mean nothing; from an OLD one they are dropped.
#[test]
fn malformed_as4_path_and_as4_aggregator_are_dropped() {
    let old = |attribute| update("", &[ORIGIN, "40 02 06 02 02 FC01 5BA0", NEXT_HOP, attribute], NLRI);
    let kept = Discarded(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513 23456]"]);
    check(
        Session::Old,
        [
            (
                "AS4_PATH",
                old("C0 11 06 02 01 00010000"),
                Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513 65536]"]),
            ),
            ("AS4_PATH of no octet", old("C0 11 00"), kept),
            ("AS4_PATH with a segment beyond it", old("C0 11 06 02 02 00010000"), kept),
            ("AS4_PATH with a segment of type 9", old("C0 11 06 09 01 00010000"), kept),
            ("AS4_AGGREGATOR with AS 0 (RFC 7607 §2)", old("C0 12 08 00000000 0A090909"), kept),
            ("AS4_AGGREGATOR of seven octets", old("C0 12 07 00010000 0A0909"), kept),
        ],
    );
    check(Session::External, [("both, malformed", with("C0 11 01 FF C0 12 01 FF"), Told(PASSED_ON))]);
}
