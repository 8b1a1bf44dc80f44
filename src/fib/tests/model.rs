//! Random histories against a model host, slow and unreliable. The law holds at every moment; when the storm is over,
//! what is installed is what is wanted.

use bgpd::types::Family;
use proptest::prelude::*;

use super::*;

/// Next hops of the histories; the host decides anew again and again where they lie.
const NEXT_HOPS: [&str; 4] = ["169.254.64.2", "169.254.64.6", "192.168.2.21", "192.168.2.22"];
const PREFIXES: [&str; 6] =
    ["10.1.0.0/16", "10.2.0.0/16", "10.2.1.0/24", "198.51.100.0/24", "192.168.2.21/32", "0.0.0.0/0"];
const ENDPOINT: &str = "198.51.100.7";

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Want {
        prefix: usize,
        best: Vec<usize>,
        accepted: Vec<usize>,
        discard: bool,
    },
    Unwant {
        prefix: usize,
    },
    Tunnel,
    /// The kernel works on its batch; these operations are refused.
    Kernel {
        refused: Vec<bool>,
    },
    /// The kernel works on the first so many operations, and the answer is lost.
    KernelLost {
        done: usize,
    },
    /// The kernel's answer arrives.
    KernelAnswers,
    Resolve,
    Moves {
        next_hop: usize,
        way: usize,
    },
    Peer {
        us: bool,
        alive: bool,
    },
    Endpoint {
        there: bool,
    },
    /// The configuration's own route comes or goes.
    Static {
        prefix: usize,
        there: bool,
    },
    /// The kernel drops our route without a word; the next comparison will tell.
    Drops {
        prefix: usize,
    },
    /// Somebody deletes our route.
    Meddles {
        prefix: usize,
    },
    /// Somebody's route comes or goes where ours should stand.
    Foreign {
        prefix: usize,
        there: bool,
    },
    Dump,
    Resync,
    Settled,
    Passes {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let prefix = 0..PREFIXES.len();
    let hops = || prop::collection::vec(0..NEXT_HOPS.len(), 0..3);
    prop_oneof![
        6 => (prefix.clone(), hops(), hops(), prop::bool::weighted(0.1))
            .prop_map(|(prefix, best, accepted, discard)| Step::Want { prefix, best, accepted, discard }),
        3 => prefix.clone().prop_map(|prefix| Step::Unwant { prefix }),
        6 => Just(Step::Tunnel),
        6 => prop::collection::vec(prop::bool::weighted(0.2), 6).prop_map(|refused| Step::Kernel { refused }),
        1 => (0..4usize).prop_map(|done| Step::KernelLost { done }),
        8 => Just(Step::KernelAnswers),
        4 => Just(Step::Resolve),
        2 => (0..NEXT_HOPS.len(), 0..4usize).prop_map(|(next_hop, way)| Step::Moves { next_hop, way }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(us, alive)| Step::Peer { us, alive }),
        1 => any::<bool>().prop_map(|there| Step::Endpoint { there }),
        2 => (prefix.clone(), any::<bool>()).prop_map(|(prefix, there)| Step::Static { prefix, there }),
        2 => prefix.clone().prop_map(|prefix| Step::Meddles { prefix }),
        1 => prefix.clone().prop_map(|prefix| Step::Drops { prefix }),
        1 => (prefix, any::<bool>()).prop_map(|(prefix, there)| Step::Foreign { prefix, there }),
        1 => Just(Step::Dump),
        1 => Just(Step::Resync),
        1 => Just(Step::Settled),
        2 => (0..70u64).prop_map(|seconds| Step::Passes { seconds }),
    ]
}

type Key = (IpNet, u32, u32);

