//! Long-lived graceful restart (RFC 9494): the last resort after the Restart Time.

use bgpd::types::Community;
use bgpd::wire::{LongLivedFamily, PathAttributes};

use super::*;

const STALE_TIME: Duration = Duration::from_secs(600);

fn keeps_long(session: &mut SessionSettings) {
    let restart = GracefulRestartSettings { long_lived_stale_time: Some(2 * STALE_TIME), ..Default::default() };
    session.graceful_restart = Some(restart);
}

fn long_lived_gateway() -> Settings {
    gateway().with_neighbor("third", neighbor("10.0.0.13", 64515)).session("left", keeps_long).session("third", keeps)
}

fn capabilities(forwarding: bool) -> [Capability; 2] {
    let family = |family| LongLivedFamily::new(family, forwarding, STALE_TIME);
    [
        Capability::GracefulRestart(GracefulRestart { families: both_families(forwarding), ..restart() }),
        Capability::LongLived(Family::ALL.map(family).to_vec()),
    ]
}

fn left_again(network: &mut Network, forwarding: bool) -> Raw {
    Raw::establish_with(network, GATEWAY, "10.0.0.11", 64513, &capabilities(forwarding))
}

struct Situation {
    network: Network,
    /// Knows nothing of LLGR_STALE.
    right: Raw,
    /// Does.
    third: Raw,
}

/// The left neighbor has been away for longer than its Restart Time. Of its routes, 10.1/16 may be kept for long.
fn away() -> Situation {
    let mut network = Network::new(5, [(address("10.0.0.1"), long_lived_gateway())]);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut third = Raw::establish_with(&mut network, GATEWAY, "10.0.0.13", 64515, &capabilities(true));
    let mut left = left_again(&mut network, true);
    tell(&mut network, &mut left, &TWO[..1]);
    let not_long = PathAttributes { communities: vec![Community::NO_LLGR], ..path(&[64513]) };
    left.announce(&mut network, &not_long, "10.0.0.11", &TWO[1..]);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    right.hear(&mut network);
    third.hear(&mut network);
    left.lose(&mut network);
    network.run_for(RESTART_TIME - 2 * SECOND);
    assert_eq!(kept(&network), TWO);
    for watcher in [&mut right, &mut third] {
        watcher.say(&mut network, bgpd::wire::write_keepalive);
        assert_eq!(watcher.hear(&mut network), [""; 0]);
    }
    network.run_for(3 * SECOND);
    Situation { network, right, third }
}

#[test]
fn after_the_restart_time_routes_are_marked_and_told_only_to_who_knows_the_mark() {
    let Situation { mut network, mut right, mut third } = away();
    assert_eq!(kept(&network), TWO[..1]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.2.0.0/16", "withdraw 10.1.0.0/16"]);
    let mut heard = third.hear(&mut network);
    heard.sort();
    assert_eq!(heard, ["10.1.0.0/16 via 10.0.0.1 igp [64512 64513] communities 65535:6", "withdraw 10.2.0.0/16"]);
    let found = &paths(&network, TWO[0])[0];
    assert!(found.stale && found.best);
    assert_eq!(found.attributes.communities, [Community::LLGR_STALE]);
    let note = network.neighbor(GATEWAY, "left").note.unwrap();
    assert!(note.starts_with("its routes are kept as the last resort for 59"), "{note}");
}

#[test]
fn any_other_path_is_better_than_a_long_lived_one() {
    let Situation { mut network, mut right, .. } = away();
    right.announce(&mut network, &path(&[64514, 1, 2, 3]), "10.0.0.12", &TWO[..1]);
    network.run_for(SECOND);
    assert_eq!(network.fib(GATEWAY)[TWO[0]], ["10.0.0.12"]);
    assert_eq!(paths(&network, TWO[0])[1].not_best.as_deref(), Some("long-lived stale"));
}

/// Lets time pass in which the right and the third neighbor stay.
fn pass(situation: &mut Situation, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(Duration::from_secs(60));
        situation.network.run_for(step);
        for watcher in [&mut situation.right, &mut situation.third] {
            watcher.say(&mut situation.network, bgpd::wire::write_keepalive);
        }
        left -= step;
    }
}

