//! Graceful restart in the OPENs, and at the end of a session.

use super::super::{Farewell, LongLived, Preserved};
use super::*;
use crate::settings::GracefulRestartSettings;
use crate::wire::{GracefulRestart, KeptFamily, LongLivedFamily};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn with_long_lived(stale_time: Option<Duration>) -> SessionSettings {
    let restart = GracefulRestartSettings { long_lived_stale_time: stale_time, ..GracefulRestartSettings::default() };
    SessionSettings { graceful_restart: Some(restart), families: Some(Families::ALL), ..SessionSettings::default() }
}

fn restart(families: &[KeptFamily]) -> GracefulRestart {
    GracefulRestart { restarted: false, notification: true, restart_time: MINUTE, families: families.to_vec() }
}

fn keeps_ipv4() -> Capability {
    Capability::GracefulRestart(restart(&[KeptFamily::new(Family::Ipv4, true)]))
}

/// The neighbor's OPEN with more in it.
fn open_with(more: &[Capability]) -> Open {
    let mut open = neighbor_open();
    open.capabilities.extend_from_slice(more);
    open
}

fn agreed(session: SessionSettings, more: &[Capability]) -> Option<super::super::Graceful> {
    let mut bench = Bench::with(session).open_sent();
    bench.open(1, &open_with(more)).keepalive(1);
    bench.fsm.negotiated().unwrap().graceful.clone()
}

/// With a neighbor that keeps routes, whose OPEN has these capabilities besides.
fn established(more: &[Capability]) -> Bench {
    let mut bench = Bench::new().open_sent();
    bench.open(1, &open_with(more)).keepalive(1);
    bench
}

#[test]
fn our_open_says_what_we_keep_and_whether_we_still_forward() {
    for (preserved, restarted, forwarding) in [
        (Preserved::default(), false, false),
        (Preserved { restarted: true, forwarding: true }, true, true),
        (Preserved { restarted: false, forwarding: true }, false, true),
    ] {
        let mut bench = Bench::with(with_long_lived(Some(HOUR)));
        bench.fsm.preserved = preserved;
        let bench = bench.open_sent();
        let Some(Action::SendOpen { open, .. }) = bench.actions.first() else { panic!("{:?}", bench.actions) };
        let families = Family::ALL.map(|family| KeptFamily::new(family, forwarding)).to_vec();
        let restart_time = Duration::from_secs(120);
        let expected = [
            Capability::GracefulRestart(GracefulRestart { restarted, notification: true, restart_time, families }),
            Capability::LongLived(Family::ALL.map(|family| LongLivedFamily::new(family, forwarding, HOUR)).to_vec()),
        ];
        assert!(open.capabilities.ends_with(&expected), "{:?}", open.capabilities);
    }
}

#[test]
fn what_the_neighbor_keeps_is_agreed_on_for_the_families_of_the_session() {
    let both = Family::ALL.map(|family| KeptFamily::new(family, family == Family::Ipv4));
    let other = KeptFamily { afi: 25, safi: 70, forwarding: true };
    let theirs = restart(&[&both[..], &[other]].concat());
    let graceful = agreed(with_long_lived(None), &[Capability::GracefulRestart(theirs.clone())]).unwrap();
    assert_eq!((graceful.families, graceful.forwarding), (Families::IPV4, Families::IPV4)); // IPv6 is not negotiated
    assert_eq!((graceful.notification, graceful.restarted, graceful.restart_time), (true, false, MINUTE));

    let session = with_long_lived(None);
    let both = [multiprotocol(Family::Ipv6), Capability::GracefulRestart(theirs)];
    let graceful = agreed(session, &both).unwrap();
    assert_eq!((graceful.families, graceful.forwarding), (Families::ALL, Families::IPV4));
}

#[test]
fn without_it_on_both_sides_nothing_outlives_a_session() {
    assert_eq!(agreed(with_long_lived(None), &[]), None);
    assert_eq!(agreed(SessionSettings { graceful_restart: None, ..SessionSettings::default() }, &[keeps_ipv4()]), None);
}

