//! We restart: neighbors are waited for before anybody is told anything (RFC 4724 §4.1).

use bgpd::speaker::{Command, Input, NextHopState, Restarted};
use bgpd::view::SessionState;

use super::*;

fn both_keep() -> Settings {
    gateway().session("right", keeps).originating(&["10.9.0.0/16"])
}

fn before(neighbors: &[&str]) -> Restarted {
    Restarted { neighbors: neighbors.iter().map(|name| (*name).to_owned()).collect(), forwarding: true }
}

/// It has just started; these neighbors had sessions with the one before.
fn restarted_with(settings: Settings, before: Restarted) -> Network {
    let mut network = Network::new(5, [(address("10.0.0.1"), settings)]);
    network.input(GATEWAY, Input::Restarted(before));
    network
}

fn restarted(neighbors: &[&str]) -> Network {
    restarted_with(both_keep(), before(neighbors))
}

fn right(network: &mut Network) -> Raw {
    Raw::establish_with(network, GATEWAY, "10.0.0.12", 64514, &[Capability::GracefulRestart(restart())])
}

/// What it has heard but the OPEN.
fn routes_heard(network: &mut Network, raw: &mut Raw) -> Vec<String> {
    raw.hear(network).into_iter().filter(|line| !line.starts_with("open")).collect()
}

#[test]
fn the_first_open_to_a_neighbor_says_that_we_have_restarted_and_the_next_only_that_we_forward() {
    for (before, first) in [
        (Some(before(&["left"])), "open 64512 hold 90 graceful-restart 120s R N ipv4:F ipv6:F"),
        (Some(Restarted::default()), "open 64512 hold 90 graceful-restart 120s R N ipv4 ipv6"),
        (None, "open 64512 hold 90 graceful-restart 120s N ipv4 ipv6"),
    ] {
        let mut network = Network::new(5, [(address("10.0.0.1"), both_keep())]);
        if let Some(before) = before {
            network.input(GATEWAY, Input::Restarted(before));
        }
        let mut left = left(&mut network);
        assert_eq!(left.hear(&mut network)[0], first);
        left.lose(&mut network);
        let mut left = super::left(&mut network);
        assert_eq!(left.hear(&mut network)[0], "open 64512 hold 90 graceful-restart 120s N ipv4:F ipv6:F");
    }
}

#[test]
fn nobody_is_told_anything_until_every_neighbor_of_before_has_told_all() {
    let mut network = restarted(&["left", "right"]);
    let mut left = left(&mut network);
    let mut right = right(&mut network);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    right.end_of_rib(&mut network, &[Family::Ipv4]);
    network.run_for(Duration::from_secs(20));
    assert_eq!(routes_heard(&mut network, &mut left), [""; 0]);
    assert_eq!(routes_heard(&mut network, &mut right), [""; 0]);
    let note = network.neighbor(GATEWAY, "right").note.unwrap();
    assert!(note.contains("waited for since our restart, for 160 s more"), "{note}");
    assert!(!network.nodes[GATEWAY].fib_complete);
    assert_eq!(kept(&network), TWO, "the FIB hears at once, and keeps what it has");

    right.end_of_rib(&mut network, &[Family::Ipv6]);
    network.run_for(SECOND);
    let own = "10.9.0.0/16 via 10.0.0.1 igp [64512]";
    assert_eq!(routes_heard(&mut network, &mut left), [own, "end of ipv4", "end of ipv6"]);
    let mut heard = routes_heard(&mut network, &mut right);
    heard.sort();
    assert_eq!(heard, ["10.1.0.0/16,10.2.0.0/16 via 10.0.0.1 igp [64512 64513]", own, "end of ipv4", "end of ipv6"]);
    assert!(network.nodes[GATEWAY].fib_complete);
}

#[test]
fn a_neighbor_of_before_that_stays_away_is_waited_for_until_the_deferral_ends() {
    let mut network = restarted(&["left", "right"]);
    let mut left = left(&mut network);
    left.end_of_rib(&mut network, &Family::ALL);
    for _ in 0..2 {
        network.run_for(Duration::from_secs(80));
        left.say(&mut network, bgpd::wire::write_keepalive);
    }
    assert_eq!(routes_heard(&mut network, &mut left), [""; 0]);
    network.run_for(Duration::from_secs(21));
    assert_eq!(routes_heard(&mut network, &mut left).len(), 3);
    assert!(network.nodes[GATEWAY].fib_complete);
    let mut right = right(&mut network);
    network.run_for(SECOND);
    let open = right.hear(&mut network).remove(0);
    assert!(open.ends_with("R N ipv4:F ipv6:F"), "it may still keep our routes: {open}");
}

#[test]
fn who_was_not_up_before_is_not_waited_for() {
    type Step = fn(&mut Network);
    let cases: [(&[&str], Step); 5] = [
        (&["left"], |_| {}),
        (&["left", "unknown", "range/10.7.0.1"], |_| {}),
        (&["left", "right"], |network| network.command(GATEWAY, "right", Command::Disable(None))),
        (&["left", "right"], |network| {
            let mut settings = both_keep();
            settings.neighbors.remove("right");
            network.reload(GATEWAY, settings);
        }),
        // It keeps nothing, and has no End-of-RIB.
        (&["left", "right"], |network| {
            Raw::establish(network, GATEWAY, "10.0.0.12", 64514);
        }),
    ];
    for (neighbors, step) in cases {
        let mut network = restarted(neighbors);
        let mut left = left(&mut network);
        step(&mut network);
        network.run_for(SECOND);
        assert_eq!(routes_heard(&mut network, &mut left), [""; 0], "{neighbors:?}");
        left.end_of_rib(&mut network, &Family::ALL);
        network.run_for(SECOND);
        assert_eq!(routes_heard(&mut network, &mut left).len(), 3, "{neighbors:?}");
        assert!(network.nodes[GATEWAY].fib_complete);
    }
}

