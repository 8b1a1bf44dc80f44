//! A peer is visited when something of it is due, and nothing is late for it.

use proptest::prelude::*;

use super::*;

/// Time passes for a device and nothing arrives: it is called when it asked for it. What it sent.
fn pass(device: &mut Device, now: &mut Instant, time: Duration, out: &mut Output) {
    let end = *now + time;
    while let Some(at) = device.next_timeout().filter(|at| *at <= end) {
        *now = at.max(*now);
        device.tick(*now, out);
    }
    *now = end;
}

fn hub(now: Instant, peers: u32, change: impl Fn(&mut PeerSettings)) -> (Device, Output) {
    let peers = (0..peers).map(|number| {
        let mut key = [7; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        let mut peer =
            peer(2, Some(SocketAddr::new(std::net::Ipv4Addr::from_bits(0xc633_6400 + number).into(), 51820)));
        peer.public_key = PrivateKey(Zeroizing::new(key)).public_key();
        peer.allowed_ips = vec![IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)).into()];
        change(&mut peer);
        peer
    });
    let mut out = Output::default();
    let device = Device::new(now, settings(1, peers.collect()), 1, &mut out);
    (device, out)
}

#[test]
fn a_thousand_idle_peers_are_not_visited_at_all() {
    let mut now = Instant::now();
    let (mut device, mut out) = hub(now, 1000, |_| {});
    let before = device.visits();
    assert_eq!(device.next_timeout(), None);
    pass(&mut device, &mut now, seconds(3600), &mut out);
    assert_eq!(device.visits() - before, 0);
}

#[test]
fn a_busy_peer_beside_a_thousand_is_visited_four_times_a_second_and_they_are_not() {
    let mut now = Instant::now();
    let (mut device, mut out) = hub(now, 1000, |_| {});
    let before = device.visits();
    for _ in 0..10_000 {
        let mut buffer = packet("10.0.0.1", "10.0.0.5", &[0; 20]);
        let len = buffer.len();
        device.outbound(now, &mut buffer, len, &mut out);
        pass(&mut device, &mut now, Duration::from_millis(1), &mut out);
    }
    let visits = device.visits() - before;
    assert!((38..=42).contains(&visits), "{visits} in 10 s");
}

#[test]
fn a_peer_that_does_not_answer_costs_a_few_visits_a_handshake() {
    let mut now = Instant::now();
    let (mut device, mut out) = hub(now, 1, |peer| {
        peer.watched = true;
        peer.persistent_keepalive = Some(seconds(10));
    });
    let before = device.visits();
    // boringtun would repeat the initiation after 5 s, by a clock that the test does not own
    pass(&mut device, &mut now, seconds(5), &mut out);
    let visits = device.visits() - before;
    assert!(visits <= 2, "{visits} in 5 s");
}

#[test]
fn an_idle_pair_that_watches_each_other_costs_a_few_visits_a_keepalive() {
    let mut pair = Pair::with(|bob, alice| {
        for peer in [bob, alice] {
            peer.watched = true;
            peer.persistent_keepalive = Some(seconds(10));
        }
    });
    pair.settle();
    pair.run(seconds(1));
    let before = pair.alice.device.visits();
    pair.run(seconds(100));
    let visits = pair.alice.device.visits() - before;
    assert!((10..=40).contains(&visits), "{visits} in 100 s");
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
}

#[test]
fn a_removed_peer_is_due_no_more_and_its_place_is_taken() {
    let mut pair = Pair::with(|bob, _| bob.watched = true);
    assert!(pair.alice.device.next_timeout().is_some());
    let bob = pair.alice.settings.peers.remove(0);
    pair.alice.change(pair.now, |_| {});
    assert_eq!(pair.alice.device.next_timeout(), None);
    pair.alice.change(pair.now, |settings| settings.peers.push(bob));
    assert!(pair.alice.device.next_timeout().is_some());
    assert_eq!(pair.alice.device.entries.len(), 1);
}

/// What happens to a pair. Times are of [`TICK`]s: each deadline is one, so that two ways to get there agree to the
/// millisecond.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Alice, or Bob, sends a packet.
    Send(bool),
    /// Datagrams of Alice, or of Bob, are lost from now on, or no longer.
    Cut(bool),
    Wait(u32),
    /// The peer is watched, or no longer.
    Watch(bool),
}

/// Who sent which datagrams, and which states each saw.
type Log = Vec<(Duration, bool, String)>;

fn live(mut pair: Pair, steps: &[Step], mut pass: impl FnMut(&mut Device, Instant, &mut Output)) -> Log {
    let (start, mut log, mut cut) = (pair.now, Log::new(), [false; 2]);
    let mut note = |pair: &mut Pair, cut: &[bool; 2]| loop {
        let at = pair.now - start;
        let sent = [pair.alice.take(), pair.bob.take()];
        let ends = [&mut pair.bob, &mut pair.alice];
        let mut is_quiet = true;
        for (number, (sent, to)) in sent.into_iter().zip(ends).enumerate() {
            for (_, datagram) in sent {
                is_quiet = false;
                log.push((at, number == 0, format!("type {} of {} octets", datagram[0], datagram.len())));
                if !cut[number] {
                    to.receive(pair.now, udp_address(number as u8 + 1), &datagram);
                }
            }
        }
        for (is_alice, end) in [(true, &mut pair.alice), (false, &mut pair.bob)] {
            log.extend(end.events.drain(..).map(|event| (at, is_alice, format!("{event:?}"))));
        }
        if is_quiet {
            return;
        }
    };
    for step in steps {
        match *step {
            Step::Send(true) => pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"there")),
            Step::Send(false) => pair.bob.send(pair.now, &packet("10.0.0.2", "10.0.0.1", b"back")),
            Step::Cut(of_alice) => cut[usize::from(!of_alice)] ^= true,
            Step::Watch(watched) => pair.alice.change(pair.now, |settings| settings.peers[0].watched = watched),
            Step::Wait(ticks) => {
                for _ in 0..ticks {
                    pair.now += TICK;
                    pass(&mut pair.alice.device, pair.now, &mut pair.alice.out);
                    pass(&mut pair.bob.device, pair.now, &mut pair.bob.out);
                    note(&mut pair, &cut);
                }
            }
        }
        note(&mut pair, &cut);
    }
    log
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Send),
        1 => any::<bool>().prop_map(Step::Cut),
        4 => (1..8u32).prop_map(Step::Wait),
        2 => (8..160u32).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Watch),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn peers_that_sleep_do_all_that_peers_do_which_are_visited_all_the_time(
        steps in proptest::collection::vec(step(), 0..40),
        keepalive in proptest::option::of(4..12u64),
    ) {
        let pair = || Pair::with(|bob, _| {
            bob.watched = true;
            bob.persistent_keepalive = keepalive.map(seconds);
        });
        let asleep = live(pair(), &steps, |device, now, out| device.tick(now, out));
        let awake = live(pair(), &steps, |device, now, out| device.visit(now, PeerId(0), out));
        prop_assert_eq!(asleep, awake);
    }
}
