//! The RIB against a model that is a plain map: whatever happens, the same routes are best, sent and counted.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use ipnet::IpNet;
use proptest::prelude::*;

use crate::policy::{Action, Match, Policy, PrefixRange, Protocol, Rule, Set};
use crate::rib::{AdjRibOut, Answered, Due, Filter, Key, NOTHING, Pending, Rib, Source, SourceId};
use crate::settings::Settings;
use crate::speaker::NextHopState;
use crate::types::{Asn, BgpIdentifier, Families, Family, NextHop};
use crate::wire::{self, Context, Message, MpNextHop, Origin, PathAttributes};

const NEIGHBORS: u8 = 4;
const PREFIXES: u8 = 12;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Announce {
        neighbor: u8,
        prefix: u8,
        local_pref: u32,
        next_hop: u8,
    },
    Withdraw {
        neighbor: u8,
        prefix: u8,
    },
    NextHop {
        next_hop: u8,
        up: bool,
        admits: Option<u8>,
    },
    Policy {
        neighbor: u8,
        filter: u8,
    },
    Flush {
        neighbor: u8,
    },
    /// The neighbor that listens reads this many runs.
    Read {
        runs: u8,
    },
    Collect,
}

fn any_step() -> impl Strategy<Value = Step> {
    let neighbor = || 0..NEIGHBORS;
    let prefix = || 0..PREFIXES;
    prop_oneof![
        6 => (neighbor(), prefix(), 100u32..103, 0u8..3).prop_map(|(neighbor, prefix, local_pref, next_hop)| {
            Step::Announce { neighbor, prefix, local_pref, next_hop }
        }),
        3 => (neighbor(), prefix()).prop_map(|(neighbor, prefix)| Step::Withdraw { neighbor, prefix }),
        2 => (0u8..3, any::<bool>(), proptest::option::of(prefix()))
            .prop_map(|(next_hop, up, admits)| Step::NextHop { next_hop, up, admits }),
        1 => (neighbor(), 0u8..4).prop_map(|(neighbor, filter)| Step::Policy { neighbor, filter }),
        1 => neighbor().prop_map(|neighbor| Step::Flush { neighbor }),
        2 => (0u8..4).prop_map(|runs| Step::Read { runs }),
        1 => Just(Step::Collect),
    ]
}

fn prefix(number: u8) -> IpNet {
    format!("10.{number}.0.0/16").parse().unwrap()
}

fn next_hop(number: u8) -> NextHop {
    IpAddr::from([192, 0, 2, number]).into()
}

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn settings() -> Settings {
    Settings::new(asn(64512), BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, 254)).unwrap())
}

/// Internal neighbors, so that LOCAL_PREF says which is best.
fn source(number: u8) -> Source {
    let address = IpAddr::from([10, 0, 0, number + 1]);
    let router_id = BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, number + 1)).unwrap();
    let local = SocketAddr::from(([10, 0, 0, 254], 179));
    Source { address, local, router_id, ..Source::new(Protocol::Bgp, [number.to_string()].into(), &settings()) }
}

/// 0: everything, 1: nothing, 2: even prefixes only, 3: everything, with another LOCAL_PREF.
fn filter(number: u8) -> Filter {
    let even = (0..PREFIXES).step_by(2).map(|number| PrefixRange { prefix: prefix(number), min: 16, max: 16 });
    let rule = match number {
        0 => return Filter::Everything,
        1 => return Filter::Nothing,
        2 => Rule {
            line: 1,
            matches: Match { prefix: Some(Arc::new(even.collect())), ..Match::default() },
            set: Set::default(),
            action: Action::Accept,
        },
        _ => Rule {
            line: 1,
            matches: Match::default(),
            set: Set { local_pref: Some(50), ..Set::default() },
            action: Action::Accept,
        },
    };
    Filter::Policy(Arc::new(Policy { name: number.to_string(), rules: vec![rule] }))
}

/// The RIB, with what the test plays: neighbors that announce, and one that listens.
struct Real {
    rib: Rib,
    sources: Vec<SourceId>,
    out: AdjRibOut,
    /// What the listener has been told: the neighbor whose path it is.
    told: BTreeMap<IpNet, u8>,
}

/// The same, without any cleverness.
#[derive(Default)]
struct Model {
    paths: BTreeMap<(IpNet, u8), (u32, u8)>,
    next_hops: BTreeMap<u8, (bool, Option<u8>)>,
    filters: BTreeMap<u8, u8>,
}