#[test]
fn a_neighbor_that_has_restarted_itself_is_told_first_and_the_kernel_waits_for_what_it_tells() {
    let mut network = restarted(&["left", "right"]);
    let mut left = left(&mut network);
    let has_restarted = Capability::GracefulRestart(GracefulRestart { restarted: true, ..restart() });
    let mut right = Raw::establish_with(&mut network, GATEWAY, "10.0.0.12", 64514, &[has_restarted]);
    network.run_for(SECOND);
    assert_eq!(routes_heard(&mut network, &mut left), [""; 0]);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!(routes_heard(&mut network, &mut left).len(), 3);
    assert_eq!(routes_heard(&mut network, &mut right).len(), 3);
    assert!(!network.nodes[GATEWAY].fib_complete, "what the kernel has of it would go, and come again");
    right.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert!(network.nodes[GATEWAY].fib_complete);
}

#[test]
fn a_neighbor_of_a_range_is_waited_for_too() {
    let settings = both_keep().with_range("nodes", crate::settings::range("10.7.0.0/16", 64515, 9));
    let settings = {
        let mut settings = settings;
        keeps(&mut settings.dynamic_neighbors.get_mut("nodes").unwrap().session);
        settings
    };
    let mut network = restarted_with(settings, before(&["left", "nodes/10.7.0.1"]));
    let mut left = left(&mut network);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(Duration::from_secs(60));
    assert_eq!(routes_heard(&mut network, &mut left), [""; 0]);
    let capability = [Capability::GracefulRestart(restart())];
    let mut node = Raw::establish_with(&mut network, GATEWAY, "10.7.0.1", 64515, &capability);
    assert!(node.hear(&mut network)[0].ends_with("R N ipv4:F ipv6:F"));
    node.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!(routes_heard(&mut network, &mut left).len(), 3);
}

#[test]
fn a_first_start_waits_for_nobody() {
    for before in [None, Some(Restarted::default())] {
        let mut network = Network::new(5, [(address("10.0.0.1"), both_keep())]);
        if let Some(before) = before {
            network.input(GATEWAY, Input::Restarted(before));
        }
        let mut left = left(&mut network);
        network.run_for(SECOND);
        assert_eq!(routes_heard(&mut network, &mut left).len(), 3);
    }
}

#[test]
fn what_the_host_has_not_answered_yet_is_waited_for_as_well() {
    let mut network = restarted(&["left"]);
    network.nodes[GATEWAY].mute = true;
    let mut left = left(&mut network);
    let mut right = right(&mut network);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!(routes_heard(&mut network, &mut right), [""; 0]);
    let up = NextHopState { up: true, connected: true, ..NextHopState::default() };
    network.answer(GATEWAY, address("10.0.0.11"), up);
    network.run_for(SECOND);
    let heard = routes_heard(&mut network, &mut right);
    assert_eq!((heard.len(), heard.last().map(String::as_str)), (4, Some("end of ipv6")), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("10.1.0.0/16")), "all is told before End-of-RIB");
}

/// Two speakers with each other, one of which restarts.
fn pair() -> (Network, Settings) {
    let one = router(64512, "10.0.0.1").with_neighbor("two", neighbor("10.0.0.2", 64513)).session("two", keeps);
    let two = router(64513, "10.0.0.2").with_neighbor("one", neighbor("10.0.0.1", 64512)).session("one", keeps);
    let one = one.originating(&["10.1.0.0/16", "10.3.0.0/16"]);
    let two = two.originating(&["10.2.0.0/16"]);
    let mut network = Network::new(9, [(address("10.0.0.1"), one.clone()), (address("10.0.0.2"), two)]);
    network.run_until("routes both ways", |network| network.fib(0).len() == 1 && network.fib(1).len() == 2);
    network.run_for(SECOND);
    (network, one)
}

#[test]
fn a_restart_is_not_seen_in_the_routes_of_the_other_side() {
    let (mut network, one) = pair();
    network.nodes[1].fib_changes.clear();
    network.restart(0, one, before(&["two"]));
    network.run_until("the session is back", |network| {
        network.state(0, "two") == SessionState::Established && network.state(1, "one") == SessionState::Established
    });
    network.run_for(SECOND);
    assert!(network.nodes[0].fib_complete);
    assert_eq!(network.nodes[1].fib_changes, []);
    assert_eq!(network.fib(0).len(), 1);
    assert!(network.routes(1).iter().flat_map(|route| &route.paths).all(|path| !path.stale));
}

#[test]
fn what_is_not_there_any_more_after_a_restart_goes_on_the_other_side() {
    let (mut network, mut one) = pair();
    one.originate.pop();
    network.restart(0, one, before(&["two"]));
    network.run_until("the route goes", |network| network.fib(1).len() == 1);
    assert_eq!(network.nodes[1].fib_changes.last().unwrap().to_string(), "10.3.0.0/16");
}
