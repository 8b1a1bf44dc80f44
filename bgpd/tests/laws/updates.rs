//! RFC 7606 §3 to §5 and RFC 4271 §6.3: what is wrong with an UPDATE as a whole.

use crate::frame::Then::{Discarded, Reset, Told, Withdrawn};
use crate::frame::{
    AS_PATH, DISCARDED, LOCAL_PREF, NEXT_HOP, NLRI, ORIGIN, PASSED_ON, Session, Then, WITHDRAWN, check,
};
use crate::octets::{message, octets, update};

/// fd00:1::/32 and fd00:2::/32 of MP_REACH_NLRI and MP_UNREACH_NLRI.
const MP_REACH: &str = "80 0E 1A 0002 01 10 FD000000000000000000000000000011 00 20 FD000001";
const MP_UNREACH: &str = "80 0F 08 0002 01 20 FD000002";
const MP_PASSED_ON: Then = Told(&["fd00:1::/32 via fd00::1 incomplete [64512 64513]"]);
const MP_WITHDRAWN: Then = Withdrawn(&["withdraw fd00:1::/32"]);

/// 10.1.0.0/16 is announced with these attributes.
fn announce(attributes: &[&str]) -> Vec<u8> {
    update("", attributes, NLRI)
}

/// 10.2.0.0/16 is withdrawn, and nothing announced.
fn withdraw(attributes: &[&str]) -> Vec<u8> {
    update("10 0A02", attributes, "")
}

#[test]
fn wrong_optional_or_transitive_bits_withdraw() {
    let with = |attribute| announce(&[ORIGIN, AS_PATH, NEXT_HOP, attribute]);
    check(
        Session::External,
        [
            ("ORIGIN, optional", announce(&["C0 01 01 02", AS_PATH, NEXT_HOP]), WITHDRAWN),
            ("ORIGIN, not transitive", announce(&["00 01 01 02", AS_PATH, NEXT_HOP]), WITHDRAWN),
            ("AS_PATH, optional", announce(&[ORIGIN, "C0 02 06 02 01 0000FC01", NEXT_HOP]), WITHDRAWN),
            ("NEXT_HOP, optional and not transitive", announce(&[ORIGIN, AS_PATH, "80 03 04 0A00000B"]), WITHDRAWN),
            ("MULTI_EXIT_DISC, transitive", with("C0 04 04 00000007"), WITHDRAWN),
            ("MULTI_EXIT_DISC, well-known", with("40 04 04 00000007"), WITHDRAWN),
            ("ATOMIC_AGGREGATE, optional", with("C0 06 00"), WITHDRAWN),
            ("AGGREGATOR, not transitive", with("80 07 08 0000FC01 0A090909"), WITHDRAWN),
            ("COMMUNITIES, not transitive", with("80 08 04 FC010001"), WITHDRAWN),
            ("EXTENDED COMMUNITIES, well-known", with("40 10 08 0002FC0100000001"), WITHDRAWN),
            ("LARGE_COMMUNITY, not transitive", with("80 20 0C 0000FC01 00000001 00000002"), WITHDRAWN),
            (
                "MP_REACH_NLRI, transitive",
                update("", &[ORIGIN, AS_PATH, &MP_REACH.replacen("80", "C0", 1)], ""),
                MP_WITHDRAWN,
            ),
            ("LOCAL_PREF from outside is dropped before", with("C0 05 04 000000C8"), Told(PASSED_ON)),
        ],
    );
}

#[test]
fn other_flags_decide_nothing() {
    check(
        Session::External,
        [
            ("a well-known attribute with Partial", announce(&["60 01 01 02", AS_PATH, NEXT_HOP]), Told(PASSED_ON)),
            ("unused bits", announce(&["4F 01 01 02", AS_PATH, NEXT_HOP]), Told(PASSED_ON)),
            ("a length of two octets", announce(&["50 01 0001 02", AS_PATH, NEXT_HOP]), Told(PASSED_ON)),
        ],
    );
}

