//! Path MTU in the device: whom of a peer's addresses its path is asked by, and what becomes of the answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ipnet::IpNet;

use super::entry::Entry;
use super::{Device, Output};
use crate::drops::Reason;
use crate::icmp::{self, Echo, Reply};
use crate::packet::Header;
use crate::pmtu::{BASE, Knowledge, PathMtu};
use crate::settings::{Mtu, PeerSettings};
use crate::view::{Event, PeerState};

/// Addresses of a peer that are asked, one after the other.
const ASKED: usize = 4;
/// A transport message's header and tag.
const WIREGUARD: u16 = 32;
const UDP: u16 = 8;

/// One peer's path.
#[derive(Debug)]
pub(super) struct Path {
    mtu: PathMtu,
    /// Our address and theirs, the likeliest first.
    ends: Vec<(IpAddr, IpAddr)>,
    /// Of `ends`, the one that is asked; none: the search has not begun.
    asked: Option<usize>,
    /// An answer in fragments, of which some are still to come.
    fragments: Option<u32>,
    /// The MTU as it counted last for the device's; none: it did not.
    counted: Option<u16>,
    /// As it was told last.
    told: u16,
}

impl Path {
    pub(super) fn new(mtu: Mtu, ends: Vec<(IpAddr, IpAddr)>) -> Self {
        let mut path = Self { mtu: PathMtu::new(mtu), ends, asked: None, fragments: None, counted: None, told: 0 };
        if path.ends.is_empty() {
            path.mtu.assume();
        }
        path.told = path.mtu();
        path
    }

    pub(super) fn mtu(&self) -> u16 {
        self.mtu.mtu()
    }

    /// Another configuration.
    pub(super) fn configure(&mut self, mtu: Mtu, ends: Vec<(IpAddr, IpAddr)>) {
        if self.ends == ends {
            return self.mtu.set_ceiling(mtu);
        }
        *self = Self { counted: self.counted, told: self.told, ..Self::new(mtu, ends) };
    }

    /// Why the MTU is no more than an assumption.
    pub(super) fn note(&self) -> Option<String> {
        match self.mtu.knowledge() {
            Knowledge::Probed => None,
            Knowledge::None if self.ends.is_empty() => {
                Some("not probed: allowed-ips hold no address of the peer itself".to_owned())
            }
            Knowledge::None => Some("not probed yet".to_owned()),
            Knowledge::Unanswered => {
                let far: Vec<_> = self.ends.iter().map(|(_, far)| far.to_string()).collect();
                Some(format!("not probed: no answer to a ping from {}", far.join(", ")))
            }
        }
    }

    /// A packet of so many octets is to be sent: the path may have to be asked.
    pub(super) fn wakes(&self, now: Instant, length: usize) -> bool {
        self.mtu.wakes(now, length)
    }

    /// What such a packet begins.
    pub(super) fn wake(&mut self, now: Instant) {
        self.mtu.wake(now);
    }

    /// When there is something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.mtu.next_due()
    }

    fn begin(&mut self, to: SocketAddr) {
        if self.asked.is_none() && !self.ends.is_empty() {
            self.asked = Some(0);
            self.mtu.begin(overhead(to));
        }
    }

    /// Whoever was asked does not answer: the next one may.
    fn ask_another(&mut self, to: SocketAddr) -> bool {
        let next = self.asked.map_or(0, |asked| asked + 1);
        let is_unanswered = self.mtu.knowledge() == Knowledge::Unanswered && self.mtu.next_due().is_none();
        if !is_unanswered || self.asked.is_none() || next >= self.ends.len() {
            return false;
        }
        self.asked = Some(next);
        self.mtu.begin(overhead(to));
        true
    }
}

impl Entry {
    /// Asks what is to be asked now, once there is a session.
    pub(super) fn probe(&mut self, now: Instant, out: &mut Output) {
        let Some(to) = self.endpoint().filter(|_| self.peer.has_session()) else { return };
        self.path.begin(to);
        loop {
            while let Some(probe) = self.path.mtu.poll(now) {
                let Some((source, destination)) = self.path.asked.and_then(|asked| self.path.ends.get(asked)).copied()
                else {
                    return;
                };
                let echo = Echo { source, destination, identifier: self.echo_identifier(), sequence: probe.sequence };
                if icmp::echo(&echo, probe.length, out.packets.room()).is_some() {
                    self.seal(
                        now,
                        out.packets.room(),
                        usize::from(probe.length),
                        probe.length,
                        to.into(),
                        &mut out.datagrams,
                    );
                }
            }
            if !self.path.ask_another(to) {
                return;
            }
        }
    }

    /// In all echo requests to the peer.
    fn echo_identifier(&self) -> u16 {
        let [first, second, ..] = self.settings.public_key.0;
        u16::from_be_bytes([first, second])
    }

