//! RFC 4724, RFC 8538 and RFC 9494, octet by octet: End-of-RIB, what ends a session for a while or for good, and the mark
//! of what is kept for long. What our OPEN says stands in `offers`.

use std::time::Duration;

use bgpd::settings::{AddPath, GracefulRestartSettings, NeighborSettings, PrefixLimit};
use bgpd::speaker::{Command, Input, Stop};
use bgpd::types::HoldTime;
use bgpd::view::SessionState;
use bgpd::wire::write_keepalive;

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, ORIGIN, Scene};
use crate::octets::{both_families, message, notification, octets, opening_of, update, updates};
use crate::raw::Raw;

/// 120 s, both families with F, and N (RFC 8538 §2) or not.
const WITH_N: &str = "40 0A 4078 00010180 00020180";
const WITHOUT_N: &str = "40 0A 0078 00010180 00020180";
/// The long-lived form besides: 600 s (RFC 9494 §3.1).
const LONG_LIVED: &str = "40 0A 4078 00010180 00020180 47 0E 00010180000258 00020180000258";

const IPV4_END: &str = "";
const IPV6_END: &str = "80 0F 03 0002 01";
const SECOND: Duration = Duration::from_secs(1);

fn keeps(says: &mut NeighborSettings) {
    says.session.graceful_restart = Some(GracefulRestartSettings::default());
}

fn keeps_long(says: &mut NeighborSettings) {
    let restart =
        GracefulRestartSettings { long_lived_stale_time: Some(Duration::from_secs(600)), ..Default::default() };
    says.session.graceful_restart = Some(restart);
}

/// 10.1.0.0/16, 10.2.0.0/16 and fd00:1::/32 of a neighbor with these capabilities; everybody has heard what there is.
fn scene(capabilities: &str, change: fn(&mut NeighborSettings)) -> Scene {
    let (mut scene, _) = Scene::opened(capabilities, change);
    scene.tell_all();
    scene.network.run_for(SECOND);
    scene.answer();
    scene.hears.take(&mut scene.network);
    assert_eq!(scene.network.fib(GATEWAY).len(), 3);
    scene
}

impl Scene {
    fn tell_all(&mut self) {
        let mp = "80 0E 1A 0002 01 10 FD000000000000000000000000000011 00 20 FD000001";
        self.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP], "10 0A01 10 0A02"));
        self.say(&update("", &[mp, ORIGIN, AS_PATH], ""));
    }

    /// The neighbor is there again with these capabilities, and has told nothing.
    fn again(&mut self, capabilities: &str) {
        self.says = Raw::connect(&mut self.network, GATEWAY, "10.0.0.11", 64513);
        self.say(&both_families(90, capabilities));
        self.say(&message(4, &[]));
        assert_eq!(self.network.state(GATEWAY, "says"), SessionState::Established);
    }

    /// Prefixes that are used.
    fn kept(&self) -> Vec<String> {
        self.network.fib(GATEWAY).into_keys().collect()
    }
}

/// RFC 4724 §2: an UPDATE without anything, or MP_UNREACH_NLRI without prefixes.
#[test]
fn end_of_rib_is_23_octets_of_ipv4_and_30_of_ipv6() {
    let (mut scene, _) = Scene::opened(WITH_N, keeps);
    let ends = [update("", &[IPV4_END], ""), update("", &["90 0F 0003 0002 01"], "")].concat();
    assert_eq!(scene.answer(), ends, "also where there is nothing to tell");
    assert_eq!(ends.len(), 23 + 30);
}

#[test]
fn the_end_of_rib_of_a_family_ends_what_is_stale_of_it() {
    let lines = [
        ("IPv4", update("", &[IPV4_END], ""), vec!["fd00:1::/32"]),
        ("IPv6", update("", &[IPV6_END], ""), vec!["10.1.0.0/16", "10.2.0.0/16"]),
        ("IPv6, a length of two octets", update("", &["90 0F 0003 0002 01"], ""), vec!["10.1.0.0/16", "10.2.0.0/16"]),
        ("a family that was not agreed on", update("", &["80 0F 03 0019 41"], ""), {
            vec!["10.1.0.0/16", "10.2.0.0/16", "fd00:1::/32"]
        }),
    ];
    for (what, end, kept) in lines {
        let mut scene = scene(WITH_N, keeps);
        scene.says.lose(&mut scene.network);
        scene.again(WITH_N);
        scene.network.run_for(SECOND);
        assert_eq!(scene.kept().len(), 3, "{what}");
        scene.say(&end);
        scene.network.run_for(SECOND);
        assert_eq!(scene.kept(), kept, "{what}");
        assert!(!scene.says.is_closed(&scene.network), "{what}");
    }
}

