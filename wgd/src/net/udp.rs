//! The UDP sockets, on the worker's thread: which one a datagram takes, and addresses as the device knows them.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::marks;
use super::mmsg::{Inbox, Messages};
use super::offloads::{self, UdpOffloads};
use super::poll;
use crate::batch::Batch;
use crate::envelope::Envelope;
use crate::offload::{Train, trains};

/// What a burst of datagrams may take up while the worker is busy.
const BUFFER: libc::c_int = 4 << 20;
/// How long a destination that refused trains gets single datagrams.
const REFUSED_FOR: Duration = Duration::from_secs(60);

pub(super) struct Udp {
    sockets: Vec<Socket>,
    messages: Messages,
    inbox: Inbox,
    trains: Vec<Train>,
    /// Destinations that trains do not reach, and until when that is believed.
    refused: HashMap<SocketAddr, Instant>,
    /// Of the datagrams last sent, those that the host does not send because of their length.
    too_long: Vec<TooLong>,
}

struct Socket {
    socket: UdpSocket,
    ipv4: bool,
    offloads: UdpOffloads,
}

/// Datagrams to one destination that are longer than their interface takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooLong {
    pub(super) to: SocketAddr,
    /// Of the shortest.
    pub(super) octets: usize,
    pub(super) datagrams: u64,
}

