//! RFC 8654, octet by octet: messages of more than 4096 octets.

use bgpd::settings::NeighborSettings;
use bgpd::wire::Notification;

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, NLRI, ORIGIN, Scene};
use crate::octets::{message, notification, octets, update};

const OFFERED: &str = "06 00";

fn refuse_them(says: &mut NeighborSettings) {
    says.session.extended_messages = false;
}

/// 10.1.0.0/16 in an UPDATE of so many octets.
fn of_length(length: usize) -> Vec<u8> {
    let empty = update("", &[ORIGIN, AS_PATH, NEXT_HOP, "D0 63 0000"], NLRI).len();
    let octets = length - empty;
    let filler = format!("D0 63 {octets:04X} {}", "00".repeat(octets));
    update("", &[ORIGIN, AS_PATH, NEXT_HOP, &filler], NLRI)
}

/// §4: who offers the capability takes them, whether the other side has offered it or not.
#[test]
fn a_long_message_is_taken_where_we_have_offered_it() {
    for (what, theirs) in [("offered by both", OFFERED), ("offered by us", "")] {
        for length in [4096, 4097, 65_535] {
            let (mut scene, _) = Scene::opened(theirs, |_| ());
            scene.answer();
            scene.say(&of_length(length));
            assert!(scene.network.route(GATEWAY, "10.1.0.0/16").is_some(), "{what}, {length}");
            assert_eq!(scene.network.neighbor(GATEWAY, "says").last_error, None, "{what}, {length}");
        }
    }
}

/// §4, RFC 4271 §6.1: else it is a header with a bad length. The length is the data.
#[test]
fn a_long_message_is_refused_where_we_have_not() {
    for theirs in [OFFERED, ""] {
        let (mut scene, _) = Scene::opened(theirs, refuse_them);
        scene.answer();
        scene.say(&of_length(4096));
        assert!(scene.network.route(GATEWAY, "10.1.0.0/16").is_some(), "{theirs}");
        scene.say(&of_length(4097));
        scene.ends(theirs, &Notification { data: octets("1001"), ..Notification::new(1, 2) });
    }
}

/// §4: no OPEN of more than 4096 octets and no KEEPALIVE of more than 19, whatever was agreed on.
#[test]
fn open_and_keepalive_stay_as_short_as_they_were() {
    let lines = [
        ("an OPEN of 4097 octets", message(1, &[0; 4097 - 19]), "1001"),
        ("a KEEPALIVE of 20", message(4, &[0]), "0014"),
        ("a KEEPALIVE of 5000", message(4, &[0; 5000 - 19]), "1388"),
    ];
    for (what, says, length) in lines {
        let (mut scene, _) = Scene::opened(OFFERED, |_| ());
        scene.answer();
        scene.say(&says);
        scene.ends(what, &Notification { data: octets(length), ..Notification::new(1, 2) });
    }
}

/// §4: and other messages than UPDATEs may be long.
#[test]
fn a_long_notification_is_read() {
    let (mut scene, _) = Scene::opened(OFFERED, |_| ());
    let data = vec![7; 5000];
    scene.say(&notification(3, 1, &data));
    let error = scene.network.neighbor(GATEWAY, "says").last_error.unwrap();
    let notification = error.notification.unwrap();
    assert_eq!((error.sent, notification.code, notification.subcode), (false, 3, 1));
    assert!(data.starts_with(&notification.data) && !notification.data.is_empty());
}

/// §4: long messages go to those alone who have offered to take them.
#[test]
fn a_long_route_is_passed_on_to_who_offers_to_take_it() {
    for (theirs, is_told) in [(OFFERED, true), ("", false)] {
        let (mut scene, _) = Scene::opened(theirs, |_| ());
        scene.answer();
        scene.hears.say(&mut scene.network, |out| out.extend_from_slice(&of_length_by_the_other()));
        let heard = scene.answer();
        assert_eq!(heard.len(), if is_told { 4097 + 4 } else { 0 }, "{theirs:?}: with our AS before");
    }
}

fn of_length_by_the_other() -> Vec<u8> {
    let path = octets(AS_PATH);
    let mut long = of_length(4097);
    let at = long.windows(path.len()).position(|found| found == path).unwrap();
    long[at + path.len() - 1] = 2; // AS 64514
    long
}

/// RFC 4271 §6.3 and §4.5: the data of a NOTIFICATION is the attribute, cut where 4096 octets end.
#[test]
fn what_a_notification_has_no_room_for_is_cut_off() {
    let attribute = format!("50 63 1388 {}", "00".repeat(5000));
    let says = update("", &[ORIGIN, AS_PATH, NEXT_HOP, &attribute], NLRI);
    for theirs in [OFFERED, ""] {
        let (mut scene, _) = Scene::opened(theirs, |_| ());
        scene.answer();
        scene.say(&says);
        let heard = scene.answer();
        assert_eq!(heard, notification(3, 2, &octets(&attribute)[..4096 - 21]), "{theirs:?}: {} octets", heard.len());
    }
}
