//! Next hops that paths need, and what the host says of them.
//!
//! Each is asked for once, however many paths lead there. One that nobody needs any more is given up at the end of
//! the turn, so that a path that is replaced does not lose the host's answer.

use std::collections::{BTreeMap, VecDeque};

use ipnet::IpNet;

use super::slab::Slab;
use super::{DestinationId, SetId, SourceId};
use crate::speaker::NextHopState;
use crate::types::NextHop;

/// The number of a next hop.
pub(crate) type NextHopId = u32;

/// A host that takes long to answer costs no more memory than this for each next hop. A read of 64 KiB has 13,000 prefixes.
const WAITING: usize = 1 << 14;

/// What is asked of the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    /// Somebody needs it.
    Wanted(NextHop),
    /// Nobody needs it any more.
    Unwanted(NextHop),
}

/// Whom the host's answer concerns.
#[derive(Debug)]
pub(crate) enum Answered {
    /// It is the first: these destinations waited for it, each for a path with this set.
    First(Vec<(DestinationId, SetId)>),
    /// It is another than before.
    Changed {
        /// The next hop.
        next_hop: NextHopId,
        /// Neighbors must hear of its paths again even where the best path stays.
        again: bool,
        /// Sources that have paths there.
        sources: Vec<SourceId>,
    },
}

/// A next hop with the host's answer.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// The address.
    pub(crate) next_hop: NextHop,
    /// Absent until the host has answered.
    pub(crate) state: Option<NextHopState>,
    /// Destinations that wait for its first answer; beyond [`WAITING`], all paths of its users are looked through.
    waiting: Vec<(DestinationId, SetId)>,
    ceiling: Option<Ceiling>,
    /// Who uses it, with how many attribute sets.
    users: Vec<(SourceId, u32)>,
}

impl Tracked {
    /// Whether not every prefix may be sent there.
    pub(crate) fn has_ceiling(&self) -> bool {
        self.ceiling.is_some()
    }

    /// Whether the ceiling lets a prefix be sent there.
    pub(crate) fn admits(&self, prefix: impl FnOnce() -> IpNet) -> bool {
        self.ceiling.as_ref().is_none_or(|ceiling| ceiling.covers(&prefix()))
    }
}

/// Prefixes in ascending order, none inside another.
#[derive(Debug)]
struct Ceiling(Vec<IpNet>);

impl Ceiling {
    fn new(prefixes: &[IpNet]) -> Self {
        Self(
            IpNet::aggregate(&prefixes.to_vec())
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect(),
        )
    }

