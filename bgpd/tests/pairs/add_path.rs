//! Several paths to a prefix (RFC 7911).

use std::time::Duration;

use bgpd::settings::{AddPath, PrefixLimit, Settings};
use bgpd::types::Families;
use bgpd::view::{PathView, SessionState};
use bgpd::wire::{self, AddPathFamily, Capability, Context, RouteRefresh};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;
const PREFIX: &str = "10.1.0.0/16";

/// AS 64512 at 10.0.0.1; `several`, at 10.0.0.10, tells and takes several paths, those at .11 to .13 do not.
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("several", neighbor("10.0.0.10", 64520))
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .with_neighbor("plain", neighbor("10.0.0.13", 64515))
        .session("several", |session| session.add_path = Some(AddPath::Both))
}

fn network(settings: Settings) -> Network {
    Network::new(17, [(address("10.0.0.1"), settings)])
}

/// The neighbor that tells and takes several paths of both families.
fn several(network: &mut Network) -> Raw {
    let families = [1, 2].map(|afi| AddPathFamily { afi, safi: 1, mode: 3 });
    let agreed = |context: &mut Context| {
        context.paths_sent = Families::ALL;
        context.paths_received = Families::ALL;
        context.enhanced_refresh = true;
    };
    let capabilities = [Capability::AddPath(families.to_vec()), Capability::EnhancedRouteRefresh];
    Raw::with(network, GATEWAY, "10.0.0.10", 64520, &capabilities, agreed)
}

fn others(network: &mut Network) -> [Raw; 3] {
    [("10.0.0.11", 64513), ("10.0.0.12", 64514), ("10.0.0.13", 64515)]
        .map(|(at, number)| Raw::settled(network, GATEWAY, at, number))
}

/// Neighbor and identifier of each path of the prefix, in order.
fn paths(network: &Network) -> Vec<(String, Option<u32>)> {
    let route = network.route(GATEWAY, PREFIX);
    route.map(|route| route.paths.iter().map(name).collect()).unwrap_or_default()
}

fn name(path: &PathView) -> (String, Option<u32>) {
    (path.neighbor.clone(), path.path_id)
}

fn of_several(ids: &[u32]) -> Vec<(String, Option<u32>)> {
    ids.iter().map(|id| ("several".to_owned(), Some(*id))).collect()
}

#[test]
fn paths_of_one_neighbor_stand_beside_each_other_and_go_one_by_one() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    let [_, _, mut plain] = others(&mut network);
    raw.announce_paths(&mut network, &path(&[64520, 65001]), "10.0.0.10", &[(1, PREFIX)]);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.20", &[(2, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[2, 1]));
    assert_eq!(network.neighbor(GATEWAY, "several").received, 1);
    assert_eq!(network.fib(GATEWAY), [(PREFIX.to_owned(), vec!["10.0.0.20".to_owned()])].into());
    // One takes the place of the one with its identifier.
    raw.announce_paths(&mut network, &path(&[64520, 65001, 65002]), "10.0.0.10", &[(2, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[1, 2]));
    plain.hear(&mut network);
    raw.withdraw_paths(&mut network, &[(1, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[2]));
    assert_eq!(plain.hear(&mut network), ["10.1.0.0/16 via 10.0.0.1 igp [64512 64520 65001 65002]"]);
    raw.withdraw_paths(&mut network, &[(3, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[2]), "there is no such path");
    raw.withdraw_paths(&mut network, &[(2, PREFIX)]);
    assert_eq!(plain.hear(&mut network), ["withdraw 10.1.0.0/16"]);
    assert!(network.fib(GATEWAY).is_empty());
    assert_eq!(network.neighbor(GATEWAY, "several").received, 0);
}

#[test]
fn equal_paths_of_one_neighbor_are_used_together_and_the_lower_identifier_is_the_best() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.20", &[(9, PREFIX)]);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(0, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[0, 9]));
    let next_hops = ["10.0.0.10", "10.0.0.20"].map(str::to_owned).to_vec();
    assert_eq!(network.fib(GATEWAY), [(PREFIX.to_owned(), next_hops)].into());
    let route = network.route(GATEWAY, PREFIX).unwrap();
    assert_eq!(route.paths[1].not_best.as_deref(), Some("higher path identifier"));
}

#[test]
fn all_paths_go_with_their_session() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(1, PREFIX), (1, "10.2.0.0/16")]);
    raw.announce_paths(&mut network, &path(&[64520, 65001]), "10.0.0.10", &[(2, PREFIX), (3, "10.2.0.0/16")]);
    raw.say(&mut network, |out| wire::write_end_of_rib(out, bgpd::types::Family::Ipv4));
    network.input(GATEWAY, bgpd::speaker::Input::Closed { connection: raw.id(), error: None });
    network.run_for(Duration::from_secs(1));
    assert!(network.fib(GATEWAY).is_empty() && network.routes(GATEWAY).is_empty());
    // The next session brings them again.
    let mut raw = several(&mut network);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(1, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[1]));
}

