//! Tables as people see them: in order, a slice at a time. Order is made where it is shown.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{DestinationId, Rib};
use crate::speaker::Slice;
use crate::types::Family;

impl Rib {
    /// The destinations of the Loc-RIB in a slice, by prefix.
    pub(crate) fn slice(&self, slice: &Slice) -> Vec<DestinationId> {
        let with_paths = self.destinations.ids().filter(|id| !self.destinations.is_empty(*id));
        self.slice_of(slice, with_paths)
    }

    /// What is known of prefixes that cover an address, the longest first.
    pub(crate) fn covering(&self, address: IpAddr) -> impl Iterator<Item = DestinationId> {
        let lengths = (0..=IpNet::from(address).max_prefix_len()).rev();
        let prefixes = lengths.filter_map(move |length| IpNet::new(address, length).ok());
        prefixes.filter_map(|prefix| self.destinations.find(&prefix.trunc()))
    }

    /// Those of `destinations` in a slice, by prefix.
    pub(crate) fn slice_of(
        &self,
        slice: &Slice,
        destinations: impl Iterator<Item = DestinationId>,
    ) -> Vec<DestinationId> {
        first(slice, destinations.map(|id| (self.prefix(id), id)))
    }
}

/// The lowest of a slice. What is kept meanwhile is no more than twice what is shown.
fn first(slice: &Slice, all: impl Iterator<Item = (IpNet, DestinationId)>) -> Vec<DestinationId> {
    let after = slice.after.as_ref().map(Rank::of);
    let mut lowest: Vec<(Rank, DestinationId)> = Vec::new();
    let mut end = None;
    for (prefix, id) in all {
        let rank = Rank::of(&prefix);
        let beyond = end.is_some_and(|end| rank >= end) || after.is_some_and(|after| rank <= after);
        if beyond || slice.within.is_some_and(|within| !within.contains(&prefix)) {
            continue;
        }
        lowest.push((rank, id));
        if lowest.len() > slice.limit.saturating_mul(2) {
            end = Some(lowest.select_nth_unstable(slice.limit).1.0);
            lowest.truncate(slice.limit);
        }
    }
    lowest.sort_unstable();
    lowest.truncate(slice.limit);
    lowest.into_iter().map(|(_, id)| id).collect()
}

/// The order of prefixes as numbers, which are quicker to compare: family, address, length.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Rank(Family, u128, u8);

impl Rank {
    fn of(prefix: &IpNet) -> Self {
        let bits = match prefix {
            IpNet::V4(net) => net.addr().to_bits().into(),
            IpNet::V6(net) => net.addr().to_bits(),
        };
        Self(Family::of(prefix), bits, prefix.prefix_len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_one_another_and_leave_nothing_out() {
        let all: Vec<(IpNet, DestinationId)> = ["10.0.2.0/24", "10.0.0.0/8", "fd00::/8", "10.0.0.0/24", "9.0.0.0/8"]
            .iter()
            .zip(0..)
            .map(|(text, id)| (text.parse().unwrap(), id))
            .collect();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let ids = first(&Slice { after, limit: 2, within: None }, all.iter().copied());
            let Some(last) = ids.last() else { break };
            after = Some(all[*last as usize].0);
            seen.extend(ids);
        }
        assert_eq!(seen, [4, 1, 3, 0, 2]);
        let within = Some("10.0.0.0/16".parse().unwrap());
        assert_eq!(first(&Slice { after: None, limit: 9, within }, all.iter().copied()), [3, 0]);
    }
}
