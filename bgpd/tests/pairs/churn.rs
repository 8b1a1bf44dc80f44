//! Whatever happened on the way: speakers that come to rest have what speakers with the same settings have that were
//! just started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bgpd::policy::{Action, Match, Policy, PrefixRange, Rule, Set};
use bgpd::settings::{PolicyName, Settings};
use bgpd::speaker::{Command, NextHopState};
use bgpd::view::SessionState;

use crate::network::Network;
use crate::settings::{Told, address, neighbor, originate, router};

const NODES: usize = 4;

fn at(node: usize) -> String {
    format!("10.0.0.{}", node + 1)
}

/// Nodes 0 and 1 are one AS, the others have one each; everybody knows everybody.
fn asn(node: usize) -> u32 {
    64512 + node.saturating_sub(1) as u32
}

/// What random steps change.
#[derive(Clone)]
struct Intent {
    originated: Vec<Vec<u8>>,
    /// By node and neighbor: which of the policies is its import, and its export.
    policies: BTreeMap<(usize, usize), (u8, u8)>,
    aggregating: [bool; NODES],
    /// Next hops that a node cannot reach.
    dead: BTreeMap<(usize, usize), bool>,
}

impl Intent {
    fn new() -> Self {
        let originated = (0..NODES as u8).map(|node| vec![node]).collect();
        Self { originated, policies: BTreeMap::new(), aggregating: [false; NODES], dead: BTreeMap::new() }
    }

    fn settings(&self, node: usize) -> Settings {
        let mut settings = router(asn(node), &format!("192.0.2.{}", node + 1));
        settings.policies = [odd(), longer()].into_iter().map(|policy| (policy.name.clone(), policy.into())).collect();
        for other in (0..NODES).filter(|other| *other != node) {
            let (import, export) = self.policies.get(&(node, other)).copied().unwrap_or_default();
            let mut neighbor = neighbor(&at(other), asn(other));
            (neighbor.session.import, neighbor.session.export) = (policy_name(import), policy_name(export));
            settings = settings.with_neighbor(&format!("to-{other}"), neighbor);
        }
        settings.originate =
            self.originated[node].iter().map(|third| originate(&format!("10.9.{third}.0/24"))).collect();
        if self.aggregating[node] { settings.aggregating("10.9.0.0/16", true, true) } else { settings }
    }

    fn start(&self, seed: u64) -> Network {
        let mut network = Network::new(seed, (0..NODES).map(|node| (address(&at(node)), self.settings(node))));
        for ((node, other), dead) in &self.dead {
            let state = NextHopState { up: !dead, connected: true, ..NextHopState::default() };
            network.nodes[*node].next_hops.insert(address(&at(*other)), state);
        }
        network
    }
}

fn policy_name(number: u8) -> Option<PolicyName> {
    match number {
        0 => Some(PolicyName::AcceptAll),
        1 => Some(PolicyName::Named("odd".to_owned())),
        2 => Some(PolicyName::Named("longer".to_owned())),
        _ => None,
    }
}

/// Odd prefixes only.
fn odd() -> Policy {
    let entries = (1..16).step_by(2).map(|third| PrefixRange {
        prefix: format!("10.9.{third}.0/24").parse().unwrap(),
        min: 24,
        max: 24,
    });
    let prefix = Some(Arc::new(entries.collect()));
    let rule =
        Rule { line: 1, matches: Match { prefix, ..Match::default() }, set: Set::default(), action: Action::Accept };
    Policy { name: "odd".to_owned(), rules: vec![rule] }
}

/// Everything, but by a longer path. (No preference: what neighbors prefer may have several outcomes.)
fn longer() -> Policy {
    let set = Set { prepend: 1, ..Set::default() };
    let rule = Rule { line: 1, matches: Match::default(), set, action: Action::Accept };
    Policy { name: "longer".to_owned(), rules: vec![rule] }
}

/// What is compared: every FIB, and every table as its neighbors see it.
fn at_rest(network: &mut Network) -> Vec<String> {
    network.run_until("everybody is up", |network| {
        network
            .nodes
            .iter()
            .all(|node| node.speaker.neighbors(network.now).iter().all(|view| view.state == SessionState::Established))
    });
    network.run_for(Duration::from_secs(5));
    let mut lines = Vec::new();
    for node in 0..NODES {
        for (prefix, choice) in &network.nodes[node].fib {
            lines.push(format!("{node} fib {prefix} {choice:?}"));
        }
        for route in network.routes(node) {
            let paths = route.paths.iter().map(|path| (&path.neighbor, &path.not_best, &path.attributes));
            lines.push(format!("{node} {} {:?}", route.prefix, paths.collect::<Vec<_>>()));
        }
        for other in (0..NODES).filter(|other| *other != node) {
            let view = network.neighbor(node, &format!("to-{other}"));
            lines.push(format!("{node} to {other}: {} {} {}", view.received, view.accepted, view.advertised));
            let advertised = network.advertised(node, &view.name).into_iter().map(|route| route.prefix.to_string());
            lines.push(format!("{node} to {other}: {}", advertised.collect::<Vec<_>>().join(" ")));
        }
    }
    lines
}

/// A generator that needs no more than this.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) as usize % end
    }
}

fn one_step(random: &mut Random, intent: &mut Intent, network: &mut Network) {
    let node = random.below(NODES);
    let other = (node + 1 + random.below(NODES - 1)) % NODES;
    let name = format!("to-{other}");
    match random.below(10) {
        0..=2 => {
            let third = random.below(16) as u8;
            let originated = &mut intent.originated[node];
            match originated.iter().position(|known| *known == third) {
                Some(position) => drop(originated.remove(position)),
                None => originated.push(third),
            }
            network.reload(node, intent.settings(node));
        }
        3 => {
            intent.policies.insert((node, other), (random.below(4) as u8, random.below(4) as u8));
            network.reload(node, intent.settings(node));
        }
        4 => {
            intent.aggregating[node] ^= true;
            network.reload(node, intent.settings(node));
        }
        5 => network.cut(node, other),
        6 => network.command(node, &name, Command::Reset),
        7 => {
            let dead = intent.dead.entry((node, other)).or_default();
            *dead ^= true;
            let state = NextHopState { up: !*dead, connected: true, ..NextHopState::default() };
            network.answer(node, address(&at(other)), state);
        }
        8 => network.command(node, &name, [Command::Refresh, Command::Resend][random.below(2)].clone()),
        _ => network.nodes[node].deaf ^= true,
    }
    network.run_for(Duration::from_millis([0, 1, 2, 5, 500, 20_000][random.below(6)]));
}

fn churn(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut intent = Intent::new();
    let mut network = intent.start(seed);
    (0..steps).for_each(|_| one_step(&mut random, &mut intent, &mut network));
    network.nodes.iter_mut().for_each(|node| node.deaf = false);
    let mut fresh = intent.start(seed + 1000);
    let (found, expected) = (at_rest(&mut network), at_rest(&mut fresh));
    assert_eq!(found, expected, "seed {seed}");
}

#[test]
fn speakers_that_come_to_rest_have_what_new_ones_have() {
    let seeds = if std::env::var_os("VPNGW_LONG").is_some() { 2000 } else { 25 };
    (0..seeds).for_each(|seed| churn(seed, 40));
}
