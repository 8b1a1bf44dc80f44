//! The FIB against sentences, and (in [`model`]) against a host that does as it is told, slowly and with failures.

#![allow(clippy::unwrap_used)]

mod model;

use std::io;

use bgpd::speaker::FibChoice;
use bgpd::types::{Family, NextHop};
use wgd::table::{Change, Generation, Group};

use super::*;
use crate::kernel::Hop;

const WG: u32 = 7;
const LAN: u32 = 2;
const EU: PublicKey = PublicKey([1; 32]);
const US: PublicKey = PublicKey([2; 32]);

fn peer(key: PublicKey, name: &str, allowed_ips: &[&str], routed_ips: &[&str]) -> TunnelPeer {
    let prefixes = |list: &[&str]| -> Vec<IpNet> { list.iter().map(|it| net(it)).collect() };
    TunnelPeer {
        key,
        name: name.to_owned(),
        allowed_ips: prefixes(allowed_ips),
        static_routes: false,
        routed_ips: prefixes(routed_ips).into(),
    }
}

fn settings() -> Settings {
    let peers = vec![
        peer(EU, "eu", &["169.254.64.2/32", "fd64:64::2/128"], &["10.0.0.0/8"]),
        peer(US, "us", &["169.254.64.6/32"], &["10.20.0.0/16"]),
    ];
    Settings {
        install: true,
        restarted: false,
        table: 254,
        metric: 20,
        protocol: 157,
        preferred_source: Vec::new(),
        tunnel: Some(TunnelSettings { interface: WG, peers }),
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn nh(text: &str) -> NextHop {
    text.parse::<IpAddr>().unwrap().into()
}

fn via(gateway: Option<&str>, interface: u32, prefix: &str, metric: u32) -> Resolution {
    let hop = Hop { gateway: gateway.map(|it| it.parse().unwrap()), interface };
    Resolution::Via { hop, prefix: net(prefix), metric }
}

fn choice(best: &[&str]) -> FibChoice {
    let best: Vec<NextHop> = best.iter().map(|it| nh(it)).collect();
    FibChoice { accepted: best.clone(), best, ..FibChoice::default() }
}

fn change(prefix: &str, choice: Option<FibChoice>) -> FibChange {
    FibChange { prefix: net(prefix), choice }
}

fn hops(hops: &[(Option<&str>, u32)]) -> Target {
    let hop =
        |&(gateway, interface): &(Option<&str>, u32)| Hop { gateway: gateway.map(|it| it.parse().unwrap()), interface };
    Target::Hops(hops.iter().map(hop).collect())
}

fn route(prefix: &str, target: Target) -> Route {
    Route { prefix: net(prefix), table: 254, metric: 20, protocol: 157, target, source: None }
}

fn replace(prefix: &str, target: Target) -> Work {
    Work::Kernel(vec![RouteOp::Replace(route(prefix, target))])
}

fn delete(prefix: &str) -> Work {
    Work::Kernel(vec![RouteOp::Delete(route(prefix, Target::Hops(Vec::new())))])
}

fn table(prefix: &str, send: &[PublicKey], backup: &[PublicKey], accept: &[PublicKey]) -> Work {
    let group = Group { send: send.to_vec(), backup: backup.to_vec(), accept: accept.to_vec() };
    Work::Tunnel(vec![Change { prefix: net(prefix), group: Some(group) }])
}

fn no_table(prefix: &str) -> Work {
    Work::Tunnel(vec![Change { prefix: net(prefix), group: None }])
}

fn refused() -> io::Result<Vec<io::Result<()>>> {
    Ok(vec![Err(io::Error::other("Nexthop has invalid gateway"))])
}

fn foreign() -> io::Result<Vec<io::Result<()>>> {
    Ok(vec![Err(io::Error::new(io::ErrorKind::AlreadyExists, "a route of another program stands there"))])
}

/// A FIB with a clock, a tunnel that counts generations, and what the kernel says of addresses.
struct Bench {
    fib: Fib,
    now: Instant,
    generation: u64,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self::with(settings, Vec::new())
    }

    fn with(settings: Settings, found: Vec<Route>) -> Self {
        Self { fib: Fib::new(settings, found), now: Instant::now(), generation: 0 }
    }

    /// A bench whose speaker knows the usual next hops: two peers and two neighbors on the LAN.
    fn usual() -> Self {
        Self::usual_with(settings(), Vec::new())
    }

    fn usual_with(settings: Settings, found: Vec<Route>) -> Self {
        let mut bench = Self::with(settings, found);
        bench.resolve("169.254.64.2", via(None, WG, "169.254.64.0/30", 0));
        bench.resolve("169.254.64.6", via(None, WG, "169.254.64.4/30", 0));
        bench.resolve("192.168.2.21", via(None, LAN, "192.168.2.0/24", 0));
        bench.resolve("192.168.2.22", via(None, LAN, "192.168.2.0/24", 0));
        bench
    }

    /// The speaker asks for a next hop and gets this.
    fn resolve(&mut self, address: &str, resolution: Resolution) -> Option<NextHopState> {
        self.fib.next_hop(nh(address), true);
        self.answer(vec![(nh(address), resolution)])
    }

    /// The kernel's answer, and what the speaker hears of it.
    fn answer(&mut self, resolutions: Vec<(NextHop, Resolution)>) -> Option<NextHopState> {
        let asked = self.work();
        assert!(asked.is_none() || matches!(asked, Some(Work::Resolve(_))), "{asked:?}");
        self.fib.resolved(resolutions);
        match self.work() {
            Some(Work::NextHops(mut states)) => states.pop().map(|(_, state)| state),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    fn work(&mut self) -> Option<Work> {
        let work = self.fib.poll_work(self.now);
        if matches!(work, Some(Work::Tunnel(_))) {
            self.generation += 1;
            self.fib.tunnel_sent(Generation(self.generation));
        }
        work
    }

    fn want(&mut self, prefix: &str, choice: Option<FibChoice>) {
        self.fib.changes(vec![change(prefix, choice)]);
    }

    fn applied(&mut self) {
        self.fib.tunnel_applied(Generation(self.generation));
    }

    /// Does all work at once, every part with success.
    fn finish(&mut self) {
        while let Some(work) = self.work() {
            match work {
                Work::Tunnel(_) => self.applied(),
                Work::Kernel(ops) => self.fib.kernel_done(Ok(ops.iter().map(|_| Ok(())).collect())),
                Work::NextHops(_) => {}
                Work::Resolve(_) => panic!("nobody knows the answer"),
            }
        }
        assert!(self.fib.idle());
    }

    fn view(&self, prefix: &str) -> RouteView {
        self.fib.route(&net(prefix)).unwrap()
    }

    fn state(&self, prefix: &str) -> (State, Option<String>) {
        let view = self.view(prefix);
        (view.state, view.error)
    }
}

#[test]
fn whether_a_family_leads_into_the_tunnel_follows_its_routes() {
    let mut bench = Bench::usual();
    bench.resolve("fd64:64::2", via(None, WG, "fd64:64::/64", 0));
    let leads = |bench: &Bench| Family::ALL.map(|family| bench.fib.leads_into_tunnel(family));
    bench.want("10.42.0.0/16", Some(choice(&["192.168.2.21"])));
    assert_eq!(leads(&bench), [false, false]);
    for (prefix, next_hop, expected) in
        [("10.244.0.0/16", "169.254.64.2", [true, false]), ("fd00:10::/64", "fd64:64::2", [false, true])]
    {
        bench.want(prefix, Some(choice(&[next_hop])));
        bench.finish();
        assert_eq!(leads(&bench), expected);
        bench.want(prefix, None);
        bench.finish();
        assert_eq!(leads(&bench), [false, false]);
    }
}

#[test]
fn a_route_into_the_tunnel_waits_for_the_tunnel_and_leaves_before_it() {
    let mut bench = Bench::usual();
    bench.want("10.244.0.0/16", Some(choice(&["169.254.64.2"])));
    assert_eq!(bench.work(), Some(table("10.244.0.0/16", &[EU], &[], &[EU])));
    assert_eq!(bench.work(), None, "the workers have not acknowledged");
    bench.applied();
    assert_eq!(bench.work(), Some(replace("10.244.0.0/16", hops(&[(None, WG)]))));
    assert_eq!(bench.state("10.244.0.0/16"), (State::Pending, None));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert_eq!(bench.state("10.244.0.0/16"), (State::Installed, None));

    bench.want("10.244.0.0/16", None);
    assert_eq!(bench.work(), Some(delete("10.244.0.0/16")));
    assert_eq!(bench.work(), None, "the kernel has not answered");
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert_eq!(bench.work(), Some(no_table("10.244.0.0/16")));
    bench.applied();
    assert!(bench.fib.idle());
    assert!(bench.fib.route(&net("10.244.0.0/16")).is_none());
}

#[test]
fn a_route_that_moves_between_peers_is_one_change_of_the_table() {
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.finish();
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.6"])));
    assert_eq!(bench.work(), Some(table("10.20.0.0/16", &[US], &[], &[US])));
    bench.applied();
    assert_eq!(bench.work(), None, "the kernel route is the same");
    assert_eq!(bench.state("10.20.0.0/16"), (State::Installed, None));
}

#[test]
fn a_route_that_moves_into_the_tunnel_enters_the_table_first_and_out_of_it_last() {
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["192.168.2.21"])));
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(Some("192.168.2.21"), LAN)]))));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    assert_eq!(bench.work(), Some(table("10.20.0.0/16", &[EU], &[], &[EU])));
    assert_eq!(bench.work(), None);
    bench.applied();
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(None, WG)]))));
    bench.fib.kernel_done(Ok(vec![Ok(())]));

    let back = FibChoice { accepted: vec![nh("192.168.2.21"), nh("169.254.64.2")], ..choice(&["192.168.2.21"]) };
    bench.want("10.20.0.0/16", Some(back));
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(Some("192.168.2.21"), LAN)]))));
    assert_eq!(bench.work(), None);
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert_eq!(bench.work(), Some(table("10.20.0.0/16", &[], &[], &[EU])), "what may still arrive is accepted");
}

