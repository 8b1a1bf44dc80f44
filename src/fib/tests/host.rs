//! What the host has of a former run, refuses, loses, and is left with.

use super::*;

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

#[test]
fn a_clean_stop_waits_for_nothing_but_the_kernels_routes() {
    let mut bench = Bench::usual();
    bench.want("10.20.0.0/16", Some(choice(&["169.254.64.2"])));
    bench.finish();
    // An answer of the tunnel and one about next hops are still out, and never come.
    bench.want("10.21.0.0/16", Some(choice(&["169.254.64.2"])));
    assert!(matches!(bench.work(), Some(Work::Tunnel(_))));
    bench.fib.host_changed();
    assert!(matches!(bench.work(), Some(Work::Resolve(_))));
    bench.fib.withdraw_all();
    assert_eq!(bench.work(), Some(delete("10.20.0.0/16")));
    assert!(!bench.fib.withdrawn());
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert!(bench.fib.withdrawn());
}

#[test]
fn a_clean_stop_tries_at_once_what_was_refused_before() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    bench.finish();
    bench.want("10.244.1.0/24", None);
    for _ in 0..4 {
        assert_eq!(bench.work(), Some(delete("10.244.1.0/24")));
        bench.fib.kernel_done(refused());
        assert_eq!(bench.work(), None);
        bench.now = bench.fib.next_timeout().unwrap();
    }
    bench.now -= Duration::from_secs(7);
    assert_eq!(bench.work(), None);
    bench.fib.withdraw_all();
    assert_eq!(bench.work(), Some(delete("10.244.1.0/24")));
}

#[test]
fn a_kept_route_that_others_have_deleted_is_put_back_at_once() {
    let kept = hops(&[(Some("192.168.2.21"), LAN)]);
    let found = ["10.244.1.0/24", "10.244.2.0/24"].map(|prefix| route(prefix, kept.clone()));
    let mut bench = Bench::usual_with(Settings { restarted: true, ..settings() }, found.to_vec());
    let wanted = hops(&[(Some("192.168.2.22"), LAN)]);
    // Before the speaker speaks of it, and after.
    bench.fib.own_route_lost(&found[0]);
    assert_eq!(bench.work(), None);
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.22"])));
    assert_eq!(bench.work(), Some(replace("10.244.1.0/24", wanted.clone())));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    bench.want("10.244.2.0/24", Some(choice(&["192.168.2.22"])));
    assert_eq!(bench.work(), None);
    bench.fib.resync(vec![route("10.244.1.0/24", wanted.clone())]);
    assert_eq!(bench.work(), Some(replace("10.244.2.0/24", wanted)));
}

#[test]
fn what_was_refused_is_tried_at_once_when_the_host_changes() {
    let mut bench = Bench::usual();
    bench.want("10.244.1.0/24", Some(choice(&["192.168.2.21"])));
    for _ in 0..5 {
        assert!(matches!(bench.work(), Some(Work::Kernel(_))));
        bench.fib.kernel_done(refused());
        assert_eq!(bench.work(), None);
        bench.now = bench.fib.next_timeout().unwrap();
    }
    bench.now -= Duration::from_secs(10);
    // The address that it has for a source is back, or its link is up.
    bench.fib.host_changed();
    let work = std::iter::from_fn(|| bench.work()).find(|work| matches!(work, Work::Kernel(_)));
    assert_eq!(work, Some(replace("10.244.1.0/24", hops(&[(Some("192.168.2.21"), LAN)]))));
}

#[test]
fn when_nobody_is_waited_for_any_more_only_what_nobody_wants_is_kept() {
    let kept = hops(&[(Some("192.168.2.21"), LAN)]);
    let found = ["10.244.1.0/24", "10.244.2.0/24"].map(|prefix| route(prefix, kept.clone()));
    let mut bench = Bench::usual_with(Settings { restarted: true, ..settings() }, found.to_vec());
    let wanted = || Some(choice(&["192.168.2.22"]));
    bench.want("10.244.1.0/24", wanted());
    assert_eq!(bench.work(), None);
    bench.fib.release();
    assert_eq!(bench.work(), Some(replace("10.244.1.0/24", hops(&[(Some("192.168.2.22"), LAN)]))));
    bench.fib.kernel_done(Ok(vec![Ok(())]));
    assert_eq!(bench.work(), None);
    assert_eq!(bench.state("10.244.2.0/24"), (State::Stale, None));
    bench.want("10.244.2.0/24", wanted());
    assert_eq!(bench.work(), Some(replace("10.244.2.0/24", hops(&[(Some("192.168.2.22"), LAN)]))));
}

#[test]
fn a_static_route_waits_for_no_neighbor_of_before() {
    let mut settings = Settings { restarted: true, ..settings() };
    settings.tunnel.as_mut().unwrap().peers =
        vec![TunnelPeer { static_routes: true, ..peer(EU, "eu", &["10.20.0.0/16"], &[]) }];
    let found = route("10.20.0.0/16", hops(&[(Some("192.168.2.21"), LAN)]));
    let mut bench = Bench::with(settings, vec![found]);
    assert_eq!(bench.work(), Some(replace("10.20.0.0/16", hops(&[(None, WG)]))));
}
