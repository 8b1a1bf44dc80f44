//! From where each WireGuard peer may send by the routing table, asked of the FIB, which has given it to the tunnel: the
//! tunnel's worker would stop for a walk over its own.

use std::collections::HashMap;

use wgd::settings::PublicKey;
use wgd::view::PeerView;

use super::handle::Handle;
use crate::fib::Permitted;

/// Destinations of one look: it keeps the gateway's task from its other inputs for less than a millisecond.
const LOOK: usize = 4096;

impl Handle {
    /// Fills in what the tunnel leaves out of its peers. Prefixes are in order; what changes meanwhile is as it was or as it
    /// is.
    pub(super) async fn with_permitted(&self, mut peers: Vec<PeerView>) -> Vec<PeerView> {
        let places: HashMap<PublicKey, usize> =
            peers.iter().enumerate().map(|(place, peer)| (peer.public_key, place)).collect();
        let mut after = None;
        loop {
            let look = self.gateway(move |gateway| gateway.fib.permitted(after, LOOK)).await;
            let Some(Permitted { prefixes, next }) = look else { return peers };
            for (prefix, group) in prefixes {
                for place in group.accept.iter().filter_map(|key| places.get(key)) {
                    peers[*place].allowed_ips_from_bgp.push(prefix);
                }
            }
            if next.is_none() {
                return peers;
            }
            after = next;
        }
    }
}
