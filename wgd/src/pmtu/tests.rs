//! The search against paths of any MTU, in virtual time.

use proptest::prelude::*;

use super::*;

const OVERHEAD: u16 = 60;
const ROUND_TRIP: Duration = Duration::from_millis(30);
const STEP: Duration = Duration::from_millis(10);

/// A path, and whoever sends long packets through it.
struct World {
    now: Instant,
    path: PathMtu,
    /// Of the path itself: IP, UDP and WireGuard included.
    takes: u16,
    /// The host refuses what is longer.
    interface: u16,
    /// Of 100 probes, how many are lost there or on the way back.
    loss: u32,
    answers: bool,
    busy: bool,
    random: u32,
    /// What is on its way back.
    flying: Vec<(Instant, u16)>,
    sent: u64,
}

impl World {
    fn new(takes: u16) -> Self {
        let now = Instant::now();
        let mut path = PathMtu::new(Mtu::Auto);
        path.begin(OVERHEAD);
        Self {
            now,
            path,
            takes,
            interface: u16::MAX,
            loss: 0,
            answers: true,
            busy: true,
            random: 1,
            flying: Vec::new(),
            sent: 0,
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            let (arrived, flying) = self.flying.drain(..).partition(|(at, _)| *at <= self.now);
            self.flying = flying;
            for (_, sequence) in arrived {
                self.path.answered(self.now, sequence);
            }
            if self.busy && self.path.wakes(self.now, 1200) {
                self.path.wake(self.now);
            }
            self.send();
        }
    }