#[test]
fn the_table_sends_to_the_multipath_set_and_accepts_from_every_accepted_path() {
    let mut bench = Bench::usual();
    let choice = FibChoice {
        best: vec![nh("169.254.64.6")],
        backup: vec![nh("169.254.64.2"), nh("192.168.2.21")],
        accepted: vec![nh("169.254.64.2"), nh("169.254.64.6"), nh("192.168.2.21")],
        ..FibChoice::default()
    };
    bench.want("10.20.0.0/16", Some(choice));
    assert_eq!(bench.work(), Some(table("10.20.0.0/16", &[US], &[EU], &[EU, US])));
    bench.applied();
    bench.finish();
    let names = |list: &[&str]| -> Vec<String> { list.iter().map(|it| (*it).to_owned()).collect() };
    assert_eq!(bench.view("10.20.0.0/16").tunnel, Some([names(&["us"]), names(&["eu"]), names(&["eu", "us"])]));
}

#[test]
fn equal_cost_next_hops_on_links_are_one_multipath_route() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.22", "192.168.2.21"])));
    let both = hops(&[(Some("192.168.2.21"), LAN), (Some("192.168.2.22"), LAN)]);
    assert_eq!(bench.work(), Some(replace("10.244.1.0/24", both)));
}

#[test]
fn a_multipath_set_on_both_sides_of_the_tunnel_is_installed_on_the_side_of_the_best_path() {
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["192.168.2.21", "169.254.64.2"])));
    let work = [bench.work().unwrap(), bench.work().unwrap()];
    assert_eq!(work[0], table("10.20.0.0/16", &[], &[], &[EU]));
    assert_eq!(work[1], replace("10.20.0.0/16", hops(&[(Some("192.168.2.21"), LAN)])));
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2", "192.168.2.21"])));
    assert_eq!(bench.work(), Some(table("10.20.0.0/16", &[EU], &[], &[EU])));
    bench.applied();
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(None, WG)]))));
}