/// RFC 4724 §4.2, RFC 8538 §4: what the neighbor says last, and whether its routes stay with N and without.
#[test]
fn a_notification_keeps_routes_with_n_and_a_hard_reset_never_does() {
    let cease = |subcode| notification(6, subcode, &[]);
    let lines = (1..=8).map(|subcode| (format!("Cease 6/{subcode}"), cease(subcode), true)).chain([
        ("Cease 6/2 with a word".to_owned(), notification(6, 2, &octets("03 627965")), true),
        ("Hard Reset 6/9".to_owned(), notification(6, 9, &octets("06 02")), false),
        ("Hard Reset without a reason".to_owned(), cease(9), false),
        ("BFD down, 6/10 (RFC 9384 §3)".to_owned(), cease(10), true),
        ("hold timer expired".to_owned(), notification(4, 0, &[]), true),
        ("send hold timer expired".to_owned(), notification(8, 0, &[]), true),
        ("UPDATE error".to_owned(), notification(3, 1, &[]), true),
    ]);
    for (what, says, stays) in lines {
        for (capabilities, stays) in [(WITH_N, stays), (WITHOUT_N, false)] {
            let mut scene = scene(capabilities, keeps);
            scene.say(&says);
            scene.network.run_for(SECOND);
            assert_eq!(scene.answer(), [0; 0], "{what}: it is not answered");
            let kept = if stays { 3 } else { 0 };
            assert_eq!(scene.kept().len(), kept, "{what}, {capabilities}");
            let withdrawn = scene.hears.hear(&mut scene.network);
            assert_eq!(withdrawn.is_empty(), stays, "{what}, {capabilities}: {withdrawn:?}");
        }
    }
    for capabilities in [WITH_N, WITHOUT_N] {
        let mut scene = scene(capabilities, keeps);
        scene.says.lose(&mut scene.network);
        scene.network.run_for(SECOND);
        assert_eq!(scene.kept().len(), 3, "a connection that breaks keeps them, {capabilities}");
    }
}

/// What is done, and what the neighbor hears with N (RFC 8538 §3, §5) and without (RFC 4486, RFC 9003), and whether its
/// routes stay.
type End = (&'static str, fn(&mut Scene), (u8, u8, &'static str), (u8, u8, &'static str), bool);

const ENDS: [End; 8] = [
    ("disabled", |scene| scene.command(Command::Disable(None)), (6, 9, "06 02"), (6, 2, ""), false),
    (
        "disabled with a word",
        |scene| scene.command(Command::Disable(Some("bye".to_owned()))),
        (6, 9, "06 02 03 627965"),
        (6, 2, "03 627965"),
        false,
    ),
    ("reset", |scene| scene.command(Command::Reset), (6, 9, "06 04"), (6, 4, ""), false),
    ("stopped", |scene| scene.network.input(GATEWAY, Input::Stop(Stop::Withdraw)), (6, 9, "06 02"), (6, 2, ""), false),
    (
        "more prefixes than allowed",
        |scene| {
            scene.reload(|says| says.session.max_prefixes = Some(PrefixLimit::new(2)));
            scene.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP], "10 0A03"));
        },
        (6, 9, "06 01 0001 01 00000002"),
        (6, 1, "0001 01 00000002"),
        false,
    ),
    (
        "other settings",
        |scene| scene.reload(|says| says.session.hold_time = HoldTime::new(30).unwrap()),
        (6, 6, ""),
        (6, 6, ""),
        true,
    ),
    ("silent for the hold time", |scene| scene.silence(), (4, 0, ""), (4, 0, ""), true),
    (
        "an error that ends the session",
        |scene| scene.say(&update("", &["40 63 00"], "")),
        (3, 2, "40 63 00"),
        (3, 2, "40 63 00"),
        true,
    ),
];

#[test]
fn what_we_end_for_good_is_a_hard_reset_where_n_was_agreed_on() {
    for (what, done, with_n, without_n, stays_with_n) in ENDS {
        for (capabilities, said, stays) in [(WITH_N, with_n, stays_with_n), (WITHOUT_N, without_n, false)] {
            let mut scene = scene(capabilities, keeps);
            done(&mut scene);
            let (code, subcode, data) = said;
            let heard = scene.answer();
            assert_eq!(heard, notification(code, subcode, &octets(data)), "{what}, {capabilities}: {heard:02x?}");
            scene.network.run_for(SECOND);
            let left = scene.network.routes(GATEWAY).len();
            assert_eq!(left, if stays { 3 } else { 0 }, "{what}, {capabilities}");
        }
    }
}