#[test]
fn every_usable_path_is_told_with_an_identifier_that_is_never_another_s() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    let [mut left, mut right, mut plain] = others(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &[PREFIX]);
    assert_eq!(raw.hear(&mut network), ["10.1.0.0/16#1 via 10.0.0.1 igp [64512 64513]"]);
    plain.hear(&mut network);
    right.announce(&mut network, &path(&[64514, 65001]), "10.0.0.12", &[PREFIX]);
    let heard = raw.hear(&mut network);
    assert!(heard.contains(&"10.1.0.0/16#2 via 10.0.0.1 igp [64512 64514 65001]".to_owned()), "{heard:?}");
    assert_eq!(plain.hear(&mut network), [""; 0], "the best path is the same");
    let advertised = network.advertised(GATEWAY, "several");
    let mut names: Vec<_> = advertised[0].paths.iter().map(name).collect();
    names.sort();
    assert_eq!(names, [("left".to_owned(), Some(1)), ("right".to_owned(), Some(2))]);
    assert_eq!(network.neighbor(GATEWAY, "several").advertised, 1);

    left.withdraw(&mut network, &[PREFIX]);
    assert!(raw.hear(&mut network).contains(&"withdraw 10.1.0.0/16#1".to_owned()));
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &[PREFIX]);
    assert!(raw.hear(&mut network).contains(&"10.1.0.0/16#3 via 10.0.0.1 igp [64512 64513]".to_owned()));
    right.withdraw(&mut network, &[PREFIX]);
    left.withdraw(&mut network, &[PREFIX]);
    let heard = raw.hear(&mut network).join("; ");
    assert!(heard.contains("withdraw 10.1.0.0/16#2") && heard.contains("withdraw 10.1.0.0/16#3"), "{heard}");
    assert!(network.advertised(GATEWAY, "several").is_empty());
}

#[test]
fn a_neighbor_hears_of_the_others_paths_where_its_own_is_the_best() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    let [mut left, _, mut plain] = others(&mut network);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(5, PREFIX)]);
    assert_eq!(raw.hear(&mut network), [""; 0]);
    plain.hear(&mut network);
    left.announce(&mut network, &path(&[64513, 65001]), "10.0.0.11", &[PREFIX]);
    assert_eq!(raw.hear(&mut network), ["10.1.0.0/16#1 via 10.0.0.1 igp [64512 64513 65001]"]);
    assert_eq!(plain.hear(&mut network), [""; 0]);
    let advertised = network.advertised(GATEWAY, "several");
    assert_eq!(advertised[0].paths.iter().map(name).collect::<Vec<_>>(), [("left".to_owned(), Some(1))]);
}

#[test]
fn no_more_paths_are_told_than_are_installed_together() {
    for (multipath, told) in [(1, 1), (2, 2), (8, 3)] {
        let mut settings = gateway();
        settings.multipath = multipath;
        let mut network = network(settings);
        let mut raw = several(&mut network);
        for (mut other, number) in others(&mut network).into_iter().zip([64513, 64514, 64515]) {
            let at = network.neighbor(GATEWAY, ["left", "right", "plain"][number as usize - 64513]).address.to_string();
            other.announce(&mut network, &path(&[number]), &at, &[PREFIX]);
        }
        raw.hear(&mut network);
        assert_eq!(network.advertised(GATEWAY, "several")[0].paths.len(), told, "{multipath}");
    }
}

