//! What a neighbor is told of a route (RFC 4271 §9.1.3 and §5, RFC 4456, RFC 1997).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::NextHopState;
use super::neighbor::{Neighbor, Session};
use crate::policy::{DEFAULT_LOCAL_PREF, Evaluation, Inquiry, LEAST_LOCAL_PREF, NewNextHop, Protocol, Route};
use crate::rib::{AttributeSet, Filter, Rib, SetId, Source};
use crate::role::Role;
use crate::settings::{NextHopSelf, Settings};
use crate::types::{Asn, BgpIdentifier, Community, Family, NextHop};
use crate::wire::{MpNextHop, ParsedAttributes, PathAttributes};

/// How routes are told to a neighbor: equal for all of an update group.
#[derive(Debug, PartialEq)]
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
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    extended_next_hop: bool,
    /// Our role, where the neighbor is external (RFC 9234).
    role: Option<Role>,
    /// Private AS numbers are not told (RFC 6996 §4), but for this one, by which the neighbor finds loops.
    without_private_but: Option<Asn>,
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
    pub(super) attributes: &'a PathAttributes,
    pub(super) next_hop: Option<NextHop>,
    pub(super) state: Option<&'a NextHopState>,
}

impl<'a> Best<'a> {
    /// The path with this set, read into `parsed`.
    pub(super) fn new(rib: &'a Rib, id: SetId, parsed: &'a mut ParsedAttributes) -> Self {
        let set = rib.set(id);
        let source = rib.source(set.source);
        let next_hop = set.attributes(source, parsed);
        Self { set, source, attributes: &parsed.attributes, next_hop, state: rib.next_hop_state(set) }
    }
}

impl<'a> Exporter<'a> {
    /// For the session of a neighbor.
    pub(super) fn new(
        neighbor: &Neighbor,
        session: &'a Session,
        router: &Settings,
        companions: &BTreeMap<IpAddr, IpAddr>,
    ) -> Self {
        let Session { negotiated, export, .. } = session;
        let settings = &neighbor.settings.session;
        let local = negotiated.local.ip();
        Self {
            internal: negotiated.context.internal,
            reflector_client: settings.route_reflector_client,
            local_asn: settings.local_asn.unwrap_or(router.asn),
            router_id: router.router_id,
            filter: export,
            next_hop_self: settings.next_hop_self,
            local,
            companion: companions.get(&local).copied(),
            extended_next_hop: negotiated.extended_next_hop,
            role: negotiated.role,
            without_private_but: settings.remove_private_asn.then_some(negotiated.asn),
            takes_long_lived: negotiated.graceful.as_ref().is_some_and(|graceful| graceful.takes_long_lived),
            draining: neighbor.admin.is_draining(),
        }
    }
}

impl Exporter<'_> {
    /// Whether the path may be told to this neighbor at all, whatever policy says.
    pub(super) fn may_tell(&self, best: &Best<'_>) -> bool {
        // RFC 4456 §6: between internal neighbors only from or to a client.
        if best.source.is_internal() && self.internal && !best.source.reflector_client && !self.reflector_client {
            return false;
        }
        // RFC 9234 §5: a route that is for customers only.
        if best.attributes.only_to_customer.is_some() && !self.role.is_none_or(Role::passes_marked) {
            return false;
        }
        // RFC 1997, RFC 3765
        best.attributes.communities.iter().all(|community| match *community {
            Community::NO_ADVERTISE => false,
            Community::NO_EXPORT | Community::NO_EXPORT_SUBCONFED => self.internal,
            Community::NO_PEER => self.role != Some(Role::Peer),
            Community::LLGR_STALE => self.takes_long_lived, // RFC 9494 §4.3
            _ => true,
        })
    }

    /// What export policy says of one prefix; `None`: it does not pass. `inquiry`: of the policy, where there is one,
    /// about the path's attributes.
    pub(super) fn evaluate(
        &self,
        best: &Best<'_>,
        inquiry: Option<&mut Inquiry<'_>>,
        prefix: IpNet,
    ) -> Option<Vec<u32>> {
        let inquiry = match (self.filter, inquiry) {
            (Filter::Nothing, _) => return None,
            (Filter::Policy(_), Some(inquiry)) => inquiry,
            (Filter::Everything | Filter::Policy(_), _) => return Some(Vec::new()),
        };
        let route = Route {
            prefix,
            protocol: best.source.protocol,
            neighbor: &best.source.names,
            next_hop: best.next_hop.map(|next_hop| next_hop.address),
            asn: self.local_asn,
        };
        let Evaluation { accepted, changes, .. } = inquiry.evaluate(&route);
        accepted.then_some(changes)
    }

    /// The attributes as they leave, after the changes of export policy, over what is in `told`.
    pub(super) fn attributes(&self, best: &Best<'_>, changes: &[u32], told: &mut PathAttributes) {
        told.clone_from(best.attributes);
        if !self.internal && best.source.protocol == Protocol::Bgp {
            told.med = None; // RFC 4271 §5.1.4: not carried into a third AS; policy may set another
        }
        if let Some(theirs) = self.without_private_but.filter(|_| !self.internal) {
            told.as_path.asns.retain(|asn| !asn.is_private() || *asn == theirs); // policy and we may prepend one
        }
        if let Filter::Policy(policy) = self.filter {
            policy.apply(changes, self.local_asn, told);
        }
        if self.internal {
            self.dress_for_internal(best, told);
        } else {
            self.dress_for_external(told);
        }
        if self.draining {
            told.add_community(Community::GRACEFUL_SHUTDOWN); // RFC 8326 §4.2
            told.local_pref = told.local_pref.map(|_| LEAST_LOCAL_PREF); // an internal neighbor is told how little
        }
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
        if self.role.is_some_and(Role::marks_told) {
            told.only_to_customer.get_or_insert(self.local_asn.get()); // RFC 9234 §5
        }
    }

    /// The next hop of a path for a family, after the changes of export policy, and whether it is another's, who is not
    /// to be told; `None`: there is none that this neighbor could use.
    pub(super) fn next_hop(&self, best: &Best<'_>, family: Family, changes: &[u32]) -> Option<(MpNextHop, bool)> {
        let set = if let Filter::Policy(policy) = self.filter { policy.next_hop(changes, family) } else { None };
        let kept = match set {
            Some(NewNextHop::Address(address)) => Some(MpNextHop { address, link_local: None }),
            Some(NewNextHop::Ourselves) => None,
            None => self.kept_next_hop(best, family),
        };
        match kept {
            Some(kept) => Some((kept, true)),
            // Our own address may be the neighbor's too: then it is a speaker on this very host.
            None => Some((self.own_next_hop(family)?, false)),
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
            IpAddr::V6(address) => {
                (family == Family::Ipv6 || self.extended_next_hop) && !address.is_unicast_link_local()
            }
        };
        (!ours && usable).then_some(MpNextHop { address, link_local: None })
    }

    /// Ourselves, by an address of the family on the session's link; IPv4 also by an IPv6 address (RFC 8950).
    pub(super) fn own_next_hop(&self, family: Family) -> Option<MpNextHop> {
        let own = |family| {
            [Some(self.local), self.companion].into_iter().flatten().find(|own| Family::of_address(own) == family)
        };
        let address = own(family).or_else(|| own(Family::Ipv6).filter(|_| self.extended_next_hop))?;
        Some(MpNextHop { address, link_local: None })
    }
}
