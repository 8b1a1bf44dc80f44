#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::samples::{ACK, Sample, transport_checksum};

const SYN_ACK: u8 = SYN | ACK;

fn tcp(ipv6: bool, flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), END);
    Sample { flags, options, payload: data.to_vec(), ..Sample::new(ipv6, false) }.packet()
}

fn clamped(mut packet: Vec<u8>, mtu: u16) -> Vec<u8> {
    let header = Header::parse(&packet).unwrap();
    clamp(&mut packet, &header, mtu);
    packet
}

fn mss(packet: &[u8]) -> Option<u16> {
    let header = Header::parse(packet).unwrap();
    let segment = &packet[header.payload..header.length];
    mss_offset(segment).map(|at| u16::from_be_bytes([segment[at], segment[at + 1]]))
}

#[test]
fn syn_and_syn_ack_are_lowered_to_what_fits_in_both_families() {
    for flags in [SYN, SYN_ACK] {
        assert_eq!(mss(&clamped(tcp(false, flags, &[2, 4, 0x23, 0x00], &[]), 1420)), Some(1380));
        assert_eq!(mss(&clamped(tcp(true, flags, &[2, 4, 0x23, 0x00], &[]), 1420)), Some(1360));
    }
}

#[test]
fn a_smaller_value_a_segment_without_syn_and_a_syn_without_the_option_stay() {
    for packet in [
        tcp(false, SYN, &[2, 4, 0x02, 0x18], &[]),
        tcp(false, ACK, &[2, 4, 0x23, 0x00], &[]),
        tcp(false, SYN, &[1, 1, 4, 2], &[]),
        tcp(false, SYN, &[0, 0, 2, 4, 0x23, 0x00], &[]),
        tcp(false, SYN, &[2, 3, 0x23], &[]),
        tcp(false, SYN, &[8, 0, 2, 4, 0x23, 0x00], &[]),
    ] {
        assert_eq!(clamped(packet.clone(), 1420), packet);
    }
}

#[test]
fn a_later_fragment_is_not_taken_for_a_header() {
    let mut packet = tcp(false, SYN, &[2, 4, 0x23, 0x00], &[]);
    packet[7] = 1;
    assert_eq!(clamped(packet.clone(), 1420), packet);
}

proptest! {
    #[test]
    fn the_checksum_stays_right(
        ipv6: bool,
        syn_ack: bool,
        pads in 0usize..8,
        value: u16,
        mtu in 576u16..9001,
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let options = [vec![NOP; pads], vec![MSS, 4], value.to_be_bytes().to_vec()].concat();
        let packet = clamped(tcp(ipv6, if syn_ack { SYN_ACK } else { SYN }, &options, &data), mtu);
        prop_assert_eq!(transport_checksum(&packet), 0);
        prop_assert_eq!(mss(&packet), Some(value.min(mtu - if ipv6 { 60 } else { 40 })));
    }

    #[test]
    fn any_octets_are_survived(mut octets in proptest::collection::vec(any::<u8>(), 0..120), mtu: u16) {
        octets.insert(0, 0x45);
        if let Some(length) = octets.get_mut(3) { *length = 60; }
        if let Some(protocol) = octets.get_mut(9) { *protocol = TCP; }
        if let Some(header) = Header::parse(&octets) {
            clamp(&mut octets, &header, mtu);
        }
    }
}
