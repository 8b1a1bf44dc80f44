#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::offload::split;
use crate::samples::{ACK, FIN, PSH, Sample, naive};

fn batch(packets: &[Vec<u8>]) -> Batch<()> {
    let mut batch = Batch::default();
    for packet in packets {
        batch.room()[..packet.len()].copy_from_slice(packet);
        batch.push(packet.len(), ());
    }
    batch
}

/// What is written for some packets.
fn coalesced(packets: &[Vec<u8>], udp: bool) -> Vec<(NetHeader, Vec<u8>)> {
    let mut batch = batch(packets);
    let mut coalescer = Coalescer::default();
    coalescer.coalesce(&mut batch, Accepts { tcp: true, udp });
    let octets = |run: &Run| {
        let mut octets = batch.get(run.first).unwrap().to_vec();
        for index in coalescer.others(run) {
            octets.extend(&batch.get(index).unwrap()[run.header_len()..]);
        }
        octets
    };
    let written: Vec<_> = coalescer.runs().map(|run| (run.header, octets(run))).collect();
    assert_eq!(coalescer.runs().map(Run::packets).sum::<usize>(), packets.len());
    written
}

/// What the host makes of it.
fn taken_apart(written: &[(NetHeader, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for (header, octets) in written {
        let mut buffer = octets.clone();
        assert!(split(header, &mut buffer, octets.len(), 9000, |buffer, len| packets.push(buffer[..len].to_vec())));
    }
    packets
}

/// Segments of a flow, one after the other.
fn flow(ipv6: bool, udp: bool, lengths: &[usize]) -> Vec<Sample> {
    let mut next = Sample::new(ipv6, udp);
    let mut samples = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let payload = vec![index as u8 + 1; *length];
        samples.push(Sample { payload, ..next.clone() });
        next.sequence = next.sequence.wrapping_add(*length as u32);
        next.id = next.id.wrapping_add(1);
    }
    samples
}

fn packets(samples: &[Sample]) -> Vec<Vec<u8>> {
    samples.iter().map(Sample::packet).collect()
}

/// How many packets each write holds.
fn shape(packets: &[Vec<u8>]) -> Vec<usize> {
    let mut batch = batch(packets);
    let mut coalescer = Coalescer::default();
    coalescer.coalesce(&mut batch, Accepts { tcp: true, udp: true });
    coalescer.runs().map(Run::packets).collect()
}

#[test]
fn segments_in_order_become_one_with_the_headers_of_all() {
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut samples = flow(ipv6, udp, &[1000, 1000, 1000, 400]);
        samples[3].flags |= PSH;
        let written = coalesced(&packets(&samples), true);
        let [(header, octets)] = written.as_slice() else { panic!("{}", written.len()) };
        let whole = Sample {
            payload: samples.iter().flat_map(|sample| sample.payload.clone()).collect(),
            ..samples[0].clone()
        };
        let whole = Sample { flags: samples[3].flags, ..whole };
        assert_eq!((*header, octets), (whole.offload(1000), &whole.unfinished()));
        assert!(ipv6 || naive(&octets[..20]) == 0);
        assert_eq!(taken_apart(&written), packets(&samples));
    }
}

#[test]
fn a_shorter_segment_and_a_push_are_the_last_of_theirs() {
    assert_eq!(shape(&packets(&flow(false, false, &[1000, 400, 400, 1000]))), [2, 1, 1]);
    let mut samples = flow(false, false, &[1000; 4]);
    samples[1].flags |= PSH;
    assert_eq!(shape(&packets(&samples)), [2, 2]);
}

#[test]
fn what_says_something_of_its_own_stays_alone() {
    let changes: [fn(&mut Sample); 8] = [
        |sample| sample.window += 1,
        |sample| sample.flags |= FIN,
        |sample| sample.flags = ACK | 0x40, // ECE
        |sample| sample.options = vec![1, 1, 1, 1],
        |sample| sample.sequence += 1,
        |sample| sample.sequence -= 1,
        |sample| (sample.id, sample.dont_fragment) = (99, false),
        |sample| sample.payload.clear(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut samples = flow(false, false, &[500, 500]);
        change(&mut samples[1]);
        assert_eq!(shape(&packets(&samples)), [1, 1], "change {number}");
    }
    let mut other_class = packets(&flow(false, false, &[500, 500]));
    other_class[1][1] = 0xb8;
    let sum = [0; 2];
    other_class[1][10..12].copy_from_slice(&sum);
    let sum = naive(&other_class[1][..20]).to_be_bytes();
    other_class[1][10..12].copy_from_slice(&sum);
    assert_eq!(shape(&other_class), [1, 1]);
}

#[test]
fn a_packet_whose_checksum_is_wrong_is_passed_on_as_it_is() {
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        for broken in 0..3 {
            let mut packets = packets(&flow(ipv6, udp, &[700; 3]));
            *packets[broken].last_mut().unwrap() ^= 1;
            let written = coalesced(&packets, true);
            assert!(written.contains(&(NetHeader::default(), packets[broken].clone())), "packet {broken}");
        }
    }
    let mut packets = packets(&flow(false, false, &[700; 2]));
    packets[1][10] ^= 1; // the checksum of the IP header
    assert_eq!(shape(&packets), [1, 1]);
}