#[test]
fn a_gateway_of_the_kernel_is_the_hop_of_a_next_hop_beyond_it() {
    let mut bench = Bench::new(settings());
    bench.resolve("10.99.0.1", via(Some("192.168.2.1"), LAN, "10.99.0.0/16", 5));
    bench.want("10.30.0.0/16", Some(choice(&["10.99.0.1"])));
    assert_eq!(bench.work(), Some(replace("10.30.0.0/16", hops(&[(Some("192.168.2.1"), LAN)]))));
}

#[test]
fn an_ipv6_destination_by_an_ipv4_gateway_says_why_it_is_not_installed() {
    let mut bench = Bench::usual();
    bench.want("fd10::/48", Some(choice(&["192.168.2.21"])));
    assert_eq!(bench.work(), None);
    let why = "next hop 192.168.2.21: IPv6 packets need an IPv6 address";
    assert_eq!(bench.view("fd10::/48").error.as_deref(), Some(why));
    // Into the tunnel there is no gateway.
    bench.want("fd11::/48", Some(choice(&["169.254.64.2"])));
    assert_eq!(bench.work(), Some(table("fd11::/48", &[EU], &[], &[EU])));
}

#[test]
fn the_preferred_source_of_the_family_goes_with_the_route() {
    let mut bench =
        Bench::usual_with(Settings { preferred_source: vec!["10.20.0.10".parse().unwrap()], ..settings() }, Vec::new());
    bench.resolve("fd00::21", via(None, LAN, "fd00::/64", 256));
    bench.fib.changes(vec![
        change("10.244.1.0/24", Some(choice(&["192.168.2.21"]))),
        change("fd10::/48", Some(choice(&["fd00::21"]))),
    ]);
    let Some(Work::Kernel(ops)) = bench.work() else { panic!() };
    let sources: Vec<Option<IpAddr>> = ops.iter().map(|op| op.route().source).collect();
    assert_eq!(sources, [Some("10.20.0.10".parse().unwrap()), None]);
}

