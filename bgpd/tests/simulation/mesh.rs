//! Gateways each of which has a session with every other.

use std::time::Duration;

use crate::report::{converge, print_memory};
use crate::site::{MISSED, Shape, Site, assert_agreement, rest, traffic};

fn settle(gateways: usize) {
    let site = Site { shape: Shape::Mesh, gateways, prefixes: 4, seed: 1 };
    let (mut network, _) = converge(&site);
    assert_agreement(&site, &network, &[]);

    let before = traffic(&network);
    network.run_for(Duration::from_secs(90));
    let since = traffic(&network) - before;
    assert_eq!(since.messages(), since.keepalives());
    print_memory(&site, network);
}

#[test]
fn a_mesh_of_gateways_agrees_and_then_says_nothing_but_keepalives() {
    settle(100);
}

#[test]
fn meshes_of_growing_size_agree() {
    if std::env::var_os("VPNGW_LONG").is_none() {
        eprintln!("skipped: 125 thousand sessions take long; VPNGW_LONG=1 runs them");
        return;
    }
    [50, 100, 200, 500].into_iter().for_each(settle);
}

#[test]
fn a_gateway_of_a_mesh_that_dies_takes_its_routes_along() {
    let site = Site { shape: Shape::Mesh, gateways: 30, prefixes: 2, seed: 5 };
    let (mut network, _) = converge(&site);
    network.power_off(29);
    rest(&mut network);
    network.run_for(MISSED);
    rest(&mut network);
    let lost = site.owners().values().filter(|owner| **owner == 29).count();
    for node in &network.nodes[..29] {
        assert_eq!(node.speaker.destinations(), site.owners().len() - lost);
    }
    network.power_on(29, site.settings(29), 9);
    rest(&mut network);
    assert_agreement(&site, &network, &[]);
}
