//! RFC 4271 §5, octet by octet: what becomes of attributes on their way through.

use crate::frame::{AS_PATH, NEXT_HOP, NLRI, ORIGIN, Scene, Session};
use crate::octets::update;

/// The path attributes that the other neighbor gets behind the mandatory ones, in hex.
const OURS: &str = "40 01 01 02  40 02 0A 02 02 0000FC00 0000FC01  40 03 04 0A000001";

#[test]
fn attributes_go_on_with_the_partial_bit_of_whoever_did_not_know_them() {
    let lines = [
        ("unknown and transitive: Partial is set", "C0 63 02 0102", "E0 63 02 0102"),
        ("unknown, and set before", "E0 63 02 0102", "E0 63 02 0102"),
        ("unknown, of no octet", "C0 63 00", "E0 63 00"),
        ("unknown and not transitive: ignored", "80 63 02 0102", ""),
        ("unknown and not transitive, with Partial", "A0 63 02 0102", ""),
        ("known: not set", "C0 08 04 FC010001", "C0 08 04 FC010001"),
        ("known, and set before: never taken back", "E0 08 04 FC010001", "E0 08 04 FC010001"),
        ("a length of two octets where one will do", "D0 08 0004 FC010001", "C0 08 04 FC010001"),
        ("communities twice and out of order", "C0 08 0C FC010002 FC010001 FC010002", "C0 08 08 FC010001 FC010002"),
    ];
    for (what, comes, goes) in lines {
        let mut scene = Scene::new(Session::External);
        let says = update("", &[ORIGIN, AS_PATH, NEXT_HOP, comes], NLRI);
        scene.say(&says);
        let heard = scene.hears.take(&mut scene.network);
        assert_eq!(heard, update("", &[OURS, goes], NLRI), "{what}: {heard:02x?}");
    }
}

#[test]
fn what_is_no_business_of_another_as_does_not_leave_ours() {
    let mut scene = Scene::new(Session::Internal);
    let inside = "80 04 04 00000007  40 05 04 000000C8  80 09 04 0A090909  80 0A 04 0A090908";
    let says = update("", &[ORIGIN, AS_PATH, NEXT_HOP, inside], NLRI);
    scene.say(&says);
    assert_eq!(scene.hears.take(&mut scene.network), update("", &[OURS], NLRI));
}

/// RFC 1997; RFC 7999 §3.2 for BLACKHOLE.
#[test]
fn well_known_communities_keep_a_route_here() {
    let communities = [
        ("NO_EXPORT", "FFFFFF01"),
        ("NO_ADVERTISE", "FFFFFF02"),
        ("NO_EXPORT_SUBCONFED", "FFFFFF03"),
        ("BLACKHOLE", "FFFF029A"),
    ];
    for (what, community) in communities {
        let mut scene = Scene::new(Session::External);
        let says = update("", &[ORIGIN, AS_PATH, NEXT_HOP, "C0 08 04", community], NLRI);
        scene.say(&says);
        let withdrawn = update(NLRI, &[], "");
        assert_eq!(scene.hears.take(&mut scene.network), withdrawn, "{what}: what was told before is taken back");
    }
}

/// RFC 8654 §4, RFC 4271 §9.2.
#[test]
fn a_route_too_long_to_pass_on_does_not_stay_with_its_old_attributes() {
    let mut scene = Scene::new(Session::External);
    let mut say = |octets: usize| {
        let filler = format!("D0 63 {octets:04X} {}", "00".repeat(octets));
        let says = update("", &[ORIGIN, AS_PATH, NEXT_HOP, &filler], NLRI);
        scene.say(&says);
        (says.len(), scene.hears.take(&mut scene.network))
    };
    let (length, heard) = say(4042);
    assert_eq!((length, heard.len()), (4092, 4096), "with our AS there is just room");
    let (length, heard) = say(4043);
    assert_eq!((length, heard), (4093, update(NLRI, &[], "")[..].into()), "no room for our AS");
}
