//! RFC 9234, octet by octet: roles in OPENs, and the attribute OTC (35) on its way.

use bgpd::role::Role;
use bgpd::view::SessionState;
use bgpd::wire::Notification;

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, NLRI, ORIGIN, Scene, Session, Then, WITHDRAWN, check};
use crate::octets::{message, notification, update};
use crate::raw::Raw;

const ROLES: [Role; 5] = [Role::Provider, Role::RouteServer, Role::RouteServerClient, Role::Customer, Role::Peer];

/// RFC 9234 §4.2, table 2: our role and the one that the neighbor must have.
const FIT: [(u8, u8); 5] = [(0, 3), (1, 2), (2, 1), (3, 0), (4, 4)];

/// Says these capabilities to a neighbor of this role, and either the session stands or ends with 2/11, without data.
fn hold(ours: Option<Role>, theirs: &str, fits: bool) {
    let (mut scene, answer) = Scene::opened(theirs, |says| says.session.role = ours);
    let what = format!("{ours:?} and {theirs:?}");
    let refused = notification(2, 11, &[]);
    let view = scene.network.neighbor(GATEWAY, "says");
    if fits {
        assert!(answer.ends_with(&message(4, &[])), "{what}");
        assert_eq!((view.state, view.last_error), (SessionState::Established, None), "{what}");
    } else {
        assert!(answer.ends_with(&refused), "{what}: {answer:02x?}");
        assert!(scene.says.is_closed(&scene.network), "{what}");
        assert_eq!(view.last_error.unwrap().notification, Some(Notification::new(2, 11)), "{what}");
    }
    scene.answer();
}

#[test]
fn roles_that_do_not_fit_are_refused_with_2_11() {
    for ours in ROLES {
        for theirs in 0..=5 {
            hold(Some(ours), &format!("09 01 0{theirs}"), FIT.contains(&(ours.code(), theirs)));
        }
    }
    hold(Some(Role::Customer), "", true); // §4.2: not said, and there is no strict mode here
    hold(None, "09 01 04", true);
    hold(Some(Role::Peer), "09 01 04 09 01 04", true);
    hold(Some(Role::Peer), "09 01 04 09 01 00", false); // §4.2: said twice, and not the same
    hold(None, "09 01 04 09 01 00", false);
    hold(Some(Role::Peer), "09 02 0404", true); // of a length that it cannot have: as if not said (RFC 5492 §3)
}

fn with(attribute: &str) -> Vec<u8> {
    update("", &[ORIGIN, AS_PATH, NEXT_HOP, attribute], NLRI)
}

#[test]
fn a_malformed_otc_withdraws() {
    let told = Then::Told(&["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513] otc 65000"]);
    check(
        Session::External,
        [
            ("four octets", with("C0 23 04 0000FDE8"), told),
            ("no octet (§5)", with("C0 23 00"), WITHDRAWN),
            ("three octets", with("C0 23 03 00FDE8"), WITHDRAWN),
            ("five octets", with("C0 23 05 0000FDE8 00"), WITHDRAWN),
            ("not transitive (RFC 7606 §3 c)", with("80 23 04 0000FDE8"), WITHDRAWN),
            ("well-known", with("40 23 04 0000FDE8"), WITHDRAWN),
        ],
    );
}

/// What the neighbor is to us, what it says of OTC, and what the other one, without a role, hears of it; `None`: the
/// route has been leaked (§5, ingress 1 and 2).
#[test]
fn otc_is_set_kept_or_a_leak_as_the_roles_say() {
    let (theirs, others) = ("C0 23 04 0000FC01", "C0 23 04 0000FDE8");
    let lines = [
        (Role::Customer, "", Some("")),
        (Role::Customer, theirs, None),
        (Role::RouteServerClient, "", Some("")),
        (Role::RouteServerClient, others, None),
        (Role::Peer, "", Some(theirs)), // ingress 3
        (Role::Peer, theirs, Some(theirs)),
        (Role::Peer, others, None),
        (Role::Provider, "", Some(theirs)),
        (Role::Provider, others, Some(others)),
        (Role::RouteServer, "", Some(theirs)),
        (Role::RouteServer, others, Some(others)),
    ];
    for (role, says, hears) in lines {
        let mut scene = Scene::with(Session::External, |says| says.session.role = Some(role.other_side()));
        scene.say(&with(says));
        let heard = scene.hears.take(&mut scene.network);
        let ours = "40 01 01 02  40 02 0A 02 02 0000FC00 0000FC01  40 03 04 0A000001";
        let expected = hears.map_or_else(|| update(NLRI, &[], ""), |otc| update("", &[ours, otc], NLRI));
        assert_eq!(heard, expected, "{role} {says}: {heard:02x?}");
        assert!(!scene.says.is_closed(&scene.network), "{role} {says}");
        let path = &scene.network.received(GATEWAY, "says")[0].paths[0];
        assert_eq!(path.rejected.is_some(), hears.is_none(), "{role} {says}: {:?}", path.rejected);
    }
}

/// What the neighbor that hears is to us, and what it hears of a route without OTC and of one with it (§5, egress 1
/// and 2).
#[test]
fn otc_goes_to_those_below_only_and_is_set_on_the_way_down() {
    let (ours, others) = ("C0 23 04 0000FC00", "C0 23 04 0000FDE8");
    let lines = [
        (Role::Customer, Some(ours), Some(others)),
        (Role::RouteServerClient, Some(ours), Some(others)),
        (Role::Peer, Some(ours), None),
        (Role::Provider, Some(""), None),
        (Role::RouteServer, Some(""), None),
    ];
    for (role, without, with_it) in lines {
        for (says, hears) in [("", without), (others, with_it)] {
            let mut scene = Scene::new(Session::External);
            scene.reload_all(|settings| {
                settings.neighbors.get_mut("hears").unwrap().session.role = Some(role.other_side());
            });
            let mut hearer = Raw::settled(&mut scene.network, GATEWAY, "10.0.0.12", 64514);
            scene.say(&with(says));
            let heard = hearer.take(&mut scene.network);
            let path = "40 01 01 02  40 02 0A 02 02 0000FC00 0000FC01  40 03 04 0A000001";
            let expected = hears.map_or_else(|| update(NLRI, &[], ""), |otc| update("", &[path, otc], NLRI));
            assert_eq!(heard, expected, "{role} {says}: {heard:02x?}");
        }
    }
}
