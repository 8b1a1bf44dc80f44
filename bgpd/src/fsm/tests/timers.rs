use super::*;
use crate::types::HoldTime;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hold_time(seconds: u16) -> SessionSettings {
    SessionSettings { hold_time: HoldTime::new(seconds).unwrap(), ..SessionSettings::default() }
}

/// Keeps the session alive and collects when KEEPALIVEs were sent, as time since the start.
fn keepalives(bench: &mut Bench, count: usize) -> Vec<Duration> {
    let start = bench.now;
    let mut sent = Vec::new();
    while sent.len() < count {
        bench.wait_for_timer();
        if bench.actions.contains(&Action::SendKeepalive { connection: connection(1) }) {
            sent.push(bench.now - start);
        }
        bench.step(Event::Alive { connection: connection(1) });
        bench.step(Event::Sent { connection: connection(1), pending: false });
    }
    sent
}

#[test]
fn a_neighbor_that_never_sends_its_open_is_given_four_minutes() {
    let mut bench = Bench::new().open_sent();
    bench.wait(seconds(239));
    assert_eq!(bench.fsm.state(), SessionState::OpenSent);
    bench.wait(seconds(1));
    assert_eq!(bench.actions, [close(1, Notification::new(4, 0)), failed(Notification::new(4, 0))]);
}

#[test]
fn silence_for_the_hold_time_ends_the_session() {
    let mut bench = Bench::new().established();
    bench.wait(seconds(89));
    assert_eq!(bench.fsm.state(), SessionState::Established);
    bench.wait(seconds(1));
    let expired = Notification::new(4, 0);
    assert_eq!(bench.actions, [close(1, expired.clone()), Action::Down { reason: DownReason::Sent(expired) }]);
}

#[test]
fn keepalives_updates_refreshes_and_any_bytes_are_life() {
    for life in [
        Event::Keepalive { connection: connection(1) },
        Event::Update { connection: connection(1) },
        Event::RouteRefresh { connection: connection(1) },
        Event::Alive { connection: connection(1) },
    ] {
        let mut bench = Bench::new().established();
        bench.wait(seconds(80)).step(life).wait(seconds(80));
        assert_eq!(bench.fsm.state(), SessionState::Established);
    }
}

#[test]
fn keepalives_come_at_three_quarters_to_the_whole_of_a_third_of_the_hold_time() {
    let mut bench = Bench::new().established();
    let sent = keepalives(&mut bench, 100);
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (Duration::from_millis(22_500)..=seconds(30)).contains(gap)), "{gaps:?}");
    let (shortest, longest) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(*longest - *shortest > seconds(4), "no jitter: {shortest:?} to {longest:?}");
}

#[test]
fn keepalives_come_at_most_once_a_second() {
    let session = SessionSettings { keepalive: Some(Duration::from_millis(10)), ..hold_time(3) };
    let mut bench = Bench::with(session).established();
    let sent = keepalives(&mut bench, 10);
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= seconds(1)), "{sent:?}");
}

#[test]
fn a_configured_keepalive_interval_counts_where_it_is_shorter() {
    let session = SessionSettings { keepalive: Some(seconds(4)), ..hold_time(90) };
    let sent = keepalives(&mut Bench::with(session).established(), 20);
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] <= seconds(4)), "{sent:?}");
}

#[test]
fn with_hold_time_zero_no_timer_runs() {
    let mut bench = Bench::with(hold_time(0)).established();
    bench.step(Event::Sent { connection: connection(1), pending: true });
    assert_eq!(bench.fsm.next_timeout(), None);
}

#[test]
fn a_neighbor_that_reads_nothing_is_dropped_after_eight_minutes() {
    let mut bench = Bench::new().established();
    let start = bench.now;
    while bench.fsm.state() == SessionState::Established {
        bench.wait_for_timer().step(Event::Alive { connection: connection(1) });
        assert!(bench.now - start <= seconds(480));
    }
    assert_eq!(bench.now - start, seconds(480));
}

#[test]
fn the_send_hold_notification_is_8_0() {
    let session = SessionSettings { send_hold_time: Some(seconds(20)), ..SessionSettings::default() };
    let mut bench = Bench::with(session).established();
    bench.step(Event::Sent { connection: connection(1), pending: true }).wait(seconds(19));
    assert_eq!(bench.fsm.state(), SessionState::Established);
    bench.wait(seconds(1));
    assert_eq!(bench.refusal(), &Notification::new(8, 0));
}

#[test]
fn a_slow_reader_that_reads_at_all_stays() {
    let mut bench = Bench::new().established();
    for _ in 0..20 {
        bench.wait(seconds(60));
        bench.step(Event::Alive { connection: connection(1) });
        bench.step(Event::Sent { connection: connection(1), pending: true });
    }
    assert_eq!(bench.fsm.state(), SessionState::Established);
}

