//! Datagrams from addresses that are not ours, as fast as is asked: what an attacker sends.
//!
//! IPv4 through a raw socket with our own header (IP_HDRINCL); the kernel fills its checksum and total length in. Runs on
//! a thread of its own, for it sleeps and sends in turns.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ipnet::{IpNet, Ipv4Net};
use socket2::{Domain, Protocol, Socket, Type};

use super::request::Flood;

/// IPPROTO_RAW: implies IP_HDRINCL.
const RAW: i32 = 255;
const UDP: u8 = 17;
const IP_HEADER: usize = 20;
const HEADERS: usize = IP_HEADER + 8;
/// Datagrams go out in a burst, and then none for so long.
const PAUSE: Duration = Duration::from_millis(1);

/// Sends until the time is over; how many were sent.
pub(super) fn flood(flood: &Flood) -> anyhow::Result<u64> {
    let (SocketAddr::V4(to), IpNet::V4(sources)) = (flood.to, flood.sources) else { bail!("only IPv4 is flooded") };
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW))).context("a raw socket")?;
    let address = SocketAddr::V4(SocketAddrV4::new(*to.ip(), 0)).into();
    let mut packets: Vec<Vec<u8>> = flood.datagrams.iter().map(|datagram| packet(to, datagram)).collect();
    if packets.is_empty() {
        bail!("nothing to send");
    }
    let (start, mut sent) = (Instant::now(), 0u64);
    while start.elapsed() < flood.time {
        let due = (start.elapsed().as_secs_f64() * f64::from(flood.per_second)) as u64;
        while sent < due {
            let packet = &mut packets[sent as usize % flood.datagrams.len()];
            packet[12..16].copy_from_slice(&source(sources, sent).octets());
            socket.send_to(packet, &address).context("send")?;
            sent += 1;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(sent)
}

/// A datagram behind its headers; the source is left open.
fn packet(to: SocketAddrV4, datagram: &[u8]) -> Vec<u8> {
    let length = (8 + datagram.len()) as u16;
    let mut packet = vec![0; HEADERS];
    (packet[0], packet[8], packet[9]) = (0x45, 64, UDP);
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&51820u16.to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[24..26].copy_from_slice(&length.to_be_bytes());
    packet.extend(datagram);
    packet
}

/// Each address in turn.
fn source(sources: Ipv4Net, number: u64) -> Ipv4Addr {
    let hosts = !sources.netmask().to_bits();
    Ipv4Addr::from_bits(sources.network().to_bits() | (number as u32 & hosts))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sources_go_round() {
        let sources = "198.18.0.0/30".parse().unwrap();
        let last: Vec<u8> = (0..6).map(|number| source(sources, number).octets()[3]).collect();
        assert_eq!(last, [0, 1, 2, 3, 0, 1]);
    }
}
