//! ROUTE-REFRESH (RFC 2918), asked by either side: everything comes again, and nothing is lost.

use anyhow::ensure;

use crate::common::daemon::{Daemon, Feature, Route, Session};
use crate::common::{eventually, with_site};
use crate::site::{Config, DAEMON, DAEMON_IPV6, GATEWAY, OUR_AS, THEIR_AS, name, sessions_are_up, settings};

pub(crate) fn routes_are_asked_for_again_by_us_and_by_them<D: Daemon>() {
    let ours = ["10.10.0.0/24", "10.10.1.0/24", "2001:db8:10::/48"].map(Route::new);
    let theirs = ["10.20.0.0/24", "2001:db8:20::/48"].map(Route::new);
    let config = Config::new(&[DAEMON], THEIR_AS, "families = [\"ipv4\", \"ipv6\"]\n").routes(&ours);
    let session = Session::new(GATEWAY, OUR_AS, DAEMON).both_families(DAEMON_IPV6);
    let neighbor = session.neighbor;
    let settings = settings(vec![session], &theirs);
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", &settings).await;
        sessions_are_up(lab, &daemon, &settings).await;
        let has_ours = || {
            let found = daemon.prefixes(neighbor)?;
            ensure!(ours.iter().all(|route| found.contains(&route.prefix)), "{found:?}");
            Ok(())
        };
        eventually("our routes there", async || has_ours()).await;

        let before = daemon.counters(neighbor).unwrap();
        let asked = D::lacks(Feature::BeAsked).map_or(2, |_| 1);
        lab.tell("gateway", &["neighbor", &name(DAEMON), "refresh"]).await;
        eventually("our requests, one for each family, there", async || {
            let now = daemon.counters(neighbor)?;
            ensure!(now.route_refreshes >= before.route_refreshes + asked, "{before:?}, then {now:?}");
            Ok(())
        })
        .await;
        sessions_are_up(lab, &daemon, &settings).await;

        if let Some(why) = D::lacks(Feature::AskRefresh) {
            println!("{} asks nobody: {why}", D::NAME);
            return;
        }
        let before = daemon.counters(neighbor).unwrap();
        daemon.refresh(neighbor).unwrap();
        eventually("an UPDATE of each family again", async || {
            let now = daemon.counters(neighbor)?;
            ensure!(now.updates >= before.updates + 2, "{before:?}, then {now:?}");
            has_ours()
        })
        .await;
    });
}
