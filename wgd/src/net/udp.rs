//! The UDP sockets, on the worker's thread: which one a datagram takes, and addresses as the device knows them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use super::mmsg::Messages;
use super::poll;
use crate::batch::Batch;

pub(super) struct Udp {
    sockets: Vec<Socket>,
    messages: Messages,
}

struct Socket {
    socket: UdpSocket,
    ipv4: bool,
}

impl Udp {
    pub(super) fn new(sockets: Vec<UdpSocket>) -> Self {
        let is_ipv4 = |socket: &UdpSocket| socket.local_addr().is_ok_and(|address| address.is_ipv4());
        let sockets = sockets.into_iter().map(|socket| Socket { ipv4: is_ipv4(&socket), socket }).collect();
        Self { sockets, messages: Messages::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.sockets.iter().map(|socket| socket.socket.as_raw_fd())
    }

    /// What has arrived at one socket, up to a batch.
    pub(super) fn receive(&mut self, socket: usize, batch: &mut Batch<SocketAddr>) -> io::Result<()> {
        let Some(socket) = self.sockets.get(socket) else { return Ok(()) };
        match self.messages.receive(&socket.socket, batch, canonical) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            result => result,
        }
    }

    /// Sends all; how many the host refused. A full send buffer is waited for, since dropping here only moves the
    /// loss to where no one sees it.
    pub(super) fn send(&mut self, batch: &Batch<SocketAddr>) -> u64 {
        let (mut done, mut refused, mut waited) = (0, 0, false);
        while let Some((_, first)) = batch.iter().nth(done) {
            let ipv4 = first.is_ipv4();
            let own = self.sockets.iter().find(|socket| socket.ipv4 == ipv4);
            // An IPv4 address through a dual-stack socket is a mapped one
            let (socket, mapped) = match (own, self.sockets.first()) {
                (Some(socket), _) => (socket, false),
                (None, Some(socket)) if ipv4 => (socket, true),
                _ => {
                    (done, refused) = (done + 1, refused + 1);
                    continue;
                }
            };
            let run = batch.iter().skip(done).take_while(|(_, to)| to.is_ipv4() == ipv4);
            let run = run.map(|(datagram, to)| (datagram, if mapped { to_mapped(*to) } else { *to }));
            match self.messages.send(&socket.socket, run) {
                Ok(sent) => (done, waited) = (done + sent, false), // only then is another wait worth it
                Err(error) if error.kind() == ErrorKind::WouldBlock && !waited => {
                    poll::wait_writable(socket.socket.as_raw_fd());
                    waited = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The first of the run was refused: ECONNREFUSED, ENETUNREACH, EPERM, EMSGSIZE ...
                Err(_) => (done, refused) = (done + 1, refused + 1),
            }
        }
        refused
    }
}

/// A dual-stack socket shows IPv4 addresses as mapped ones.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn to_mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn batch(datagrams: &[(&[u8], SocketAddr)]) -> Batch<SocketAddr> {
        let mut batch = Batch::default();
        for (datagram, to) in datagrams {
            batch.room()[..datagram.len()].copy_from_slice(datagram);
            batch.push(datagram.len(), *to);
        }
        batch
    }

    fn receive(udp: &mut Udp, socket: usize) -> Vec<(Vec<u8>, SocketAddr)> {
        let mut poll = poll::Poll::new(udp.descriptors());
        let mut batch = Batch::default();
        poll.wait(Duration::from_secs(10)).unwrap();
        udp.receive(socket, &mut batch).unwrap();
        batch.iter().map(|(datagram, from)| (datagram.to_vec(), *from)).collect()
    }

    #[test]
    fn a_batch_of_both_families_goes_out_and_comes_in() {
        let bind = |address| UdpSocket::bind(address).unwrap();
        let mut ours = Udp::new(vec![bind("127.0.0.1:0"), bind("[::1]:0")]);
        let mut theirs = Udp::new(vec![bind("127.0.0.1:0"), bind("[::1]:0")]);
        let to: Vec<SocketAddr> = theirs.sockets.iter().map(|socket| socket.socket.local_addr().unwrap()).collect();
        let from: Vec<SocketAddr> = ours.sockets.iter().map(|socket| socket.socket.local_addr().unwrap()).collect();
        assert_eq!(ours.send(&batch(&[(b"one", to[0]), (b"two", to[1]), (b"three", to[0]), (b"", to[0])])), 0);
        let first = receive(&mut theirs, 0);
        assert_eq!(first, [(b"one".to_vec(), from[0]), (b"three".to_vec(), from[0]), (Vec::new(), from[0])]);
        assert_eq!(receive(&mut theirs, 1), [(b"two".to_vec(), from[1])]);
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_is_counted_and_the_next_goes_out() {
        let mut ours = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let mut theirs = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let to = theirs.sockets[0].socket.local_addr().unwrap();
        let no_family = "[::1]:9".parse().unwrap();
        let no_way = "192.0.2.1:9".parse().unwrap(); // a socket bound to loopback has no way out
        assert_eq!(ours.send(&batch(&[(b"lost", no_family), (b"lost", no_way), (b"kept", to)])), 2);
        assert_eq!(receive(&mut theirs, 0)[0].0, b"kept");
    }

    #[test]
    fn a_dual_stack_socket_carries_ipv4() {
        let mut dual = Udp::new(vec![UdpSocket::bind("[::]:0").unwrap()]);
        let mut plain = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let to = plain.sockets[0].socket.local_addr().unwrap();
        assert_eq!(dual.send(&batch(&[(b"there", to)])), 0);
        let (_, from) = receive(&mut plain, 0).remove(0);
        assert_eq!(plain.send(&batch(&[(b"back", from)])), 0);
        assert_eq!(receive(&mut dual, 0), [(b"back".to_vec(), to)]);
    }
}
