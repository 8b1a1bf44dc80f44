//! Two devices over a network that loses, repeats, reorders and corrupts.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Weather {
    /// A packet of Alice's, or of Bob's.
    Send(bool),
    /// The datagram that is this far back in the air arrives.
    Deliver(usize),
    /// It arrives and stays in the air.
    Repeat(usize),
    Lose(usize),
    /// It arrives with this bit flipped.
    Corrupt(usize, usize),
    /// Milliseconds pass.
    Wait(u64),
}

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        4 => any::<bool>().prop_map(Weather::Send),
        6 => (0..8usize).prop_map(Weather::Deliver),
        1 => (0..8usize).prop_map(Weather::Repeat),
        1 => (0..8usize).prop_map(Weather::Lose),
        1 => (0..8usize, 0..2000usize).prop_map(|(which, bit)| Weather::Corrupt(which, bit)),
        1 => (0..20_000u64).prop_map(Weather::Wait),
    ]
}

struct Sky {
    pair: Pair,
    /// To Bob or not, and the datagram.
    air: Vec<(bool, Vec<u8>)>,
    sent: u32,
}

impl Sky {
    fn collect(&mut self) {
        self.air.extend(self.pair.alice.take().into_iter().map(|(_, datagram)| (true, datagram)));
        self.air.extend(self.pair.bob.take().into_iter().map(|(_, datagram)| (false, datagram)));
    }

    fn arrive(&mut self, to_bob: bool, datagram: &[u8]) {
        let (alice, bob) = (&mut self.pair.alice, &mut self.pair.bob);
        match to_bob {
            true => bob.receive(self.pair.now, alice.address, datagram),
            false => alice.receive(self.pair.now, bob.address, datagram),
        }
    }

    fn turn(&mut self, weather: Weather) {
        match weather {
            Weather::Send(by_alice) => {
                self.sent += 1;
                let payload = self.sent.to_be_bytes();
                match by_alice {
                    true => self.pair.alice.send(self.pair.now, &packet("10.0.0.1", "10.0.0.2", &payload)),
                    false => self.pair.bob.send(self.pair.now, &packet("10.0.0.2", "10.0.0.1", &payload)),
                }
            }
            Weather::Wait(millis) => {
                self.pair.now += Duration::from_millis(millis);
                self.pair.alice.device.tick(self.pair.now, &mut self.pair.alice.out);
                self.pair.bob.device.tick(self.pair.now, &mut self.pair.bob.out);
            }
            Weather::Deliver(back) | Weather::Repeat(back) | Weather::Lose(back) | Weather::Corrupt(back, _) => {
                let Some(at) = self.air.len().checked_sub(back + 1) else { return };
                let (to_bob, mut datagram) = self.air.remove(at);
                match weather {
                    Weather::Lose(_) => return,
                    Weather::Repeat(_) => self.air.push((to_bob, datagram.clone())),
                    Weather::Corrupt(_, bit) => {
                        let bit = bit % (datagram.len() * 8);
                        datagram[bit / 8] ^= 1 << (bit % 8);
                    }
                    _ => {}
                }
                self.arrive(to_bob, &datagram);
            }
        }
        self.collect();
    }
}

fn payloads(end: &End) -> Vec<u32> {
    end.received.iter().map(|packet| u32::from_be_bytes(packet[20..].try_into().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_packet_arrives_at_most_once_and_unchanged_and_fair_weather_brings_the_tunnel_back(
        weather in proptest::collection::vec(weather(), 0..80),
    ) {
        let pair = Pair::with(|bob, alice| {
            bob.watched = true;
            alice.endpoint = Some(Endpoint::Address(udp_address(1)));
        });
        let mut sky = Sky { pair, air: Vec::new(), sent: 0 };
        sky.collect();
        for weather in weather {
            sky.turn(weather);
        }
        for end in [&sky.pair.alice, &sky.pair.bob] {
            let mut payloads = payloads(end);
            prop_assert!(payloads.iter().all(|payload| (1..=sky.sent).contains(payload)));
            payloads.sort_unstable();
            let count = payloads.len();
            payloads.dedup();
            prop_assert_eq!(payloads.len(), count);
        }
        // boringtun repeats lost initiations by a clock that the test does not own
        let Pair { alice, now, .. } = &mut sky.pair;
        let entry = alice.device.entries[0].as_mut().unwrap();
        let len = entry.peer.initiate(*now, alice.out.datagrams.room(), true).unwrap();
        entry.transmit(*now, udp_address(2).into(), len, &mut alice.out.datagrams);
        sky.pair.settle();
        sky.pair.connect();
        sky.pair.run(seconds(2));
        prop_assert_eq!(sky.pair.alice.state(sky.pair.now), PeerState::Up);
    }
}
