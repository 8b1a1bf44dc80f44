//! What the host knows of a next hop, and what no route may capture.

use super::*;

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
fn an_endpoint_that_moves_takes_the_guard_along_from_family_to_family() {
    let mut bench = Bench::usual();
    let routes = ["2001:db8:1::/48", "198.51.0.0/16"];
    routes.iter().for_each(|route| bench.want(route, Some(choice(&["169.254.64.2"]))));
    bench.finish();
    for (endpoint, default, [captures, other]) in [
        ("2001:db8:1::7", "::/0", routes),
        ("198.51.100.7", "0.0.0.0/0", [routes[1], routes[0]]),
        ("2001:db8:1::8", "::/0", routes),
    ] {
        bench.fib.endpoints(vec![endpoint.parse().unwrap()]);
        while let Some(work) = bench.work() {
            match work {
                Work::Resolve(_) => {
                    bench.fib.resolved(vec![(nh(endpoint), via(Some("10.20.0.1"), 3, default, 0))]);
                }
                Work::Kernel(ops) => bench.fib.kernel_done(Ok(ops.iter().map(|_| Ok(())).collect())),
                Work::Tunnel(_) => bench.applied(),
                Work::NextHops(_) => {}
            }
        }
        assert_eq!(bench.state(captures).0, State::Failed, "{endpoint}");
        assert_eq!(bench.state(other).0, State::Installed, "{endpoint}");
    }
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
fn answers_that_were_lost_are_asked_for_again() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.work();
    bench.fib.kernel_done(Err(io::Error::other("No buffer space available")));
    bench.want("10.244.1.0/24", None);
    assert_eq!(bench.work(), Some(delete("10.244.1.0/24")), "it may be there");
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
fn a_next_hop_follows_the_allowed_ips_of_peers_that_change() {
    let mut bench = Bench::usual();
    bench.want("10.244.0.0/16", Some(choice(&["169.254.64.2"])));
    assert_eq!(bench.work(), Some(table("10.244.0.0/16", &[EU], &[], &[EU])));
    bench.applied();
    bench.finish();
    let us = |allowed_ips: &[&str]| peer(US, "us", allowed_ips, &["10.0.0.0/8"]);
    bench.fib.tunnel_peers(vec![peer(EU, "eu", &[], &[]), us(&["169.254.64.0/24"])]);
    let Some(Work::NextHops(states)) = bench.work() else { panic!("{:?}", bench.fib) };
    let told: BTreeMap<_, _> =
        states.iter().map(|(hop, state)| (hop.address.to_string(), state.wireguard_peer.as_deref())).collect();
    assert_eq!(
        told,
        BTreeMap::from([("169.254.64.2".to_owned(), Some("us")), ("169.254.64.6".to_owned(), Some("us"))])
    );
    assert_eq!(bench.work(), Some(table("10.244.0.0/16", &[US], &[], &[US])));
    bench.applied();
    bench.finish();
    bench.fib.tunnel_peers(Vec::new());
    bench.finish();
    let why = "next hop 169.254.64.2: no WireGuard peer has 169.254.64.2 in its allowed-ips";
    assert_eq!(bench.state("10.244.0.0/16"), (State::Pending, Some(why.to_owned())));
    assert_eq!(bench.view("10.244.0.0/16").tunnel, None);
}
