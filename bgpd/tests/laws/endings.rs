//! Cease with its subcodes (RFC 4486, RFC 9003), timers that end a session (RFC 4271 §6.5), and what the neighbor says
//! with its own NOTIFICATION (RFC 4271 §6.4).

use std::time::Duration;

use bgpd::settings::{NeighborSettings, PrefixLimit};
use bgpd::speaker::{Command, Input, Stop};
use bgpd::types::HoldTime;
use bgpd::view::SessionState;
use bgpd::wire::{Notification, write_keepalive};

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, ORIGIN, Scene, Session};
use crate::octets::{notification, octets, update};
use crate::raw::Raw;

fn said(code: u8, subcode: u8, data: &str) -> Notification {
    Notification { code, subcode, data: octets(data) }
}

/// What is done, how the neighbor is configured, who does it, and what the neighbor hears.
type Line = (&'static str, fn(&mut NeighborSettings), fn(&mut Scene), Notification);

fn lines() -> Vec<Line> {
    let any = |_: &mut NeighborSettings| {};
    vec![
        (
            "more prefixes than allowed: the family and the limit (RFC 4486 §4)",
            |neighbor| neighbor.session.max_prefixes = Some(PrefixLimit::new(2)),
            |scene| scene.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP], "10 0A03")),
            said(6, 1, "0001 01 00000002"),
        ),
        (
            "disabled without a word",
            any,
            |scene| scene.network.command(GATEWAY, "says", Command::Disable(None)),
            said(6, 2, ""),
        ),
        (
            "disabled with a word (RFC 9003 §2)",
            any,
            |scene| scene.network.command(GATEWAY, "says", Command::Disable(Some("müde".to_owned()))),
            said(6, 2, "05 6D C3BC 64 65"),
        ),
        ("stopped", any, |scene| scene.network.input(GATEWAY, Input::Stop(Stop::Withdraw)), said(6, 2, "")),
        ("reset", any, |scene| scene.network.command(GATEWAY, "says", Command::Reset), said(6, 4, "")),
        ("other settings", any, |scene| scene.reload(|says| says.session.hold_time = hold_time(30)), said(6, 6, "")),
        ("shut down in the settings", any, |scene| scene.reload(|says| says.shutdown = true), said(6, 2, "")),
        (
            "silent for the hold time",
            |neighbor| neighbor.session.hold_time = hold_time(3),
            |scene| {
                scene.network.run_for(Duration::from_millis(2999));
                scene.says.take(&mut scene.network); // KEEPALIVEs
                scene.network.run_for(Duration::from_millis(1));
            },
            said(4, 0, ""),
        ),
    ]
}

fn hold_time(seconds: u16) -> HoldTime {
    HoldTime::new(seconds).unwrap()
}

#[test]
fn a_session_that_we_end_says_why() {
    for (what, configured, done, expected) in lines() {
        let mut scene = Scene::with(Session::External, configured);
        done(&mut scene);
        scene.ends(what, &expected);
        scene.network.run_for(Duration::from_millis(1));
        assert_eq!(scene.network.routes(GATEWAY).len(), 0, "{what}: its routes are gone");
    }
}

#[test]
fn a_neighbor_that_is_no_longer_configured_is_told_so() {
    let mut scene = Scene::new(Session::External);
    let mut settings = scene.network.nodes[GATEWAY].speaker.settings().clone();
    settings.neighbors.remove("says");
    scene.network.reload(GATEWAY, settings);
    assert_eq!(scene.says.take(&mut scene.network), notification(6, 3, &[]));
    assert!(scene.says.is_closed(&scene.network));
}

#[test]
fn a_connection_that_is_not_wanted_is_rejected() {
    let mut scene = Scene::new(Session::External);
    scene.network.command(GATEWAY, "says", Command::Disable(None));
    let mut again = Raw::connect(&mut scene.network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(again.take(&mut scene.network), notification(6, 5, &[]));
    assert!(again.is_closed(&scene.network));
}

/// RFC 9687 §3 and §4: the time that is configured, else the greater of eight minutes and twice the hold time, from the
/// first KEEPALIVE on that cannot be sent.
#[test]
fn a_neighbor_that_reads_nothing_for_the_send_hold_time_is_told_8_0() {
    type Configured = fn(&mut NeighborSettings);
    let lines: [(&str, Configured, u64, u64); 3] = [
        ("configured", |says| says.session.send_hold_time = Some(Duration::from_secs(40)), 40, 30),
        ("by default", |_| (), 480, 30),
        ("with a hold time of 300 s", |says| says.session.hold_time = hold_time(300), 600, 100),
    ];
    for (what, configured, time, keepalives) in lines {
        let (mut scene, _) = Scene::opened_for(300, "", configured);
        scene.answer();
        scene.says.stop_reading(&mut scene.network);
        let mut seconds = 0;
        while !scene.says.is_closed(&scene.network) {
            assert!(seconds <= time + keepalives, "{what}: too late");
            scene.says.say(&mut scene.network, write_keepalive); // it lives
            scene.network.run_for(Duration::from_secs(1));
            seconds += 1;
        }
        assert!(seconds >= time, "{what}: too early, after {seconds} s");
        let heard = scene.answer();
        assert!(heard.ends_with(&notification(8, 0, &[])), "{what}: {heard:02x?}");
        let error = scene.network.neighbor(GATEWAY, "says").last_error.unwrap();
        assert_eq!((error.sent, error.notification), (true, Some(said(8, 0, ""))), "{what}");
    }
}

#[test]
fn a_notification_ends_the_session_without_an_answer_and_is_kept_as_it_came() {
    let lines = [
        ("shutdown with a word", said(6, 2, "03 627965"), r#"received Cease/Administrative Shutdown: "bye""#),
        ("a word that is not UTF-8", said(6, 2, "02 FF41"), "received Cease/Administrative Shutdown: 0x02ff41"),
        ("a word longer than the data", said(6, 4, "09 41"), "received Cease/Administrative Reset: 0x0941"),
        ("an error that nobody knows", said(99, 7, "0102"), "received error 99/7"),
        ("a subcode that nobody knows", said(3, 77, ""), "received UPDATE Message Error/77"),
        ("hold timer expired", said(4, 0, ""), "received Hold Timer Expired"),
    ];
    for (what, received, text) in lines {
        let mut scene = Scene::new(Session::External);
        let octets = notification(received.code, received.subcode, &received.data);
        scene.say(&octets);
        assert_eq!(scene.says.take(&mut scene.network), [0; 0][..], "{what}: it hears nothing (RFC 4271 §6.4)");
        assert!(scene.says.is_closed(&scene.network), "{what}");
        let view = scene.network.neighbor(GATEWAY, "says");
        let error = view.last_error.unwrap();
        assert_eq!((error.sent, error.notification, error.text.as_str()), (false, Some(received), text), "{what}");
        assert!(view.state < SessionState::Established, "{what}");
        scene.network.run_for(Duration::from_millis(1));
        assert_eq!(scene.network.routes(GATEWAY).len(), 0, "{what}: its routes are gone");
    }
}
