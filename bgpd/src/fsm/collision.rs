//! Which of two connections with the same neighbor stays (RFC 4271 §6.8, RFC 6286 §2.3).
//!
//! The one that was dialled by the speaker with the higher identifier wins, so both ends choose the same. One thing goes
//! beyond the letter of §6.8: a connection whose OPEN arrives while the sure winner is still in OpenSent waits for
//! it. If it went on at once, it could be Established here (and the winner refused) while the far end, which got our
//! OPEN on the winner first, refuses this one: both would be lost.

use super::connection::{Connection, Initiator, State};
use super::{Identity, Negotiated};

/// What becomes of a connection whose OPEN is good, in face of one other connection. Strongest last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Verdict {
    /// It goes on, the other one is closed.
    Wins,
    /// It waits until the other one is decided.
    Waits,
    /// It is closed.
    Loses,
}

/// `connection` got the OPEN that led to `negotiated`; `other` is another one with the same neighbor.
pub(super) fn verdict(
    connection: Initiator,
    negotiated: &Negotiated,
    other: &Connection,
    identity: &Identity,
) -> Verdict {
    let wins = match (connection, other.initiator) {
        // Two dials of the same speaker: it has given up the older one, or it would not have dialled again.
        (Initiator::Us, Initiator::Us) | (Initiator::Neighbor, Initiator::Neighbor) => true,
        (Initiator::Us, Initiator::Neighbor) => we_are_higher(identity, negotiated),
        (Initiator::Neighbor, Initiator::Us) => !we_are_higher(identity, negotiated),
    };
    match other.state {
        State::Established { .. } => Verdict::Loses, // RFC 4271 §6.8, last paragraph
        _ if wins => Verdict::Wins,
        State::OpenSent => Verdict::Waits,
        State::Contested { .. } | State::OpenConfirm(_) => Verdict::Loses,
    }
}

/// RFC 6286 §2.3: the identifier decides, between equal identifiers the AS.
fn we_are_higher(identity: &Identity, negotiated: &Negotiated) -> bool {
    (identity.router_id, identity.local_asn) > (negotiated.router_id, negotiated.asn)
}
