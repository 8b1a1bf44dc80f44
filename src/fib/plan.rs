//! What the speaker's choice means here: an entry of the tunnel's table, a kernel route, or why not.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bgpd::speaker::FibChoice;
use bgpd::types::{Family, NextHop};
use ipnet::IpNet;
use wgd::settings::PublicKey;
use wgd::table::Group;

use super::next_hops::{NextHops, Way};
use super::{SWITCHED_OFF, Settings};
use crate::kernel::{Hop, Route, Target};

/// The speaker's choice for a family, shared by all destinations that have it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Choice {
    family: Family,
    /// A static route into the tunnel, whose table has it from its own settings.
    pub(super) pinned: bool,
    best: Vec<NextHop>,
    discard: bool,
    pub(super) not_installed: Option<&'static str>,
    backup: Vec<NextHop>,
    accepted: Vec<NextHop>,
}

/// What the destinations of a choice should have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Wanted {
    /// The entry in the tunnel's table.
    pub(super) tunnel: Option<Arc<Group>>,
    /// The kernel route.
    pub(super) kernel: Option<Arc<Body>>,
    /// Why there is no kernel route.
    pub(super) problem: Option<Problem>,
}

/// A kernel route without what all of ours have in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Body {
    /// Where to; hops are in order, each once.
    pub(super) target: Target,
    /// Preferred source.
    pub(super) source: Option<IpAddr>,
    /// Packets that take this route enter the tunnel.
    pub(super) into_tunnel: bool,
}

/// Why a destination has no kernel route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Problem {
    /// It may come yet, or is not meant to.
    NotNow(String),
    /// It must never be.
    Refused(String),
}

impl Body {
    pub(super) fn of(settings: &Settings, route: &Route) -> Self {
        Self::new(settings, route.target.clone(), route.source)
    }

    pub(super) fn new(settings: &Settings, target: Target, source: Option<IpAddr>) -> Self {
        let Target::Hops(mut hops) = target else {
            return Self { target: Target::Discard, source: None, into_tunnel: false };
        };
        // The kernel may list them in another order than they were given.
        hops.sort_unstable();
        hops.dedup();
        let tunnel = settings.tunnel.as_ref().map(|tunnel| tunnel.interface);
        let into_tunnel = hops.iter().any(|hop| Some(hop.interface) == tunnel);
        Self { target: Target::Hops(hops), source, into_tunnel }
    }
}

/// Every choice that some destination has, and what it means. A table of a million destinations has a handful.
#[derive(Debug, Default)]
pub(super) struct Plans {
    known: BTreeMap<Arc<Choice>, Arc<Wanted>>,
    /// When there are this many, those that nobody has any more are forgotten.
    sweep_at: usize,
}

/// The least value of `sweep_at`.
const SWEEP: usize = 64;

impl Plans {
    /// The one copy of a choice.
    pub(super) fn share(&mut self, settings: &Settings, next_hops: &NextHops, choice: Choice) -> Arc<Choice> {
        if let Some((known, _)) = self.known.get_key_value(&choice) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|choice, _| Arc::strong_count(choice) > 1);
            self.sweep_at = SWEEP.max(self.known.len() * 2);
        }
        let wanted = Arc::new(choice.wanted(settings, next_hops));
        let choice = Arc::new(choice);
        self.known.insert(Arc::clone(&choice), wanted);
        choice
    }

    /// What the destinations of a choice should have.
    pub(super) fn wanted(&self, choice: &Choice) -> Option<Arc<Wanted>> {
        self.known.get(choice).cloned()
    }

    /// Works out anew what depends on next hops whose way has changed; returns whether anything is different.
    pub(super) fn renew(&mut self, settings: &Settings, next_hops: &NextHops, changed: &[NextHop]) -> bool {
        let mut different = false;
        for (choice, known) in self.known.iter_mut().filter(|(choice, _)| choice.depends_on(changed)) {
            let wanted = choice.wanted(settings, next_hops);
            if wanted != **known {
                *known = Arc::new(wanted);
                different = true;
            }
        }
        different
    }
}

impl Choice {
    pub(super) fn new(prefix: &IpNet, choice: FibChoice) -> Self {
        let FibChoice { best, discard, not_installed, backup, accepted } = choice;
        Self { family: Family::of(prefix), pinned: false, best, discard, not_installed, backup, accepted }
    }