#[test]
fn an_aggregate_is_a_discard_route() {
    let mut bench = Bench::usual();
    bench.want("10.42.0.0/16", Some(FibChoice { discard: true, ..FibChoice::default() }));
    assert_eq!(bench.work(), Some(replace("10.42.0.0/16", Target::Discard)));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert!(bench.view("10.42.0.0/16").discard);
}

#[test]
fn destinations_that_are_nobodys_business_are_never_installed() {
    for prefix in [
        "127.0.0.0/8",
        "127.1.0.0/16",
        "169.254.64.0/30",
        "224.0.0.0/8",
        "240.0.0.0/4",
        "::1/128",
        "fe80::/64",
        "ff02::/16",
    ] {
        let mut bench = Bench::usual();
        bench.want(prefix, Some(choice(&["169.254.64.2"])));
        assert_eq!(bench.work(), None, "{prefix}");
        let (state, error) = bench.state(prefix);
        assert_eq!(state, State::Failed);
        assert!(error.unwrap().ends_with("destinations are never installed"));
    }
}

#[test]
fn the_speaker_hears_what_the_host_knows_of_a_next_hop() {
    let mut bench = Bench::new(settings());
    let up = NextHopState { up: true, connected: true, ..NextHopState::default() };
    let eu = bench.resolve("169.254.64.2", via(None, WG, "169.254.64.0/30", 0)).unwrap();
    assert_eq!(eu.admits.as_deref(), Some(&[net("10.0.0.0/8")][..]));
    assert_eq!(
        eu,
        NextHopState { tunnel: true, admits: eu.admits.clone(), wireguard_peer: Some("eu".to_owned()), ..up.clone() }
    );
    assert_eq!(bench.resolve("192.168.2.21", via(None, LAN, "192.168.2.0/24", 0)), Some(up.clone()));
    assert_eq!(
        bench.resolve("10.99.0.1", via(Some("192.168.2.1"), LAN, "0.0.0.0/0", 100)),
        Some(NextHopState { connected: false, metric: 100, ..up.clone() })
    );
    assert_eq!(bench.resolve("192.168.2.4", Resolution::Local), Some(NextHopState { local: true, ..up }));
    let down = |why: &str| NextHopState { reason: Some(why.to_owned()), ..NextHopState::default() };
    assert_eq!(
        bench.resolve("203.0.113.1", Resolution::Unreachable("the kernel has no route there".to_owned())),
        Some(down("the kernel has no route there"))
    );
    assert_eq!(
        bench.resolve("169.254.64.9", via(None, WG, "169.254.64.8/30", 0)),
        Some(NextHopState { connected: true, ..down("no WireGuard peer has 169.254.64.9 in its allowed-ips") })
    );
}

#[test]
fn the_longest_allowed_ip_says_whose_a_next_hop_is() {
    let mut settings = settings();
    settings.tunnel.as_mut().unwrap().peers[0].allowed_ips = vec![net("0.0.0.0/0")];
    let mut bench = Bench::new(settings);
    let name = |state: Option<NextHopState>| state.unwrap().wireguard_peer;
    assert_eq!(name(bench.resolve("169.254.64.6", via(None, WG, "169.254.64.0/24", 0))).as_deref(), Some("us"));
    assert_eq!(name(bench.resolve("169.254.64.7", via(None, WG, "169.254.64.0/24", 0))).as_deref(), Some("eu"));
    assert_eq!(name(bench.resolve("192.168.2.21", via(None, LAN, "192.168.2.0/24", 0))), None, "not behind the tunnel");
}

#[test]
fn a_dead_peer_is_a_dead_next_hop_and_the_routes_stay() {
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.finish();
    bench.fib.peer(EU, false);
    let Some(Work::NextHops(states)) = bench.work() else { panic!() };
    assert_eq!(states.len(), 1, "only its own next hops");
    assert_eq!((states[0].0, states[0].1.up), (nh("169.254.64.2"), false));
    assert_eq!(states[0].1.reason.as_deref(), Some("the WireGuard peer eu is down"));
    assert_eq!(bench.work(), None);
    bench.fib.peer(EU, false);
    assert_eq!(bench.work(), None, "told once");
    bench.fib.peer(EU, true);
    assert!(matches!(bench.work(), Some(Work::NextHops(states)) if states[0].1.up));
}

#[test]
fn a_next_hop_that_moves_takes_its_routes_along() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.finish();
    bench.fib.host_changed();
    assert!(matches!(bench.work(), Some(Work::Resolve(all)) if all.len() == 4));
    bench.fib.resolved(vec![(nh("192.168.2.21"), via(Some("192.168.3.1"), 5, "192.168.2.0/24", 0))]);
    assert!(matches!(bench.work(), Some(Work::NextHops(_))));
    assert_eq!(bench.work(), Some(replace("10.244.1.0/24", hops(&[(Some("192.168.3.1"), 5)]))));
}

