//! What is installed for which choice of the speaker, and in which order the tunnel and the kernel hear of it.

use super::*;

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
fn static_routes_follow_the_allowed_ips_of_their_peer() {
    let with = |allowed_ips: &[&str]| vec![TunnelPeer { static_routes: true, ..peer(EU, "eu", allowed_ips, &[]) }];
    let mut settings = settings();
    settings.tunnel.as_mut().unwrap().peers = with(&["10.20.0.0/16", "10.21.0.0/16"]);
    let mut bench = Bench::new(settings);
    bench.finish();
    bench.fib.tunnel_peers(with(&["10.20.0.0/16", "10.22.0.0/16"]));
    let gone = RouteOp::Delete(route("10.21.0.0/16", Target::Hops(Vec::new())));
    let new = RouteOp::Replace(route("10.22.0.0/16", hops(&[(None, WG)])));
    assert_eq!(bench.work(), Some(Work::Kernel(vec![new, gone])));
    bench.fib.kernel_done(Ok(vec![Ok(()), Ok(())]));
    assert_eq!(bench.work(), None);
}

#[test]
fn where_a_static_route_goes_the_speakers_route_comes_at_once() {
    let with = |static_routes: &[&str]| {
        let eu = peer(EU, "eu", &["169.254.64.2/32"], &["10.0.0.0/8"]);
        vec![eu, TunnelPeer { static_routes: true, ..peer(US, "us", static_routes, &[]) }]
    };
    let mut settings = settings();
    settings.tunnel.as_mut().unwrap().peers = with(&["10.20.0.0/16", "10.21.0.0/16", "10.22.0.0/16"]);
    let mut bench = Bench::usual_with(settings, Vec::new());
    bench.finish();
    // Said of static routes: one by the LAN, one by the tunnel, one that was taken back.
    bench.want("10.20.0.0/16", Some(choice(&["192.168.2.21"])));
    bench.want("10.21.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.want("10.22.0.0/16", Some(choice(&["192.168.2.21"])));
    bench.want("10.22.0.0/16", None);
    assert_eq!(bench.work(), None);

    bench.fib.tunnel_peers(with(&[]));
    let into_tunnel = hops(&[(None, WG)]);
    let by_lan = RouteOp::Replace(route("10.20.0.0/16", hops(&[(Some("192.168.2.21"), LAN)])));
    let gone = RouteOp::Delete(route("10.22.0.0/16", Target::Hops(Vec::new())));
    assert_eq!(bench.work(), Some(table("10.21.0.0/16", &[EU], &[], &[EU])));
    bench.applied();
    assert_eq!(bench.work(), Some(Work::Kernel(vec![by_lan, gone])), "10.21.0.0/16 leads into the tunnel as before");
    bench.fib.kernel_done(Ok(vec![Ok(()), Ok(())]));
    bench.finish();

    // What the speaker has said before it is one, too.
    bench.fib.tunnel_peers(with(&["10.20.0.0/16"]));
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", into_tunnel)));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    bench.fib.tunnel_peers(with(&[]));
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(Some("192.168.2.21"), LAN)]))));
}

#[test]
fn whom_the_tunnel_admits_is_told_in_looks_of_a_few() {
    let mut settings = settings();
    settings.tunnel.as_mut().unwrap().peers[0].static_routes = true;
    let elsewhere = Route { metric: 10, ..route("10.3.0.0/16", Target::Discard) };
    let mut bench = Bench::usual_with(settings, vec![elsewhere]);
    bench.want("10.1.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.want("10.2.0.0/16", Some(choice(&["192.168.2.21"])));
    let backup = FibChoice { accepted: vec![nh("169.254.64.2"), nh("169.254.64.6")], ..choice(&["169.254.64.6"]) };
    bench.want("10.3.0.0/16", Some(backup));
    bench.finish();
    // The tunnel has not heard of this one.
    bench.want("10.4.0.0/16", Some(choice(&["169.254.64.2"])));
    assert!(matches!(bench.work(), Some(Work::Tunnel(_))));
    for most in 1..8 {
        let (mut told, mut after, mut looks) = (Vec::new(), None, 0);
        loop {
            let Permitted { prefixes, next } = bench.fib.permitted(after, most);
            assert!(prefixes.len() <= most);
            told.extend(prefixes.into_iter().map(|(prefix, group)| (prefix, group.accept.clone())));
            (after, looks) = (next, looks + 1);
            if next.is_none() {
                break;
            }
        }
        assert_eq!(told, [(net("10.1.0.0/16"), vec![EU]), (net("10.3.0.0/16"), vec![EU, US])], "{most}");
        assert_eq!(looks, bench.fib.entries.len().div_ceil(most), "{most}");
    }
    assert!(Bench::new(super::settings()).fib.permitted(None, 8).next.is_none());
}