    /// Whether a packet of the peer's is an answer to a probe, which the host never sees.
    pub(super) fn takes_answer(&mut self, now: Instant, packet: &[u8], header: &Header) -> bool {
        let far = self.path.asked.and_then(|asked| self.path.ends.get(asked)).map(|(_, far)| *far);
        if far != Some(header.source) {
            return false;
        }
        match icmp::reply(packet, header) {
            Some(Reply::Whole { identifier, sequence, fragments }) if identifier == self.echo_identifier() => {
                self.path.fragments = fragments;
                self.path.mtu.answered(now, sequence);
                true
            }
            Some(Reply::Fragment(id)) => self.path.fragments == Some(id),
            _ => false,
        }
    }

    /// Whether the path counts otherwise for the device's MTU than before.
    pub(super) fn path_changed(&mut self) -> bool {
        let counts = (self.liveness.state() != PeerState::Down).then_some(self.path.mtu());
        std::mem::replace(&mut self.path.counted, counts) != counts
    }

    /// Tells of the MTU, where it has changed since the last call.
    pub(super) fn tell_mtu(&mut self, events: &mut Vec<Event>) {
        let mtu = self.path.mtu();
        if std::mem::replace(&mut self.path.told, mtu) != mtu {
            events.push(Event::PeerMtu(self.settings.public_key, mtu));
        }
    }

    /// The peer is reached another way.
    pub(super) fn path_moved(&mut self, to: SocketAddr) {
        self.path.mtu.moved(overhead(to));
    }
}

impl Device {
    /// The host did not send some datagrams to there, of so many octets or more.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn too_long(&mut self, now: Instant, to: SocketAddr, octets: usize, datagrams: u64, out: &mut Output) {
        let length = u16::try_from(octets).unwrap_or(u16::MAX).saturating_sub(WIREGUARD);
        for (id, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry.as_mut().filter(|entry| entry.endpoint() == Some(to)) else { continue };
            if length <= entry.path.mtu() {
                entry.drops.add(Reason::TooBig, datagrams); // a longer one is a probe
            }
            entry.path.mtu.refused(now, length);
            entry.probe(now, out);
            if !entry.is_awake() {
                self.deadlines.set(id as u32, entry.due(now));
            }
        }
    }

    /// With `mtu = "auto"` the device has the longest MTU of the peers that are not down. A packet that does not fit its
    /// own peer is fragmented or its sender told so, as any router does, and TCP never makes one; but were it the
    /// shortest, one peer on a bad path would make the packets of all others short. IPv6 has no link below 1280 octets.
    pub(super) fn settle_mtu(&mut self, events: &mut Vec<Event>) {
        if self.mtu != Mtu::Auto {
            return;
        }
        let mtu = self.entries.iter().flatten().filter_map(|entry| entry.path.counted).max().unwrap_or(BASE).max(BASE);
        if std::mem::replace(&mut self.told_mtu, mtu) != mtu {
            events.push(Event::Mtu(mtu));
        }
    }
}

/// Octets of IP, UDP and WireGuard around a packet.
fn overhead(to: SocketAddr) -> u16 {
    WIREGUARD + UDP + if to.is_ipv4() { 20 } else { 40 }
}

/// Addresses that are the peer's own: single ones that it is allowed, first those on the device's links, and the other one
/// of a link of two.
pub(super) fn ends(addresses: &[IpNet], peer: &PeerSettings) -> Vec<(IpAddr, IpAddr)> {
    let hosts =
        || peer.allowed_ips.iter().filter(|prefix| prefix.prefix_len() == prefix.max_prefix_len()).map(IpNet::addr);
    let on_link = addresses.iter().flat_map(|own| {
        let far = hosts().filter(move |far| own.contains(far)).chain(other_of_two(*own));
        far.map(|far| (own.addr(), far))
    });
    let elsewhere = addresses
        .iter()
        .flat_map(|own| hosts().filter(|far| far.is_ipv4() == own.addr().is_ipv4()).map(|far| (own.addr(), far)));
    let is_allowed = |far: &IpAddr| peer.allowed_ips.iter().any(|prefix| prefix.contains(far));
    let mut ends = Vec::new();
    for (own, far) in on_link.chain(elsewhere) {
        let is_known = ends.iter().any(|(_, known)| *known == far);
        if !is_known && is_allowed(&far) && !addresses.iter().any(|own| own.addr() == far) && ends.len() < ASKED {
            ends.push((own, far));
        }
    }
    ends
}

fn other_of_two(own: IpNet) -> Option<IpAddr> {
    match own {
        IpNet::V4(own) if own.prefix_len() >= 30 && own.prefix_len() < 32 => {
            Some(IpAddr::V4((own.addr().to_bits() ^ if own.prefix_len() == 30 { 3 } else { 1 }).into()))
        }
        IpNet::V6(own) if own.prefix_len() >= 126 && own.prefix_len() < 128 => {
            Some(IpAddr::V6((own.addr().to_bits() ^ if own.prefix_len() == 126 { 3 } else { 1 }).into()))
        }
        _ => None,
    }
}
