//! What a neighbor is to us, and what follows for route leaks (RFC 9234).
//!
//! Roles are agreed on when a session begins; the attribute OTC (Only to Customer) then keeps a route that came from a
//! provider, a peer or a route server from going to another one of these. A role is that of the side that has it:
//! where we are `customer`, the neighbor is our provider.

use std::fmt;

use crate::types::Asn;

/// One side's role (RFC 9234 §3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// 0: it sells transit to the other side.
    Provider,
    /// 1: it is a route server.
    RouteServer,
    /// 2: it is the client of one.
    RouteServerClient,
    /// 3: it buys transit of the other side.
    Customer,
    /// 4: either tells the other of its own and its customers' routes.
    Peer,
}

impl Role {
    /// All of them, in the order of their codes.
    const ALL: [Self; 5] = [Self::Provider, Self::RouteServer, Self::RouteServerClient, Self::Customer, Self::Peer];

    /// As in the capability (RFC 9234 §4.1).
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// `None` for one that is not assigned.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::RouteServer => "rs",
            Self::RouteServerClient => "rs-client",
            Self::Customer => "customer",
            Self::Peer => "peer",
        }
    }

    /// The only role that the other side may have (RFC 9234 §4.2, table 2).
    pub const fn other_side(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::RouteServer => Self::RouteServerClient,
            Self::RouteServerClient => Self::RouteServer,
            Self::Customer => Self::Provider,
            Self::Peer => Self::Peer,
        }
    }
}

/// Where this is our role.
impl Role {
    /// Whether a route that came from the neighbor has been leaked (RFC 9234 §5, ingress 1 and 2).
    pub(crate) fn is_leak(self, otc: Option<u32>, neighbor: Asn) -> bool {
        match self.other_side() {
            Self::Customer | Self::RouteServerClient => otc.is_some(),
            Self::Peer => otc.is_some_and(|otc| otc != neighbor.get()),
            Self::Provider | Self::RouteServer => false,
        }
    }

    /// Whether a route that comes from the neighbor without OTC gets the neighbor's AS as one (ingress 3).
    pub(crate) const fn marks_received(self) -> bool {
        matches!(self.other_side(), Self::Provider | Self::Peer | Self::RouteServer)
    }

    /// Whether a route with OTC may be told to the neighbor (egress 2).
    pub(crate) const fn passes_marked(self) -> bool {
        matches!(self.other_side(), Self::Customer | Self::RouteServerClient)
    }

    /// Whether a route without OTC gets our AS as one when the neighbor is told (egress 1).
    pub(crate) const fn marks_told(self) -> bool {
        matches!(self.other_side(), Self::Customer | Self::Peer | Self::RouteServerClient)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_roles_are_the_registry_s() {
        for (code, role) in (0..).zip(Role::ALL) {
            assert_eq!((role.code(), Role::from_code(code)), (code, Some(role)));
            assert_eq!(role.other_side().other_side(), role);
        }
        assert_eq!(Role::from_code(5), None);
        assert_eq!(Role::Provider.other_side(), Role::Customer);
        assert_eq!(Role::RouteServer.other_side(), Role::RouteServerClient);
        assert_eq!(Role::Peer.other_side(), Role::Peer);
    }

    /// RFC 9234 §5: what the neighbor is, whether routes with its own AS and with another as OTC are leaks, whether
    /// received ones are marked, whether marked ones are told, whether told ones are marked.
    #[test]
    fn every_clause_of_the_procedures_holds() {
        let table = [
            (Role::Customer, (true, true), false, true, true),
            (Role::RouteServerClient, (true, true), false, true, true),
            (Role::Peer, (false, true), true, false, true),
            (Role::Provider, (false, false), true, false, false),
            (Role::RouteServer, (false, false), true, false, false),
        ];
        let neighbor = Asn::new(64512).unwrap();
        for (theirs, leaks, marks_received, passes_marked, marks_told) in table {
            let ours = theirs.other_side();
            assert_eq!((ours.is_leak(Some(64512), neighbor), ours.is_leak(Some(1), neighbor)), leaks, "{theirs}");
            assert!(!ours.is_leak(None, neighbor), "{theirs}");
            assert_eq!(ours.marks_received(), marks_received, "{theirs}");
            assert_eq!(ours.passes_marked(), passes_marked, "{theirs}");
            assert_eq!(ours.marks_told(), marks_told, "{theirs}");
        }
    }
}
