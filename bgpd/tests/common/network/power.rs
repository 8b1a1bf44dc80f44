//! Hosts that lose their power, and get it back.

use bgpd::Speaker;
use bgpd::settings::Settings;

use super::{Arrival, Network};

impl Network {
    /// A host is gone without a word: its neighbors find out by their hold timers.
    pub(crate) fn power_off(&mut self, node: usize) {
        self.nodes[node].dead = true;
        self.links.retain(|(end, _), _| *end != node);
        self.nodes[node].deadline.take().map(|deadline| self.deadlines.remove(&(deadline, node)));
    }

    /// It is back, and knows nothing. It answers what its neighbors still send on old connections with RST.
    pub(crate) fn power_on(&mut self, node: usize, settings: Settings, seed: u64) {
        let host = &mut self.nodes[node];
        host.dead = false;
        host.speaker = Speaker::new(self.now, settings, seed);
        host.fib.clear();
        host.wanted.clear();
        host.unread.clear();
        host.writable.clear();
        let old: Vec<_> = self.links.iter().filter(|(_, link)| link.node == node).map(|(end, _)| *end).collect();
        for (other, connection) in old {
            let error = Some("reset by peer".to_owned());
            let at = self.now + self.latency(node, other);
            self.schedule(at, Arrival::Closed { node: other, connection, error });
            self.links.remove(&(other, connection)); // no connection of the new speaker hears what is still sent there
        }
        self.settle_one(node);
    }
}
