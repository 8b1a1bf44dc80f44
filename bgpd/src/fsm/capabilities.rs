//! Capabilities that hold where both sides have them (RFC 5492 §3): what we offer, and what the neighbor's make of it.

use crate::role::Role;
use crate::settings::{AddPath, SessionSettings};
use crate::types::{Families, Family};
use crate::wire::{AddPathFamily, Capability, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, NextHopEncoding, Notification};

/// RFC 9234 §4.2.
const ROLE_MISMATCH: Notification = Notification::new(2, 11);

/// What the settings ask for.
pub(super) fn offer(session: &SessionSettings, families: Families) -> impl Iterator<Item = Capability> {
    let extended_next_hop = session.extended_next_hop && families.ipv4;
    [
        extended_next_hop.then(|| Capability::ExtendedNextHop(vec![NextHopEncoding::IPV4_OVER_IPV6])),
        session.extended_messages.then_some(Capability::ExtendedMessage),
        session.role.map(|role| Capability::Role(role.code())),
        session
            .add_path
            .map(|mode| Capability::AddPath(families.iter().map(|family| add_path(family, mode)).collect())),
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

/// Send/Receive (RFC 7911 §4).
const RECEIVE: u8 = 1;
const SEND: u8 = 2;

fn add_path(family: Family, mode: AddPath) -> AddPathFamily {
    let (afi, safi) = family.afi_safi();
    let mode = match mode {
        AddPath::Receive => RECEIVE,
        AddPath::Send => SEND,
        AddPath::Both => RECEIVE | SEND,
    };
    AddPathFamily { afi, safi, mode }
}

/// Families of which we send several paths, and those of which we take several: one side sends, the other receives. A mode
/// that is none of the three counts for nothing (RFC 7911 §4).
pub(super) fn several_paths(
    session: &SessionSettings,
    families: Families,
    theirs: &[Capability],
) -> (Families, Families) {
    let Some(ours) = session.add_path else { return (Families::NONE, Families::NONE) };
    let offered = theirs.iter().flat_map(|capability| match capability {
        Capability::AddPath(offered) => offered.as_slice(),
        _ => &[],
    });
    let offered = offered.filter(|offered| offered.mode <= RECEIVE | SEND);
    let with = |bit: u8| -> Families {
        let has = offered.clone().filter(|offered| offered.mode & bit != 0);
        has.filter_map(|offered| Family::from_afi_safi(offered.afi, offered.safi)).collect()
    };
    let sent = if ours == AddPath::Receive { Families::NONE } else { with(RECEIVE) };
    let received = if ours == AddPath::Send { Families::NONE } else { with(SEND) };
    (families.intersection(sent), families.intersection(received))
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
