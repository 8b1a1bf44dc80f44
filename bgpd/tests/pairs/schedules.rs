//! Two speakers through random schedules: connections break at one end or both, the network delivers late, out of order
//! or not at all, operators interfere. When the network is good again both come to the same session and tables, soon.
//!
//! A schedule is its seed: `VPNGW_SEED=1234` plays that one alone.

use std::time::Duration;

use bgpd::speaker::{Command, Input};

use crate::settings::originate;
use crate::wires::{Wires, ends};

/// In the usual run, and with `VPNGW_LONG=1`.
const SCHEDULES: (u64, u64) = (10_000, 200_000);

/// Hold times of both ends: RFC 4271 §4.2 has the smaller one count; without one nothing but what is sent finds out
/// that a connection is dead.
const HOLD_TIMES: [[u16; 2]; 5] = [[90, 90], [3, 3], [0, 0], [3, 90], [90, 3]];

/// The longest time from a good network to a session: faults in a row have the next dial wait for 60 s at most.
const LONGEST: Duration = Duration::from_secs(60);

/// The same where an OPEN went to a connection that had silently ended: RFC 4271 §8.2.2 has it wait for 4 minutes.
const LONGEST_AFTER_SILENCE: Duration = Duration::from_secs(240 + 60);

#[test]
fn whatever_happens_two_speakers_find_each_other_again() {
    schedules().for_each(|seed| Schedule::new(seed).play());
}

fn schedules() -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("VPNGW_SEED") {
        let seed = seed.parse().unwrap();
        return seed..seed + 1;
    }
    0..if std::env::var_os("VPNGW_LONG").is_some() { SCHEDULES.1 } else { SCHEDULES.0 }
}

struct Schedule {
    seed: u64,
    random: u64,
    wires: Wires,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let identifiers = [["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1"]][seed as usize % 2];
        let hold_times = HOLD_TIMES[seed as usize / 2 % HOLD_TIMES.len()];
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { seed, random, wires: Wires::new(ends(identifiers, hold_times), seed) }
    }

    fn play(mut self) {
        for _ in 0..60 {
            self.step();
        }
        self.wires.heal();
        for end in 0..2 {
            self.command(end, Command::Enable);
            self.originate(end, 99); // without a hold time it is this that finds out about a dead connection
        }
        let limit = if self.wires.has_silence() { LONGEST_AFTER_SILENCE } else { LONGEST };
        let found = self.wires.run_until(limit, |wires| wires.are_equal() && wires.open() == 1);
        assert!(found, "VPNGW_SEED={}: they do not find each other\n{}", self.seed, self.wires);
        self.stays();
    }

    /// And then nothing happens any more.
    fn stays(&mut self) {
        let dialled = self.wires.dialled();
        self.wires.run_until(Duration::from_secs(100), |_| false);
        let still = self.wires.are_equal() && self.wires.dialled() == dialled;
        assert!(still, "VPNGW_SEED={}: they do not stay together\n{}", self.seed, self.wires);
    }

    fn step(&mut self) {
        let end = self.below(2);
        match self.below(20) {
            0..10 => {
                let places = self.wires.deliverable();
                if !places.is_empty() {
                    let place = places[self.below(places.len())];
                    self.wires.deliver(place);
                }
            }
            10..13 => {
                let time = [1, 100, 4_000, 12_000, 60_000][self.below(5)];
                self.wires.wait(Duration::from_millis(time));
            }
            13 => {
                let number = self.below(self.wires.dialled());
                self.wires.break_at((number, end));
            }
            14 if self.has_hold_time() => {
                let number = self.below(self.wires.dialled());
                self.wires.break_silently((number, end));
            }
            15 => self.wires.dark = true,
            16 => self.wires.heal(),
            17 => {
                let command = [Command::Reset, Command::Disable(None), Command::Refresh][self.below(3)].clone();
                self.command(end, command);
            }
            18 => self.command(end, Command::Enable),
            _ => self.originate(end, self.random as u8 % 4),
        }
    }

    /// Without one nobody can find out about a connection that has silently ended (RFC 4271 §4.4).
    fn has_hold_time(&self) -> bool {
        HOLD_TIMES[self.seed as usize / 2 % HOLD_TIMES.len()] != [0, 0]
    }

    /// What cannot be done now is left.
    fn command(&mut self, end: usize, command: Command) {
        let _ = self.wires.ends[end].command(self.wires.now, "far", &command);
        self.wires.input(end, Input::Timer);
    }

    /// This prefix in place of the others.
    fn originate(&mut self, end: usize, third: u8) {
        let mut settings = self.wires.ends[end].settings().clone();
        settings.originate = vec![originate(&format!("10.{end}.{third}.0/24"))];
        self.wires.input(end, Input::Settings(Box::new(settings)));
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }
}