#[test]
fn a_late_neighbor_is_told_every_path_and_then_end_of_rib() {
    let mut network = network(gateway());
    let [mut left, mut right, _] = others(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &[PREFIX, "10.2.0.0/16"]);
    right.announce(&mut network, &path(&[64514]), "10.0.0.12", &[PREFIX]);
    right.announce(&mut network, &path(&[64514]), "fd00::12", &["fd00:1::/48"]);
    several(&mut network);
    network.run_for(Duration::from_secs(1));
    let advertised = network.advertised(GATEWAY, "several");
    let counts: Vec<_> = advertised.iter().map(|route| (route.prefix.to_string(), route.paths.len())).collect();
    assert_eq!(counts, [(PREFIX.to_owned(), 2), ("10.2.0.0/16".to_owned(), 1)]);
}

#[test]
fn max_prefixes_counts_paths() {
    let mut network = network(gateway().session("several", |session| session.max_prefixes = Some(PrefixLimit::new(2))));
    let mut raw = several(&mut network);
    for id in 1..=2 {
        raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(id, PREFIX)]);
    }
    assert_eq!(network.state(GATEWAY, "several"), SessionState::Established);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(3, PREFIX)]);
    assert_ne!(network.state(GATEWAY, "several"), SessionState::Established);
}

#[test]
fn a_refresh_takes_the_paths_that_are_not_sent_again() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    for id in 1..=2 {
        raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(id, PREFIX)]);
    }
    let family = bgpd::types::Family::Ipv4;
    raw.say(&mut network, |out| wire::write_route_refresh(family, RouteRefresh::BEGIN, out));
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(2, PREFIX)]);
    raw.say(&mut network, |out| wire::write_route_refresh(family, RouteRefresh::END, out));
    network.run_for(Duration::from_secs(1));
    assert_eq!(paths(&network), of_several(&[2]));
}

#[test]
fn a_malformed_update_withdraws_the_path_that_it_names() {
    let mut network = network(gateway());
    let mut raw = several(&mut network);
    raw.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(1, PREFIX)]);
    raw.announce_paths(&mut network, &path(&[64520, 65001]), "10.0.0.10", &[(2, PREFIX)]);
    // Its first AS is not the neighbor's: treat-as-withdraw.
    raw.announce_paths(&mut network, &path(&[65001]), "10.0.0.10", &[(1, PREFIX)]);
    assert_eq!(paths(&network), of_several(&[2]));
    assert_eq!(network.state(GATEWAY, "several"), SessionState::Established);
}

#[test]
fn two_speakers_tell_each_other_all_that_they_have() {
    let home = router(64512, "192.0.2.1")
        .with_neighbor("other", neighbor("10.0.0.2", 64513))
        .with_neighbor("left", neighbor("10.0.0.11", 64521))
        .with_neighbor("right", neighbor("10.0.0.12", 64522))
        .session("other", |session| session.add_path = Some(AddPath::Send));
    let cloud = router(64513, "192.0.2.2")
        .with_neighbor("other", neighbor("10.0.0.1", 64512))
        .session("other", |session| session.add_path = Some(AddPath::Receive));
    let mut network = Network::new(3, [(address("10.0.0.1"), home), (address("10.0.0.2"), cloud)]);
    network.run_until("established", |network| network.state(1, "other") == SessionState::Established);
    let mut left = Raw::settled(&mut network, 0, "10.0.0.11", 64521);
    let mut right = Raw::settled(&mut network, 0, "10.0.0.12", 64522);
    left.announce(&mut network, &path(&[64521]), "10.0.0.11", &[PREFIX]);
    right.announce(&mut network, &path(&[64522]), "10.0.0.12", &[PREFIX]);
    network.run_for(Duration::from_secs(5));
    let ids = |network: &Network| -> Vec<Option<u32>> {
        let mut ids: Vec<_> =
            network.route(1, PREFIX).iter().flat_map(|route| &route.paths).map(|path| path.path_id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&network), [Some(1), Some(2)]);
    assert!(network.neighbor(1, "other").capabilities.contains(&"add-path ipv4 send ipv6 send".to_owned()));
    left.withdraw(&mut network, &[PREFIX]);
    network.run_for(Duration::from_secs(5));
    assert_eq!(ids(&network), [Some(2)]);
}
