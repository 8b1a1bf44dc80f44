//! How we leave: so that our routes are kept, or for good (RFC 8538 §5).

use bgpd::settings::PrefixLimit;
use bgpd::speaker::{Command, Input, Stop};

use super::*;

fn hard(code: &str) -> Vec<String> {
    vec![format!("notification 6/9 Cease/Hard Reset ({code})")]
}

#[test]
fn what_ends_for_good_is_a_hard_reset_and_leaves_nothing() {
    type Step = fn(&mut Network, &mut Raw);
    let cases: [(Step, &str); 6] = [
        (
            |network, _| network.command(GATEWAY, "left", Command::Disable(Some("bye".to_owned()))),
            "Cease/Administrative Shutdown: \"bye\"",
        ),
        (|network, _| network.command(GATEWAY, "left", Command::Reset), "Cease/Administrative Reset"),
        (
            |network, _| {
                let mut settings = gateway();
                settings.neighbors.remove("left");
                network.reload(GATEWAY, settings);
            },
            "Cease/Peer De-configured",
        ),
        (
            |network, _| {
                let mut settings = gateway();
                settings.neighbors.get_mut("left").unwrap().shutdown = true;
                network.reload(GATEWAY, settings);
            },
            "Cease/Administrative Shutdown",
        ),
        (
            |network, left| {
                network.reload(
                    GATEWAY,
                    gateway().session("left", |session| session.max_prefixes = Some(PrefixLimit::new(2))),
                );
                tell(network, left, &["10.3.0.0/16"]);
            },
            "Cease/Maximum Number of Prefixes Reached",
        ),
        (|network, _| network.input(GATEWAY, Input::Stop(Stop::Withdraw)), "Cease/Administrative Shutdown"),
    ];
    for (end, code) in cases {
        let (mut network, mut left, _right) = settled();
        end(&mut network, &mut left);
        assert_eq!(left.hear(&mut network), hard(code));
        network.run_for(SECOND);
        assert_eq!(network.routes(GATEWAY).len(), 0, "{code}");
    }
}

#[test]
fn without_n_the_reason_stands_for_itself() {
    let (mut network, mut left, _right) = settled_with(gateway(), GracefulRestart { notification: false, ..restart() });
    network.command(GATEWAY, "left", Command::Disable(None));
    assert_eq!(left.hear(&mut network), ["notification 6/2 Cease/Administrative Shutdown"]);
    network.run_for(SECOND);
    assert_eq!(network.routes(GATEWAY).len(), 0);
}

#[test]
fn what_is_kept_goes_when_its_neighbor_is_not_wanted_any_more() {
    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    network.command(GATEWAY, "left", Command::Disable(None));
    network.run_for(SECOND);
    assert_eq!(network.routes(GATEWAY).len(), 0);

    let (mut network, left, _right) = settled();
    left.lose(&mut network);
    let mut settings = gateway();
    settings.neighbors.remove("left");
    network.reload(GATEWAY, settings);
    network.run_for(SECOND);
    assert_eq!(network.routes(GATEWAY).len(), 0);
}

#[test]
fn who_keeps_our_routes_hears_nothing_when_they_stay_and_the_others_a_cease() {
    let (mut network, mut left, mut right) = settled();
    network.input(GATEWAY, Input::Stop(Stop::Keep));
    assert_eq!(left.hear(&mut network), [""; 0]);
    assert!(left.is_closed(&network));
    assert_eq!(right.hear(&mut network), ["notification 6/2 Cease/Administrative Shutdown"]);
}

#[test]
fn settings_that_need_another_session_keep_the_routes_of_the_same_neighbor() {
    let (mut network, mut left, mut right) = settled();
    let slower = |session: &mut SessionSettings| session.hold_time = bgpd::types::HoldTime::new(180).unwrap();
    network.reload(GATEWAY, gateway().session("left", slower));
    assert_eq!(left.hear(&mut network), ["notification 6/6 Cease/Other Configuration Change"]);
    network.run_for(SECOND);
    assert_eq!(stale(&network), TWO);
    comes_back_unchanged(&mut network, &mut right);
}

#[test]
fn a_new_address_is_another_neighbor() {
    let (mut network, mut left, _right) = settled();
    let mut settings = gateway();
    settings.neighbors.get_mut("left").unwrap().address = address("10.0.0.13");
    network.reload(GATEWAY, settings);
    assert_eq!(left.hear(&mut network), hard("Cease/Other Configuration Change"));
    network.run_for(SECOND);
    assert_eq!(network.routes(GATEWAY).len(), 0);
}
