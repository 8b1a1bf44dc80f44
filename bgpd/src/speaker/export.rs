//! What a neighbor is told of a route (RFC 4271 §9.1.3 and §5, RFC 4456, RFC 1997).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::NextHopState;
use crate::fsm::Negotiated;
use crate::policy::{DEFAULT_LOCAL_PREF, Evaluation, LEAST_LOCAL_PREF, Protocol, Route};
use crate::rib::{AttributeSet, Filter, Rib, SetId, Source};
use crate::settings::{NextHopSelf, SessionSettings, Settings};
use crate::types::{Asn, BgpIdentifier, Community, Family, NextHop};
use crate::wire::{MpNextHop, PathAttributes};

/// To whom, and how.
#[derive(Debug)]
pub(super) struct Exporter<'a> {
    /// The neighbor is in our AS.
    pub(super) internal: bool,
    /// RFC 4456: it gets internal routes too.
    pub(super) reflector_client: bool,
    /// The AS that we show it.
    pub(super) local_asn: Asn,
    /// Our identifier, and our cluster's.
    pub(super) router_id: BgpIdentifier,
    /// Export policy.
    pub(super) filter: &'a Filter,
    pub(super) next_hop_self: NextHopSelf,
    /// Our end of the session.
    pub(super) local: IpAddr,
    /// The other family's address on the same link.
    pub(super) companion: Option<IpAddr>,
    /// The neighbor's address.
    pub(super) remote: IpAddr,
    /// It knows what LLGR_STALE means.
    takes_long_lived: bool,
    /// RFC 8326: what it is told is about to go.
    draining: bool,
}

/// A path as it stands in the Loc-RIB.
#[derive(Clone, Debug)]
pub(super) struct Best<'a> {
    pub(super) set: &'a AttributeSet,
    pub(super) source: &'a Source,
    pub(super) attributes: PathAttributes,
    pub(super) next_hop: Option<NextHop>,
    pub(super) state: Option<&'a NextHopState>,
}

impl<'a> Best<'a> {
    /// The path with this set.
    pub(super) fn new(rib: &'a Rib, id: SetId) -> Self {
        let set = rib.set(id);
        let source = rib.source(set.source);
        let (attributes, next_hop) = set.attributes(source);
        Self { set, source, attributes, next_hop, state: rib.next_hop_state(set) }
    }
}

impl<'a> Exporter<'a> {
    /// For an Established session.
    pub(super) fn new(
        negotiated: &Negotiated,
        filter: &'a Filter,
        session: &SessionSettings,
        router: &Settings,
        companions: &BTreeMap<IpAddr, IpAddr>,
    ) -> Self {
        let local = negotiated.local.ip();
        Self {
            internal: negotiated.context.internal,
            reflector_client: session.route_reflector_client,
            local_asn: session.local_asn.unwrap_or(router.asn),
            router_id: router.router_id,
            filter,
            next_hop_self: session.next_hop_self,
            local,
            companion: companions.get(&local).copied(),
            remote: negotiated.remote.ip(),
            takes_long_lived: negotiated.graceful.as_ref().is_some_and(|graceful| graceful.takes_long_lived),
            draining: false,
        }
    }

    /// Whether what it is told is about to go.
    pub(super) fn draining(self, draining: bool) -> Self {
        Self { draining, ..self }
    }
}