#[test]
fn what_may_be_fragmented_keeps_its_identification() {
    let mut samples = flow(false, true, &[700; 3]);
    samples.iter_mut().for_each(|sample| sample.dont_fragment = false);
    assert_eq!(shape(&packets(&samples)), [3]);
    samples[1].id += 1;
    assert_eq!(shape(&packets(&samples)), [1, 1, 1]);
}

#[test]
fn a_datagram_without_a_checksum_gets_none() {
    // Of all datagrams these look right with it
    let sample = Sample::new(false, true).summing_to_zero();
    let mut packets = vec![sample.packet(); 2];
    assert_eq!(shape(&packets), [2]);
    packets.iter_mut().for_each(|packet| packet[26..28].fill(0));
    assert_eq!(shape(&packets), [1, 1]);
}

#[test]
fn without_udp_only_tcp_is_put_together() {
    let packets = packets(&[flow(false, true, &[700; 2]), flow(false, false, &[700; 2])].concat());
    assert_eq!(coalesced(&packets, false).len(), 3);
    assert_eq!(coalesced(&packets, true).len(), 2);
}

#[test]
fn what_the_host_refuses_is_not_put_together_again() {
    let all = Accepts { tcp: true, udp: true };
    for (kind, tcp, udp) in [(Kind::TcpIpv4, false, true), (Kind::TcpIpv6, false, true), (Kind::Udp, true, false)] {
        let mut accepts = all;
        accepts.remove(kind);
        assert_eq!(accepts, Accepts { tcp, udp });
        let mut batch = batch(&packets(&[flow(false, true, &[700; 2]), flow(false, false, &[700; 2])].concat()));
        let mut coalescer = Coalescer::default();
        coalescer.coalesce(&mut batch, accepts);
        assert_eq!(
            coalescer.runs().map(Run::packets).collect::<Vec<_>>(),
            if tcp { vec![1, 1, 2] } else { vec![2, 1, 1] }
        );
    }
}

#[test]
fn flows_that_alternate_are_put_together_each() {
    let (one, mut other) = (flow(false, false, &[900; 5]), flow(false, false, &[900; 5]));
    other.iter_mut().for_each(|sample| sample.port = 4711);
    let mixed: Vec<_> = one.into_iter().zip(other).flat_map(|(one, other)| [one, other]).collect();
    assert_eq!(shape(&packets(&mixed)), [5, 5]);
}

#[test]
fn no_packet_is_longer_than_ipv4_can_say_and_none_has_too_many_in_it() {
    assert_eq!(shape(&packets(&flow(false, false, &[1368; 60]))), [47, 13]);
    assert_eq!(shape(&packets(&flow(true, false, &[64; 200]))), [PACKETS, 200 - PACKETS]);
    // virtio_net_hdr_to_skb() may refuse more
    assert_eq!(shape(&packets(&flow(true, true, &[64; 200]))), [64, 64, 64, 8]);
}

/// What may happen next in a flow.
#[derive(Clone, Debug)]
enum Step {
    Data(usize),
    Push(usize),
    Ack,
    Gap,
    Broken,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Data(300)),
        2 => (1usize..400).prop_map(Step::Data),
        1 => (1usize..400).prop_map(Step::Push),
        1 => Just(Step::Ack),
        1 => Just(Step::Gap),
        1 => Just(Step::Broken),
    ]
}

/// Packets of four flows, by what happens in them.
fn mixed(steps: &[(usize, Step)]) -> Vec<Vec<u8>> {
    let mut next: Vec<_> = [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(ipv6, udp)| Sample { sequence: u32::MAX - 1000, ..Sample::new(ipv6, udp) })
        .collect();
    let mut packets = Vec::new();
    for (number, (flow, step)) in steps.iter().enumerate() {
        let sample = &mut next[*flow];
        let (length, flags) = match step {
            Step::Data(length) => (*length, ACK),
            Step::Push(length) => (*length, ACK | PSH),
            Step::Broken => (300, ACK),
            Step::Ack | Step::Gap => (0, ACK),
        };
        let this = Sample { payload: vec![number as u8; length], flags, ..sample.clone() };
        let mut packet = this.packet();
        if matches!(step, Step::Broken) {
            packet[45] ^= 0x10;
        }
        packets.push(packet);
        sample.id = sample.id.wrapping_add(1);
        sample.sequence = sample.sequence.wrapping_add(length as u32 + if matches!(step, Step::Gap) { 77 } else { 0 });
    }
    packets
}

/// Each flow's packets in their order.
fn by_flow(packets: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut flows = vec![Vec::new(); 4];
    for packet in packets {
        let ipv6 = packet[0] >> 4 == 6;
        let udp = packet[if ipv6 { 6 } else { 9 }] == crate::packet::UDP;
        flows[usize::from(ipv6) * 2 + usize::from(udp)].push(packet);
    }
    flows
}

proptest! {
    #[test]
    fn the_host_gets_every_packet_of_a_flow_as_it_was_and_in_its_order(
        steps in proptest::collection::vec((0usize..4, step()), 0..120),
        udp: bool,
    ) {
        let packets = mixed(&steps);
        let written = coalesced(&packets, udp);
        prop_assert_eq!(by_flow(taken_apart(&written)), by_flow(packets));
    }

    #[test]
    fn any_packets_are_survived(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..80), 0..20)) {
        let packets: Vec<_> = packets.into_iter().map(|mut packet| {
            packet[0] = if packet[0] & 0x80 == 0 { 0x45 } else { 0x60 };
            packet
        }).collect();
        prop_assert_eq!(coalesced(&packets, true).len(), packets.len());
    }
}