/// The host: what it has, what it has been told, what it has still to answer.
struct Host {
    bench: Bench,
    ways: [usize; 4],
    endpoint: bool,
    /// The speaker's last word of each prefix.
    said: BTreeMap<IpNet, FibChoice>,
    static_routes: BTreeSet<IpNet>,
    /// Once a static route: the tunnel's table has or had it from its own settings.
    ever_static: BTreeSet<IpNet>,
    table: BTreeMap<IpNet, Group>,
    routes: BTreeMap<Key, Route>,
    foreign: BTreeSet<IpNet>,
    /// Routes of a former run, which no table covers.
    exempt: BTreeSet<Key>,
    tunnel: Option<Vec<Change>>,
    kernel: Option<Vec<RouteOp>>,
    answer: Option<io::Result<Vec<io::Result<()>>>>,
    questions: Option<Vec<NextHop>>,
    dump: Vec<Route>,
}

fn key(route: &Route) -> Key {
    (route.prefix, route.table, route.metric)
}

impl Host {
    fn new(found: Vec<Route>) -> Self {
        let mut host = Self {
            bench: Bench::with(settings(), found.clone()),
            ways: [0, 1, 2, 2],
            endpoint: false,
            said: BTreeMap::new(),
            static_routes: BTreeSet::new(),
            ever_static: BTreeSet::new(),
            table: BTreeMap::new(),
            exempt: found.iter().map(key).collect(),
            routes: found.into_iter().map(|route| (key(&route), route)).collect(),
            foreign: BTreeSet::new(),
            tunnel: None,
            kernel: None,
            answer: None,
            questions: None,
            dump: Vec::new(),
        };
        NEXT_HOPS.iter().for_each(|next_hop| host.bench.fib.next_hop(nh(next_hop), true));
        host.poll();
        host
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Want { prefix, best, accepted, discard } => {
                let list = |indices: &[usize]| indices.iter().map(|&index| nh(NEXT_HOPS[index])).collect();
                let (best, accepted) = (list(&best), list(&accepted));
                let choice = FibChoice { best, accepted, discard, ..FibChoice::default() };
                self.said.insert(net(PREFIXES[prefix]), choice.clone());
                self.bench.want(PREFIXES[prefix], Some(choice));
            }
            Step::Unwant { prefix } => {
                self.said.remove(&net(PREFIXES[prefix]));
                self.bench.want(PREFIXES[prefix], None);
            }
            Step::Tunnel => self.work_of_tunnel(),
            Step::Kernel { refused } => self.work_of_kernel(&refused),
            Step::KernelLost { done } => self.lose_work_of_kernel(done),
            Step::KernelAnswers => self.kernel_answers(),
            Step::Resolve => self.resolve(),
            Step::Moves { next_hop, way } => {
                self.ways[next_hop] = way;
                self.bench.fib.host_changed();
            }
            Step::Peer { us, alive } => self.bench.fib.peer(if us { US } else { EU }, alive),
            Step::Endpoint { there } => {
                self.endpoint = there;
                self.bench.fib.endpoints(there.then(|| ENDPOINT.parse().unwrap()).into_iter().collect());
            }
            Step::Static { prefix, there } => self.set_static(net(PREFIXES[prefix]), there),
            Step::Meddles { prefix } => {
                if let Some(route) = self.routes.remove(&(net(PREFIXES[prefix]), 254, 20)) {
                    self.bench.fib.own_route_lost(&route);
                }
            }
            Step::Drops { prefix } => drop(self.routes.remove(&(net(PREFIXES[prefix]), 254, 20))),
            Step::Foreign { prefix, there } => {
                let prefix = net(PREFIXES[prefix]);
                if !there {
                    self.foreign.remove(&prefix);
                } else if !self.routes.contains_key(&(prefix, 254, 20)) {
                    self.foreign.insert(prefix);
                }
            }
            Step::Dump => self.dump = self.routes.values().cloned().collect(),
            // Perhaps of long ago.
            Step::Resync => self.bench.fib.resync(self.dump.clone()),
            Step::Settled => self.bench.fib.settled(),
            Step::Passes { seconds } => self.bench.now += Duration::from_secs(seconds),
        }
        self.poll();
    }

    /// Takes work. What takes something away works before it is acknowledged, what adds not before.
    fn poll(&mut self) {
        while let Some(work) = self.bench.work() {
            match work {
                Work::Tunnel(changes) => {
                    assert!(self.tunnel.is_none() && changes.len() <= 1000);
                    for gone in changes.iter().filter(|change| change.group.is_none()) {
                        self.table.remove(&gone.prefix);
                    }
                    self.tunnel = Some(changes);
                }
                Work::Kernel(ops) => {
                    assert!(self.kernel.is_none() && self.answer.is_none() && ops.len() <= 1000);
                    self.kernel = Some(ops);
                }
                Work::Resolve(questions) => {
                    assert!(self.questions.is_none());
                    self.questions = Some(questions);
                }
                Work::NextHops(_) => {}
            }
            self.keep_the_law();
        }
        self.keep_the_law();
        self.counts_are_what_a_walk_finds();
    }

    fn counts_are_what_a_walk_finds(&self) {
        let fib = &self.bench.fib;
        let (mut shown, mut tunnel) = (BTreeMap::new(), BTreeSet::new());
        for (place, entry) in fib.entries.iter() {
            if (place.table, place.metric) == (254, 20) && entry.is_shown() {
                *shown.entry(entry.state().0).or_default() += 1;
            }
            if entry.group().is_some() {
                tunnel.insert(Family::of(&place.prefix));
            }
        }
        assert_eq!(fib.counts(), shown);
        assert_eq!(Family::ALL.map(|family| fib.leads_into_tunnel(family)), Family::ALL.map(|it| tunnel.contains(&it)));
    }
}