#[test]
fn the_long_lived_time_is_theirs_and_no_longer_than_ours() {
    for (ours, theirs, agreed_on) in [(HOUR, MINUTE, MINUTE), (MINUTE, HOUR, MINUTE)] {
        let offered = Capability::LongLived(vec![LongLivedFamily::new(Family::Ipv4, true, theirs)]);
        let graceful = agreed(with_long_lived(Some(ours)), &[keeps_ipv4(), offered]).unwrap();
        let long_lived = LongLived { stale_time: agreed_on, forwarding: true };
        assert_eq!(graceful.long_lived(Family::Ipv4), Some(long_lived));
        assert_eq!(graceful.long_lived(Family::Ipv6), None);
        assert!(graceful.takes_long_lived);
    }
    let offered = Capability::LongLived(vec![LongLivedFamily::new(Family::Ipv4, true, HOUR)]);
    let graceful = agreed(with_long_lived(None), &[keeps_ipv4(), offered.clone()]).unwrap();
    assert_eq!(graceful.long_lived(Family::Ipv4), None, "we do not keep routes so long");
    assert!(graceful.takes_long_lived);
    // RFC 9494 §3.1: counts for nothing without graceful restart.
    assert_eq!(agreed(with_long_lived(Some(HOUR)), &[offered]), None);
}

#[test]
fn a_hard_reset_carries_the_reason_where_n_was_agreed_on() {
    let hard = || Event::Stop(Farewell::Hard(Notification { data: vec![1, b'x'], ..BYE }));
    let mut bench = established(&[keeps_ipv4()]);
    let sent = Notification { data: vec![6, 2, 1, b'x'], ..Notification::new(6, 9) };
    bench.step(hard());
    assert_eq!(bench.actions, [close(1, sent.clone()), Action::Down { reason: DownReason::Sent(sent) }]);

    let without_n = GracefulRestart { notification: false, ..restart(&[KeptFamily::new(Family::Ipv4, true)]) };
    for more in [vec![Capability::GracefulRestart(without_n)], Vec::new()] {
        assert_eq!(established(&more).step(hard()).refusal(), &Notification { data: vec![1, b'x'], ..BYE });
    }
    assert_eq!(Bench::new().open_sent().step(hard()).refusal(), &Notification { data: vec![1, b'x'], ..BYE });
}

#[test]
fn who_keeps_our_routes_is_left_without_a_word_where_they_stay_true() {
    let silent = || Event::Stop(Farewell::Silent(BYE));
    let mut bench = established(&[keeps_ipv4()]);
    bench.step(silent());
    let without_a_word = Action::Close { connection: connection(1), notification: None };
    assert_eq!(bench.actions, [without_a_word, Action::Down { reason: DownReason::Left(BYE) }]);
    assert_eq!(established(&[]).step(silent()).refusal(), &BYE);
    assert_eq!(Bench::new().open_sent().step(silent()).refusal(), &BYE);
}

#[test]
fn a_neighbor_that_opens_another_session_has_lost_the_one_there_was() {
    let mut bench = established(&[keeps_ipv4()]);
    bench.now += Duration::from_secs(1);
    bench.accepted(2).open(2, &open_with(&[keeps_ipv4()]));
    let close = Action::Close { connection: connection(1), notification: None };
    let down = Action::Down { reason: DownReason::Replaced };
    assert_eq!(bench.actions, [close, down, Action::SendKeepalive { connection: connection(2) }]);
    bench.keepalive(2);
    assert_eq!(bench.fsm.state(), SessionState::Established);
}

#[test]
fn a_second_connection_is_a_collision_where_nothing_outlives_a_session_or_both_began_at_once() {
    let lost = Notification::new(6, 7);
    let mut bench = established(&[]);
    bench.now += Duration::from_secs(1);
    bench.accepted(2).open(2, &neighbor_open());
    assert_eq!(bench.actions, [close(2, lost.clone())]);

    let mut bench = Bench::new().open_sent();
    bench.accepted(2).open(1, &open_with(&[keeps_ipv4()])).step(Event::Timer);
    bench.now += Duration::from_secs(11); // 1 has waited for 2 long enough
    bench.step(Event::Timer).keepalive(1);
    assert_eq!(bench.fsm.state(), SessionState::Established);
    bench.now += Duration::from_secs(1);
    bench.open(2, &open_with(&[keeps_ipv4()]));
    assert_eq!(bench.actions, [close(2, lost)]);
}
