//! A session driven by a list of operations: neighbors that come, go, announce, withdraw, send nonsense and do not
//! read, an operator and a host that interfere. Whatever happened on the way, when all is quiet
//!
//! - each neighbor has heard what the speaker shows as advertised, which is what the export of the Loc-RIB says;
//! - the best paths and the FIB are those of a speaker that has heard only what is left, in another order.

pub(crate) mod bench;
mod far;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bgpd::policy::{Action, Match, Policy, PrefixRange, PrefixSet, Rule, Set};
use bgpd::settings::{Originate, PolicyName, SessionSettings, Settings};
use bgpd::speaker::{Command, Input};
use bgpd::types::{Community, Family};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use self::bench::{Bench, EVERYTHING, address, neighbor, router};
use self::far::{Far, Variant};

/// One policy lets everything but this pass.
const REJECTED: u8 = 3;

/// Operations of four octets: what, who, and two that say more.
pub fn session(input: &[u8]) {
    let mut play = Play::new();
    for operation in input.as_chunks().0.iter().take(100) {
        play.operate(*operation);
    }
    play.quiet();
    play.advertised_is_what_was_told();
    play.advertised_is_what_export_says();
    play.is_as_in_another_order();
}

struct Play {
    bench: Bench,
    fars: [Far; 4],
    intent: Intent,
    connections: u64,
}

/// What the speaker is told to be.
#[derive(Clone, Default)]
struct Intent {
    originated: BTreeSet<u8>,
    /// By neighbor: its import and export policy.
    policies: BTreeMap<usize, (u8, u8)>,
    disabled: BTreeSet<usize>,
}

impl Play {
    fn new() -> Self {
        let intent = Intent::default();
        let fars = Far::all();
        Self { bench: Bench::new(intent.settings(&fars)), fars, intent, connections: 0 }
    }

    fn operate(&mut self, [what, who, more, even_more]: [u8; 4]) {
        let who = usize::from(who) % self.fars.len();
        let (bench, far) = (&mut self.bench, &mut self.fars[who]);
        match what % 16 {
            0 | 1 => {
                self.connections += 1;
                far.connect(bench, self.connections);
            }
            2..=5 => far.announce(bench, prefix(more), Variant(even_more)),
            6 => far.withdraw(bench, prefix(more)),
            7 => far.close(bench),
            8 => bench.pass(Duration::from_millis(u64::from(more) * 100)),
            9 => self.way(more),
            10 => self.reload(who, more, even_more),
            11 => self.command(who, more),
            12 => far.refresh(bench, Family::ALL[usize::from(more) % 2]),
            13 => far.malform(bench, prefix(more)),
            14 => far.set_deaf(bench, more & 1 == 1),
            _ => far.say(bench, &[more, even_more]), // no message begins so
        }
        self.take_note();
    }

    /// The host finds a way to a next hop, or none any more.
    fn way(&mut self, which: u8) {
        let hops = ["10.0.0.11", "10.0.0.12", "10.0.0.21", "10.0.0.99", "fd00::11", "fd00::99"];
        let hop = address(hops[usize::from(which) % hops.len()]);
        let up = self.bench.ways.entry(hop).or_insert(true);
        *up = !*up;
        let answer = vec![(hop.into(), self.bench.way(hop))];
        self.bench.input(Input::NextHops(answer));
    }

    fn reload(&mut self, who: usize, more: u8, even_more: u8) {
        if more & 0x80 == 0 {
            self.intent.policies.insert(who, (more % 3, even_more % 3));
        } else if !self.intent.originated.remove(&(even_more % 8)) {
            self.intent.originated.insert(even_more % 8);
        }
        self.bench.input(Input::Settings(Box::new(self.intent.settings(&self.fars))));
    }

    fn command(&mut self, who: usize, more: u8) {
        let command = match more % 5 {
            0 => Command::Reset,
            1 => Command::Refresh,
            2 => Command::Resend,
            3 => Command::Disable(None),
            _ => Command::Enable,
        };
        match more % 5 {
            3 => drop(self.intent.disabled.insert(who)),
            4 => drop(self.intent.disabled.remove(&who)),
            _ => {}
        }
        // What cannot be done now is left.
        let _ = self.bench.speaker.command(self.bench.now(), self.fars[who].name, &command);
        self.bench.rest();
    }

    /// Whose session has ended starts anew.
    fn take_note(&mut self) {
        self.bench.rest();
        for far in &mut self.fars {
            if far.is_up(&self.bench) {
                far.hear(&mut self.bench);
            } else {
                far.forget();
            }
        }
    }

    /// Everybody reads, and nothing is left to do.
    fn quiet(&mut self) {
        self.bench.rest();
        for far in &self.fars {
            far.set_deaf(&mut self.bench, false);
        }
        self.take_note();
        for far in self.fars.iter().filter(|far| far.is_up(&self.bench)) {
            assert_eq!(self.bench.view(far.name).pending, 0, "{}", far.name);
        }
    }
}

/// What holds.
impl Play {
    fn up(&self) -> impl Iterator<Item = &Far> {
        self.fars.iter().filter(|far| far.is_up(&self.bench))
    }