    pub(super) fn pinned(prefix: &IpNet) -> Self {
        Self { pinned: true, ..Self::new(prefix, FibChoice::default()) }
    }

    fn depends_on(&self, next_hops: &[NextHop]) -> bool {
        let mut all = self.best.iter().chain(&self.backup).chain(&self.accepted);
        all.any(|next_hop| next_hops.contains(next_hop))
    }

    /// What the host makes of it now.
    pub(super) fn wanted(&self, settings: &Settings, next_hops: &NextHops) -> Wanted {
        let (body, problem) = match self.target(settings, next_hops) {
            Ok(target) => (Some(Body::new(settings, target, self.source(settings))), None),
            Err(why) => (None, Some(Problem::NotNow(why))),
        };
        let tunnel = self.group(next_hops, body.as_ref().is_some_and(|body| body.into_tunnel)).map(Arc::new);
        if settings.install {
            Wanted { tunnel, kernel: body.map(Arc::new), problem }
        } else {
            // The tunnel's table is not the kernel: it follows all the same.
            Wanted { tunnel, kernel: None, problem: Some(Problem::NotNow(SWITCHED_OFF.to_owned())) }
        }
    }

    fn source(&self, settings: &Settings) -> Option<IpAddr> {
        settings.preferred_source.iter().find(|source| Family::of_address(source) == self.family).copied()
    }

    /// The kernel route's target. A multipath set is one side of the tunnel or the other, never both: the first usable next
    /// hop, that of the best path, says which.
    fn target(&self, settings: &Settings, next_hops: &NextHops) -> Result<Target, String> {
        if self.discard {
            return Ok(Target::Discard);
        }
        if self.pinned {
            return into_tunnel(settings);
        }
        if let Some(why) = self.not_installed {
            return Err(why.to_owned());
        }
        let mut hops = Vec::new();
        let mut unusable = None;
        for next_hop in &self.best {
            match next_hops.way(next_hop) {
                Way::Peer(_) if hops.is_empty() => return into_tunnel(settings),
                // `::ffff:a.b.c.d` of a neighbor on an IPv4 session: Linux has no IPv6 route by an IPv4 gateway.
                Way::Link(Hop { gateway: Some(IpAddr::V4(_)), .. }) if self.family == Family::Ipv6 => {
                    unusable = unusable.or_else(|| Some(sentence(next_hop, "IPv6 packets need an IPv6 address")));
                }
                Way::Link(hop) => hops.push(hop),
                Way::Peer(_) => {}
                Way::Local => unusable = unusable.or_else(|| Some(sentence(next_hop, "is an address of this host"))),
                Way::Nowhere(why) => unusable = unusable.or_else(|| Some(sentence(next_hop, &why))),
            }
        }
        if hops.is_empty() {
            return Err(unusable.unwrap_or_else(|| "no path".to_owned()));
        }
        Ok(Target::Hops(hops))
    }

    /// The entry of the tunnel's table. Where the kernel does not send into the tunnel, it only accepts.
    fn group(&self, next_hops: &NextHops, into_tunnel: bool) -> Option<Group> {
        let peers = |list: &[NextHop]| peers(next_hops, list);
        let mut group = Group { accept: peers(&self.accepted), ..Group::default() };
        if into_tunnel {
            group.send = peers(&self.best);
            group.send.sort_unstable();
            group.backup = peers(&self.backup);
            group.backup.retain(|key| !group.send.contains(key));
        }
        // Whom we send to may answer.
        group.accept.extend(group.send.iter().chain(&group.backup));
        group.accept.sort_unstable();
        group.accept.dedup();
        (!group.accept.is_empty()).then_some(group)
    }
}

fn into_tunnel(settings: &Settings) -> Result<Target, String> {
    let tunnel = settings.tunnel.as_ref().ok_or("there is no tunnel")?;
    Ok(Target::Hops(vec![Hop { gateway: None, interface: tunnel.interface }]))
}

fn sentence(next_hop: &NextHop, why: &str) -> String {
    format!("next hop {}: {why}", next_hop.address)
}

/// The peers behind next hops, each once, in order.
fn peers(next_hops: &NextHops, list: &[NextHop]) -> Vec<PublicKey> {
    let mut peers = Vec::new();
    for next_hop in list {
        if let Way::Peer(key) = next_hops.way(next_hop)
            && !peers.contains(&key)
        {
            peers.push(key);
        }
    }
    peers
}