impl Udp {
    pub(super) fn new(sockets: Vec<UdpSocket>) -> Self {
        let is_ipv4 = |socket: &UdpSocket| socket.local_addr().is_ok_and(|address| address.is_ipv4());
        let with_offloads =
            |socket: UdpSocket| Socket { ipv4: is_ipv4(&socket), offloads: offloads::of_udp(&socket), socket };
        for socket in &sockets {
            marks::set(socket);
            enlarge_buffers(socket);
        }
        Self {
            sockets: sockets.into_iter().map(with_offloads).collect(),
            messages: Messages::default(),
            inbox: Inbox::default(),
            trains: Vec::new(),
            refused: HashMap::new(),
            too_long: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.sockets.iter().map(|socket| socket.socket.as_raw_fd())
    }

    /// What is in use towards an address, and from there.
    pub(super) fn offloads(&self, to: SocketAddr) -> Option<UdpOffloads> {
        let offloads = route(&self.sockets, to)?.0.offloads;
        Some(UdpOffloads { segment: offloads.segment && !self.refused.contains_key(&to), ..offloads })
    }

    /// Some of what has arrived at one socket; empty: nothing.
    pub(super) fn receive(&mut self, socket: usize) -> io::Result<&Inbox> {
        self.inbox.clear();
        let Some(socket) = self.sockets.get(socket) else { return Ok(&self.inbox) };
        match self.messages.receive(&socket.socket, &mut self.inbox, canonical) {
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Err(error),
            _ => Ok(&self.inbox),
        }
    }

    /// Sends all; how many datagrams the host refused, but for those that were too long.
    pub(super) fn send(&mut self, now: Instant, batch: &Batch<Envelope>) -> u64 {
        self.too_long.clear();
        self.refused.retain(|_, until| now < *until);
        let mut all = std::mem::take(&mut self.trains);
        all.clear();
        let is_coupled = |to| self.offloads(to).is_some_and(|offloads| offloads.segment);
        all.extend(trains(batch, is_coupled));
        let refused = self.send_trains(now, batch.octets(), &all);
        self.trains = all;
        refused
    }

    /// Of what was sent last: datagrams that are longer than their interface takes.
    pub(super) fn too_long(&self) -> &[TooLong] {
        &self.too_long
    }

    /// A full send buffer is waited for, since dropping here only moves the loss to where no one sees it.
    fn send_trains(&mut self, now: Instant, octets: &[u8], mut trains: &[Train]) -> u64 {
        let (mut refused, mut waited) = (0, false);
        while let Some((first, rest)) = trains.split_first() {
            let envelope = first.envelope;
            let Some((socket, mapped)) = route(&self.sockets, envelope.to) else {
                (refused, trains) = (refused + first.datagrams as u64, rest);
                continue;
            };
            let is_alike =
                |other: Envelope| other.to.is_ipv4() == envelope.to.is_ipv4() && other.fragment == envelope.fragment;
            let run = trains.iter().take_while(|train| is_alike(train.envelope)).copied();
            let address = |to| if mapped { to_mapped(to) } else { to };
            if envelope.fragment {
                marks::fragment(&socket.socket, true);
            }
            let sent = self.messages.send(&socket.socket, run, octets, address);
            if envelope.fragment {
                marks::fragment(&socket.socket, false);
            }
            match sent {
                Ok(sent) => (trains, waited) = (&trains[sent..], false), // only then is another wait worth it
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !waited => {
                    poll::wait_writable(socket.socket.as_raw_fd());
                    waited = true;
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock && first.datagrams > 1 => {
                    let singles: Vec<_> = first.singles().collect();
                    refused += self.send_trains(now, octets, &singles);
                    // What is too long by itself is not refused for being a train
                    if is_about_trains(&error) && self.too_long.iter().all(|long| long.to != envelope.to) {
                        tracing::debug!(to = %envelope.to, %error, "trains of datagrams are refused");
                        self.refused.insert(envelope.to, now + REFUSED_FOR);
                    }
                    trains = rest;
                }
                // The first of the run was refused: ECONNREFUSED, ENETUNREACH, EPERM, EMSGSIZE ...
                Err(error) => {
                    if error.raw_os_error() == Some(libc::EMSGSIZE) {
                        note_length(&mut self.too_long, envelope.to, first.len);
                    } else {
                        refused += first.datagrams as u64;
                    }
                    trains = rest;
                }
            }
        }
        refused
    }
}

fn note_length(all: &mut Vec<TooLong>, to: SocketAddr, octets: usize) {
    match all.iter_mut().find(|known| known.to == to) {
        Some(known) => (known.octets, known.datagrams) = (known.octets.min(octets), known.datagrams + 1),
        None => all.push(TooLong { to, octets, datagrams: 1 }),
    }
}

/// Past `net.core.rmem_max`, of which two trains are all, where CAP_NET_ADMIN allows it. Smaller buffers cost packets under
/// load, not correctness.
fn enlarge_buffers(socket: &UdpSocket) {
    for (forced, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        let set = |option| marks::set_option(socket, libc::SOL_SOCKET, option, BUFFER);
        let _ = set(forced).or_else(|_| set(plain));
    }
}

/// The socket for an address, and whether the address is to be a mapped one.
fn route(sockets: &[Socket], to: SocketAddr) -> Option<(&Socket, bool)> {
    let own = sockets.iter().find(|socket| socket.ipv4 == to.is_ipv4()).map(|socket| (socket, false));
    // An IPv4 address through a dual-stack socket is a mapped one
    own.or_else(|| sockets.first().filter(|_| to.is_ipv4()).map(|socket| (socket, true)))
}

/// EIO: the device on the way makes no checksums. EINVAL, EMSGSIZE: a datagram is longer than the path's MTU, and would
/// have to be fragmented; or the kernel allows fewer.
fn is_about_trains(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
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
    use crate::envelope::Ecn;

    fn batch(datagrams: &[(&[u8], SocketAddr)]) -> Batch<Envelope> {
        let mut batch = Batch::default();
        for (datagram, to) in datagrams {
            batch.room()[..datagram.len()].copy_from_slice(datagram);
            batch.push(datagram.len(), (*to).into());
        }
        batch
    }

    fn receive(udp: &mut Udp, socket: usize) -> Vec<(Vec<u8>, SocketAddr)> {
        let mut poll = poll::Poll::new(udp.descriptors());
        poll.wait(Duration::from_secs(10)).unwrap();
        let inbox = udp.receive(socket).unwrap();
        inbox.datagrams().map(|(from, _, datagram)| (datagram.to_vec(), from)).collect()
    }

    #[test]
    fn a_batch_of_both_families_goes_out_and_comes_in() {
        let bind = |address| UdpSocket::bind(address).unwrap();
        let mut ours = Udp::new(vec![bind("127.0.0.1:0"), bind("[::1]:0")]);
        let mut theirs = Udp::new(vec![bind("127.0.0.1:0"), bind("[::1]:0")]);
        let to: Vec<SocketAddr> = theirs.sockets.iter().map(|socket| socket.socket.local_addr().unwrap()).collect();
        let from: Vec<SocketAddr> = ours.sockets.iter().map(|socket| socket.socket.local_addr().unwrap()).collect();
        assert_eq!(
            ours.send(Instant::now(), &batch(&[(b"one", to[0]), (b"two", to[1]), (b"three", to[0]), (b"", to[0])])),
            0
        );
        let first = receive(&mut theirs, 0);
        assert_eq!(first, [(b"one".to_vec(), from[0]), (b"three".to_vec(), from[0]), (Vec::new(), from[0])]);
        assert_eq!(receive(&mut theirs, 1), [(b"two".to_vec(), from[1])]);
    }

    #[test]
    fn a_train_is_sent_and_received_as_one_and_without_segmentation_one_by_one() {
        for (segment, address) in [(true, "127.0.0.1:0"), (true, "[::1]:0"), (false, "127.0.0.1:0")] {
            let mut ours = Udp::new(vec![UdpSocket::bind(address).unwrap()]);
            let mut theirs = Udp::new(vec![UdpSocket::bind(address).unwrap()]);
            ours.sockets[0].offloads.segment = segment;
            let to = theirs.sockets[0].socket.local_addr().unwrap();
            let datagrams: Vec<_> = (0..30).map(|number| vec![number; if number == 29 { 100 } else { 1452 }]).collect();
            let datagrams: Vec<_> = datagrams.iter().map(|datagram| (datagram.as_slice(), to)).collect();
            assert_eq!(ours.send(Instant::now(), &batch(&datagrams)), 0);
            let (mut received, mut messages) = (Vec::new(), 0);
            while received.len() < 30 {
                received.extend(receive(&mut theirs, 0).into_iter().map(|(datagram, _)| datagram));
                messages += theirs.inbox.len();
            }
            assert_eq!(messages, if segment { 1 } else { 30 });
            assert!(received.iter().zip(&datagrams).all(|(received, (sent, _))| received == sent));
        }
    }

    #[test]
    fn the_ecn_field_is_sent_with_trains_and_single_datagrams_and_told_of_what_arrives() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let mut ours = Udp::new(vec![UdpSocket::bind(address).unwrap()]);
            let mut theirs = Udp::new(vec![UdpSocket::bind(address.replace("[::]", "127.0.0.1")).unwrap()]);
            let to = theirs.sockets[0].socket.local_addr().unwrap();
            let mut batch = Batch::default();
            let fields = [Ecn::Ect0, Ecn::Ect0, Ecn::Ce, Ecn::NotEct, Ecn::Ect1];
            for ecn in fields {
                batch.room()[..100].fill(1);
                batch.push(100, Envelope { ecn, ..to.into() });
            }
            assert_eq!(ours.send(Instant::now(), &batch), 0);
            let mut received = Vec::new();
            while received.len() < fields.len() {
                let mut poll = poll::Poll::new(theirs.descriptors());
                poll.wait(Duration::from_secs(10)).unwrap();
                received.extend(theirs.receive(0).unwrap().datagrams().map(|(_, ecn, _)| ecn));
            }
            assert_eq!(received, fields, "{address}");
        }
    }