#[test]
fn a_change_of_the_host_while_it_is_asked_asks_again() {
    let mut bench = Bench::new(settings());
    bench.fib.next_hop(nh("192.168.2.21"), true);
    assert!(matches!(bench.work(), Some(Work::Resolve(_))));
    bench.fib.host_changed();
    assert_eq!(bench.work(), None);
    bench.fib.resolved(vec![(nh("192.168.2.21"), via(None, LAN, "192.168.2.0/24", 0))]);
    assert_eq!(bench.work(), Some(Work::Resolve(vec![nh("192.168.2.21")])));
}

#[test]
fn a_route_without_a_usable_next_hop_says_which_and_why() {
    let mut bench = Bench::usual();
    bench.answer(vec![(
        nh("192.168.2.21"),
        Resolution::Unreachable("the link of the route 192.168.2.0/24 is down".to_owned()),
    )]);
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    assert_eq!(bench.work(), None);
    let why = "next hop 192.168.2.21: the link of the route 192.168.2.0/24 is down".to_owned();
    assert_eq!(bench.state("10.244.1.0/24"), (State::Pending, Some(why)));
}

#[test]
fn no_route_into_the_tunnel_captures_an_endpoint() {
    let mut bench = Bench::usual();
    bench.want("198.51.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.want("0.0.0.0/0", Some(choice(&["169.254.64.2"])));
    bench.finish();
    bench.fib.endpoints(vec!["198.51.100.7".parse().unwrap()]);
    assert!(matches!(bench.work(), Some(Work::Resolve(_))));
    // Until the way is known, no route may take it away.
    assert!(matches!(bench.work(), Some(Work::Kernel(ops)) if ops.len() == 2 && matches!(ops[0], RouteOp::Delete(_))));
    bench.fib.kernel_done(Ok(vec![Ok(()), Ok(())]));
    bench.fib.resolved(vec![(nh("198.51.100.7"), via(Some("10.20.0.1"), 3, "0.0.0.0/0", 0))]);
    bench.finish();
    assert_eq!(
        bench.state("0.0.0.0/0"),
        (State::Installed, None),
        "the kernel's own default route has the better metric"
    );
    let why = "it would capture 198.51.100.7, to which the tunnel itself sends".to_owned();
    assert_eq!(bench.state("198.51.0.0/16"), (State::Failed, Some(why)));
    bench.fib.endpoints(Vec::new());
    bench.finish();
    assert_eq!(bench.state("198.51.0.0/16"), (State::Installed, None));
}

#[test]
fn an_equal_route_captures_an_endpoint_where_its_metric_is_better() {
    let mut bench = Bench::usual();
    bench.fib.endpoints(vec!["198.51.100.7".parse().unwrap()]);
    bench.answer(vec![(nh("198.51.100.7"), via(Some("10.20.0.1"), 3, "0.0.0.0/0", 100))]);
    bench.want("0.0.0.0/0", Some(choice(&["169.254.64.2"])));
    assert_eq!(bench.work(), None);
    assert_eq!(bench.state("0.0.0.0/0").0, State::Failed);
}

#[test]
fn an_endpoint_beyond_the_lan_may_be_learned_on_the_lan() {
    let mut bench = Bench::usual();
    bench.fib.endpoints(vec!["198.51.100.7".parse().unwrap()]);
    bench.answer(vec![(nh("198.51.100.7"), Resolution::Unreachable("the kernel has no route there".to_owned()))]);
    bench.want("198.51.0.0/16", Some(choice(&["192.168.2.21"])));
    assert_eq!(bench.work(), Some(replace("198.51.0.0/16", hops(&[(Some("192.168.2.21"), LAN)]))));
}

#[test]
fn no_route_captures_a_next_hop() {
    let mut bench = Bench::usual();
    for prefix in ["192.168.2.21/32", "192.168.2.0/25"] {
        bench.want(prefix, Some(choice(&["192.168.2.22"])));
        let why = "it would capture the next hop 192.168.2.21".to_owned();
        assert_eq!(bench.state(prefix), (State::Failed, Some(why)));
    }
    bench.want("192.168.2.0/24", Some(choice(&["169.254.64.2"])));
    bench.want("192.168.2.128/25", Some(choice(&["192.168.2.22"])));
    bench.finish();
    assert_eq!(bench.state("192.168.2.0/24"), (State::Installed, None), "the connected route has the better metric");
    assert_eq!(bench.state("192.168.2.128/25"), (State::Installed, None));
}

#[test]
fn routes_of_a_former_run_stay_while_the_speaker_has_not_told_everything() {
    let equal = route("10.244.1.0/24", hops(&[(Some("192.168.2.21"), LAN)]));
    let other = route("10.244.2.0/24", hops(&[(Some("192.168.2.21"), LAN)]));
    let gone = route("10.244.3.0/24", Target::Discard);
    let elsewhere = Route { metric: 33, ..equal.clone() };
    let mut bench = Bench::usual_with(settings(), vec![equal, other, gone, elsewhere.clone()]);
    assert_eq!(bench.work(), None);
    assert_eq!(bench.state("10.244.3.0/24"), (State::Stale, None));
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    assert_eq!(bench.work(), None, "it is what it should be");
    assert_eq!(bench.state("10.244.1.0/24"), (State::Installed, None));
    bench.want("10.244.2.0/24", Some(choice(&["192.168.2.22"])));
    assert_eq!(bench.work(), Some(replace("10.244.2.0/24", hops(&[(Some("192.168.2.22"), LAN)]))));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    bench.fib.settled();
    let Some(Work::Kernel(ops)) = bench.work() else { panic!() };
    let deleted: Vec<(IpNet, u32)> = ops.iter().map(|op| (op.route().prefix, op.route().metric)).collect();
    assert!(ops.iter().all(|op| matches!(op, RouteOp::Delete(_))));
    assert_eq!(deleted, [(net("10.244.3.0/24"), 20), (elsewhere.prefix, 33)]);
}

#[test]
fn after_a_restart_the_kernel_keeps_its_routes_until_all_neighbors_have_told_theirs() {
    let same = route("10.244.1.0/24", hops(&[(Some("192.168.2.21"), LAN)]));
    let other = route("10.244.2.0/24", hops(&[(Some("192.168.2.21"), LAN)]));
    let untold = route("10.244.3.0/24", Target::Discard);
    let tunnel = route("10.20.0.0/16", hops(&[(None, WG)]));
    let mut bench = Bench::usual_with(Settings { restarted: true, ..settings() }, vec![same, other, untold, tunnel]);
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.want("10.244.2.0/24", Some(choice(&["192.168.2.22"])));
    assert_eq!(bench.work(), None);
    assert_eq!(bench.state("10.244.1.0/24"), (State::Installed, None));
    assert_eq!(bench.state("10.244.2.0/24"), (State::Stale, None));
    // What nobody has kept is there at once: the tunnel's table, and routes that are new.
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    assert!(matches!(bench.work(), Some(Work::Tunnel(changes)) if changes.len() == 1));
    bench.want("10.244.9.0/24", Some(choice(&["192.168.2.22"])));
    assert_eq!(bench.work(), Some(replace("10.244.9.0/24", hops(&[(Some("192.168.2.22"), LAN)]))));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    // What is told and taken back goes at once.
    bench.want("10.244.2.0/24", None);
    assert_eq!(bench.work(), Some(delete("10.244.2.0/24")));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.22"])));
    bench.fib.settled();
    let Some(Work::Kernel(mut ops)) = bench.work() else { panic!() };
    ops.sort_by_key(|op| op.route().prefix);
    assert_eq!(ops.len(), 2);
    assert_eq!(ops[0], RouteOp::Replace(route("10.244.1.0/24", hops(&[(Some("192.168.2.22"), LAN)]))));
    assert!(matches!(&ops[1], RouteOp::Delete(gone) if gone.prefix == net("10.244.3.0/24")));
}

#[test]
fn a_refused_route_is_tried_again_later_and_later() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert!(matches!(bench.work(), Some(Work::Kernel(_))));
        bench.fib.kernel_done(refused());
        assert_eq!(bench.work(), None);
        assert!(bench.fib.idle());
        assert_eq!(bench.state("10.244.1.0/24"), (State::Failed, Some("Nexthop has invalid gateway".to_owned())));
        assert_eq!(bench.fib.next_timeout(), Some(bench.now + Duration::from_secs(seconds)));
        bench.now += Duration::from_secs(seconds);
    }
    bench.finish();
    assert_eq!(bench.state("10.244.1.0/24"), (State::Installed, None));
    assert_eq!(bench.fib.next_timeout(), None);
}