    fn advertised_is_what_was_told(&self) {
        for far in self.up() {
            let shown = self.bench.speaker.advertised(self.bench.now(), far.name, EVERYTHING).unwrap_or_default();
            let shown: BTreeMap<_, _> = shown
                .into_iter()
                .flat_map(|route| route.paths.into_iter().map(move |path| (route.prefix, path)))
                .map(|(prefix, path)| (prefix, (path.attributes, path.next_hop)))
                .collect();
            let told: BTreeMap<_, _> = far
                .told
                .iter()
                .map(|(prefix, (attributes, next_hop))| (*prefix, (attributes.clone(), Some(*next_hop))))
                .collect();
            assert_eq!(told, shown, "{} was told, and is shown to have been", far.name);
        }
    }

    fn advertised_is_what_export_says(&self) {
        let routes = self.bench.speaker.routes(self.bench.now(), EVERYTHING);
        for (number, far) in self.fars.iter().enumerate().filter(|(_, far)| far.is_up(&self.bench)) {
            let exports = self.intent.policies.get(&number).copied().unwrap_or_default().1;
            let best =
                routes.iter().filter_map(|route| Some((route.prefix, route.paths.iter().find(|path| path.best)?)));
            let expected: BTreeSet<IpNet> = best
                .filter(|(_, path)| path.neighbor != far.name)
                .filter(|(_, path)| {
                    let from = self.fars.iter().find(|from| from.name == path.neighbor);
                    // RFC 4456 §6
                    let reflected =
                        from.is_none_or(|from| !from.internal || from.name == "client" || far.name == "client");
                    reflected || !far.internal
                })
                .filter(|(_, path)| {
                    path.attributes.communities.iter().all(|community| match *community {
                        Community::NO_EXPORT => far.internal, // RFC 1997
                        Community::NO_ADVERTISE => false,
                        _ => true,
                    })
                })
                .filter(|(prefix, _)| passes(exports, *prefix, far.internal))
                .map(|(prefix, _)| prefix)
                .collect();
            let told: BTreeSet<IpNet> = far.told.keys().copied().collect();
            assert_eq!(told, expected, "{} was told, and export says", far.name);
        }
    }

    /// A speaker that hears of the last neighbor first, and of its last prefix first.
    fn is_as_in_another_order(&self) {
        let mut fresh = Self {
            bench: Bench::new(self.intent.settings(&self.fars)),
            fars: Far::all(),
            intent: self.intent.clone(),
            connections: 0,
        };
        fresh.bench.ways.clone_from(&self.bench.ways);
        for (far, before) in fresh.fars.iter_mut().zip(&self.fars).rev().filter(|(_, before)| before.is_up(&self.bench))
        {
            fresh.connections += 1;
            far.connect(&mut fresh.bench, fresh.connections);
            for (prefix, variant) in before.said.iter().rev() {
                far.announce(&mut fresh.bench, *prefix, *variant);
            }
        }
        fresh.quiet();
        assert_eq!(self.best(), fresh.best());
        assert_eq!(self.bench.fib, fresh.bench.fib);
    }

    /// By prefix: whose path it is, and where it leads.
    fn best(&self) -> BTreeMap<IpNet, (String, Option<IpAddr>)> {
        let routes = self.bench.speaker.routes(self.bench.now(), EVERYTHING);
        let best = routes.into_iter().filter_map(|route| {
            let best = route.paths.into_iter().find(|path| path.best)?;
            Some((route.prefix, (best.neighbor, best.next_hop)))
        });
        best.collect()
    }
}

impl Intent {
    fn settings(&self, fars: &[Far]) -> Settings {
        let mut settings = router();
        settings.policies.insert("not-3".to_owned(), not_3().into());
        for (number, far) in fars.iter().enumerate() {
            let (import, export) = self.policies.get(&number).copied().unwrap_or_default();
            let session = SessionSettings {
                families: Some(bgpd::types::Families::ALL),
                import: policy(import),
                export: policy(export),
                route_reflector_client: far.name == "client",
                ..SessionSettings::default()
            };
            settings.neighbors.insert(far.name.to_owned(), neighbor(far.at, far.remote_as(), session));
        }
        let originate = |number: &u8| Originate { prefix: prefix(*number), next_hop: None, discard: false };
        settings.originate = self.originated.iter().map(originate).collect();
        settings
    }
}

fn policy(number: u8) -> Option<PolicyName> {
    match number {
        0 => Some(PolicyName::AcceptAll),
        1 => Some(PolicyName::Named("not-3".to_owned())),
        _ => None,
    }
}

/// Whether a policy lets a prefix pass (RFC 8212: none lets nothing pass to an external neighbor).
fn passes(number: u8, of: IpNet, internal: bool) -> bool {
    match number {
        0 => true,
        1 => of != prefix(REJECTED),
        _ => internal,
    }
}

fn not_3() -> Policy {
    let of = prefix(REJECTED);
    let range = PrefixRange { prefix: of, min: of.prefix_len(), max: of.prefix_len() };
    let matches = Match { prefix: Some(PrefixSet::from_iter([range]).into()), ..Match::default() };
    let rule = |matches, action| Rule { line: 1, matches, set: Set::default(), action };
    Policy {
        name: "not-3".to_owned(),
        rules: vec![rule(matches, Action::Reject), rule(Match::default(), Action::Accept)],
    }
}

/// Six of IPv4 and two of IPv6.
fn prefix(number: u8) -> IpNet {
    let number = number % 8;
    if number < 6 {
        Ipv4Net::new_assert([10, 9, number, 0].into(), 24).into()
    } else {
        Ipv6Net::new_assert([0xFD00, u16::from(number), 0, 0, 0, 0, 0, 0].into(), 32).into()
    }
}