impl Model {
    /// The neighbor with the best path.
    fn best(&self, prefix: IpNet) -> Option<u8> {
        let paths = self.paths.range((prefix, 0)..=(prefix, NEIGHBORS));
        let usable = paths.filter_map(|((_, neighbor), (local_pref, next_hop))| {
            let (up, admits) = *self.next_hops.get(next_hop)?;
            let local_pref = match self.filters.get(neighbor).copied().unwrap_or(0) {
                0 => *local_pref,
                2 if number_of(prefix).is_multiple_of(2) => *local_pref,
                3 => 50,
                _ => return None,
            };
            let admitted = admits.is_none_or(|admitted| prefix == self::prefix(admitted));
            (up && admitted).then_some((std::cmp::Reverse(local_pref), *neighbor))
        });
        usable.min().map(|(_, neighbor)| neighbor)
    }
}

fn number_of(prefix: IpNet) -> u8 {
    (0..PREFIXES).find(|number| self::prefix(*number) == prefix).unwrap()
}

/// An UPDATE as it stands on the wire.
fn update(local_pref: u32, next_hop: NextHop, prefixes: &[IpNet]) -> BytesMut {
    let attributes = PathAttributes {
        origin: Origin::Igp,
        as_path: [asn(64999)].into_iter().collect(),
        local_pref: Some(local_pref),
        ..PathAttributes::default()
    };
    let mut out = BytesMut::new();
    let next_hop = MpNextHop { address: next_hop.address, link_local: None };
    wire::write_reach(&mut out, &context(), &attributes, next_hop, prefixes);
    out
}

fn context() -> Context {
    crate::rib::plain_context(&settings())
}

impl Real {
    fn new() -> Self {
        let mut rib = Rib::new(1, 8);
        let sources = (0..NEIGHBORS).map(|number| rib.add_source(source(number))).collect();
        let out = AdjRibOut::new(Families::IPV4);
        Self { rib, sources, out, told: BTreeMap::new() }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Announce { neighbor, prefix: number, local_pref, next_hop: hop } => {
                let bytes = update(local_pref, next_hop(hop), &[prefix(number)]);
                let Ok(Message::Update(update)) = wire::decode(&bytes, &context()) else { panic!("no update") };
                let key = Key::new(Family::Ipv4, None, update.attributes);
                let errors = self.rib.import(self.sources[usize::from(neighbor)], &key, update.nlri.iter(), 0).unwrap();
                assert_eq!(errors, []);
            }
            Step::Withdraw { neighbor, prefix: number } => {
                self.rib.withdraw(self.sources[usize::from(neighbor)], None, prefix(number), 0);
            }
            Step::NextHop { next_hop: hop, up, admits } => self.answer(hop, up, admits),
            Step::Policy { neighbor, filter: number } => {
                let id = self.sources[usize::from(neighbor)];
                self.rib.source_mut(id).judge_by(filter(number), false);
                for destination in self.received(id) {
                    self.rib.import_again(id, destination);
                }
            }
            Step::Flush { neighbor } => {
                let id = self.sources[usize::from(neighbor)];
                for destination in self.received(id) {
                    self.rib.take(id, destination);
                }
            }
            Step::Read { runs } => (0..runs).for_each(|_| {
                self.read();
            }),
            Step::Collect => {
                self.rib.collect(0, usize::MAX, |index| self.out.held(index));
            }
        }
        self.rib.take_in();
        let mut changes = Vec::new();
        self.rib.decide(&mut changes);
        changes.iter().for_each(|change| self.out.mark(change.destination, change.source));
    }

    fn answer(&mut self, hop: u8, up: bool, admits: Option<u8>) {
        let admits = admits.map(|number| [prefix(number)].into());
        let state = NextHopState { up, admits, ..NextHopState::default() };
        match self.rib.answer(next_hop(hop), state) {
            None => {}
            Some(Answered::First(waiting)) => {
                waiting.into_iter().for_each(|(destination, set)| self.rib.touch_if_known(destination, set));
            }
            Some(Answered::Changed { next_hop, again, sources }) => {
                for source in sources {
                    for destination in self.received(source) {
                        if self.rib.next_hops_by(source, destination).any(|found| found == next_hop) {
                            self.rib.touch(destination, again);
                        }
                    }
                }
            }
        }
    }

    fn received(&self, source: SourceId) -> Vec<u32> {
        self.rib.source(source).received.iter().collect()
    }

    /// The listener reads a run; `false`: nothing is left.
    fn read(&mut self) -> bool {
        let mut run = Vec::new();
        let set = match self.out.next(&self.rib, &mut run) {
            Pending::Nothing => return false,
            Pending::EndOfRib(_) | Pending::BeginOfRefresh(_) | Pending::EndOfRefresh(_) => return true,
            Pending::Run(set) => set,
        };
        for Due { destination, told } in run {
            let told_before =
                self.told.get(&self.rib.prefix(destination)).map(|neighbor| self.sources[usize::from(*neighbor)]);
            assert_eq!(told, told_before.unwrap_or(NOTHING), "whose path was told last");
            match set {
                Some(set) => {
                    let neighbor = self.rib.source(self.rib.set(set).source).names[0].parse().unwrap();
                    self.told.insert(self.rib.prefix(destination), neighbor);
                    self.out.told.insert(destination);
                }
                None if self.out.told.remove(destination) => {
                    self.told.remove(&self.rib.prefix(destination));
                }
                None => {}
            }
        }
        true
    }
}