#[test]
fn a_refused_route_that_is_wanted_otherwise_is_tried_at_once() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    assert!(matches!(bench.work(), Some(Work::Kernel(_))));
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.22"])));
    bench.fib.kernel_done(refused());
    assert_eq!(bench.work(), Some(replace("10.244.1.0/24", hops(&[(Some("192.168.2.22"), LAN)]))));
}

#[test]
fn a_foreign_route_in_the_way_is_shown_as_such() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.work();
    bench.fib.kernel_done(foreign());
    let why = "a route of another program stands there".to_owned();
    assert_eq!(bench.state("10.244.1.0/24"), (State::Foreign, Some(why)));
    assert_eq!(bench.fib.counts(), BTreeMap::from([(State::Foreign, 1)]));
    bench.want("10.244.1.0/24", None);
    assert_eq!(bench.work(), None, "there is nothing of ours to delete");
}

#[test]
fn answers_that_were_lost_are_asked_for_again() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.work();
    bench.fib.kernel_done(Err(io::Error::other("No buffer space available")));
    bench.want("10.244.1.0/24", None);
    assert_eq!(bench.work(), Some(delete("10.244.1.0/24")), "it may be there");
}

#[test]
fn a_route_deleted_by_others_is_put_back() {
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.finish();
    bench.fib.own_route_lost(&route("10.20.0.0/16", hops(&[(None, WG)])));
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(None, WG)]))));
    bench.fib.own_route_lost(&route("10.20.0.0/16", hops(&[(None, WG)])));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert!(matches!(bench.work(), Some(Work::Kernel(_))), "it may have been deleted after it was put back");
}