#[test]
fn a_failed_dial_is_repeated_after_the_connect_retry_time() {
    let mut bench = Bench::new();
    let start = bench.now;
    bench.step(Event::Start).step(Event::ConnectFailed { connection: connection(1) });
    assert_eq!(bench.fsm.state(), SessionState::Active);
    bench.wait_for_timer();
    assert_eq!(bench.actions, [Action::Connect]);
    assert!((Duration::from_millis(7_500)..=seconds(10)).contains(&(bench.now - start)));
}

#[test]
fn a_dial_without_an_answer_is_given_up_and_repeated() {
    let mut bench = Bench::new();
    bench.step(Event::Start).wait_for_timer();
    assert_eq!(bench.actions, [Action::Close { connection: connection(1), notification: None }, Action::Connect]);
}

#[test]
fn a_passive_session_never_dials() {
    let remote_as = RemoteAs::External;
    let mut bench = Bench::build(identity(64513, 5), remote_as, true, SessionSettings::default());
    bench.step(Event::Start);
    assert_eq!((bench.actions.as_slice(), bench.fsm.next_timeout()), ([].as_slice(), None));
    bench.accepted(2).step(Event::Closed { connection: connection(2) });
    assert_eq!((bench.fsm.state(), bench.fsm.next_timeout()), (SessionState::Active, None));
}

#[test]
fn faults_in_a_row_back_off_to_a_minute() {
    let mut bench = Bench::new();
    bench.step(Event::Start);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        bench.connected(1).open(1, &Open { asn: asn(1), ..neighbor_open() });
        let failed_at = bench.now;
        bench.wait_for_timer();
        assert_eq!(bench.actions, [Action::Connect]);
        pauses.push((bench.now - failed_at).as_secs_f64());
    }
    for (pause, longest) in pauses.iter().zip([10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0]) {
        assert!((longest * 0.75..=longest).contains(pause), "{pauses:?}");
    }
}

#[test]
fn after_one_fault_the_neighbor_may_dial_in_at_once_and_after_two_not() {
    let mut bench = Bench::new();
    bench.step(Event::Start);
    bench.connected(1).open(1, &Open { asn: asn(1), ..neighbor_open() });
    bench.accepted(2);
    assert!(matches!(bench.actions.as_slice(), [Action::SendOpen { .. }]));
    bench.open(2, &Open { asn: asn(1), ..neighbor_open() }).accepted(3);
    assert_eq!(bench.actions, [close(3, Notification::new(6, 5))]);
    assert_eq!(bench.fsm.state(), SessionState::Idle);
}

#[test]
fn a_session_that_lasted_redeems_earlier_faults() {
    let mut bench = Bench::new();
    bench.step(Event::Start);
    for _ in 0..3 {
        bench.connected(1).open(1, &Open { asn: asn(1), ..neighbor_open() }).wait_for_timer();
    }
    bench.connected(1).open(1, &neighbor_open()).keepalive(1).wait(seconds(61));
    bench.step(Event::Malformed { connection: connection(1), notification: Notification::new(3, 1) });
    assert_eq!(bench.fsm.state(), SessionState::Active);
}

#[test]
fn a_cease_or_a_lost_connection_is_no_fault() {
    let mut bench = Bench::new();
    bench.step(Event::Start);
    for number in 2..10 {
        bench.accepted(number);
        let cease = Notification::new(6, 3);
        bench.step(Event::Notification { connection: connection(number), notification: &cease });
        bench.accepted(number + 100).step(Event::Closed { connection: connection(number + 100) });
    }
    assert_ne!(bench.fsm.state(), SessionState::Idle);
}

#[test]
fn a_reset_forgets_faults_and_a_stop_waits_for_a_start() {
    let mut bench = Bench::new();
    bench.step(Event::Start);
    for _ in 0..2 {
        bench.connected(1).open(1, &Open { asn: asn(1), ..neighbor_open() });
        if bench.fsm.state() != SessionState::Idle {
            bench.wait_for_timer();
        }
    }
    assert_eq!(bench.fsm.state(), SessionState::Idle);
    bench.step(Event::Reset(Notification::new(6, 4).into()));
    assert_eq!(bench.fsm.state(), SessionState::Active);
    bench.step(Event::Stop(BYE.into())).step(Event::Reset(Notification::new(6, 4).into()));
    assert_eq!((bench.fsm.state(), bench.fsm.next_timeout()), (SessionState::Idle, None));
    bench.step(Event::Start);
    assert_eq!(bench.actions, [Action::Connect]);
}
