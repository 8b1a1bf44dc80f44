//! Where paths come from: one session of a neighbor, or ourselves.
//!
//! Every session has a source of its own, so that what the last session left can be swept away at leisure while the
//! next one already brings routes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::bits::Bits;
use super::{Outcome, Refresh};
use crate::policy::{Inquiry, Policy, Protocol};
use crate::role::Role;
use crate::settings::Settings;
use crate::types::{Asn, BgpIdentifier, Families, Family};
use crate::wire::{Context, MAX_MESSAGE, PathAttributes};

/// The number of a source.
pub(crate) type SourceId = u32;

/// What passes from or to a neighbor.
#[derive(Clone, Debug, Default)]
pub(crate) enum Filter {
    /// Nothing: external, and no policy (RFC 8212).
    #[default]
    Nothing,
    /// Everything: `accept-all`, or internal without a policy.
    Everything,
    /// What the policy lets pass.
    Policy(Arc<Policy>),
}

impl Filter {
    /// Whether routes with equal attributes can get different answers.
    pub(crate) fn looks_at_prefix(&self) -> bool {
        matches!(self, Self::Policy(policy) if policy.looks_at_prefix())
    }

    /// The policy, asked about prefixes with these attributes; `None`: there is none to ask.
    pub(crate) fn ask<'a>(&'a self, attributes: &'a PathAttributes) -> Option<Inquiry<'a>> {
        if let Self::Policy(policy) = self { Some(policy.ask(attributes)) } else { None }
    }
}

impl PartialEq for Filter {
    /// The very same policy, not an equal one: attribute sets refer to it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) | (Self::Everything, Self::Everything) => true,
            (Self::Policy(left), Self::Policy(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

/// What a route's way into the RIB depends on.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// How its routes were learned.
    pub(crate) protocol: Protocol,
    /// The neighbor's names, for policies; none for ourselves.
    pub(crate) names: Arc<[String]>,
    /// The neighbor's address.
    pub(crate) address: IpAddr,
    /// The interface of its link-local addresses, else 0.
    pub(crate) scope: u32,
    /// Our end of the session.
    pub(crate) local: SocketAddr,
    /// The neighbor's identifier, or ours.
    pub(crate) router_id: BgpIdentifier,
    /// Our AS.
    pub(crate) asn: Asn,
    /// The AS that we show the neighbor.
    pub(crate) local_asn: Asn,
    /// Our identifier: ORIGINATOR_ID and CLUSTER_LIST must not have it (RFC 4456 §8).
    pub(crate) local_router_id: BgpIdentifier,
    /// How its attributes are read.
    pub(crate) context: Context,
    /// Next hops need not be on a link of ours.
    pub(crate) multihop: bool,
    /// RFC 4456: internal routes of it are reflected to everybody.
    pub(crate) reflector_client: bool,
    /// How often our AS may stand in an AS_PATH.
    pub(crate) allow_own_asn: u8,
    /// Our role towards an external neighbor (RFC 9234).
    pub(crate) role: Option<Role>,
    /// Import policy.
    pub(crate) import: Filter,
    /// Beyond so many prefixes of a family, others are not taken,
    pub(crate) most: Option<u32>,
    /// but counted, by family.
    pub(crate) discarded: [u64; 2],
    /// Its session has ended: its paths are not chosen any more, and wait to be swept away.
    pub(crate) gone: bool,
    /// Its session has ended, and its paths stay until the neighbor is back (RFC 4724 §4.2).
    pub(crate) waits: bool,
    /// Families whose stale paths are kept as the last resort (RFC 9494 §4.2).
    pub(crate) long_lived: Families,
    /// Its paths are about to go (RFC 8326 §4.2).
    pub(crate) draining: bool,
    /// Counts the changes of import policy and of `draining`.
    pub(crate) generation: u32,
    /// What it has said so far.
    pub(crate) outcomes: Vec<Arc<Outcome>>,
    /// Destinations that it has a path to: Adj-RIB-In.
    pub(crate) received: Bits,
    /// Of these, what an earlier session said and the neighbor has not yet said again.
    pub(crate) stale: Bits,
    /// The same, where it has no more time for it.
    pub(crate) doomed: Bits,
    /// What is yet to come again, while the neighbor refreshes its routes.
    pub(crate) refreshes: Vec<Refresh>,
    /// Paths of `received`, by family.
    pub(crate) prefixes: [usize; 2],
    /// Of these, accepted by policy.
    pub(crate) accepted: usize,
    /// What its attribute sets take.
    pub(crate) set_octets: usize,
}

impl Source {
    /// Ourselves, and what a session begins with.
    pub(crate) fn new(protocol: Protocol, names: Arc<[String]>, settings: &Settings) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            protocol,
            names,
            address: nowhere,
            scope: 0,
            local: SocketAddr::new(nowhere, 0),
            router_id: settings.router_id,
            asn: settings.asn,
            local_asn: settings.asn,
            local_router_id: settings.router_id,
            context: plain_context(settings),
            multihop: false,
            reflector_client: false,
            allow_own_asn: 0,
            role: None,
            import: Filter::Everything,
            most: None,
            discarded: [0; 2],
            gone: false,
            waits: false,
            long_lived: Families::default(),
            draining: false,
            generation: 0,
            outcomes: Vec::new(),
            received: Bits::default(),
            stale: Bits::default(),
            doomed: Bits::default(),
            refreshes: Vec::new(),
            prefixes: [0; 2],
            accepted: 0,
            set_octets: 0,
        }
    }

    /// A neighbor in another AS.
    pub(crate) fn is_external(&self) -> bool {
        self.protocol == Protocol::Bgp && !self.context.internal
    }

    /// A neighbor in our own AS.
    pub(crate) fn is_internal(&self) -> bool {
        self.protocol == Protocol::Bgp && self.context.internal
    }

    /// The neighbor is a process of this very host.
    pub(crate) fn is_on_this_host(&self) -> bool {
        self.address == self.local.ip() || self.address.is_loopback()
    }

    /// The decision's first step: routes of our own come before learned ones.
    pub(crate) fn own_preference(&self) -> u8 {
        match self.protocol {
            Protocol::Bgp => 0,
            Protocol::Aggregate => 1,
            Protocol::Originate => 2,
        }
    }

    /// How many prefixes of a family are in its Adj-RIB-In.
    pub(crate) fn prefixes_of(&self, family: Family) -> usize {
        self.prefixes[family as usize]
    }

    /// The same without what is stale, which may be about to go.
    pub(crate) fn fresh_prefixes_of(&self, family: Family) -> usize {
        self.prefixes_of(family).saturating_sub(self.stale.len() + self.doomed.len())
    }

    /// How many prefixes were not taken, since it was last asked for all.
    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.iter().sum()
    }
}

/// A codec's context before anything is agreed on.
pub(crate) fn plain_context(settings: &Settings) -> Context {
    Context {
        four_octet_as: true,
        enhanced_refresh: false,
        internal: true,
        remote_asn: settings.asn,
        families: Families::ALL,
        enforce_first_asn: false,
        max_message: MAX_MESSAGE,
        max_received: MAX_MESSAGE,
        paths_sent: Families::NONE,
        paths_received: Families::NONE,
    }
}
