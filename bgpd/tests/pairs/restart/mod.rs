//! Graceful restart: a gateway between a neighbor that goes and comes, and others that watch.

mod ends;
mod helper;
mod long_lived;
mod meets;
mod own;
mod tunnel;

use std::time::Duration;

use bgpd::settings::{GracefulRestartSettings, SessionSettings, Settings};
use bgpd::types::Family;
use bgpd::view::PathView;
use bgpd::wire::{Capability, GracefulRestart, KeptFamily};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;
/// What the neighbor asks for.
const RESTART_TIME: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const TWO: [&str; 2] = ["10.1.0.0/16", "10.2.0.0/16"];

/// Between `left`, which comes and goes, and `right`.
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .session("left", keeps)
}

fn keeps(session: &mut SessionSettings) {
    session.graceful_restart = Some(GracefulRestartSettings::default());
}

fn both_families(forwarding: bool) -> Vec<KeptFamily> {
    Family::ALL.map(|family| KeptFamily::new(family, forwarding)).to_vec()
}

/// The capability of a neighbor that has not restarted and still forwards.
fn restart() -> GracefulRestart {
    GracefulRestart { restarted: false, notification: true, restart_time: RESTART_TIME, families: both_families(true) }
}

fn left_with(network: &mut Network, restart: GracefulRestart) -> Raw {
    Raw::establish_with(network, GATEWAY, "10.0.0.11", 64513, &[Capability::GracefulRestart(restart)])
}

fn left(network: &mut Network) -> Raw {
    left_with(network, restart())
}

fn tell(network: &mut Network, left: &mut Raw, prefixes: &[&str]) {
    left.announce(network, &path(&[64513]), "10.0.0.11", prefixes);
}

/// The left neighbor has told its routes, and the right one has heard them.
fn settled_with(settings: Settings, restart: GracefulRestart) -> (Network, Raw, Raw) {
    let mut network = Network::new(5, [(address("10.0.0.1"), settings)]);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut left = left_with(&mut network, restart);
    tell(&mut network, &mut left, &TWO);
    left.end_of_rib(&mut network, &Family::ALL);
    network.run_for(SECOND);
    right.hear(&mut network);
    left.hear(&mut network);
    assert_eq!(kept(&network), TWO);
    (network, left, right)
}

fn settled() -> (Network, Raw, Raw) {
    settled_with(gateway(), restart())
}

/// The left neighbor is back and tells the same, and nobody notices.
fn comes_back_unchanged(network: &mut Network, right: &mut Raw) {
    let mut left = left(network);
    tell(network, &mut left, &TWO);
    left.end_of_rib(network, &Family::ALL);
    network.run_for(SECOND);
    assert_eq!((kept(network).len(), stale(network).len()), (2, 0));
    assert_eq!(right.hear(network), [""; 0]);
}

/// Prefixes that the FIB has.
fn kept(network: &Network) -> Vec<String> {
    network.fib(GATEWAY).into_keys().collect()
}

/// Prefixes with a stale path.
fn stale(network: &Network) -> Vec<String> {
    let routes = network.routes(GATEWAY);
    let stale = routes.iter().filter(|route| route.paths.iter().any(|path| path.stale));
    stale.map(|route| route.prefix.to_string()).collect()
}

fn paths(network: &Network, prefix: &str) -> Vec<PathView> {
    network.route(GATEWAY, prefix).map(|route| route.paths).unwrap_or_default()
}