    fn covers(&self, prefix: &IpNet) -> bool {
        let after = self.0.partition_point(|admitted| admitted.network() <= prefix.network());
        after.checked_sub(1).is_some_and(|before| self.0[before].contains(prefix))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct NextHops {
    records: Slab<Tracked>,
    numbers: BTreeMap<NextHop, NextHopId>,
    idle: Vec<NextHopId>,
    requests: VecDeque<Request>,
}

impl NextHops {
    /// One more attribute set of `source` leads there.
    pub(crate) fn hold(&mut self, next_hop: NextHop, source: SourceId) -> NextHopId {
        let id = *self.numbers.entry(next_hop).or_insert_with(|| {
            self.requests.push_back(Request::Wanted(next_hop));
            self.records.insert(Tracked {
                next_hop,
                state: None,
                waiting: Vec::new(),
                ceiling: None,
                users: Vec::new(),
            })
        });
        let users = &mut self.records[id].users;
        match users.iter_mut().find(|(user, _)| *user == source) {
            Some((_, count)) => *count += 1,
            None => users.push((source, 1)),
        }
        id
    }

    /// One attribute set of `source` less.
    pub(crate) fn release(&mut self, id: NextHopId, source: SourceId) {
        let users = &mut self.records[id].users;
        if let Some(position) = users.iter().position(|(user, _)| *user == source) {
            users[position].1 -= 1;
            if users[position].1 == 0 {
                users.swap_remove(position);
            }
        }
        if users.is_empty() {
            self.idle.push(id);
        }
    }

    /// A destination has got a path there, whose next hop may be unknown yet.
    pub(crate) fn note(&mut self, id: NextHopId, destination: DestinationId, set: SetId) {
        let tracked = &mut self.records[id];
        if tracked.state.is_none() && tracked.waiting.len() <= WAITING {
            tracked.waiting.push((destination, set));
        }
    }

    /// Gives up what nobody needs.
    pub(crate) fn give_up_idle(&mut self) {
        for id in self.idle.drain(..) {
            if self.records.get(id).is_some_and(|tracked| tracked.users.is_empty())
                && let Some(tracked) = self.records.remove(id)
            {
                self.numbers.remove(&tracked.next_hop);
                self.requests.push_back(Request::Unwanted(tracked.next_hop));
            }
        }
    }

    /// The next thing to ask of the host.
    pub(crate) fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// Takes the host's answer. `None`: nobody asked, or it is as before.
    pub(crate) fn answer(&mut self, next_hop: NextHop, state: NextHopState) -> Option<Answered> {
        let id = *self.numbers.get(&next_hop)?;
        let tracked = &mut self.records[id];
        if tracked.state.as_ref() == Some(&state) {
            return None;
        }
        tracked.ceiling = state.admits.as_deref().map(Ceiling::new);
        let waiting = std::mem::take(&mut tracked.waiting);
        let told = (state.tunnel, state.local);
        let before = tracked.state.replace(state);
        if before.is_none() && waiting.len() <= WAITING {
            return Some(Answered::First(waiting));
        }
        let again = before.is_some_and(|before| (before.tunnel, before.local) != told);
        let sources = tracked.users.iter().map(|(source, _)| *source).collect();
        Some(Answered::Changed { next_hop: id, again, sources })
    }

    /// What the host said last.
    #[cfg(test)]
    pub(crate) fn state(&self, next_hop: NextHop) -> Option<&NextHopState> {
        self.records.get(*self.numbers.get(&next_hop)?)?.state.as_ref()
    }

    /// Those of a source, where the host has answered.
    pub(crate) fn used_by(&self, source: SourceId) -> impl Iterator<Item = (NextHopId, &NextHopState)> {
        let used =
            self.records.iter().filter(move |(_, tracked)| tracked.users.iter().any(|(user, _)| *user == source));
        used.filter_map(|(id, tracked)| Some((id, tracked.state.as_ref()?)))
    }

    /// Whether the host has yet to speak of any.
    pub(crate) fn are_unanswered(&self) -> bool {
        self.records.iter().any(|(_, tracked)| tracked.state.is_none())
    }

    /// A next hop whose number is held.
    pub(crate) fn at(&self, id: NextHopId) -> &Tracked {
        &self.records[id]
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.records.iter().next().is_none()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn next_hop() -> NextHop {
        NextHop::from(IpAddr::from([10, 0, 0, 1]))
    }

    #[test]
    fn a_next_hop_is_asked_for_once_and_given_up_when_nobody_needs_it() {
        let mut next_hops = NextHops::default();
        let id = next_hops.hold(next_hop(), 1);
        assert_eq!(next_hops.hold(next_hop(), 2), id);
        assert_eq!(next_hops.poll_request(), Some(Request::Wanted(next_hop())));
        next_hops.release(id, 1);
        next_hops.give_up_idle();
        assert_eq!(next_hops.poll_request(), None);
        next_hops.release(id, 2);
        next_hops.give_up_idle();
        assert_eq!(next_hops.poll_request(), Some(Request::Unwanted(next_hop())));
    }

    #[test]
    fn a_next_hop_that_is_needed_again_in_the_same_turn_keeps_its_answer() {
        let mut next_hops = NextHops::default();
        let id = next_hops.hold(next_hop(), 1);
        next_hops.answer(next_hop(), NextHopState { up: true, ..NextHopState::default() });
        next_hops.release(id, 1);
        next_hops.hold(next_hop(), 1);
        next_hops.give_up_idle();
        assert!(next_hops.at(id).state.as_ref().is_some_and(|state| state.up));
    }

    #[test]
    fn a_ceiling_covers_what_lies_inside_one_of_its_prefixes() {
        let ceiling = Ceiling::new(&["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"].map(|text| text.parse().unwrap()));
        let covers = |text: &str| ceiling.covers(&text.parse().unwrap());
        assert!(covers("10.0.0.0/8") && covers("10.200.0.0/16") && covers("fd12::/64"));
        assert!(!covers("0.0.0.0/0") && !covers("11.0.0.0/8") && !covers("fe00::/8") && !covers("::/0"));
    }
}
