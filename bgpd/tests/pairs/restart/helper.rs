//! The neighbor restarts: its routes are kept (RFC 4724 §4.2, RFC 8538 §4).

use bgpd::settings::PrefixLimit;
use bgpd::speaker::{Command, Event};
use bgpd::view::SessionState;
use bgpd::wire::Notification;

use super::*;

const CEASE_6_3: Notification = Notification::new(6, 3);

/// The FIB hears nothing of what happens from now on.
fn forget_changes(network: &mut Network) {
    network.nodes[GATEWAY].fib_changes.clear();
}

#[test]
fn a_neighbor_that_comes_back_with_the_routes_of_before_changes_nothing() {
    let (mut network, left, mut right) = settled();
    forget_changes(&mut network);
    left.lose(&mut network);
    network.run_for(RESTART_TIME - SECOND);
    assert_eq!((kept(&network), stale(&network)), (TWO.map(str::to_owned).to_vec(), TWO.map(str::to_owned).to_vec()));
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.received, view.note.as_deref()), (2, Some("its routes are kept for 1 s")));
    assert!(paths(&network, TWO[0])[0].best);
    assert_eq!(network.received(GATEWAY, "left").len(), 2);

    let mut left = super::left(&mut network);
    tell(&mut network, &mut left, &TWO[..1]);
    assert_eq!(stale(&network), TWO[1..]);
    tell(&mut network, &mut left, &TWO[1..]);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!(stale(&network), [""; 0]);
    assert!(!network.neighbor(GATEWAY, "left").note.unwrap_or_default().contains("kept"));
    assert_eq!(right.hear(&mut network), [""; 0]);
    assert_eq!(network.nodes[GATEWAY].fib_changes, []);
    assert_eq!(left.hear(&mut network)[1..], ["end of ipv4", "end of ipv6"], "nothing of its own");
}

#[test]
fn what_is_not_told_again_goes_with_the_end_of_rib_of_its_family() {
    let (mut network, mut left, mut right) = settled();
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["fd01::/48"]);
    right.hear(&mut network);
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    tell(&mut network, &mut left, &TWO[1..]);
    network.run_for(SECOND);
    assert_eq!(stale(&network), ["10.1.0.0/16", "fd01::/48"]);
    left.end_of_rib(&mut network, &[Family::Ipv4]);
    network.run_for(SECOND);
    assert_eq!(
        (kept(&network), stale(&network)),
        (vec![TWO[1].to_owned(), "fd01::/48".to_owned()], vec!["fd01::/48".to_owned()])
    );
    left.end_of_rib(&mut network, &[Family::Ipv6]);
    network.run_for(SECOND);
    assert_eq!(kept(&network), TWO[1..]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16"]); // it has no IPv6 next hop
}

#[test]
fn other_attributes_and_withdrawals_count_at_once() {
    let (mut network, left, mut right) = settled();
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    left.announce(&mut network, &path(&[64513, 7]), "10.0.0.11", &TWO[..1]);
    left.withdraw(&mut network, &TWO[1..]);
    network.run_for(SECOND);
    assert_eq!((kept(&network), stale(&network)), (vec![TWO[0].to_owned()], Vec::new()));
    let heard = right.hear(&mut network);
    assert_eq!(heard, ["10.1.0.0/16 via 10.0.0.1 igp [64512 64513 7]", "withdraw 10.2.0.0/16"]);
}

#[test]
fn a_neighbor_that_does_not_come_back_in_its_restart_time_loses_its_routes() {
    let (mut network, left, mut right) = settled();
    left.lose(&mut network);
    network.run_for(RESTART_TIME - SECOND);
    assert_eq!(kept(&network), TWO);
    network.run_for(2 * SECOND);
    assert_eq!(kept(&network), [""; 0]);
    assert_eq!(network.routes(GATEWAY).len(), 0);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16,10.2.0.0/16"]);
    let mut left = super::left(&mut network);
    tell(&mut network, &mut left, &TWO);
    network.run_for(SECOND);
    assert_eq!((kept(&network), stale(&network)), (TWO.map(str::to_owned).to_vec(), Vec::new()));
}

#[test]
fn a_neighbor_that_never_comes_to_the_end_of_its_routes_has_until_the_stale_time() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    tell(&mut network, &mut left, &TWO[..1]);
    let step = Duration::from_secs(60);
    for _ in 0..6 {
        network.run_for(step);
        left.say(&mut network, bgpd::wire::write_keepalive);
        assert_eq!(stale(&network), TWO[1..]);
    }
    network.run_for(step + SECOND);
    assert_eq!(kept(&network), TWO[..1]);
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
}

#[test]
fn what_was_stale_when_the_session_is_lost_again_goes() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    tell(&mut network, &mut left, &TWO[..1]);
    left.lose(&mut network);
    network.run_for(SECOND);
    assert_eq!((kept(&network), stale(&network)), (vec![TWO[0].to_owned()], vec![TWO[0].to_owned()]));
}

#[test]
fn the_new_open_says_whether_the_ways_of_before_are_still_used() {
    let not = |families| GracefulRestart { families, ..restart() };
    let cases = [
        (Some(restart()), 2, "still used"),
        (Some(not(both_families(false))), 0, "F is clear"),
        (Some(not(both_families(true).split_off(1))), 0, "IPv4 is missing"),
        (Some(not(Vec::new())), 0, "no family"),
        (None, 0, "no capability"),
    ];
    for (again, expected, what) in cases {
        let (mut network, left, _right) = settled();
        left.lose(&mut network);
        match again {
            Some(restart) => left_with(&mut network, restart),
            None => Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513),
        };
        network.run_for(SECOND);
        assert_eq!((kept(&network).len(), stale(&network).len()), (expected, expected), "{what}");
    }
}