proptest! {
    #[test]
    fn the_rib_behaves_like_a_map(steps in proptest::collection::vec(any_step(), 1..120)) {
        let (mut real, mut model) = (Real::new(), Model::default());
        for step in &steps {
            real.take(step);
            model.take(step, &mut real);
            for prefix in (0..PREFIXES).map(prefix) {
                prop_assert_eq!(real.best(prefix), model.best(prefix), "{} after {:?}", prefix, step);
            }
        }
        while real.read() {}
        let best: BTreeMap<IpNet, u8> =
            (0..PREFIXES).map(prefix).filter_map(|prefix| Some((prefix, model.best(prefix)?))).collect();
        prop_assert_eq!(&real.told, &best);
        for (number, source) in (0..NEIGHBORS).zip(real.sources.clone()) {
            let of_neighbor = model.paths.keys().filter(|(_, neighbor)| *neighbor == number).count();
            prop_assert_eq!(real.rib.source(source).received.len(), of_neighbor);
            prop_assert_eq!(real.rib.source(source).prefixes_of(Family::Ipv4), of_neighbor);
        }
        real.forget_everything();
        prop_assert!(real.rib.is_empty(), "something is left behind");
    }
}

#[test]
fn a_path_that_is_judged_again_while_it_waits_to_be_sent_is_still_sent() {
    let mut real = Real::new();
    for neighbor in 0..2 {
        real.take(&Step::Announce { neighbor, prefix: neighbor, local_pref: 100, next_hop: 0 });
    }
    real.take(&Step::NextHop { next_hop: 0, up: true, admits: None });
    real.take(&Step::Read { runs: 1 });
    real.take(&Step::Policy { neighbor: 1, filter: 0 }); // the same attributes, as another set
    while real.read() {}
    assert_eq!(real.told, [(prefix(0), 0), (prefix(1), 1)].into());
}

impl Model {
    fn take(&mut self, step: &Step, real: &mut Real) {
        match *step {
            Step::Announce { neighbor, prefix: number, local_pref, next_hop } => {
                self.paths.insert((prefix(number), neighbor), (local_pref, next_hop));
            }
            Step::Withdraw { neighbor, prefix: number } => {
                self.paths.remove(&(prefix(number), neighbor));
            }
            // The host's answers are kept only while somebody asks.
            Step::NextHop { next_hop, up, admits } => {
                self.next_hops.insert(next_hop, (up, admits));
            }
            Step::Policy { neighbor, filter } => {
                self.filters.insert(neighbor, filter);
            }
            Step::Flush { neighbor } => self.paths.retain(|(_, owner), _| *owner != neighbor),
            Step::Read { .. } | Step::Collect => {}
        }
        self.next_hops.retain(|hop, _| real.rib.knows(next_hop(*hop)));
    }
}

impl Real {
    fn best(&self, prefix: IpNet) -> Option<u8> {
        let destination = self.rib.find(&prefix)?;
        let set = self.rib.best(destination)?;
        self.rib.source(self.rib.set(set).source).names[0].parse().ok()
    }

    fn forget_everything(&mut self) {
        (0..NEIGHBORS).for_each(|neighbor| self.take(&Step::Flush { neighbor }));
        while self.read() {}
        while !self.rib.poll_fib(100).is_empty() {}
        self.take(&Step::Collect);
    }
}
