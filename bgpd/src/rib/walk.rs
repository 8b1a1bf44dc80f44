//! Tables as people see them: in order, a slice at a time. Order is made where it is shown.

use std::collections::BinaryHeap;

use ipnet::IpNet;

use super::{DestinationId, Rib};
use crate::speaker::Slice;

impl Rib {
    /// The destinations of the Loc-RIB in a slice, by prefix.
    pub(crate) fn slice(&self, slice: &Slice) -> Vec<DestinationId> {
        let with_paths = self.destinations.iter().filter(|(_, destination)| !destination.paths().is_empty());
        first(slice, with_paths.map(|(id, destination)| (destination.prefix, id)))
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

/// The lowest of a slice. What is kept meanwhile is no more than is shown.
fn first(slice: &Slice, all: impl Iterator<Item = (IpNet, DestinationId)>) -> Vec<DestinationId> {
    let inside = |prefix: &IpNet| {
        slice.after.is_none_or(|after| *prefix > after) && slice.within.is_none_or(|within| within.contains(prefix))
    };
    let mut lowest = BinaryHeap::new();
    for entry in all.filter(|(prefix, _)| inside(prefix)) {
        if lowest.len() < slice.limit {
            lowest.push(entry);
        } else if lowest.peek().is_some_and(|highest| entry < *highest) {
            lowest.pop();
            lowest.push(entry);
        }
    }
    lowest.into_sorted_vec().into_iter().map(|(_, id)| id).collect()
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