#[test]
fn a_notification_keeps_routes_where_n_was_agreed_on_unless_it_is_a_hard_reset() {
    let without_n = || GracefulRestart { notification: false, ..restart() };
    let cases = [
        (restart(), CEASE_6_3, 2),
        (restart(), Notification::new(3, 1), 2),
        (restart(), CEASE_6_3.hard_reset(), 0),
        (without_n(), CEASE_6_3, 0),
    ];
    for (restart, notification, expected) in cases {
        let (mut network, mut left, _right) = settled_with(gateway(), restart.clone());
        left.say(&mut network, |out| notification.write(out));
        network.run_for(SECOND);
        assert_eq!(kept(&network).len(), expected, "{notification:?} {restart}");
    }
}

#[test]
fn a_hold_timer_that_runs_out_keeps_routes_where_n_was_agreed_on() {
    for (notification, expected) in [(true, 2), (false, 0)] {
        let (mut network, mut left, _right) = settled_with(gateway(), GracefulRestart { notification, ..restart() });
        network.run_for(Duration::from_secs(91));
        assert_eq!(left.hear(&mut network), ["notification 4/0 Hold Timer Expired"]);
        assert_eq!(kept(&network).len(), expected);
    }
}

#[test]
fn only_the_families_that_the_neighbor_names_are_kept() {
    let ipv6 = GracefulRestart { families: both_families(true).split_off(1), ..restart() };
    let (mut network, mut left, _right) = settled_with(gateway(), ipv6);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["fd01::/48"]);
    left.lose(&mut network);
    network.run_for(SECOND);
    assert_eq!(kept(&network), ["fd01::/48"]);
}

#[test]
fn a_session_that_is_opened_again_before_the_loss_of_the_old_one_is_noticed_takes_its_place() {
    let (mut network, _left, mut right) = settled();
    let mut left = super::left(&mut network);
    network.run_for(SECOND);
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
    assert_eq!(stale(&network), TWO);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!((kept(&network).len(), stale(&network).len()), (2, 0));
    assert_eq!(right.hear(&mut network), [""; 0]);
    let down = network.nodes[GATEWAY].events.iter().find_map(|event| match event {
        Event::SessionDown { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(down, Some("the neighbor has lost it, and opened another"));
}

#[test]
fn another_router_under_the_same_address_does_not_inherit() {
    let (mut network, left, mut right) = settled();
    left.lose(&mut network);
    let mut left = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut open = crate::raw::open(64513, "10.9.9.9");
    open.capabilities.push(Capability::GracefulRestart(restart()));
    left.say(&mut network, |out| open.write(out));
    left.say(&mut network, bgpd::wire::write_keepalive);
    tell(&mut network, &mut left, &TWO[..1]);
    network.run_for(SECOND);
    assert_eq!((kept(&network), stale(&network)), (vec![TWO[0].to_owned()], Vec::new()));
    assert_eq!(paths(&network, TWO[0]).len(), 1);
    let again = "10.1.0.0/16 via 10.0.0.1 igp [64512 64513]";
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16,10.2.0.0/16", again]);
}

#[test]
fn policy_that_changes_meanwhile_counts_for_what_is_kept() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    network.reload(GATEWAY, gateway().session("left", |session| session.import = None));
    network.run_for(SECOND);
    assert_eq!((kept(&network).len(), network.neighbor(GATEWAY, "left").received), (0, 2));
    network.reload(GATEWAY, gateway());
    network.run_for(SECOND);
    assert_eq!(kept(&network), TWO);
}

#[test]
fn stale_routes_do_not_count_for_the_limit() {
    let settings = gateway().session("left", |session| session.max_prefixes = Some(PrefixLimit::new(2)));
    let (mut network, left, _right) = settled_with(settings, restart());
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    let others = ["10.3.0.0/16", "10.4.0.0/16"];
    tell(&mut network, &mut left, &others);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!(kept(&network), others);
    tell(&mut network, &mut left, &TWO[..1]);
    assert!(left.is_closed(&network));
}

#[test]
fn a_reset_of_a_neighbor_that_is_away_forgets_its_routes() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    network.command(GATEWAY, "left", Command::Reset);
    network.run_for(SECOND);
    assert_eq!(kept(&network), [""; 0]);
}

#[test]
fn a_full_table_survives_as_a_single_route_does() {
    let prefixes: Vec<String> =
        (0..30_000).map(|number| format!("11.{}.{}.0/24", number / 256, number % 256)).collect();
    let (mut network, mut left, mut right) = settled();
    for some in prefixes.chunks(500) {
        tell(&mut network, &mut left, &some.iter().map(String::as_str).collect::<Vec<_>>());
    }
    network.run_for(SECOND);
    right.hear(&mut network);
    forget_changes(&mut network);
    left.lose(&mut network);
    let mut left = super::left(&mut network);
    for some in prefixes[1..].chunks(500) {
        tell(&mut network, &mut left, &some.iter().map(String::as_str).collect::<Vec<_>>());
    }
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!((kept(&network).len(), stale(&network).len()), (30_001, 0));
    assert_eq!(right.hear(&mut network), ["withdraw 11.0.0.0/24"]);
    assert_eq!(network.nodes[GATEWAY].fib_changes.len(), 1);
}
