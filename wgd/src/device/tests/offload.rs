//! Super-segments of the host's, through the tunnel.

use super::*;
use crate::offload::Kind;
use crate::samples::{ACK, SYN, Sample, transport_checksum};

const MSS: [u8; 4] = [2, 4, 0x23, 0];

impl Pair {
    /// What Bob's host gets of one packet of Alice's.
    fn carry(&mut self, offload: &NetHeader, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 15, 0xee);
        self.alice.device.outbound_offloaded(self.now, offload, &mut buffer, packet.len(), &mut self.alice.out);
        self.settle();
        std::mem::take(&mut self.bob.received)
    }
}

/// Only Alice lowers what she sends.
fn clamping_at_alice() -> Pair {
    let mut pair = Pair::connected();
    pair.bob.change(pair.now, |settings| settings.clamp_mss = false);
    pair
}

fn mss(packet: &[u8], sample: &Sample) -> u16 {
    let at = sample.header_len() - 2;
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

#[test]
fn a_super_segment_arrives_as_packets_that_fit_the_mtu() {
    let mut pair = Pair::connected();
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let payload: Vec<u8> = (0..20_000u32).map(|octet| (octet % 251) as u8).collect();
        let sample = Sample { payload: payload.clone(), ..Sample::new(ipv6, udp) };
        let segment = 1420 - sample.header_len();
        let received = pair.carry(&sample.offload(segment as u16), &sample.unfinished());
        assert_eq!(received.len(), payload.len().div_ceil(segment));
        assert!(received.iter().all(|packet| packet.len() <= 1420 && transport_checksum(packet) == 0));
        let carried: Vec<u8> = received.iter().flat_map(|packet| &packet[sample.header_len()..]).copied().collect();
        assert!(carried == payload);
    }
}

#[test]
fn a_syn_whose_checksum_is_left_to_us_is_clamped_and_summed() {
    let mut pair = clamping_at_alice();
    for (ipv6, fits) in [(false, 1380), (true, 1360)] {
        let sample = Sample { flags: SYN, options: MSS.to_vec(), ..Sample::new(ipv6, false) };
        let received = pair.carry(&sample.offload(0), &sample.unfinished());
        assert_eq!((mss(&received[0], &sample), transport_checksum(&received[0])), (fits, 0));
    }
}

#[test]
fn a_syn_with_so_much_data_that_it_is_a_super_segment_is_clamped_in_every_packet() {
    let mut pair = clamping_at_alice();
    for (ipv6, fits) in [(false, 1380), (true, 1360)] {
        let sample =
            Sample { flags: SYN | ACK, options: MSS.to_vec(), payload: vec![9; 4000], ..Sample::new(ipv6, false) };
        let received = pair.carry(&sample.offload(1300), &sample.unfinished());
        assert_eq!(received.len(), 4);
        for packet in &received {
            assert_eq!((mss(packet, &sample), transport_checksum(packet)), (fits, 0));
        }
    }
}

#[test]
fn a_super_segment_that_contradicts_itself_is_counted_as_malformed() {
    let mut pair = Pair::connected();
    let sample = Sample { payload: vec![1; 4000], ..Sample::new(false, false) };
    for offload in [
        NetHeader { kind: Kind::TcpIpv6, ..sample.offload(1000) },
        NetHeader { kind: Kind::Unknown(3), ..sample.offload(1000) },
        NetHeader { checksum_start: 9000, ..sample.offload(0) },
    ] {
        assert!(pair.carry(&offload, &sample.unfinished()).is_empty());
    }
    assert_eq!(pair.alice.device.drops()["malformed"], 3);
}

#[test]
fn a_super_segment_without_a_session_waits_as_packets() {
    let mut pair = Pair::new();
    let sample = Sample { payload: vec![5; 40_000], ..Sample::new(true, true) };
    let received = pair.carry(&sample.offload(1000), &sample.unfinished());
    assert_eq!(received.len(), 40);
    assert!(received.iter().all(|packet| transport_checksum(packet) == 0));
}