#[test]
fn an_attribute_that_overruns_withdraws_what_the_attribute_length_leaves_to_the_nlri() {
    let with = |attribute| announce(&[ORIGIN, AS_PATH, NEXT_HOP, attribute]);
    check(
        Session::External,
        [
            ("a length into the NLRI", with("C0 08 07 FC010001"), WITHDRAWN),
            ("a length beyond the message", with("C0 08 F0 FC010001"), WITHDRAWN),
            ("a length of two octets beyond it", with("D0 08 FFFF FC010001"), WITHDRAWN),
            ("flags alone", with("C0"), WITHDRAWN),
            ("flags and type alone", with("C0 08"), WITHDRAWN),
            ("half a length", with("D0 08 00"), WITHDRAWN),
            ("the first one", announce(&["40 01 FF 02", AS_PATH, NEXT_HOP]), WITHDRAWN),
            (
                "withdrawn routes are withdrawn all the same",
                update("10 0A02", &[ORIGIN, AS_PATH, NEXT_HOP, "C0 08 F0 FC01"], NLRI),
                Withdrawn(&["withdraw 10.1.0.0/16,10.2.0.0/16"]),
            ),
            ("behind MP_REACH_NLRI", update("", &[ORIGIN, AS_PATH, MP_REACH, "C0 08 F0 FC01"], ""), MP_WITHDRAWN),
            (
                "around MP_REACH_NLRI: what to withdraw is lost",
                update("", &[ORIGIN, "40 02 FF", MP_REACH], ""),
                Reset(3, 1, ""),
            ),
            ("nothing announced (§5.2)", withdraw(&["C0 08 F0 FC01"]), Reset(3, 1, "")),
        ],
    );
}

#[test]
fn of_an_attribute_that_is_repeated_the_first_counts() {
    let with = |attributes: &[&str]| announce(&[&[ORIGIN, AS_PATH, NEXT_HOP], attributes].concat());
    let unknown = Discarded(&[
        "10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] unknown [UnknownAttribute { code: 99, value: [1] }]",
    ]);
    check(
        Session::External,
        [
            ("ORIGIN", with(&["40 01 01 00"]), DISCARDED),
            ("ORIGIN, the second malformed", with(&["40 01 01 07"]), DISCARDED),
            ("ORIGIN, the first malformed", announce(&["40 01 01 07", ORIGIN, AS_PATH, NEXT_HOP]), WITHDRAWN),
            ("AS_PATH", with(&["40 02 06 02 01 0000FC02"]), DISCARDED),
            ("NEXT_HOP", with(&["40 03 04 7F000001"]), DISCARDED),
            ("an unknown one", with(&["C0 63 01 01", "C0 63 01 02"]), unknown),
            (
                "nothing announced (§5.2): still no reset",
                withdraw(&[ORIGIN, ORIGIN]),
                Discarded(&["withdraw 10.2.0.0/16"]),
            ),
            ("MP_REACH_NLRI", update("", &[ORIGIN, AS_PATH, MP_REACH, MP_REACH], ""), Reset(3, 1, "")),
            ("MP_UNREACH_NLRI", update("", &[MP_UNREACH, MP_UNREACH], ""), Reset(3, 1, "")),
        ],
    );
}

#[test]
fn a_mandatory_attribute_that_is_missing_withdraws() {
    check(
        Session::External,
        [
            ("ORIGIN", announce(&[AS_PATH, NEXT_HOP]), WITHDRAWN),
            ("AS_PATH", announce(&[ORIGIN, NEXT_HOP]), WITHDRAWN),
            ("NEXT_HOP", announce(&[ORIGIN, AS_PATH]), WITHDRAWN),
            ("all of them", announce(&[]), WITHDRAWN),
            ("ORIGIN beside MP_REACH_NLRI", update("", &[AS_PATH, MP_REACH], ""), MP_WITHDRAWN),
            ("AS_PATH beside MP_REACH_NLRI", update("", &[ORIGIN, MP_REACH], ""), MP_WITHDRAWN),
            (
                "NEXT_HOP beside MP_REACH_NLRI is not mandatory",
                update("", &[ORIGIN, AS_PATH, MP_REACH], ""),
                MP_PASSED_ON,
            ),
            ("none is mandatory where nothing is announced", withdraw(&[]), Told(&["withdraw 10.2.0.0/16"])),
        ],
    );
    check(
        Session::Internal,
        [
            ("LOCAL_PREF inside", announce(&[ORIGIN, AS_PATH, NEXT_HOP]), WITHDRAWN),
            ("LOCAL_PREF inside is there", announce(&[ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF]), Told(PASSED_ON)),
        ],
    );
}

