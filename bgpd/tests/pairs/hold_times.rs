//! What keeps a session alive, and what ends it (RFC 4271 §4.2, §4.4 and §6.5).

use std::time::Duration;

use crate::wires::{Wires, ends};

const LONG: Duration = Duration::from_secs(24 * 3600);

fn established(hold_times: [u16; 2]) -> Wires {
    let mut wires = Wires::new(ends(["192.0.2.1", "192.0.2.2"], hold_times), 1);
    assert!(wires.run_until(Duration::from_secs(1), Wires::are_equal), "{wires}");
    wires
}

#[test]
fn the_smaller_hold_time_counts_at_both_ends() {
    for (hold_times, agreed) in [([90, 90], 90), ([3, 90], 3), ([90, 3], 3), ([0, 0], 0)] {
        let wires = established(hold_times);
        let agreed = Some(Duration::from_secs(agreed));
        assert_eq!([wires.view(0).hold_time, wires.view(1).hold_time], [agreed; 2], "{hold_times:?}");
    }
}

#[test]
fn without_a_hold_time_nothing_is_sent_and_the_session_stays() {
    let mut wires = established([0, 0]);
    wires.wait(LONG);
    assert!(wires.deliverable().is_empty() && wires.are_equal(), "{wires}");
}

#[test]
fn keepalives_keep_a_session_of_three_seconds_for_a_day() {
    let mut wires = established([3, 90]);
    let dialled = wires.dialled();
    assert!(!wires.run_until(LONG, |wires| !wires.are_established()), "{wires}");
    assert_eq!(wires.dialled(), dialled);
}

#[test]
fn a_network_that_stands_still_for_less_than_the_hold_time_costs_nothing_and_for_as_long_the_session() {
    for (hold_time, still, lost) in [(3, 1_900, false), (3, 3_100, true), (90, 59_000, false), (90, 91_000, true)] {
        let mut wires = established([hold_time, 90]);
        let dialled = wires.dialled();
        wires.wait(Duration::from_millis(still));
        assert_eq!(wires.are_established(), !lost, "{hold_time} {still}\n{wires}");
        assert!(wires.run_until(Duration::from_secs(60), Wires::are_equal), "{wires}");
        assert_eq!(wires.dialled() > dialled, lost, "{hold_time} {still}\n{wires}");
        for end in 0..2 {
            let error = wires.view(end).last_error;
            assert_eq!(error.is_some(), lost, "{wires}");
            assert!(error.is_none_or(|error| error.text == "sent Hold Timer Expired"), "{wires}");
        }
    }
}