/// RFC 4724 §4.1: without N a NOTIFICATION would make it forget them.
#[test]
fn who_keeps_our_routes_hears_not_an_octet_when_they_stay() {
    for capabilities in [WITH_N, WITHOUT_N] {
        let mut scene = scene(capabilities, keeps);
        scene.network.input(GATEWAY, Input::Stop(Stop::Keep));
        assert_eq!(scene.answer(), [0; 0], "{capabilities}");
        assert!(scene.says.is_closed(&scene.network));
        assert_eq!(scene.hears.take(&mut scene.network), notification(6, 2, &[]), "who does not keep them is told");
    }
}

/// A path that has come again says nothing of the others with its prefix, and what is kept is a bit a prefix.
#[test]
fn several_paths_are_kept_while_their_neighbor_is_away_and_told_anew_when_it_is_back() {
    let capabilities = format!("{WITH_N} 45 08 00010103 00020103");
    let (mut scene, _) = Scene::opened(&capabilities, |says| {
        keeps(says);
        says.session.add_path = Some(AddPath::Both);
    });
    let tell = update("", &[ORIGIN, AS_PATH, NEXT_HOP], "00000001 10 0A01 00000002 10 0A01");
    scene.say(&tell);
    scene.network.run_for(SECOND);
    scene.says.lose(&mut scene.network);
    scene.network.run_for(SECOND);
    assert_eq!(scene.kept(), ["10.1.0.0/16"], "it is away");
    scene.again(&capabilities);
    scene.network.run_for(SECOND);
    assert_eq!(scene.kept(), [""; 0], "it is back");
    scene.say(&tell);
    assert_eq!(scene.network.route(GATEWAY, "10.1.0.0/16").unwrap().paths.len(), 2);
}

/// RFC 9494 §4.2 and §4.3: LLGR_STALE is FFFF0006, NO_LLGR FFFF0007. §4.6, telling who does not know the mark with
/// NO_EXPORT and a LOCAL_PREF of 0, is up to the operator and not built.
#[test]
fn what_is_kept_for_long_carries_llgr_stale_and_goes_to_those_who_know_it() {
    let ours = "40 01 01 02  40 02 0A 02 02 0000FC00 0000FC01  40 03 04 0A000001";
    let lines = [
        (LONG_LIVED, update("", &[ours, "C0 08 04 FFFF0006"], "10 0A01")),
        (WITH_N, update("10 0A01", &[], "")),
        ("", update("10 0A01", &[], "")),
        // RFC 9494 §3.1: without graceful restart it counts for nothing.
        ("47 0E 00010180000258 00020180000258", update("10 0A01", &[], "")),
    ];
    for (capabilities, expected) in lines {
        let (mut scene, _) = Scene::opened(LONG_LIVED, keeps_long);
        scene.hear_with(capabilities);
        scene.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP], "10 0A01"));
        scene.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP, "C0 08 04 FFFF0007"], "10 0A02"));
        scene.hears.take(&mut scene.network);
        scene.says.lose(&mut scene.network);
        for _ in 0..2 {
            scene.network.run_for(Duration::from_secs(59));
            scene.hears.say(&mut scene.network, write_keepalive);
        }
        scene.network.run_for(3 * SECOND);
        let heard = updates(&scene.hears.take(&mut scene.network));
        assert_eq!(heard, updates(&[expected, update("10 0A02", &[], "")].concat()), "{capabilities}: {heard:02x?}");
        assert_eq!(scene.kept(), ["10.1.0.0/16"], "{capabilities}");
    }
}

impl Scene {
    fn command(&mut self, command: Command) {
        self.network.command(GATEWAY, "says", command);
    }

    /// 90 s, without the KEEPALIVEs that it hears meanwhile.
    fn silence(&mut self) {
        self.network.run_for(90 * SECOND - Duration::from_millis(1) - SECOND);
        self.answer();
        self.network.run_for(SECOND + Duration::from_millis(1));
    }

    /// The other neighbor has another session, with these capabilities.
    fn hear_with(&mut self, capabilities: &str) {
        self.reload_all(|settings| keeps_long(settings.neighbors.get_mut("hears").unwrap()));
        self.hears = Raw::connect(&mut self.network, GATEWAY, "10.0.0.12", 64514);
        let all = format!("01 04 00010001 41 04 0000FC02 {capabilities}");
        let open = opening_of("FC02 005A 0A00000C", &all);
        self.hears.say(&mut self.network, |out| out.extend_from_slice(&open));
        self.hears.say(&mut self.network, write_keepalive);
        assert_eq!(self.network.state(GATEWAY, "hears"), SessionState::Established);
    }
}