#[test]
fn an_error_where_nothing_is_announced_ends_the_session() {
    check(
        Session::External,
        [
            ("ORIGIN of 7", withdraw(&["40 01 01 07"]), Reset(3, 6, "40 01 01 07")),
            ("ORIGIN of two octets", withdraw(&["40 01 02 0000"]), Reset(3, 5, "40 01 02 0000")),
            ("ORIGIN, optional", withdraw(&["C0 01 01 00"]), Reset(3, 4, "C0 01 01 00")),
            ("AS_PATH", withdraw(&["40 02 02 02 00"]), Reset(3, 11, "")),
            ("NEXT_HOP", withdraw(&["40 03 03 0A0000"]), Reset(3, 5, "40 03 03 0A0000")),
            ("MULTI_EXIT_DISC", withdraw(&["80 04 01 00"]), Reset(3, 5, "80 04 01 00")),
            ("COMMUNITIES", withdraw(&["C0 08 02 FC01"]), Reset(3, 5, "C0 08 02 FC01")),
            ("COMMUNITIES, not transitive", withdraw(&["80 08 04 FC010001"]), Reset(3, 4, "80 08 04 FC010001")),
            ("ORIGIN beside MP_UNREACH_NLRI", update("", &["40 01 01 07", MP_UNREACH], ""), Reset(3, 6, "40 01 01 07")),
            (
                "MP_UNREACH_NLRI, transitive",
                update("", &["C0 0F 08 0002 01 20 FD000002"], ""),
                Reset(3, 4, "C0 0F 08 0002 01 20 FD000002"),
            ),
            ("ATOMIC_AGGREGATE is dropped", withdraw(&["40 06 01 00"]), Discarded(&["withdraw 10.2.0.0/16"])),
            ("AGGREGATOR is dropped", withdraw(&["C0 07 01 00"]), Discarded(&["withdraw 10.2.0.0/16"])),
        ],
    );
}

#[test]
fn the_strongest_of_several_errors_counts() {
    let all = |attributes: &[&str]| announce(&[&[AS_PATH, NEXT_HOP], attributes].concat());
    check(
        Session::External,
        [
            ("discard and withdraw", all(&["40 01 01 07", "40 06 01 00"]), WITHDRAWN),
            ("withdraw and reset", all(&["40 01 01 07", "40 63 01 00"]), Reset(3, 2, "40 63 01 00")),
        ],
    );
}

#[test]
fn fields_longer_than_the_update_end_the_session() {
    check(
        Session::External,
        [
            ("withdrawn routes", message(2, &octets("0008 10 0A02 0000")), Reset(3, 1, "")),
            ("path attributes", message(2, &octets("0000 0008 40 01 01 00")), Reset(3, 1, "")),
            ("no path attribute length", message(2, &octets("0003 10 0A02 00")), Reset(3, 1, "")),
        ],
    );
}

#[test]
fn prefixes_that_cannot_be_told_apart_end_the_session() {
    let announce = |nlri| update("", &[ORIGIN, AS_PATH, NEXT_HOP], nlri);
    check(
        Session::External,
        [
            ("33 bits announced", announce("21 0A010000 80"), Reset(3, 10, "")),
            ("an announced one that ends behind its field", announce("18 0A01"), Reset(3, 10, "")),
            ("33 bits withdrawn", update("21 0A010000 80", &[], ""), Reset(3, 10, "")),
            ("a withdrawn one that ends behind its field", update("18 0A01", &[], ""), Reset(3, 10, "")),
            (
                "bits behind the length mean nothing",
                announce("0F 0A03"),
                Told(&["10.2.0.0/15 via 10.0.0.1 incomplete [64512 64513]"]),
            ),
        ],
    );
}

#[test]
fn an_unknown_attribute_that_is_well_known_ends_the_session() {
    let with = |attribute| announce(&[ORIGIN, AS_PATH, NEXT_HOP, attribute]);
    check(
        Session::External,
        [
            ("transitive", with("40 63 02 0102"), Reset(3, 2, "40 63 02 0102")),
            ("not transitive", with("00 63 02 0102"), Reset(3, 2, "00 63 02 0102")),
            ("a length of two octets", with("50 63 0002 0102"), Reset(3, 2, "50 63 0002 0102")),
            ("nothing announced", withdraw(&["40 63 00"]), Reset(3, 2, "40 63 00")),
        ],
    );
}

