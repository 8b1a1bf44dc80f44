//! The tunnel's table: prefix to group, for sending and for the source filter.
//!
//! A prefix may be in it twice: as a peer's static allowed IP and as a route. The longest prefix that anyone sends to
//! decides where a packet goes; at equal length the static one does. A packet may come from a peer if *any* prefix
//! around its source admits that peer: allowed IPs are always allowed, and a route of a whole network is a permission
//! for all of it (feasible-path RPF, RFC 3704 §2.4).
//!
//! A change is atomic towards packets on their way: whom a prefix accepted before it is accepted for [`LINGER`] more, for
//! what a peer had sent before the news reached us is no spoofed packet.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::settings::{PeerSettings, PublicKey};

mod groups;
mod lpm;

pub(crate) use groups::PeerId;
use groups::{GroupId, Groups};
use lpm::Lpm;

/// Who may carry a prefix. Prefixes with the same choice share one group inside the device.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Group {
    /// Flows are hashed over those of them that are not down.
    pub send: Vec<PublicKey>,
    /// In order; the first that is not down is used while all of `send` are.
    pub backup: Vec<PublicKey>,
    /// A packet with a source in the prefix may come from any of these (feasible-path RPF, RFC 3704 §2.4).
    pub accept: Vec<PublicKey>,
}

/// One change of the routed part of the table. Static allowed IPs are the settings' own and win for sending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The prefix.
    pub prefix: IpNet,
    /// Absent: the prefix is no longer routed.
    pub group: Option<Group>,
}

/// Counts batches of changes.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Generation(pub u64);

/// How long a packet may be on its way, with the queues that it meets there.
pub const LINGER: Duration = Duration::from_secs(2);

/// What a prefix has; at least one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    fixed: Option<GroupId>,
    routed: Option<GroupId>,
    /// What it was routed by before: packets are accepted, none is sent.
    before: Option<GroupId>,
}

impl Entry {
    fn groups(self) -> impl Iterator<Item = GroupId> {
        self.fixed.into_iter().chain(self.routed)
    }
}

/// Which of the two an operation is about.
#[derive(Clone, Copy, Debug)]
enum Part {
    Fixed,
    Routed,
    Before,
}

/// The whole table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    ipv4: Lpm<u32, Entry>,
    ipv6: Lpm<u128, Entry>,
    groups: Groups,
    fixed: Vec<IpNet>,
    /// When what a prefix was routed by is forgotten, in order of time.
    lingering: VecDeque<(Instant, IpNet, GroupId)>,
}

impl Table {
    /// The peer that carries a packet to `destination`.
    pub(crate) fn egress(&self, destination: IpAddr, flow: impl FnOnce() -> u64) -> Option<PeerId> {
        let send = |entry: &Entry| entry.groups().find(|group| self.groups.sends(*group));
        let group = match destination {
            IpAddr::V4(address) => self.ipv4.matches(address.to_bits()).find_map(send),
            IpAddr::V6(address) => self.ipv6.matches(address.to_bits()).find_map(send),
        }?;
        self.groups.choose(group, flow)
    }

    /// Whether a packet with this source may come from this peer.
    pub(crate) fn admits(&self, source: IpAddr, peer: PeerId) -> bool {
        let admits = |entry: &Entry| entry.groups().chain(entry.before).any(|group| self.groups.accepts(group, peer));
        match source {
            IpAddr::V4(address) => self.ipv4.matches(address.to_bits()).any(admits),
            IpAddr::V6(address) => self.ipv6.matches(address.to_bits()).any(admits),
        }
    }

    /// Every peer there is, and its static allowed IPs. Routes that name an unknown peer wait for it.
    pub(crate) fn set_peers(&mut self, peers: &[PeerSettings], ids: HashMap<PublicKey, PeerId>) {
        self.groups.set_peers(ids);
        for prefix in std::mem::take(&mut self.fixed) {
            self.set(prefix, Part::Fixed, None);
        }
        for (prefix, group) in fixed_groups(peers) {
            self.fixed.push(prefix);
            let group = self.groups.intern(group);
            self.set(prefix, Part::Fixed, Some(group));
        }
    }

    /// One change of the routed part.
    pub(crate) fn apply(&mut self, now: Instant, change: Change) {
        let prefix = change.prefix.trunc();
        let group = change.group.map(|group| self.groups.intern(group));
        let Some(before) = self.replace(prefix, Part::Routed, group) else { return };
        if group.is_some_and(|group| self.groups.accepts_all_of(group, before)) {
            return self.groups.release(before);
        }
        self.set(prefix, Part::Before, Some(before));
        self.lingering.push_back((now + LINGER, prefix, before));
    }

    /// Forgets what prefixes were routed by, where that is over. To be called at [`Self::next_timeout`].
    pub(crate) fn forget(&mut self, now: Instant) {
        while self.next_timeout().is_some_and(|until| until <= now)
            && let Some((_, prefix, group)) = self.lingering.pop_front()
        {
            if self.entry(prefix, |entry| entry.before) == Some(group) {
                self.set(prefix, Part::Before, None);
            }
        }
    }

    /// When there is something to forget.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.lingering.front().map(|(until, ..)| *until)
    }

    /// A peer that is down carries nothing while another one can.
    pub(crate) fn set_down(&mut self, peer: PeerId, down: bool) {
        self.groups.set_down(peer, down);
    }

    fn set(&mut self, prefix: IpNet, part: Part, group: Option<GroupId>) {
        if let Some(before) = self.replace(prefix, part, group) {
            self.groups.release(before);
        }
    }

    /// Returns the group that was there, which still counts the prefix.
    fn replace(&mut self, prefix: IpNet, part: Part, group: Option<GroupId>) -> Option<GroupId> {
        self.entry(prefix, |entry| {
            let place = match part {
                Part::Fixed => &mut entry.fixed,
                Part::Routed => &mut entry.routed,
                Part::Before => &mut entry.before,
            };
            std::mem::replace(place, group)
        })
    }

    fn entry<R>(&mut self, prefix: IpNet, change: impl FnOnce(&mut Entry) -> R) -> R {
        let keep = |entry: &Entry| entry.groups().chain(entry.before).next().is_some();
        let length = prefix.prefix_len();
        match prefix.network() {
            IpAddr::V4(address) => self.ipv4.update(address.to_bits(), length, change, keep),
            IpAddr::V6(address) => self.ipv6.update(address.to_bits(), length, change, keep),
        }
    }
}

/// Static allowed IPs of all peers. Of peers with the same prefix the first of the file sends and the others stand by.
fn fixed_groups(peers: &[PeerSettings]) -> HashMap<IpNet, Group> {
    let mut groups: HashMap<IpNet, Group> = HashMap::new();
    for peer in peers {
        for prefix in &peer.allowed_ips {
            let group = groups.entry(prefix.trunc()).or_default();
            if group.accept.contains(&peer.public_key) {
                continue;
            }
            group.accept.push(peer.public_key);
            let list = if group.send.is_empty() { &mut group.send } else { &mut group.backup };
            list.push(peer.public_key);
        }
    }
    groups
}

#[cfg(test)]
mod tests;
