//! Two speakers that dial each other at once: one session comes of it, in every order in which anything can arrive
//! (RFC 4271 §6.8, RFC 6286 §2.3).

use std::collections::HashSet;

use crate::wires::{Wires, ends};

/// Who has the higher identifier, or the higher AS where the identifiers are the same.
const IDENTIFIERS: [[&str; 2]; 3] =
    [["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1"], ["192.0.2.1", "192.0.2.1"]];

/// All orders, one after the other.
#[derive(Default)]
struct Orders {
    /// Which of the places where something may arrive came next, again and again, and how many there were.
    choices: Vec<(usize, usize)>,
    /// The connections that something arrived on at each end. Time stands still, so that is all a speaker's state comes
    /// from: what follows from there was seen.
    seen: HashSet<[Vec<usize>; 2]>,
}

impl Orders {
    /// Plays one order until nothing is on its way. `None`: from some point on it is like another one.
    fn play(&mut self, identifiers: [&str; 2]) -> Option<Wires> {
        let mut wires = Wires::new(ends(identifiers, [90, 90]), 1);
        let mut arrived = [Vec::new(), Vec::new()];
        for step in 0.. {
            let places = wires.deliverable();
            if places.is_empty() {
                break;
            }
            if step == self.choices.len() {
                self.choices.push((0, places.len()));
            }
            let place = places[self.choices[step].0];
            wires.deliver(place);
            arrived[place.1].push(place.0);
            if step + 1 == self.choices.len() && !self.seen.insert(arrived.clone()) {
                return None;
            }
        }
        Some(wires)
    }

    /// On to the next one; `false`: there is none.
    fn advance(&mut self) -> bool {
        while let Some((choice, places)) = self.choices.pop() {
            if choice + 1 < places {
                self.choices.push((choice + 1, places));
                return true;
            }
        }
        false
    }
}

#[test]
fn a_collision_leaves_one_session_in_every_order_of_arrival() {
    for identifiers in IDENTIFIERS {
        let mut orders = Orders::default();
        let mut ends = 0;
        loop {
            if let Some(wires) = orders.play(identifiers) {
                assert!(wires.are_equal(), "{identifiers:?} {:?}\n{wires}", orders.choices);
                assert_eq!((wires.open(), wires.dialled()), (1, 2), "{identifiers:?} {:?}\n{wires}", orders.choices);
                ends += 1;
            }
            if !orders.advance() {
                break;
            }
        }
        assert!(ends > 50, "only {ends} ends");
    }
}
