#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use super::*;

/// What a sink was handed, and whether it takes more.
#[derive(Clone, Default)]
struct Reader {
    read: Arc<Mutex<Vec<Packets>>>,
    is_full: Arc<Mutex<bool>>,
    is_gone: Arc<Mutex<bool>>,
}

impl Reader {
    fn capture(&self, filter: Filter) -> Capture {
        let reader = self.clone();
        let sink = move |packets: &mut Packets| {
            if *reader.is_gone.lock().unwrap() {
                return ControlFlow::Break(());
            }
            if !*reader.is_full.lock().unwrap() {
                reader.read.lock().unwrap().push(packets.take());
            }
            ControlFlow::Continue(())
        };
        Capture::new(filter, Box::new(sink))
    }

    fn lengths(&self) -> Vec<(usize, usize, u64)> {
        let read = self.read.lock().unwrap();
        read.iter().flat_map(Packets::iter).map(|it| (it.length, it.octets.len(), it.missed)).collect()
    }
}

const ALL: Filter = Filter { peer: None, address: None, snap: 65_535 };

fn peer(number: u8) -> PeerSettings {
    PeerSettings::new(format!("peer {number}"), PublicKey([number; 32]))
}

/// From 10.0.0.`host` to 10.0.1.1.
fn packet(host: u8, length: usize) -> Vec<u8> {
    let mut packet = vec![0; length];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    packet[12..20].copy_from_slice(&[10, 0, 0, host, 10, 0, 1, 1]);
    packet
}

fn pass(tap: &mut Tap, number: u8, packet: &[u8]) {
    tap.pass(Instant::now(), Direction::Outbound, &peer(number), packet);
}

#[test]
fn a_packet_is_told_with_its_peer_and_cut_where_it_is_to_be() {
    let (mut tap, reader) = (Tap::default(), Reader::default());
    assert!(tap.add(reader.capture(Filter { snap: 40, ..ALL })));
    pass(&mut tap, 1, &packet(7, 30));
    pass(&mut tap, 2, &packet(7, 1400));
    tap.hand_over();
    assert_eq!(reader.lengths(), [(30, 30, 0), (1400, 40, 0)]);
    let read = reader.read.lock().unwrap();
    let told: Vec<_> = read[0].iter().map(|it| (it.peer, it.octets)).collect();
    assert_eq!(told, [("peer 1", packet(7, 30).as_slice()), ("peer 2", &packet(7, 1400)[..40])]);
}

#[test]
fn a_filter_takes_packets_of_a_peer_and_of_addresses_at_either_end() {
    let keys = |number| Some(PublicKey([number; 32]));
    let net = |text: &str| text.parse().ok();
    for (filter, taken) in [
        (Filter { peer: keys(1), ..ALL }, vec![20, 30]),
        (Filter { address: net("10.0.0.7/32"), ..ALL }, vec![20, 40]),
        (Filter { address: net("10.0.1.0/24"), ..ALL }, vec![20, 30, 40]),
        (Filter { address: net("::/0"), ..ALL }, vec![]),
        (Filter { peer: keys(2), address: net("10.0.0.7/32"), ..ALL }, vec![40]),
    ] {
        let (mut tap, reader) = (Tap::default(), Reader::default());
        tap.add(reader.capture(filter.clone()));
        for (number, host, length) in [(1, 7, 20), (1, 8, 30), (2, 7, 40)] {
            pass(&mut tap, number, &packet(host, length));
        }
        tap.hand_over();
        let lengths: Vec<_> = reader.lengths().into_iter().map(|(length, ..)| length).collect();
        assert_eq!(lengths, taken, "{filter:?}");
    }
}

#[test]
fn what_a_slow_reader_misses_is_counted_and_memory_does_not_grow() {
    let (mut tap, reader) = (Tap::default(), Reader::default());
    tap.add(reader.capture(ALL));
    *reader.is_full.lock().unwrap() = true;
    for _ in 0..2 * PACKETS {
        pass(&mut tap, 1, &packet(7, 1000));
        tap.hand_over();
    }
    let waiting = &tap.captures[0].packets;
    assert!(waiting.octets.capacity() <= ROOM && waiting.packets.capacity() <= PACKETS);
    *reader.is_full.lock().unwrap() = false;
    tap.hand_over();
    pass(&mut tap, 1, &packet(7, 1000));
    tap.hand_over();
    let read = reader.lengths();
    let (last, before) = read.split_last().unwrap();
    assert!(before.iter().all(|(.., missed)| *missed == 0));
    assert_eq!(before.len() as u64 + last.2, 2 * PACKETS as u64);
}

#[test]
fn a_capture_ends_with_its_reader_and_leaves_its_place_to_another() {
    let (mut tap, late) = (Tap::default(), Reader::default());
    let others: Vec<_> = (0..MOST).map(|_| Reader::default()).collect();
    for reader in &others {
        assert!(tap.add(reader.capture(ALL)));
    }
    assert!(!tap.add(late.capture(ALL)));
    *others[1].is_gone.lock().unwrap() = true;
    assert!(tap.add(late.capture(ALL)), "one that nobody reads holds a place");
    *late.is_gone.lock().unwrap() = true;
    pass(&mut tap, 1, &packet(7, 100));
    tap.hand_over();
    assert_eq!(tap.captures.len(), MOST - 1);
}
