//! Short ways to say what a speaker is told.

use std::net::IpAddr;
use std::sync::Arc;

use bgpd::policy::Policy;
use bgpd::settings::{
    Aggregate, DynamicNeighborSettings, NeighborSettings, Originate, PolicyName, RemoteAs, SessionSettings, Settings,
};
use bgpd::types::{Asn, BgpIdentifier, Families};

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

/// A router without neighbors.
pub(crate) fn router(number: u32, id: &str) -> Settings {
    Settings::new(asn(number), BgpIdentifier::new(id.parse().unwrap()).unwrap())
}

/// Both families, everything passes, and what a lost session leaves goes at once: what graceful restart does is told in
/// `restart`.
pub(crate) fn open_session() -> SessionSettings {
    SessionSettings {
        families: Some(Families::ALL),
        import: Some(PolicyName::AcceptAll),
        export: Some(PolicyName::AcceptAll),
        graceful_restart: None,
        ..SessionSettings::default()
    }
}

pub(crate) fn neighbor(at: &str, number: u32) -> NeighborSettings {
    NeighborSettings::new(address(at), RemoteAs::OneOf(vec![asn(number)]), open_session())
}

pub(crate) fn range(prefix: &str, number: u32, limit: usize) -> DynamicNeighborSettings {
    DynamicNeighborSettings {
        range: vec![prefix.parse().unwrap()],
        asn: RemoteAs::OneOf(vec![asn(number)]),
        limit,
        session: open_session(),
    }
}

pub(crate) fn originate(prefix: &str) -> Originate {
    Originate { prefix: prefix.parse().unwrap(), next_hop: None, discard: false }
}

/// What reads well in a test.
pub(crate) trait Told: Sized {
    fn with_neighbor(self, name: &str, neighbor: NeighborSettings) -> Self;
    fn with_range(self, name: &str, range: DynamicNeighborSettings) -> Self;
    fn originating(self, prefixes: &[&str]) -> Self;
    fn aggregating(self, prefix: &str, discard: bool, summary_only: bool) -> Self;
    fn with_policy(self, policy: Policy) -> Self;
    fn session(self, name: &str, change: impl FnOnce(&mut SessionSettings)) -> Self;
}

impl Told for Settings {
    fn with_neighbor(mut self, name: &str, neighbor: NeighborSettings) -> Self {
        self.neighbors.insert(name.to_owned(), neighbor);
        self
    }

    fn with_range(mut self, name: &str, range: DynamicNeighborSettings) -> Self {
        self.dynamic_neighbors.insert(name.to_owned(), range);
        self
    }

    fn originating(mut self, prefixes: &[&str]) -> Self {
        self.originate.extend(prefixes.iter().map(|prefix| originate(prefix)));
        self
    }

    fn aggregating(mut self, prefix: &str, discard: bool, summary_only: bool) -> Self {
        self.aggregates.push(Aggregate { prefix: prefix.parse().unwrap(), discard, summary_only });
        self
    }

    fn with_policy(mut self, policy: Policy) -> Self {
        self.policies.insert(policy.name.clone(), Arc::new(policy));
        self
    }

    fn session(mut self, name: &str, change: impl FnOnce(&mut SessionSettings)) -> Self {
        change(&mut self.neighbors.get_mut(name).unwrap().session);
        self
    }
}