#[test]
fn a_prefix_announced_and_withdrawn_at_once_is_announced() {
    let mp = update("", &["80 0F 08 0002 01 20 FD000001", ORIGIN, AS_PATH, MP_REACH], "");
    check(
        Session::External,
        [
            ("in the message's own fields", update(NLRI, &[ORIGIN, AS_PATH, NEXT_HOP], NLRI), Told(PASSED_ON)),
            ("in MP_REACH_NLRI and MP_UNREACH_NLRI", mp, MP_PASSED_ON),
        ],
    );
}

#[test]
fn a_path_that_no_as_can_have_made_withdraws() {
    let path = |attribute| announce(&[ORIGIN, attribute, NEXT_HOP]);
    let any_first = Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64514 64513]"]);
    check(
        Session::External,
        [
            ("another AS first (RFC 7606 §7.2)", path("40 02 0A 02 02 0000FC02 0000FC01"), WITHDRAWN),
            ("AS_SET (RFC 9774 §3)", path("40 02 0C 02 01 0000FC01 01 01 0000FDE9"), WITHDRAWN),
            ("AS_CONFED_SEQUENCE (RFC 5065 §5)", path("40 02 0C 02 01 0000FC01 03 01 0000FDE9"), WITHDRAWN),
            ("AS_CONFED_SET (RFC 9774 §3)", path("40 02 0C 02 01 0000FC01 04 01 0000FDE9"), WITHDRAWN),
            ("AS 0 last (RFC 7607 §2)", path("40 02 0A 02 02 0000FC01 00000000"), WITHDRAWN),
            ("AS 0 in the middle", path("40 02 0E 02 03 0000FC01 00000000 0000FDE9"), WITHDRAWN),
        ],
    );
    check(Session::AnyFirstAs, [("another AS first, and it may", path("40 02 0A 02 02 0000FC02 0000FC01"), any_first)]);
    let old = |as4_path| announce(&[ORIGIN, "40 02 06 02 02 FC01 5BA0", NEXT_HOP, as4_path]);
    check(
        Session::Old,
        [
            ("AS 0 in two octets", announce(&[ORIGIN, "40 02 06 02 02 FC01 0000", NEXT_HOP]), WITHDRAWN),
            ("AS 0 in AS4_PATH (RFC 7607 §2)", old("C0 11 06 02 01 00000000"), WITHDRAWN),
            ("AS_SET in AS4_PATH (RFC 9774 §3)", old("C0 11 06 01 01 00010000"), WITHDRAWN),
        ],
    );
}

#[test]
fn a_family_that_was_not_negotiated_is_ignored() {
    let mp = |value| update("", &[ORIGIN, AS_PATH, value], "");
    check(
        Session::External,
        [
            ("IPv4 multicast", mp("80 0E 0D 0001 02 04 0A00000B 00 18 0A0100"), Told(&[])),
            ("L2VPN, with a next hop of one octet", mp("80 0E 08 0019 41 01 00 00 0101"), Told(&[])),
            ("withdrawn IPv4 multicast", update("", &["80 0F 07 0001 02 18 0A0100"], ""), Told(&[])),
            ("withdrawn L2VPN that no prefix can be", update("", &["80 0F 05 0019 41 FFFF"], ""), Told(&[])),
        ],
    );
    check(
        Session::Ipv6Only,
        [
            ("IPv4 in the message's own fields", update("10 0A02", &[ORIGIN, AS_PATH, NEXT_HOP], NLRI), Told(&[])),
            ("IPv4 in MP_REACH_NLRI", mp("80 0E 0C 0001 01 04 0A00000B 00 10 0A01"), Told(&[])),
            ("and beside it what was", update("", &[ORIGIN, AS_PATH, NEXT_HOP, MP_REACH], NLRI), MP_PASSED_ON),
        ],
    );
}

#[test]
fn both_ways_to_say_ipv4_mean_the_same() {
    let mp = |value| update("", &[ORIGIN, AS_PATH, value], "");
    check(
        Session::External,
        [
            ("MP_REACH_NLRI", mp("80 0E 0C 0001 01 04 0A00000B 00 10 0A01"), Told(PASSED_ON)),
            ("MP_UNREACH_NLRI", update("", &["80 0F 06 0001 01 10 0A01"], ""), Told(&["withdraw 10.1.0.0/16"])),
        ],
    );
}
