use super::*;
use crate::table::LINGER;

/// Bob with peers 1, 3 and 4; each has its own end.
struct Hub {
    hub: End,
    spokes: Vec<End>,
    now: Instant,
}

impl Hub {
    fn new() -> Self {
        let now = Instant::now();
        let spokes = [1, 3, 4];
        let mut hub = End::new(
            now,
            2,
            settings(2, spokes.map(|number| PeerSettings { watched: true, ..peer(number, None) }).into()),
        );
        hub.take();
        let spokes = spokes.map(|number| {
            let to_hub =
                PeerSettings { allowed_ips: vec!["0.0.0.0/0".parse().unwrap()], ..peer(2, Some(udp_address(2))) };
            End::new(now, number, settings(number, vec![to_hub]))
        });
        let mut hub = Self { hub, spokes: spokes.into(), now };
        for index in 0..3 {
            hub.greet(index);
        }
        hub
    }

    /// A packet of a spoke to the hub.
    fn greet(&mut self, index: usize) {
        let spoke = &mut self.spokes[index];
        let source = format!("10.0.0.{}", [1, 3, 4][index]);
        spoke.send(self.now, &packet(&source, "10.0.0.2", b"hello"));
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut idle = true;
            for (to, datagram) in self.hub.take() {
                idle = false;
                if let Some(spoke) = self.spokes.iter_mut().find(|spoke| spoke.address == to) {
                    spoke.receive(self.now, self.hub.address, &datagram);
                }
            }
            for spoke in &mut self.spokes {
                for (_, datagram) in spoke.take() {
                    idle = false;
                    self.hub.receive(self.now, spoke.address, &datagram);
                }
            }
            if idle {
                return;
            }
        }
    }

    /// Flows of packets to a destination; how many each spoke received.
    fn spread(&mut self, destination: &str) -> [usize; 3] {
        let before = [0, 1, 2].map(|index| self.spokes[index].received.len());
        for port in 0..100 {
            let mut packet = packet("10.0.0.2", destination, &[port, 1, 0, 53, 0, 8, 0, 0]);
            packet[9] = 17;
            self.hub.send(self.now, &packet);
        }
        self.settle();
        [0, 1, 2].map(|index| self.spokes[index].received.len() - before[index])
    }

    fn route(&mut self, prefix: &str, group: Option<Group>) {
        self.hub.device.table(self.now, [Change { prefix: prefix.parse().unwrap(), group }]);
    }

    /// All are silent but one; time passes until the others are down.
    fn silence_all_but(&mut self, index: usize) {
        for _ in 0..26 {
            self.now += seconds(1);
            self.greet_only(index);
            self.hub.device.tick(self.now, &mut self.hub.out);
            self.hub.take();
        }
    }

    fn greet_only(&mut self, index: usize) {
        let source = format!("10.0.0.{}", [1, 3, 4][index]);
        self.spokes[index].send(self.now, &packet(&source, "10.0.0.2", b"hello"));
        for (_, datagram) in self.spokes[index].take() {
            self.hub.receive(self.now, self.spokes[index].address, &datagram);
        }
    }
}

fn group(send: &[u8], backup: &[u8], accept: &[u8]) -> Option<Group> {
    let keys = |numbers: &[u8]| numbers.iter().copied().map(public_key).collect();
    Some(Group { send: keys(send), backup: keys(backup), accept: keys(accept) })
}

#[test]
fn no_prefix_no_route() {
    let mut hub = Hub::new();
    hub.hub.send(hub.now, &packet("10.0.0.2", "203.0.113.1", b"lost"));
    assert_eq!(hub.hub.device.drops()["no route"], 1);
    hub.route("203.0.113.0/24", group(&[9], &[], &[]));
    hub.hub.send(hub.now, &packet("10.0.0.2", "203.0.113.1", b"lost"));
    assert_eq!(hub.hub.device.drops()["no route"], 2);
}

#[test]
fn flows_spread_over_the_senders_and_those_of_a_dead_one_move() {
    let mut hub = Hub::new();
    hub.route("203.0.113.0/24", group(&[1, 3], &[4], &[]));
    let [first, second, third] = hub.spread("203.0.113.1");
    assert!(first > 30 && second > 30 && first + second == 100 && third == 0, "{first} {second} {third}");
    hub.silence_all_but(1);
    assert_eq!(hub.spread("203.0.113.1"), [0, 100, 0]);
}

#[test]
fn the_backup_takes_over_when_all_senders_are_down_and_gives_back() {
    let mut hub = Hub::new();
    hub.route("203.0.113.0/24", group(&[1], &[3, 4], &[]));
    assert_eq!(hub.spread("203.0.113.1"), [100, 0, 0]);
    hub.silence_all_but(2);
    assert_eq!(hub.spread("203.0.113.1"), [0, 0, 100]);
    hub.greet(0);
    assert_eq!(hub.spread("203.0.113.1"), [0, 0, 100], "it answered once");
    hub.now += seconds(1);
    hub.greet(0);
    assert_eq!(hub.spread("203.0.113.1"), [100, 0, 0]);
}

#[test]
fn ten_thousand_prefixes_of_a_dead_peer_go_to_the_backup_without_a_change_of_the_table() {
    let mut hub = Hub::new();
    let prefix = |number: u32| format!("100.{}.{}.0/24", 64 + (number >> 8), number & 0xff);
    let choice = group(&[1], &[4], &[1, 4]);
    for number in 0..10_000 {
        hub.route(&prefix(number), choice.clone());
    }
    let ends = [0, 1, 5_000, 9_999].map(|number| prefix(number).replace(".0/24", ".1"));
    for destination in &ends {
        assert_eq!(hub.spread(destination), [100, 0, 0]);
    }
    hub.silence_all_but(2);
    for destination in &ends {
        assert_eq!(hub.spread(destination), [0, 0, 100]);
    }
}

#[test]
fn a_routed_prefix_admits_its_sources_until_it_is_withdrawn() {
    let mut hub = Hub::new();
    let from = |hub: &mut Hub, index: usize| {
        let before = hub.hub.received.len();
        hub.spokes[index].send(hub.now, &packet("203.0.113.7", "10.0.0.2", b"hello"));
        hub.settle();
        hub.hub.received.len() - before
    };
    assert_eq!(from(&mut hub, 0), 0);
    hub.route("203.0.113.0/24", group(&[1], &[], &[1, 3]));
    assert_eq!([from(&mut hub, 0), from(&mut hub, 1), from(&mut hub, 2)], [1, 1, 0]);
    hub.route("203.0.113.0/24", None);
    assert_eq!([from(&mut hub, 0), from(&mut hub, 1), from(&mut hub, 2)], [1, 1, 0], "packets that were on their way");
    hub.now += LINGER;
    assert!(hub.hub.device.next_timeout().is_some_and(|due| due <= hub.now));
    hub.hub.device.tick(hub.now, &mut hub.hub.out);
    hub.settle();
    assert_eq!([from(&mut hub, 0), from(&mut hub, 1), from(&mut hub, 2)], [0, 0, 0]);
}

#[test]
fn a_static_prefix_wins_over_the_same_one_routed_and_admits_both() {
    let mut hub = Hub::new();
    hub.route("10.0.0.1/32", group(&[3], &[], &[3]));
    assert_eq!(hub.spread("10.0.0.1"), [100, 0, 0]);
    let before = hub.hub.received.len();
    for index in [0, 1, 2] {
        hub.spokes[index].send(hub.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    }
    hub.settle();
    assert_eq!(hub.hub.received.len() - before, 2);
}
