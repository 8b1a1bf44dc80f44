//! Changes that meet: reloads, limits and lost sessions while something else is under way.

use std::time::Duration;

use bgpd::settings::{PrefixLimit, Settings};
use bgpd::speaker::{Command, Input};
use bgpd::types::{Families, Family};
use bgpd::view::SessionState;
use bgpd::wire;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, range, router};

const GATEWAY: usize = 0;

fn network(settings: Settings) -> Network {
    Network::new(7, [(address("10.0.0.1"), settings)])
}

#[test]
fn an_originated_prefix_gives_way_to_its_aggregate_in_one_reload() {
    let before = router(64512, "10.0.0.1").originating(&["10.42.1.0/24"]);
    let mut network = network(before);
    network.run_for(Duration::from_secs(1));
    let after = router(64512, "10.0.0.1").aggregating("10.42.0.0/16", true, true);
    network.reload(GATEWAY, after);
    network.run_for(Duration::from_secs(1));
    assert!(network.route(GATEWAY, "10.42.0.0/16").is_none(), "nothing more specific is left\n{network}");
}

#[test]
fn a_disabled_dynamic_neighbor_stays_down() {
    let mut network = network(router(64512, "10.0.0.1").with_range("cilium", range("10.0.60.0/24", 64520, 2)));
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Disable(None));
    network.run_for(Duration::from_secs(301));
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(network.state(GATEWAY, "cilium/10.0.60.21"), SessionState::Idle);
}

#[test]
fn a_dynamic_neighbor_over_its_limit_stays_down_until_reset() {
    let mut limited = range("10.0.60.0/24", 64520, 2);
    limited.session.max_prefixes = Some(PrefixLimit::new(1));
    let mut network = network(router(64512, "10.0.0.1").with_range("cilium", limited));
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    node.announce(&mut network, &path(&[64520]), "10.0.60.21", &["10.42.1.0/24", "10.42.2.0/24"]);
    assert!(node.is_closed(&network));
    network.run_for(Duration::from_secs(301));
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(network.state(GATEWAY, "cilium/10.0.60.21"), SessionState::Idle);
}

#[test]
fn a_lower_limit_holds_at_once() {
    let settings = router(64512, "10.0.0.1").with_neighbor("far", neighbor("10.0.0.9", 64520));
    let mut network = network(settings.clone());
    let mut raw = Raw::establish(&mut network, GATEWAY, "10.0.0.9", 64520);
    raw.announce(&mut network, &path(&[64520]), "10.0.0.9", &["10.42.1.0/24", "10.42.2.0/24"]);
    network.reload(GATEWAY, settings.session("far", |session| session.max_prefixes = Some(PrefixLimit::new(1))));
    network.run_for(Duration::from_secs(1));
    assert!(raw.is_closed(&network));
}

#[test]
fn a_refresh_of_a_family_that_was_not_negotiated_is_ignored() {
    let settings = router(64512, "10.0.0.1")
        .with_neighbor("far", neighbor("10.0.0.9", 64520))
        .session("far", |session| session.families = Some(Families::IPV4))
        .originating(&["10.20.0.0/16"]);
    let mut network = network(settings);
    let mut raw = Raw::establish(&mut network, GATEWAY, "10.0.0.9", 64520);
    raw.hear(&mut network);
    raw.say(&mut network, |out| wire::write_route_refresh(Family::Ipv6, 0, out));
    assert_eq!(raw.hear(&mut network), [""; 0]);
}

#[test]
fn a_longer_range_takes_over_at_reload() {
    let settings = router(64512, "10.0.0.1").with_range("cilium", range("10.0.60.0/24", 64520, 9));
    let mut network = network(settings.clone());
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    network.reload(GATEWAY, settings.with_range("special", range("10.0.60.21/32", 64520, 9)));
    network.run_for(Duration::from_secs(1));
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(network.state(GATEWAY, "special/10.0.60.21"), SessionState::Established, "{network}");
}

#[test]
fn a_configured_neighbor_takes_the_place_of_a_dynamic_one() {
    let settings = router(64512, "10.0.0.1").with_range("cilium", range("10.0.60.0/24", 64520, 9));
    let mut network = network(settings.clone());
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    let mut configured = neighbor("10.0.60.21", 64520);
    configured.passive = true;
    network.reload(GATEWAY, settings.with_neighbor("node", configured));
    network.run_for(Duration::from_secs(1));
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(network.state(GATEWAY, "node"), SessionState::Established);
    let up = network.nodes[GATEWAY]
        .speaker
        .neighbors(network.now)
        .iter()
        .filter(|view| view.state == SessionState::Established)
        .count();
    assert_eq!(up, 1, "one address, one socket, two sessions");
}

#[test]
fn an_aggregate_counts_right_while_a_lost_session_is_swept() {
    let settings = router(64512, "10.0.0.1").with_neighbor("far", neighbor("10.0.0.9", 64520));
    let mut network = network(settings.clone());
    let mut raw = Raw::establish(&mut network, GATEWAY, "10.0.0.9", 64520);
    for high in 0..40_u32 {
        let prefixes: Vec<String> = (0..250).map(|low| format!("10.{high}.{low}.0/24")).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        raw.announce(&mut network, &path(&[64520]), "10.0.0.9", &prefixes);
    }
    let now = network.now;
    // the session ends and the summary comes in the turns after one another, before the sweep is done
    let id = raw.id();
    let speaker = &mut network.nodes[GATEWAY].speaker;
    speaker.input(now, Input::Closed { connection: id, error: None });
    speaker.input(now, Input::Settings(Box::new(settings.aggregating("10.0.0.0/8", true, true))));
    network.run_for(Duration::from_secs(60));
    assert!(network.route(GATEWAY, "10.0.0.0/8").is_none(), "stale aggregate");
}

#[test]
fn the_reason_that_a_neighbor_gave_outlives_tries_that_come_to_nothing() {
    let settings = router(64512, "10.0.0.1").with_neighbor("it", neighbor("10.0.0.11", 64513));
    let mut network = Network::new(5, [(address("10.0.0.1"), settings)]);
    let mut raw = Raw::settled(&mut network, 0, "10.0.0.11", 64513);
    raw.say(&mut network, |out| {
        wire::Notification { data: b"\x04back".to_vec(), ..wire::Notification::new(6, 2) }.write(out)
    });
    let told = |network: &Network| network.neighbor(0, "it").last_error.unwrap().text;
    assert_eq!(told(&network), "received Cease/Administrative Shutdown: \"back\"");
    let again = Raw::connect(&mut network, 0, "10.0.0.11", 64513);
    network.input(0, Input::Closed { connection: again.id(), error: Some("reset by peer".to_owned()) });
    assert_eq!(told(&network), "received Cease/Administrative Shutdown: \"back\"");
}