    #[test]
    fn what_is_longer_than_the_interface_takes_is_told_and_may_be_fragmented_where_that_is_said() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let mut ours = Udp::new(vec![UdpSocket::bind(address).unwrap()]);
            let mut theirs = Udp::new(vec![UdpSocket::bind(address).unwrap()]);
            let to = theirs.sockets[0].socket.local_addr().unwrap();
            // Loopback takes 65,536 octets; a datagram of IPv4 cannot even be so long
            let mut batch = Batch::default();
            for octets in [65_520, 65_530, 100] {
                batch.push(octets, to.into());
            }
            let refused = ours.send(Instant::now(), &batch);
            assert_eq!((refused, ours.too_long()), (0, &[TooLong { to, octets: 65_520, datagrams: 2 }][..]));
            assert_eq!(receive(&mut theirs, 0)[0].0.len(), 100);
            batch.clear();
            batch.push(3000, Envelope { fragment: true, ..to.into() });
            assert_eq!((ours.send(Instant::now(), &batch), ours.too_long()), (0, &[][..]));
            assert_eq!(receive(&mut theirs, 0)[0].0.len(), 3000);
        }
    }

    #[test]
    fn a_destination_that_refused_trains_gets_them_again_after_a_minute() {
        let mut udp = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let (now, to) = (Instant::now(), udp.sockets[0].socket.local_addr().unwrap());
        udp.refused.insert(to, now + REFUSED_FOR);
        let segments = |udp: &Udp| udp.offloads(to).unwrap().segment;
        for (after, expected) in [(0, false), (59, false), (60, true)] {
            udp.send(now + Duration::from_secs(after), &batch(&[]));
            assert_eq!(segments(&udp), expected, "after {after} s");
        }
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_is_counted_and_the_next_goes_out() {
        let mut ours = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let mut theirs = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let to = theirs.sockets[0].socket.local_addr().unwrap();
        let no_family = "[::1]:9".parse().unwrap();
        let no_way = "192.0.2.1:9".parse().unwrap(); // a socket bound to loopback has no way out
        assert_eq!(ours.send(Instant::now(), &batch(&[(b"lost", no_family), (b"lost", no_way), (b"kept", to)])), 2);
        assert_eq!(receive(&mut theirs, 0)[0].0, b"kept");
    }

    #[test]
    fn a_dual_stack_socket_carries_ipv4() {
        let mut dual = Udp::new(vec![UdpSocket::bind("[::]:0").unwrap()]);
        let mut plain = Udp::new(vec![UdpSocket::bind("127.0.0.1:0").unwrap()]);
        let to = plain.sockets[0].socket.local_addr().unwrap();
        assert_eq!(dual.send(Instant::now(), &batch(&[(b"there", to)])), 0);
        let (_, from) = receive(&mut plain, 0).remove(0);
        assert_eq!(plain.send(Instant::now(), &batch(&[(b"back", from)])), 0);
        assert_eq!(receive(&mut dual, 0), [(b"back".to_vec(), to)]);
    }
}
