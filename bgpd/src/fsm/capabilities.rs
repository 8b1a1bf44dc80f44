//! Capabilities that hold where both sides have them (RFC 5492 §3): what we offer, and what the neighbor's make of it.

use crate::role::Role;
use crate::settings::SessionSettings;
use crate::types::Families;
use crate::wire::{Capability, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, NextHopEncoding, Notification};

/// RFC 9234 §4.2.
const ROLE_MISMATCH: Notification = Notification::new(2, 11);

/// What the settings ask for.
pub(super) fn offer(session: &SessionSettings, families: Families) -> impl Iterator<Item = Capability> {
    let extended_next_hop = session.extended_next_hop && families.ipv4;
    [
        extended_next_hop.then(|| Capability::ExtendedNextHop(vec![NextHopEncoding::IPV4_OVER_IPV6])),
        session.extended_messages.then_some(Capability::ExtendedMessage),
        session.role.map(|role| Capability::Role(role.code())),
        Some(Capability::EnhancedRouteRefresh),
    ]
    .into_iter()
    .flatten()
}

/// The longest message that we may send, and the longest that we take: whoever offers the capability must take them,
/// whoever gets the offer may send them (RFC 8654 §4), and without it they are refused (§5).
pub(super) fn max_message(session: &SessionSettings, theirs: &[Capability]) -> (usize, usize) {
    match session.extended_messages {
        true if theirs.contains(&Capability::ExtendedMessage) => (MAX_EXTENDED_MESSAGE, MAX_EXTENDED_MESSAGE),
        true => (MAX_MESSAGE, MAX_EXTENDED_MESSAGE),
        false => (MAX_MESSAGE, MAX_MESSAGE),
    }
}

/// Whether IPv4 routes may have IPv6 next hops.
pub(super) fn extended_next_hop(session: &SessionSettings, theirs: &[Capability]) -> bool {
    session.extended_next_hop
        && theirs.iter().any(|capability| match capability {
            Capability::ExtendedNextHop(encodings) => encodings.contains(&NextHopEncoding::IPV4_OVER_IPV6),
            _ => false,
        })
}

/// Our role, where the neighbor's fits it or is not said (RFC 9234 §4.2). Roles are between external neighbors.
pub(super) fn role(
    session: &SessionSettings,
    internal: bool,
    theirs: &[Capability],
) -> Result<Option<Role>, Notification> {
    if internal {
        return Ok(None);
    }
    let mut said = theirs.iter().filter_map(|capability| match capability {
        Capability::Role(code) => Some(*code),
        _ => None,
    });
    let Some(theirs) = said.next() else { return Ok(session.role) };
    let fits = session.role.is_none_or(|ours| ours.other_side().code() == theirs);
    // RFC 9234 §4.2: the same role said twice is one.
    if fits && said.all(|other| other == theirs) { Ok(session.role) } else { Err(ROLE_MISMATCH) }
}