#[test]
fn a_resync_repairs_what_differs_and_nothing_else() {
    let mut bench = Bench::usual();
    bench.fib.settled();
    for prefix in ["10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"] {
        bench.want(prefix, Some(choice(&["192.168.2.21"])));
    }
    bench.finish();
    bench.fib.resync(vec![
        route("10.244.1.0/24", hops(&[(Some("192.168.2.21"), LAN)])),
        route("10.244.2.0/24", hops(&[(Some("192.168.2.99"), LAN)])),
        route("10.244.4.0/24", Target::Discard),
    ]);
    let Some(Work::Kernel(mut ops)) = bench.work() else { panic!() };
    ops.sort_by_key(|op| op.route().prefix);
    let right = hops(&[(Some("192.168.2.21"), LAN)]);
    assert_eq!(
        ops,
        [
            RouteOp::Replace(route("10.244.2.0/24", right.clone())),
            RouteOp::Replace(route("10.244.3.0/24", right)),
            RouteOp::Delete(route("10.244.4.0/24", Target::Hops(Vec::new()))),
        ]
    );
}

#[test]
fn without_kernel_routes_the_tunnel_still_follows() {
    let mut bench = Bench::usual_with(Settings { install: false, ..settings() }, Vec::new());
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    assert_eq!(bench.work(), Some(table("10.20.0.0/16", &[EU], &[], &[EU])));
    bench.applied();
    assert_eq!(bench.work(), None);
    let why = "kernel routes are switched off (install = false)".to_owned();
    assert_eq!(bench.state("10.20.0.0/16"), (State::Pending, Some(why)));
}

#[test]
fn without_kernel_routes_and_tunnel_every_route_says_why_it_is_not_installed() {
    let settings = Settings { install: false, tunnel: None, ..settings() };
    assert!(!settings.programs());
    let bench = Bench::usual_with(settings, Vec::new());
    let why = "kernel routes are switched off (install = false)".to_owned();
    assert_eq!(bench.state("10.20.0.0/16"), (State::Pending, Some(why)));
    assert!(bench.fib.routes(None, 10).is_empty());
}

#[test]
fn what_the_speaker_keeps_out_is_no_route_but_its_packets_may_arrive() {
    let mut bench = Bench::usual();
    let choice = FibChoice {
        not_installed: Some("locally originated"),
        accepted: vec![nh("169.254.64.2")],
        ..FibChoice::default()
    };
    bench.want("10.42.0.0/16", Some(choice.clone()));
    assert_eq!(bench.work(), Some(table("10.42.0.0/16", &[], &[], &[EU])));
    bench.want("10.43.0.0/16", Some(FibChoice { accepted: Vec::new(), ..choice }));
    let shown: Vec<IpNet> = bench.fib.routes(None, 10).into_iter().map(|view| view.prefix).collect();
    assert_eq!(shown, [net("10.42.0.0/16")]);
    assert_eq!(bench.state("10.43.0.0/16"), (State::Pending, Some("locally originated".to_owned())));
}

#[test]
fn a_clean_stop_leaves_nothing() {
    let mut bench = Bench::usual_with(settings(), vec![route("10.9.0.0/16", Target::Discard)]);
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.finish();
    bench.fib.withdraw_all();
    let Some(Work::Kernel(ops)) = bench.work() else { panic!() };
    assert!(ops.len() == 3 && ops.iter().all(|op| matches!(op, RouteOp::Delete(_))), "{ops:?}");
    assert_eq!(bench.work(), None);
    bench.want("10.245.0.0/16", Some(choice(&["192.168.2.21"])));
    bench.fib.kernel_done(Ok(ops.iter().map(|_| Ok(())).collect()));
    assert_eq!(bench.work(), Some(no_table("10.20.0.0/16")));
    bench.applied();
    assert_eq!(bench.work(), None);
    assert!(bench.fib.idle());
}