    fn send(&mut self) {
        while let Some(probe) = self.path.poll(self.now) {
            self.sent += u64::from(probe.length);
            let length = probe.length + OVERHEAD;
            if length > self.interface {
                self.path.refused(self.now, probe.length);
            } else if length <= self.takes && self.answers && !self.is_lost() {
                self.flying.push((self.now + ROUND_TRIP, probe.sequence));
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.random >> 16) % 100 < self.loss
    }

    fn fits(&self) -> u16 {
        self.takes.min(self.interface) - OVERHEAD
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn before_any_answer_the_mtu_is_one_that_nearly_every_path_has() {
    let world = World::new(9001);
    assert_eq!((world.path.mtu(), world.path.knowledge()), (1280, Knowledge::None));
}

#[test]
fn an_ethernet_path_is_known_after_one_round_trip() {
    let mut world = World::new(1500);
    world.run(ROUND_TRIP + STEP * 2);
    assert_eq!(world.path.mtu(), 1440);
}

#[test]
fn jumbo_frames_are_found() {
    let mut world = World::new(9001);
    world.run(seconds(1));
    assert_eq!(world.path.mtu(), 8941);
}

#[test]
fn an_interface_that_refuses_long_datagrams_needs_no_waiting() {
    let mut world = World::new(9001);
    world.interface = 1400;
    world.run(ROUND_TRIP * 8);
    assert_eq!((world.path.mtu(), world.path.knowledge()), (1340, Knowledge::Probed));
    world.run(seconds(5));
    world.interface = 1300;
    world.path.refused(world.now, 1340);
    world.run(ROUND_TRIP * 2);
    assert_eq!(world.path.mtu(), 1220);
    world.run(ROUND_TRIP * 4 + seconds(1));
    assert_eq!(world.path.mtu(), 1240);
}

#[test]
fn an_idle_tunnel_has_no_probe_and_no_timer() {
    let mut world = World::new(1500);
    world.run(seconds(20));
    world.busy = false;
    world.run(seconds(5));
    assert_eq!(world.path.next_due(), None);
    let sent = world.sent;
    world.run(seconds(3600));
    assert_eq!(world.sent, sent);
}

#[test]
fn a_busy_tunnel_spends_little_on_probes() {
    let mut world = World::new(1500);
    world.interface = 1500;
    world.run(seconds(60));
    world.sent = 0;
    world.run(seconds(600));
    assert!(world.sent / 600 < 2500, "{} octets a second", world.sent / 600);
}

#[test]
fn a_far_end_that_never_answers_leaves_what_was_assumed() {
    for (ceiling, expected) in [(Mtu::Auto, 1280), (Mtu::Octets(1420), 1420), (Mtu::Octets(1000), 1000)] {
        let mut world = World::new(1500);
        world.answers = false;
        world.path = PathMtu::new(ceiling);
        world.path.begin(OVERHEAD);
        world.run(seconds(30));
        assert_eq!((world.path.mtu(), world.path.knowledge()), (expected, Knowledge::Unanswered));
        // It is asked again
        world.answers = true;
        world.run(seconds(60));
        let found = world.fits().min(world.path.highest());
        assert_eq!((world.path.mtu(), world.path.knowledge()), (found, Knowledge::Probed));
    }
}

#[test]
fn what_the_host_refuses_is_not_assumed_of_a_far_end_that_never_answers() {
    let mut world = World::new(1500);
    (world.answers, world.interface) = (false, 1400);
    world.path = PathMtu::new(Mtu::Octets(1420));
    world.path.begin(OVERHEAD);
    world.run(seconds(5));
    for _ in 0..200 {
        assert_eq!((world.path.mtu(), world.path.knowledge()), (1340, Knowledge::Unanswered));
        world.run(seconds(1));
    }
    world.interface = 1500;
    world.run(seconds(70));
    assert_eq!(world.path.mtu(), 1420);
}

#[test]
fn a_path_that_is_dead_for_a_while_does_not_shrink() {
    let mut world = World::new(1500);
    world.run(seconds(10));
    world.answers = false;
    world.run(seconds(120));
    assert_eq!(world.path.mtu(), 1440);
    world.answers = true;
    world.takes = 1400;
    world.run(seconds(70));
    assert_eq!(world.path.mtu(), 1340);
}

#[test]
fn a_configured_mtu_is_never_exceeded_and_a_new_one_is_followed() {
    let mut world = World::new(9001);
    world.path.set_ceiling(Mtu::Octets(1420));
    world.run(seconds(100));
    assert_eq!(world.path.mtu(), 1420);
    world.path.set_ceiling(Mtu::Octets(1300));
    assert_eq!(world.path.mtu(), 1300);
    world.path.set_ceiling(Mtu::Auto);
    world.run(seconds(5));
    assert_eq!(world.path.mtu(), 8941);
}

#[test]
fn an_answer_to_nothing_is_not_taken_and_one_of_long_ago_says_nothing() {
    let mut world = World::new(1500);
    assert!(!world.path.answered(world.now, 7));
    let probe = world.path.poll(world.now).unwrap_or(Probe { length: 0, sequence: 0 });
    assert!(world.path.answered(world.now + seconds(4), probe.sequence));
    assert!(!world.path.answered(world.now, probe.sequence), "only once");
    assert_eq!(world.path.mtu(), 1280);
}

proptest! {
    #[test]
    fn any_path_is_found_and_its_falls_and_rises_are_followed(
        takes in proptest::collection::vec(576u16..=9001, 1..5),
        interface in prop_oneof![Just(u16::MAX), Just(9001u16), Just(1500), 576u16..9001],
    ) {
        let mut world = World::new(takes[0]);
        world.interface = interface;
        world.run(seconds(12));
        prop_assert_eq!(world.path.mtu(), world.fits());
        for takes in takes {
            let before = world.fits();
            world.takes = takes;
            if world.fits() <= before {
                world.run(seconds(6));
                prop_assert!(world.path.mtu() <= world.fits(), "no black hole");
                world.run(seconds(8));
            } else {
                world.run(RAISE + seconds(14));
            }
            prop_assert_eq!(world.path.mtu(), world.fits());
        }
    }

    #[test]
    fn loss_does_not_shrink_it(takes in 576u16..=9001, loss in 1u32..9, random: u32) {
        let mut world = World::new(takes);
        world.run(seconds(12));
        (world.loss, world.random) = (loss, random);
        world.run(seconds(300));
        prop_assert_eq!(world.path.mtu(), world.fits());
    }

    #[test]
    fn with_loss_from_the_beginning_it_is_found_too(takes in 576u16..=9001, loss in 1u32..9, random: u32) {
        let mut world = World::new(takes);
        (world.loss, world.random) = (loss, random);
        world.run(seconds(12));
        prop_assert!(world.path.mtu() <= world.fits().max(BASE));
        world.run(RAISE * 6);
        prop_assert_eq!(world.path.mtu(), world.fits());
    }
}
