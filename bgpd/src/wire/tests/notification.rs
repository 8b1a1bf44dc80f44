//! NOTIFICATION.

use super::*;

fn cease(subcode: u8, data: &[u8]) -> Notification {
    Notification { code: 6, subcode, data: data.to_vec() }
}

#[test]
fn a_notification_comes_back_as_it_was_written() {
    let sent = Notification { code: 3, subcode: 5, data: vec![0x40, 1, 2, 0, 0] };
    let mut out = BytesMut::new();
    sent.write(&mut out);
    assert_eq!(out, message(NOTIFICATION, &[3, 5, 0x40, 1, 2, 0, 0])[..]);
    let Ok(Message::Notification(read)) = decode(&out, &external()) else { panic!("{out:?}") };
    assert_eq!(read, sent);
}

#[test]
fn data_without_room_is_cut_off() {
    let mut out = BytesMut::new();
    Notification { code: 3, subcode: 5, data: vec![1; 70_000] }.write(&mut out);
    assert_eq!(out.len(), MAX_MESSAGE);
    assert_eq!(frame_length(&out, MAX_MESSAGE), Ok(Some(MAX_MESSAGE)));
}

#[test]
fn codes_and_subcodes_have_the_names_of_their_rfcs() {
    let names = [
        (1, 1, "Message Header Error/Connection Not Synchronized"),
        (1, 2, "Message Header Error/Bad Message Length"),
        (2, 0, "OPEN Message Error"),
        (2, 7, "OPEN Message Error/Unsupported Capability"),
        (2, 11, "OPEN Message Error/Role Mismatch"),
        (3, 11, "UPDATE Message Error/Malformed AS_PATH"),
        (4, 0, "Hold Timer Expired"),
        (5, 3, "Finite State Machine Error/Receive Unexpected Message in Established State"),
        (6, 1, "Cease/Maximum Number of Prefixes Reached"),
        (6, 7, "Cease/Connection Collision Resolution"),
        (6, 9, "Cease/Hard Reset"),
        (7, 1, "ROUTE-REFRESH Message Error/Invalid Message Length"),
        (8, 0, "Send Hold Timer Expired"),
        (3, 99, "UPDATE Message Error/99"),
        (99, 1, "error 99/1"),
    ];
    for (code, subcode, name) in names {
        assert_eq!(Notification::new(code, subcode).text(), name);
    }
}

#[test]
fn a_shutdown_communication_is_shown() {
    for subcode in [2, 4] {
        let sent = Notification::cease_with_message(subcode, "bye, see ticket 17");
        assert_eq!(sent.data[0], 18);
        assert_eq!(sent.message(), Some("bye, see ticket 17"));
    }
    assert_eq!(Notification::cease_with_message(2, "bye").text(), "Cease/Administrative Shutdown: \"bye\"");
    assert_eq!(Notification::cease_with_message(4, "").text(), "Cease/Administrative Reset");
}

#[test]
fn a_long_communication_is_cut_on_the_edge_of_a_character() {
    let sent = Notification::cease_with_message(2, &"é".repeat(200));
    assert_eq!(sent.message(), Some("é".repeat(127).as_str()));
    assert_eq!(Notification::cease_with_message(2, &"x".repeat(300)).data.len(), 256);
}

#[test]
fn a_communication_that_is_not_utf8_or_not_there_is_absent_and_shown_in_hex() {
    assert_eq!(cease(2, &[2, 0xC3, 0x28]).message(), None);
    assert_eq!(cease(2, &[2, 0xC3, 0x28]).text(), "Cease/Administrative Shutdown: 0x02c328");
    assert_eq!(cease(2, &[9, b'b']).message(), None);
    assert_eq!(cease(2, &[9, b'b']).text(), "Cease/Administrative Shutdown: 0x0962");
    for empty in [&[][..], &[0], &[0, 1, 2]] {
        assert_eq!(cease(2, empty).message(), None);
        assert_eq!(cease(2, empty).text(), "Cease/Administrative Shutdown");
    }
}

#[test]
fn a_communication_cannot_write_to_the_terminal() {
    let text = Notification::cease_with_message(2, "\u{1b}[2Jx\n").text();
    assert_eq!(text, "Cease/Administrative Shutdown: \"\\u{1b}[2Jx\\n\"");
}

#[test]
fn only_shutdown_and_reset_carry_a_communication() {
    assert_eq!(cease(6, &[3, b'b', b'y', b'e']).message(), None);
    assert_eq!(Notification { code: 3, subcode: 2, data: vec![1, b'x'] }.message(), None);
}

#[test]
fn a_hard_reset_shows_what_it_carries() {
    assert_eq!(
        cease(9, &[6, 2, 3, b'b', b'y', b'e']).text(),
        "Cease/Hard Reset (Cease/Administrative Shutdown: \"bye\")"
    );
    assert_eq!(cease(9, &[6]).text(), "Cease/Hard Reset");
}

#[test]
fn hard_resets_inside_each_other_end() {
    let nested = [6, 9].repeat(2000);
    assert!(cease(9, &nested).text().len() < 200);
}