impl Host {
    fn set_static(&mut self, prefix: IpNet, there: bool) {
        if there {
            self.ever_static.insert(prefix);
            self.static_routes.insert(prefix);
        } else {
            self.static_routes.remove(&prefix);
        }
        let mut peers = settings().tunnel.unwrap().peers;
        let allowed_ips = self.static_routes.iter().copied().collect();
        let key = PublicKey([3; 32]);
        peers.push(TunnelPeer { allowed_ips, static_routes: true, ..peer(key, "static", &[], &[]) });
        self.bench.fib.tunnel_peers(peers);
    }

    fn work_of_tunnel(&mut self) {
        for change in self.tunnel.take().into_iter().flatten() {
            if let Some(group) = change.group {
                self.table.insert(change.prefix, group);
            }
        }
        self.bench.applied();
    }

    fn work_of_kernel(&mut self, refused: &[bool]) {
        let Some(ops) = self.kernel.take() else { return };
        let refused = |index: usize| refused.get(index).copied().unwrap_or_default();
        let results = ops.iter().enumerate().map(|(index, op)| self.op(op, refused(index))).collect();
        self.answer = Some(Ok(results));
    }

    fn lose_work_of_kernel(&mut self, done: usize) {
        let Some(ops) = self.kernel.take() else { return };
        for op in ops.iter().take(done) {
            let _ = self.op(op, false);
        }
        self.answer = Some(Err(io::Error::other("lost")));
    }

