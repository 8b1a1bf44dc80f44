//! ICMP echo (RFC 792, RFC 4443 §4.1) over the kernel's ping sockets: it chooses the identifier, computes the checksum
//! and hands us only answers to our own requests.
//!
//! Runs in the agent, which has opened `ping_group_range` in its namespace.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout};

use super::request::{Echoes, Ping};

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const HEADER: usize = 8;
const PAYLOAD: usize = 48;

/// Sends the requests and waits for each answer.
pub(super) async fn ping(ping: &Ping) -> anyhow::Result<Echoes> {
    let socket = socket(ping.to, ping.from)?;
    socket.connect(&SocketAddr::new(ping.to, 0).into()).with_context(|| format!("no way to {}", ping.to))?;
    // tokio knows no ping sockets; a connected one is sent to and received from like any datagram socket.
    let socket = UdpSocket::from_std(socket.into())?;
    let mut echoes = Echoes::default();
    for sequence in 0..ping.count {
        let start = Instant::now();
        echoes.sent += 1;
        match echo(&socket, ping, sequence).await {
            Ok(round_trip) => echoes.round_trips.push(round_trip),
            Err(error) => echoes.error = Some(format!("{error:#}")),
        }
        if sequence + 1 < ping.count {
            sleep_until((start + ping.interval).into()).await;
        }
    }
    Ok(echoes)
}

/// A ping socket in non-blocking mode.
pub(super) fn socket(to: IpAddr, from: Option<IpAddr>) -> anyhow::Result<Socket> {
    let (domain, protocol) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).context("a ping socket")?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into()).with_context(|| format!("bind to {from}"))?;
    }
    Ok(socket)
}

async fn echo(socket: &UdpSocket, ping: &Ping, sequence: u16) -> anyhow::Result<Duration> {
    let start = Instant::now();
    socket.send(&request(ping.to, sequence)).await.context("send")?;
    let Ok(answered) = timeout(ping.timeout, answer(socket, sequence)).await else {
        bail!("no answer in {:?}", ping.timeout);
    };
    answered?;
    Ok(start.elapsed())
}

/// An echo request; the kernel completes it.
pub(super) fn request(to: IpAddr, sequence: u16) -> [u8; HEADER + PAYLOAD] {
    let mut message = [0; HEADER + PAYLOAD];
    message[0] = if to.is_ipv4() { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
    message[6..HEADER].copy_from_slice(&sequence.to_be_bytes());
    message
}

async fn answer(socket: &UdpSocket, sequence: u16) -> anyhow::Result<()> {
    let mut message = [0; HEADER + PAYLOAD];
    loop {
        // An ICMP error about an earlier request is an error of this one too: the way is broken.
        let len = socket.recv(&mut message).await.context("receive")?;
        // An answer that comes after its time belongs to an earlier sequence number.
        if len >= HEADER && message[6..HEADER] == sequence.to_be_bytes() {
            return Ok(());
        }
    }
}
