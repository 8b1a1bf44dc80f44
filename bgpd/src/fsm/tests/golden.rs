//! The whole machine as a table: `transitions.txt` has a line for every pair of situation and event.

use std::fmt::Write as _;

use super::*;
use crate::settings::RemoteAs;
use crate::wire::{GracefulRestart, KeptFamily};

const GOLDEN: &str = include_str!("../transitions.txt");

/// In every situation connection 1 is ours, 2 is the neighbor's, and 3 comes in as an event.
#[test]
fn every_pair_of_situation_and_event_does_what_the_table_says() {
    let mut table =
        String::from("# Situation | event -> state: actions. Written by the test beside it (UPDATE_GOLDEN=1).\n");
    for (situation, bench) in situations() {
        writeln!(table, "\n{situation} ({:?})", bench.fsm.state()).unwrap();
        for (name, step) in events() {
            writeln!(table, "    {name:<28} -> {}", outcome(step(&mut bench.clone()))).unwrap();
        }
        for number in [1, 2] {
            let unmoved = format!("{:?}: -", bench.fsm.state());
            let lines = message_events().map(|(name, step)| (name, outcome(step(&mut bench.clone(), number))));
            if lines.iter().all(|(_, outcome)| *outcome == unmoved) {
                writeln!(table, "    {number} anything                   -> {unmoved}").unwrap();
                continue;
            }
            for (name, outcome) in lines {
                writeln!(table, "    {number} {name:<26} -> {outcome}").unwrap();
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/fsm/transitions.txt"), &table).unwrap();
        return;
    }
    for (line, (found, expected)) in table.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of transitions.txt", line + 1);
    }
    assert_eq!(table.lines().count(), GOLDEN.lines().count());
}

fn situations() -> Vec<(&'static str, Bench)> {
    let started = || {
        let mut bench = Bench::new();
        bench.step(Event::Start);
        bench
    };
    let mut active = started();
    active.step(Event::ConnectFailed { connection: connection(1) });
    let mut damped = started();
    for number in [1, 2] {
        if number == 1 {
            damped.connected(1)
        } else {
            damped.accepted(2)
        };
        damped.open(number, &Open { asn: asn(1), ..neighbor_open() });
    }
    let mut passive =
        Bench::build(identity(64513, 5), RemoteAs::OneOf(vec![asn(64512)]), true, SessionSettings::default());
    passive.step(Event::Start);
    let mut theirs = active.clone();
    theirs.accepted(2);
    let mut theirs_while_dialling = started();
    theirs_while_dialling.accepted(2);
    let both = |we_are_higher| {
        let ours = identity(64513, if we_are_higher { 200 } else { 5 });
        let mut bench = Bench::build(ours, RemoteAs::OneOf(vec![asn(64512)]), false, SessionSettings::default());
        bench.step(Event::Start).connected(1).accepted(2);
        bench
    };
    // We are lower, so theirs would win: ours waits.
    let mut contested = both(false);
    contested.open(1, &neighbor_open());
    let mut contested_theirs = both(true);
    contested_theirs.open(2, &neighbor_open());
    let with_new = |mut bench: Bench| {
        bench.accepted(2);
        bench
    };
    vec![
        ("Stopped", Bench::new()),
        ("Damped after two faults", damped),
        ("Dialling", started()),
        ("Between two dials", active),
        ("Passive", passive),
        ("1 OpenSent", Bench::new().open_sent()),
        ("2 OpenSent", theirs),
        ("2 OpenSent while 1 is dialled", theirs_while_dialling),
        ("1 and 2 OpenSent, our identifier is lower", both(false)),
        ("1 and 2 OpenSent, our identifier is higher", both(true)),
        ("1 waits for 2 in OpenSent", contested),
        ("2 waits for 1 in OpenSent", contested_theirs),
        ("1 OpenConfirm", Bench::new().open_confirm()),
        ("1 OpenConfirm, 2 OpenSent", with_new(Bench::new().open_confirm())),
        ("1 Established", Bench::new().established()),
        ("1 Established, 2 OpenSent", with_new(Bench::new().established())),
        ("1 Established with graceful restart", with_graceful_restart()),
        ("1 Established with graceful restart, 2 OpenSent", with_new(with_graceful_restart())),
    ]
}

/// Established for a second with a neighbor that keeps routes.
fn with_graceful_restart() -> Bench {
    let families = vec![KeptFamily::new(Family::Ipv4, true)];
    let restart = GracefulRestart { notification: true, families, ..GracefulRestart::default() };
    let mut open = neighbor_open();
    open.capabilities.push(Capability::GracefulRestart(restart));
    let mut bench = Bench::new().open_sent();
    bench.open(1, &open).keepalive(1);
    bench.now += Duration::from_secs(1);
    bench
}

type Step = fn(&mut Bench) -> &mut Bench;

fn events() -> [(&'static str, Step); 8] {
    [
        ("Start", |bench| bench.step(Event::Start)),
        ("Stop", |bench| bench.step(Event::Stop(BYE.into()))),
        ("Reset", |bench| bench.step(Event::Reset(Notification::new(6, 4).into()))),
        ("3 Accepted", |bench| bench.accepted(3)),
        ("1 Connected", |bench| bench.connected(1)),
        ("1 ConnectFailed", |bench| bench.step(Event::ConnectFailed { connection: connection(1) })),
        ("next deadline", next_deadline),
        ("four minutes of silence", |bench| bench.wait(Duration::from_secs(240))),
    ]
}

type MessageStep = for<'a> fn(&'a mut Bench, u64) -> &'a mut Bench;

fn message_events() -> [(&'static str, MessageStep); 13] {
    [
        ("Closed", |bench, number| bench.step(Event::Closed { connection: connection(number) })),
        ("Open", |bench, number| bench.open(number, &neighbor_open())),
        ("Open, wrong AS", |bench, number| bench.open(number, &Open { asn: asn(1), ..neighbor_open() })),
        ("Open, hold time 2", |bench, number| bench.open(number, &Open { hold_time: 2, ..neighbor_open() })),
        ("Open, other families only", |bench, number| {
            let capabilities = vec![multiprotocol(Family::Ipv6)];
            bench.open(number, &Open { capabilities, ..neighbor_open() })
        }),
        ("Keepalive", |bench, number| bench.keepalive(number)),
        ("Update", |bench, number| bench.step(Event::Update { connection: connection(number) })),
        ("RouteRefresh", |bench, number| bench.step(Event::RouteRefresh { connection: connection(number) })),
        ("Notification 6/2", |bench, number| {
            bench.step(Event::Notification { connection: connection(number), notification: &BYE })
        }),
        ("Notification 2/2", |bench, number| {
            let notification = &Notification::new(2, 2);
            bench.step(Event::Notification { connection: connection(number), notification })
        }),
        ("Malformed 1/1", |bench, number| {
            let notification = Notification::new(1, 1);
            bench.step(Event::Malformed { connection: connection(number), notification })
        }),
        ("Alive", |bench, number| bench.step(Event::Alive { connection: connection(number) })),
        ("Sent", |bench, number| bench.step(Event::Sent { connection: connection(number), pending: true })),
    ]
}

fn next_deadline(bench: &mut Bench) -> &mut Bench {
    match bench.fsm.next_timeout() {
        Some(deadline) => bench.wait(deadline - bench.now),
        None => bench.step(Event::Timer),
    }
}

fn outcome(bench: &Bench) -> String {
    let actions: Vec<_> = bench.actions.iter().map(shown).collect();
    format!("{:?}: {}", bench.fsm.state(), if actions.is_empty() { "-".to_owned() } else { actions.join(", ") })
}

fn shown(action: &Action) -> String {
    let code = |notification: &Notification| format!("{}/{}", notification.code, notification.subcode);
    let why = |reason: &DownReason| match reason {
        DownReason::Sent(notification) => format!("sent {}", code(notification)),
        DownReason::Received(notification) => format!("received {}", code(notification)),
        DownReason::Closed => "closed".to_owned(),
        DownReason::Left(notification) => format!("left {}", code(notification)),
        DownReason::Replaced => "replaced".to_owned(),
    };
    match action {
        Action::Connect => "Connect 1".to_owned(),
        Action::SendOpen { connection, .. } => format!("SendOpen {}", connection.0),
        Action::SendKeepalive { connection } => format!("SendKeepalive {}", connection.0),
        Action::Close { connection, notification: None } => format!("Close {}", connection.0),
        Action::Close { connection, notification: Some(notification) } => {
            format!("Close {} with {}", connection.0, code(notification))
        }
        Action::Established { connection, .. } => format!("Established {}", connection.0),
        Action::Down { reason } => format!("Down ({})", why(reason)),
        Action::Failed { reason } => format!("Failed ({})", why(reason)),
    }
}
