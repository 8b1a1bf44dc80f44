//! Internal sessions and route reflection (RFC 4456), with the daemon as client and as reflector.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

use crate::common::daemon::bird::Bird;
use crate::common::daemon::exabgp::ExaBgp;
use crate::common::daemon::{Attributes, Daemon, Feature, Route, Session, Settings};
use crate::common::{eventually, with_site};
use crate::site::{Config, DAEMON, DAEMON_IPV6, GATEWAY, OUR_AS, THIRD, THIRD_IPV6, fate_is, name, received};

const BOTH: &str = "families = [\"ipv4\", \"ipv6\"]\n";
const CLIENT: &str = "families = [\"ipv4\", \"ipv6\"]\nroute-reflector-client = true\n";

/// A speaker of our own AS with one session.
fn internal(at: &str, session: Session, routes: &[Route]) -> Settings {
    Settings { asn: OUR_AS, router_id: at.parse().unwrap(), sessions: vec![session], routes: routes.to_vec() }
}

fn of_daemon(neighbor: &str) -> Session {
    Session::new(neighbor, OUR_AS, DAEMON).both_families(DAEMON_IPV6)
}

fn of_third(neighbor: &str) -> Session {
    Session::new(neighbor, OUR_AS, THIRD).both_families(THIRD_IPV6)
}

fn with_community(prefix: &str) -> Route {
    let attributes = Attributes { communities: BTreeSet::from([(64_513, 9)]), ..Attributes::default() };
    Route { attributes, ..Route::new(prefix) }
}

/// Whether a daemon has this of the speaker at `of`, reflected by the one at `by`, with the next hop that it had.
fn reflected<D: Daemon>(daemon: &D, from: &str, route: &Route, of: [&str; 2], by: &str) -> anyhow::Result<()> {
    let table = daemon.received(from.parse()?)?;
    let found = table.get(&route.prefix).with_context(|| format!("{}: {table:?}", route.prefix))?;
    let next_hop = of[usize::from(route.prefix.addr().is_ipv6())].parse()?;
    ensure!(found.originator == Some(of[0].parse()?), "{found:?}");
    ensure!(found.cluster_list == [by.parse::<std::net::Ipv4Addr>()?], "{found:?}");
    ensure!(found.next_hop == Some(next_hop) && found.as_path.is_empty(), "{found:?}");
    ensure!(found.local_pref == Some(100) && found.communities == route.attributes.communities, "{found:?}");
    Ok(())
}

pub(crate) fn we_reflect_to_and_from_the_daemon<D: Daemon>() {
    let theirs = [Route::new("10.20.0.0/24"), with_community("2001:db8:20::/48")];
    let others = [with_community("10.30.0.0/24"), Route::new("2001:db8:30::/48")];
    let config = Config::new(&[DAEMON], OUR_AS, CLIENT).neighbor("third", THIRD, OUR_AS, BOTH);
    with_site(&[D::PROGRAMS, Bird::PROGRAMS].concat(), config.site(), async |lab| {
        lab.start("gateway");
        let third = Bird::start(lab, "third", &internal(THIRD, of_third(GATEWAY), &others)).await;
        let daemon = D::start(lab, "daemon", &internal(DAEMON, of_daemon(GATEWAY), &theirs)).await;
        for route in &others {
            eventually("what the third told us, at the daemon", async || {
                reflected(&daemon, GATEWAY, route, [THIRD, THIRD_IPV6], GATEWAY)
            })
            .await;
        }
        for route in &theirs {
            eventually("what the daemon told us, at the third", async || {
                reflected(&third, GATEWAY, route, [DAEMON, DAEMON_IPV6], GATEWAY)
            })
            .await;
        }
    });
}

/// The gateway and a third are its clients. It reflects each to the other.
pub(crate) fn the_daemon_reflects_to_and_from_us<D: Daemon>() {
    if let Some(why) = D::lacks(Feature::Reflect) {
        println!("{} cannot: {why}", D::NAME);
        return;
    }
    let ours = [Route::new("10.10.0.0/24"), with_community("2001:db8:10::/48")];
    let others = [with_community("10.30.0.0/24"), Route::new("2001:db8:30::/48")];
    let config = Config::new(&[DAEMON], OUR_AS, BOTH).routes(&ours);
    with_site(&[D::PROGRAMS, Bird::PROGRAMS].concat(), config.site(), async |lab| {
        let mut sessions = vec![of_daemon(GATEWAY), of_daemon(THIRD)];
        sessions.iter_mut().for_each(|session| session.client = true);
        // The next hop of what it reflects is not its own.
        sessions.iter_mut().for_each(|session| session.local_ipv6 = None);
        let settings = Settings { asn: OUR_AS, router_id: DAEMON.parse().unwrap(), sessions, routes: Vec::new() };
        // First: a session that comes up while OpenBGPD starts brings routes before it knows that it reflects.
        let _daemon = D::start(lab, "daemon", &settings).await;
        lab.start("gateway");
        let third = Bird::start(lab, "third", &internal(THIRD, of_third(DAEMON), &others)).await;
        eventually("what the third told the daemon, here", async || {
            let found = received(lab, &name(DAEMON))?;
            for route in &others {
                let found = found.get(&route.prefix).with_context(|| format!("{found:?}"))?;
                let next_hop = if route.prefix.addr().is_ipv6() { THIRD_IPV6 } else { THIRD };
                ensure!(found.next_hop == Some(next_hop.parse()?) && found.as_path.is_empty(), "{found:?}");
                ensure!(found.communities == route.attributes.communities, "{found:?}");
            }
            Ok(())
        })
        .await;
        for route in &ours {
            eventually("what we told the daemon, at the third", async || {
                reflected(&third, DAEMON, route, [GATEWAY, crate::site::GATEWAY_IPV6], DAEMON)
            })
            .await;
        }
    });
}

/// Only ExaBGP tells what was never its own.
#[test]
fn what_was_reflected_in_a_circle_is_not_used_as_exabgp_tells_it() {
    let config = Config::new(&[DAEMON], OUR_AS, CLIENT);
    let good = Route::new("10.20.0.0/24");
    with_site(ExaBgp::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let daemon =
            ExaBgp::start(lab, "daemon", &internal(DAEMON, of_daemon(GATEWAY), std::slice::from_ref(&good))).await;
        for (prefix, words) in [
            ("10.20.1.0/24", format!("originator-id {GATEWAY} cluster-list [ 192.0.2.77 ]")),
            ("10.20.2.0/24", format!("originator-id 192.0.2.78 cluster-list [ 192.0.2.77 {GATEWAY} ]")),
            ("10.20.3.0/24", "originator-id 192.0.2.78 cluster-list [ 192.0.2.77 ]".to_owned()),
        ] {
            daemon.tell(&format!("neighbor {GATEWAY} announce route {prefix} next-hop self {words}\n")).unwrap();
        }
        eventually("three paths that are used and two that are not", async || {
            fate_is(lab, "10.20.0.0/24", None)?;
            fate_is(lab, "10.20.3.0/24", None)?;
            fate_is(lab, "10.20.1.0/24", Some("ORIGINATOR_ID is our own"))?;
            fate_is(lab, "10.20.2.0/24", Some("our cluster is in CLUSTER_LIST"))
        })
        .await;
    });
}