    fn kernel_answers(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.bench.fib.kernel_done(answer);
        }
    }

    fn op(&mut self, op: &RouteOp, refused: bool) -> io::Result<()> {
        let route = op.route();
        if refused {
            return Err(io::Error::other("refused"));
        }
        match op {
            RouteOp::Delete(_) => drop(self.routes.remove(&key(route))),
            RouteOp::Replace(_) if self.foreign.contains(&route.prefix) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "foreign"));
            }
            RouteOp::Replace(_) => drop(self.routes.insert(key(route), route.clone())),
        }
        self.exempt.remove(&key(route));
        Ok(())
    }

    fn resolve(&mut self) {
        let Some(questions) = self.questions.take() else { return };
        let answers = questions.into_iter().map(|next_hop| (next_hop, self.way(&next_hop))).collect();
        self.bench.fib.resolved(answers);
    }

    fn way(&self, next_hop: &NextHop) -> Resolution {
        let Some(index) = NEXT_HOPS.iter().position(|it| nh(it) == *next_hop) else {
            return via(Some("192.0.2.1"), 3, "0.0.0.0/0", 100);
        };
        match self.ways[index] {
            0 | 1 => via(None, WG, "169.254.64.0/24", 0),
            2 => via(None, LAN, "192.168.2.0/24", 0),
            _ => Resolution::Unreachable("the kernel has no route there".to_owned()),
        }
    }

    /// No kernel route into the tunnel without an entry of the table, counting what may have happened already.
    fn keep_the_law(&self) {
        let ops = self.kernel.iter().flatten();
        let on_the_way = ops.filter(|op| matches!(op, RouteOp::Replace(_))).map(RouteOp::route);
        let standing = self.routes.values().filter(|route| !self.exempt.contains(&key(route)));
        for route in standing.chain(on_the_way) {
            let into_tunnel = Body::of(&self.bench.fib.settings, route).into_tunnel;
            let known = self.table.contains_key(&route.prefix) || self.ever_static.contains(&route.prefix);
            assert!(known || !into_tunnel, "{} leads into the tunnel, which knows nothing of it", route.prefix);
        }
    }

    /// Nothing fails any more: work until there is none.
    fn calm_down(&mut self) {
        self.foreign.clear();
        self.bench.fib.resync(self.routes.values().cloned().collect());
        for _ in 0..100 {
            self.resolve();
            self.work_of_tunnel();
            self.work_of_kernel(&[]);
            self.kernel_answers();
            self.bench.now += Duration::from_secs(61);
            self.poll();
        }
        assert!(self.bench.fib.idle() && self.bench.fib.next_timeout().is_none());
    }

    fn assert_all_is_as_wanted(&self) {
        let fib = &self.bench.fib;
        let (mut routes, mut table) = (BTreeMap::new(), BTreeMap::new());
        for prefix in PREFIXES.map(net) {
            let pinned = self.static_routes.contains(&prefix);
            let said = || self.said.get(&prefix).map(|said| Choice::new(&prefix, said.clone()));
            let Some(choice) = pinned.then(|| Choice::pinned(&prefix)).or_else(said) else { continue };
            let wanted = choice.wanted(&fib.settings, &fib.next_hops);
            if guard::refusal(&fib.settings, &fib.next_hops, &prefix, wanted.kernel.as_deref(), pinned).is_some() {
                continue;
            }
            if let Some(Body { target, source, .. }) = wanted.kernel.as_deref().cloned() {
                let route = Route { target, source, ..route("0.0.0.0/0", Target::Discard) };
                routes.insert((prefix, 254, 20), Route { prefix, ..route });
            }
            table.extend(wanted.tunnel.map(|group| (prefix, Group::clone(&group))));
        }
        assert_eq!(self.routes, routes);
        assert_eq!(self.table, table);
        let done = fib.counts().get(&State::Installed).copied().unwrap_or_default();
        assert_eq!(done, routes.len(), "{:?}", fib.counts());
    }
}

fn leftovers() -> impl Strategy<Value = Vec<Route>> {
    let targets = [hops(&[(None, WG)]), hops(&[(Some("192.168.2.21"), LAN)]), Target::Discard];
    let one = (0..PREFIXES.len(), prop::sample::select(targets.to_vec()), prop::sample::select(vec![20, 33]));
    let one = one.prop_map(|(prefix, target, metric)| Route { metric, ..route(PREFIXES[prefix], target) });
    prop::collection::vec(one, 0..4)
}

proptest! {
    #[test]
    fn after_any_storm_the_host_has_what_is_wanted(
        found in leftovers(),
        steps in prop::collection::vec(step(), 0..80),
        withdraw in any::<bool>(),
    ) {
        let mut host = Host::new(found);
        steps.into_iter().for_each(|step| host.step(step));
        host.bench.fib.settled();
        host.poll();
        host.calm_down();
        host.assert_all_is_as_wanted();
        if withdraw {
            host.bench.fib.withdraw_all();
            host.poll();
            host.calm_down();
            prop_assert!(host.routes.is_empty() && host.table.is_empty());
        }
    }
}