#[test]
fn they_go_when_the_long_lived_stale_time_ends() {
    let mut situation = away();
    pass(&mut situation, STALE_TIME - 5 * SECOND);
    assert_eq!(kept(&situation.network), TWO[..1]);
    pass(&mut situation, 6 * SECOND);
    assert_eq!(kept(&situation.network), [""; 0]);
    assert_eq!(situation.third.hear(&mut situation.network).last().unwrap(), "withdraw 10.1.0.0/16");
}

#[test]
fn what_is_told_again_is_as_good_as_before() {
    let Situation { mut network, mut right, .. } = away();
    let mut left = left_again(&mut network, true);
    network.run_for(SECOND);
    assert_eq!(stale(&network), TWO[..1]);
    right.hear(&mut network);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!((kept(&network).len(), stale(&network).len()), (2, 0));
    assert_eq!(paths(&network, TWO[0])[0].attributes.communities, []);
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16,10.2.0.0/16 via 10.0.0.1 igp [64512 64513]"]);
}

#[test]
fn policy_that_changes_while_they_are_told_again_keeps_them_apart() {
    let Situation { mut network, .. } = away();
    let mut left = left_again(&mut network, true);
    tell(&mut network, &mut left, &["10.3.0.0/16"]);
    // All is judged again, stale and fresh, and has the same bytes.
    network.command(GATEWAY, "left", bgpd::speaker::Command::Drain);
    network.run_for(SECOND);
    assert_eq!(
        paths(&network, TWO[0])[0].attributes.communities,
        [Community::GRACEFUL_SHUTDOWN, Community::LLGR_STALE]
    );
    assert_eq!(paths(&network, "10.3.0.0/16")[0].attributes.communities, [Community::GRACEFUL_SHUTDOWN]);
    tell(&mut network, &mut left, &TWO[..1]);
    network.run_for(SECOND);
    assert_eq!(paths(&network, TWO[0])[0].attributes.communities, [Community::GRACEFUL_SHUTDOWN]);
}

#[test]
fn a_new_open_without_the_bit_ends_them() {
    let Situation { mut network, .. } = away();
    left_again(&mut network, false);
    network.run_for(SECOND);
    assert_eq!(kept(&network), [""; 0]);
}

#[test]
fn a_session_that_is_lost_again_does_not_begin_their_time_anew() {
    let mut situation = away();
    pass(&mut situation, STALE_TIME / 2);
    let mut left = left_again(&mut situation.network, true);
    tell(&mut situation.network, &mut left, &["10.3.0.0/16"]);
    left.lose(&mut situation.network);
    pass(&mut situation, STALE_TIME / 2 - 10 * SECOND);
    assert_eq!(kept(&situation.network), [TWO[0], "10.3.0.0/16"]);
    pass(&mut situation, 20 * SECOND);
    assert_eq!(kept(&situation.network), [""; 0]);
}

#[test]
fn a_route_that_comes_with_the_mark_is_the_last_resort_too() {
    let mut network = Network::new(5, [(address("10.0.0.1"), long_lived_gateway())]);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut third = Raw::establish_with(&mut network, GATEWAY, "10.0.0.13", 64515, &capabilities(true));
    let marked = PathAttributes { communities: vec![Community::LLGR_STALE], ..path(&[64514]) };
    right.announce(&mut network, &marked, "10.0.0.12", &TWO[..1]);
    third.announce(&mut network, &path(&[64515, 1, 2, 3]), "10.0.0.13", &TWO[..1]);
    network.run_for(SECOND);
    assert_eq!(network.fib(GATEWAY)[TWO[0]], ["10.0.0.13"]);
}