#[test]
fn batches_are_bounded_and_follow_each_other() {
    let mut bench = Bench::usual();
    let prefixes: Vec<IpNet> = (0..2500u32).map(|n| net(&format!("10.{}.{}.0/24", n / 256, n % 256))).collect();
    bench.fib.changes(
        prefixes.iter().map(|&prefix| FibChange { prefix, choice: Some(choice(&["169.254.64.2"])) }).collect(),
    );
    let mut sizes = Vec::new();
    while let Some(work) = bench.work() {
        match work {
            Work::Tunnel(changes) => sizes.push(changes.len()),
            Work::Kernel(ops) => bench.fib.kernel_done(Ok(ops.iter().map(|_| Ok(())).collect())),
            other => panic!("{other:?}"),
        }
        bench.applied();
    }
    assert_eq!(sizes, [1000, 1000, 500]);
    assert_eq!(bench.fib.counts(), BTreeMap::from([(State::Installed, 2500)]));
    let first = bench.fib.routes(None, 2);
    let next = bench.fib.routes(Some(first[1].prefix), 2);
    assert_eq!(first.iter().chain(&next).map(|view| view.prefix).collect::<Vec<_>>(), prefixes[..4]);
}

#[test]
fn a_next_hop_is_looked_up_again_when_the_route_in_its_way_is_gone() {
    let mut bench = Bench::usual();
    bench.want("10.99.0.0/16", Some(choice(&["192.168.2.21"])));
    bench.finish();
    let why = "reached only by 10.99.0.0/16, a route of ours".to_owned();
    bench.resolve("10.99.0.1", Resolution::Unreachable(why));
    bench.want("10.99.0.0/16", None);
    assert_eq!(bench.work(), Some(delete("10.99.0.0/16")));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert_eq!(bench.work(), Some(Work::Resolve(vec![nh("10.99.0.1")])));
}

#[test]
fn static_routes_of_a_tunnel_without_bgp_are_there_from_the_start_and_win() {
    let mut settings = settings();
    let tunnel = settings.tunnel.as_mut().unwrap();
    tunnel.peers =
        vec![TunnelPeer { static_routes: true, ..peer(EU, "eu", &["10.20.0.0/16", "169.254.64.2/32"], &[]) }];
    let mut fib = Fib::new(settings, Vec::new());
    let routes = ["10.20.0.0/16", "169.254.64.2/32"].map(|prefix| RouteOp::Replace(route(prefix, hops(&[(None, WG)]))));
    assert_eq!(fib.poll_work(Instant::now()), Some(Work::Kernel(routes.to_vec())));
    fib.kernel_done(Ok(vec![Ok(()), Ok(())]));
    fib.changes(vec![change("10.20.0.0/16", Some(choice(&["192.168.2.20"]))), change("10.20.0.0/16", None)]);
    assert_eq!(fib.poll_work(Instant::now()), None);
    fib.withdraw_all();
    let Some(Work::Kernel(gone)) = fib.poll_work(Instant::now()) else { panic!("{fib:?}") };
    assert_eq!(gone.len(), 2);
}

#[test]
fn a_clean_stop_waits_for_a_refused_deletion_but_for_no_route_that_never_came() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.finish();
    bench.want("10.244.2.0/24", Some(choice(&["192.168.2.21"])));
    bench.work();
    bench.fib.kernel_done(refused());
    bench.work();
    bench.fib.withdraw_all();
    assert_eq!(bench.work(), Some(delete("10.244.1.0/24")));
    bench.fib.kernel_done(refused());
    assert_eq!(bench.work(), None);
    assert!(bench.fib.idle() && !bench.fib.withdrawn());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.work(), Some(delete("10.244.1.0/24")));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert!(bench.fib.withdrawn());
}

#[test]
fn a_route_comes_at_once_when_the_foreign_one_in_its_way_may_have_gone() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    for _ in 0..5 {
        bench.work();
        bench.fib.kernel_done(foreign());
        bench.work();
        bench.now = bench.fib.next_timeout().unwrap();
    }
    bench.now -= Duration::from_secs(10);
    assert_eq!(bench.work(), None);
    bench.fib.host_changed();
    let work = std::iter::from_fn(|| bench.work()).find(|work| matches!(work, Work::Kernel(_)));
    assert_eq!(work, Some(replace("10.244.1.0/24", hops(&[(Some("192.168.2.21"), LAN)]))));
}
