//! When each of many is due next: the earliest first, and one time each at most.
//!
//! A binary heap that knows the place of each, so that a time can be changed: nothing stale stays in it, and once it
//! has grown to the number of peers it allocates nothing. What a change costs grows with the logarithm of that number,
//! what waiting costs does not grow.

use std::time::Instant;

/// Small numbers, each with the time at which it is due.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// No later than its two children, which stand at `2n + 1` and `2n + 2`.
    heap: Vec<(Instant, u32)>,
    /// By number: where it stands in the heap.
    places: Vec<Option<u32>>,
}

impl Deadlines {
    /// The earliest of all.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest that is due by now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<u32> {
        let (_, number) = *self.heap.first().filter(|(at, _)| *at <= now)?;
        self.set(number, None);
        Some(number)
    }

    /// The time at which one is due, in place of the one before; absent: it is not.
    pub(crate) fn set(&mut self, number: u32, at: Option<Instant>) {
        if self.places.len() <= number as usize {
            self.places.resize(number as usize + 1, None);
        }
        let place = self.places[number as usize].map(|place| place as usize);
        match (place, at) {
            (Some(place), Some(at)) => {
                self.heap[place].0 = at;
                self.settle(place);
            }
            (None, Some(at)) => {
                self.heap.push((at, number));
                self.settle(self.heap.len() - 1);
            }
            (Some(place), None) => {
                self.heap.swap_remove(place);
                self.places[number as usize] = None;
                if place < self.heap.len() {
                    self.settle(place);
                }
            }
            (None, None) => {}
        }
    }

    /// Moves what stands at `place` to where it belongs; all others are in order.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let children = [2 * place + 1, 2 * place + 2].into_iter().filter(|child| *child < self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child]) else { break };
            if self.heap[place] <= self.heap[least] {
                break;
            }
            self.swap(place, least);
            place = least;
        }
        self.places[self.heap[place].1 as usize] = Some(place as u32);
    }

    fn swap(&mut self, place: usize, other: usize) {
        self.heap.swap(place, other);
        self.places[self.heap[place].1 as usize] = Some(place as u32);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_sorted_map_would(
            steps in proptest::collection::vec((0..12u32, proptest::option::weighted(0.8, 0..50u64), any::<bool>()), 0..100),
        ) {
            let start = Instant::now();
            let (mut deadlines, mut naive) = (Deadlines::default(), BTreeMap::new());
            for (number, after, takes) in steps {
                let at = after.map(|after| start + Duration::from_secs(after));
                deadlines.set(number, at);
                match at {
                    Some(at) => drop(naive.insert(number, at)),
                    None => drop(naive.remove(&number)),
                }
                prop_assert_eq!(deadlines.next(), naive.values().min().copied());
                let now = start + Duration::from_secs(20);
                let earliest = naive.iter().map(|(number, at)| (*at, *number)).min().filter(|(at, _)| *at <= now);
                if takes {
                    prop_assert_eq!(deadlines.take_due(now), earliest.map(|(_, number)| number));
                    earliest.map(|(_, number)| naive.remove(&number));
                }
            }
            let mut rest = Vec::new();
            while let Some(number) = deadlines.take_due(start + Duration::from_secs(50)) {
                rest.push(number);
            }
            let mut expected: Vec<_> = naive.into_iter().map(|(number, at)| (at, number)).collect();
            expected.sort_unstable();
            prop_assert_eq!(rest, expected.into_iter().map(|(_, number)| number).collect::<Vec<_>>());
            prop_assert!(deadlines.places.iter().all(Option::is_none));
        }
    }
}
