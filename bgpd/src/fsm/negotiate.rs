//! What we offer in our OPEN, and what both OPENs agree on (RFC 4271 §4.2 and §6.2, RFC 5492, RFC 6286).

use super::{Ends, Identity, Negotiated, Preserved, capabilities, graceful};
use crate::settings::{RemoteAs, SessionSettings};
use crate::types::{Asn, Families, Family, HoldTime};
use crate::wire::{Capability, Context, Notification, Open};

const BAD_PEER_AS: Notification = Notification::new(2, 2);
const BAD_BGP_IDENTIFIER: Notification = Notification::new(2, 3);
const UNACCEPTABLE_HOLD_TIME: Notification = Notification::new(2, 6);

/// Our OPEN on a connection.
pub(super) fn offer(identity: &Identity, session: &SessionSettings, ends: &Ends, preserved: Preserved) -> Open {
    let families = offered_families(session, ends);
    let mut offered: Vec<_> = families.iter().map(multiprotocol).collect();
    offered.push(Capability::RouteRefresh);
    offered.push(Capability::FourOctetAs(identity.local_asn.get()));
    offered.extend(capabilities::offer(session, families));
    offered.extend(graceful::offer(session, families, preserved));
    Open {
        asn: identity.local_asn,
        hold_time: session.hold_time.seconds(),
        router_id: identity.router_id,
        capabilities: offered,
    }
}

/// What the neighbor's OPEN and ours agree on, or the NOTIFICATION that refuses it.
pub(super) fn negotiate(
    identity: &Identity,
    remote_as: &RemoteAs,
    session: &SessionSettings,
    ends: &Ends,
    open: &Open,
) -> Result<Negotiated, Notification> {
    let internal = open.asn == identity.local_asn;
    if !admits(remote_as, open.asn, internal) {
        return Err(BAD_PEER_AS);
    }
    // RFC 6286 §2.3: external neighbors may have our identifier.
    if internal && open.router_id == identity.router_id {
        return Err(BAD_BGP_IDENTIFIER);
    }
    let role = capabilities::role(session, internal, &open.capabilities)?;
    let hold_time = agreed_hold_time(session.hold_time, open.hold_time).ok_or(UNACCEPTABLE_HOLD_TIME)?;
    let offered = offered_families(session, ends);
    let families = offered.intersection(open.families());
    if families.is_empty() {
        return Err(unsupported_capability(offered));
    }
    let (paths_sent, paths_received) = capabilities::several_paths(session, families, &open.capabilities);
    let (max_message, max_received) = capabilities::max_message(session, &open.capabilities);
    let context = Context {
        four_octet_as: open.four_octet_as(),
        internal,
        remote_asn: open.asn,
        families,
        enforce_first_asn: session.enforce_first_asn,
        enhanced_refresh: open.capabilities.contains(&Capability::EnhancedRouteRefresh),
        max_message,
        max_received,
        paths_sent,
        paths_received,
    };
    Ok(Negotiated {
        context,
        hold_time: hold_time.duration().unwrap_or_default(),
        asn: open.asn,
        router_id: open.router_id,
        families,
        role,
        extended_next_hop: capabilities::extended_next_hop(session, &open.capabilities),
        route_refresh: open.capabilities.contains(&Capability::RouteRefresh),
        graceful: graceful::agree(session, open, families),
        capabilities: open.capabilities.clone(),
        local: ends.local,
        remote: ends.remote,
    })
}

/// The codec's context while nothing is agreed on: enough to read an OPEN.
pub(super) fn context_before_open(identity: &Identity) -> Context {
    Context { families: Families::NONE, ..Context::new(identity.local_asn) }
}

fn admits(remote_as: &RemoteAs, asn: Asn, internal: bool) -> bool {
    match remote_as {
        _ if asn == Asn::TRANS => false, // RFC 6793 §9: reserved, nobody's number
        RemoteAs::OneOf(asns) => asns.contains(&asn),
        RemoteAs::External => !internal,
        RemoteAs::Internal => internal,
    }
}

/// The smaller of both (RFC 4271 §4.2); zero from the neighbor only where we offer it too (§6.2 lets us refuse).
fn agreed_hold_time(ours: HoldTime, theirs: u16) -> Option<HoldTime> {
    let theirs = HoldTime::new(theirs)?;
    (theirs.seconds() != 0 || ours.seconds() == 0).then(|| ours.min(theirs))
}

/// As configured, else what the link has addresses of: what could not be told need not be agreed on.
fn offered_families(session: &SessionSettings, ends: &Ends) -> Families {
    session.families.unwrap_or(ends.families)
}

fn multiprotocol(family: Family) -> Capability {
    let (afi, safi) = family.afi_safi();
    Capability::Multiprotocol { afi, safi }
}

/// RFC 5492 §3: the data lists what was missed, as it stands in an OPEN.
fn unsupported_capability(offered: Families) -> Notification {
    let data = offered.iter().flat_map(|family| {
        let (afi, safi) = family.afi_safi();
        let [high, low] = afi.to_be_bytes();
        [1, 4, high, low, 0, safi]
    });
    Notification { data: data.collect(), ..Notification::new(2, 7) }
}
