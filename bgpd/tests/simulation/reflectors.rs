//! Gateways that hang on two route reflectors (RFC 4456).

use std::time::Duration;

use crate::network::Network;
use crate::report::{converge, print_memory};
use crate::site::{MISSED, Shape, Site, assert_agreement, rest, traffic};

const fn site(gateways: usize, seed: u64) -> Site {
    Site { shape: Shape::Reflectors, gateways, prefixes: 4, seed }
}

/// All gateways' UPDATEs are on their way, few have arrived.
fn in_the_middle(site: &Site) -> Network {
    let mut network = site.build();
    let everything = site.owners().len();
    let known = |network: &Network| -> usize {
        network.nodes[..site.gateways].iter().map(|node| node.speaker.destinations()).sum()
    };
    while known(&network) < everything * site.gateways / 2 {
        network.run_for(Duration::from_millis(1));
    }
    network
}

#[test]
fn five_hundred_gateways_agree_and_then_say_nothing_but_keepalives() {
    let site = site(500, 1);
    let (mut network, _) = converge(&site);
    assert_agreement(&site, &network, &[500]);

    let before = traffic(&network);
    network.run_for(Duration::from_secs(300));
    let since = traffic(&network) - before;
    assert_eq!(since.messages(), since.keepalives());
    // 1001 sessions, both ways, every 30 s less the jitter of a quarter (RFC 4271 §10).
    assert!(since.keepalives() <= 2 * 1001 * (300 / 22 + 1), "{since:?}");
    print_memory(&site, network);
}

#[test]
fn gateways_of_growing_number_agree() {
    if std::env::var_os("VPNGW_LONG").is_none() {
        eprintln!("skipped: a thousand gateways take a minute; VPNGW_LONG=1 runs them");
        return;
    }
    for gateways in [50, 100, 200, 500, 1000] {
        let site = site(gateways, 1);
        let (network, _) = converge(&site);
        assert_agreement(&site, &network, &[gateways]);
        print_memory(&site, network);
    }
}

#[test]
fn gateways_agree_when_a_reflector_dies_in_the_middle_and_when_it_comes_back() {
    let site = site(500, 2);
    let (first, second) = (500, 501);
    let mut network = in_the_middle(&site);
    network.power_off(first);
    network.run_for(MISSED);
    rest(&mut network);
    assert_agreement(&site, &network, &[second]);

    network.power_on(first, site.settings(first), 7);
    rest(&mut network);
    assert_agreement(&site, &network, &[first]);
}

#[test]
fn gateways_agree_when_the_process_of_a_reflector_dies_again_and_again() {
    for seed in 0..5 {
        let site = site(50, seed);
        let (first, second) = (50, 51);
        let mut network = in_the_middle(&site);
        for _ in 0..3 {
            for gateway in 0..=second {
                network.cut(gateway, first);
            }
            network.run_for(Duration::from_millis(50 * (seed + 1)));
        }
        rest(&mut network);
        assert_agreement(&site, &network, &[first]);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| converge(&site(40, seed)).1;
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