impl Exporter<'_> {
    /// Whether the path may be told to this neighbor at all, whatever policy says.
    pub(super) fn may_tell(&self, best: &Best<'_>) -> bool {
        // RFC 4456 §6: between internal neighbors only from or to a client.
        if best.source.is_internal() && self.internal && !best.source.reflector_client && !self.reflector_client {
            return false;
        }
        // RFC 1997
        best.attributes.communities.iter().all(|community| match *community {
            Community::NO_ADVERTISE => false,
            Community::NO_EXPORT | Community::NO_EXPORT_SUBCONFED => self.internal,
            Community::LLGR_STALE => self.takes_long_lived, // RFC 9494 §4.3
            _ => true,
        })
    }

    /// What export policy says of one prefix; `None`: it does not pass.
    pub(super) fn evaluate(&self, best: &Best<'_>, prefix: IpNet) -> Option<Vec<u32>> {
        let policy = match self.filter {
            Filter::Nothing => return None,
            Filter::Everything => return Some(Vec::new()),
            Filter::Policy(policy) => policy,
        };
        let route = Route {
            prefix,
            protocol: best.source.protocol,
            neighbor: &best.source.names,
            next_hop: best.next_hop.map(|next_hop| next_hop.address),
            asn: self.local_asn,
        };
        let Evaluation { accepted, changes, .. } = policy.evaluate(&route, &best.attributes);
        accepted.then_some(changes)
    }

    /// The attributes as they leave, after the changes of export policy.
    pub(super) fn attributes(&self, best: &Best<'_>, changes: &[u32]) -> PathAttributes {
        let mut told = best.attributes.clone();
        if !self.internal && best.source.protocol == Protocol::Bgp {
            told.med = None; // RFC 4271 §5.1.4: not carried into a third AS; policy may set another
        }
        if let Filter::Policy(policy) = self.filter {
            policy.apply(changes, self.local_asn, &mut told);
        }
        if self.internal {
            self.dress_for_internal(best, &mut told);
        } else {
            self.dress_for_external(&mut told);
        }
        if self.draining {
            told.add_community(Community::GRACEFUL_SHUTDOWN); // RFC 8326 §4.2
            told.local_pref = told.local_pref.map(|_| LEAST_LOCAL_PREF); // an internal neighbor is told how little
        }
        told
    }

    fn dress_for_internal(&self, best: &Best<'_>, told: &mut PathAttributes) {
        told.local_pref.get_or_insert(DEFAULT_LOCAL_PREF); // RFC 4271 §5.1.5
        if best.source.is_internal() {
            told.originator_id.get_or_insert(best.source.router_id.address()); // RFC 4456 §8
            told.cluster_list.insert(0, self.router_id.address());
        }
    }

    fn dress_for_external(&self, told: &mut PathAttributes) {
        told.as_path.prepend(self.local_asn, 1); // RFC 4271 §5.1.2 b
        told.local_pref = None; // RFC 4271 §5.1.5
        told.originator_id = None; // RFC 4456 §8: not beyond the AS
        told.cluster_list.clear();
    }

    /// The next hop of a path for a family; `None`: there is none that this neighbor could use.
    pub(super) fn next_hop(&self, best: &Best<'_>, family: Family) -> Option<MpNextHop> {
        match self.kept_next_hop(best, family) {
            // RFC 4271 §5.1.3: nobody is told that it is its own next hop. Our own address may be the neighbor's too:
            // then it is a speaker on this very host.
            Some(kept) => (kept.address != self.remote).then_some(kept),
            None => self.own_next_hop(family),
        }
    }

    /// RFC 4271 §5.1.3: an internal neighbor gets the next hop of a learned route as it is, where it can use it.
    fn kept_next_hop(&self, best: &Best<'_>, family: Family) -> Option<MpNextHop> {
        if !self.internal || best.set.own().is_some() {
            return None;
        }
        let tunnel = best.state.is_some_and(|state| state.tunnel);
        let ours = match self.next_hop_self {
            NextHopSelf::Always => true,
            NextHopSelf::Auto => tunnel,
            NextHopSelf::Never => false,
        };
        let address = best.next_hop?.address;
        let usable = match address {
            IpAddr::V4(_) => family == Family::Ipv4,
            IpAddr::V6(address) => family == Family::Ipv6 && !address.is_unicast_link_local(),
        };
        (!ours && usable).then_some(MpNextHop { address, link_local: None })
    }

    /// Ourselves, by an address of the family on the session's link.
    pub(super) fn own_next_hop(&self, family: Family) -> Option<MpNextHop> {
        let address =
            [Some(self.local), self.companion].into_iter().flatten().find(|own| Family::of_address(own) == family)?;
        Some(MpNextHop { address, link_local: None })
    }
}
