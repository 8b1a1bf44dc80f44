//! What would stop traffic, as far as it can be known here, judged whenever somebody asks.

use std::collections::BTreeMap;

use bgpd::types::Family;
use bgpd::view::{NeighborView, SessionState};

use super::gateway::Gateway;
use crate::host;

impl Gateway {
    /// Of this host and of the tunnel, a sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let (Some(wireguard), Some(device)) = (&self.config.wireguard, &self.device) else { return Vec::new() };
        // Who switches it off in the configuration means it
        let forwards = self.config.kernel.forwarding != Some(false);
        let families = Family::ALL.into_iter().filter(|family| forwards && self.fib.leads_into_tunnel(*family));
        let mut warnings: Vec<String> = families.filter_map(host::forwarding_fault).collect();
        warnings.extend(host::rp_filter_fault(&wireguard.interface));
        warnings.extend(device.tunnel.faults());
        warnings
    }

    /// Packets and datagrams that went nowhere and belong to no peer, by reason.
    pub(super) fn drops(&self) -> BTreeMap<&'static str, u64> {
        self.device.as_ref().map(|device| device.tunnel.drops()).unwrap_or_default()
    }
}

/// What stands in the way of the routes of sessions that are up: a missing policy (RFC 8212), a family without next hop.
pub(super) fn of_sessions(neighbors: &[NeighborView]) -> Vec<String> {
    let up = neighbors.iter().filter(|neighbor| neighbor.state == SessionState::Established);
    up.filter_map(|neighbor| Some(format!("neighbor {}: {}", neighbor.name, neighbor.note.as_ref()?))).collect()
}
