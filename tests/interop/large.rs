//! Twenty thousand routes each way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ipnet::IpNet;

use crate::common::daemon::bird::Bird;
use crate::common::daemon::{Daemon, Route, Session, Settings};
use crate::common::{eventually, with_site};
use crate::site::{
    Config, DAEMON, DAEMON_IPV6, GATEWAY, OUR_AS, THEIR_AS, THIRD, THIRD_AS, THIRD_IPV6, established, name, received,
    settings,
};

const BOTH: &str = "families = [\"ipv4\", \"ipv6\"]\n";
/// Of each family.
const HALF: u32 = 10_000;

/// Prefixes below two others, those of IPv4 and of IPv6.
fn many(ipv4: u8, ipv6: u16) -> Vec<Route> {
    let prefixes = (0..HALF).flat_map(|number| {
        let (high, low) = (number / 256, number % 256);
        [format!("{ipv4}.{high}.{low}.0/24"), format!("2001:{ipv6:x}:{number:x}::/48")]
    });
    prefixes.map(|prefix| Route::new(&prefix)).collect()
}

pub(crate) fn large_tables_are_equal<D: Daemon>() {
    let config = Config::new(&[DAEMON], THEIR_AS, BOTH).third(BOTH);
    let session = Session::new(GATEWAY, OUR_AS, DAEMON).both_families(DAEMON_IPV6);
    let (theirs, others) = (many(20, 0x2000), many(30, 0x3000));
    let settings = settings(vec![session], &theirs);
    with_site(&[D::PROGRAMS, Bird::PROGRAMS].concat(), config.site(), async |lab| {
        // First: `gobgp mrt inject` takes minutes for so many while there is a session to tell them on, and else two seconds.
        let daemon = D::start(lab, "daemon", &settings).await;
        lab.start("gateway");
        let at_third = Session::new(GATEWAY, OUR_AS, THIRD).both_families(THIRD_IPV6);
        let third = Settings {
            asn: THIRD_AS,
            router_id: THIRD.parse().unwrap(),
            sessions: vec![at_third],
            routes: others.clone(),
        };
        let mut third = Bird::start(lab, "third", &third).await;
        eventually("their routes here", async || {
            let shown = established(lab, &name(DAEMON))?;
            ensure!(shown["received"].as_u64() >= Some(theirs.len() as u64), "{}", shown["received"]);
            same(received(lab, &name(DAEMON))?.into_keys().collect(), &theirs)
        })
        .await;
        at_the_daemon(&daemon, &others).await;
        at_the_third(&third, &theirs).await;
        third.change(|settings| settings.routes.truncate(1)).unwrap();
        at_the_daemon(&daemon, &others[..1]).await;
    });
}

async fn at_the_daemon<D: Daemon>(daemon: &D, routes: &[Route]) {
    eventually(&format!("{} routes at {}", routes.len(), D::NAME), async || {
        // Not to be asked ten times a second for so much.
        let start = Instant::now();
        let found = daemon.prefixes(GATEWAY.parse()?)?;
        tokio::time::sleep(start.elapsed().min(Duration::from_secs(2))).await;
        same(found, routes)
    })
    .await;
}

async fn at_the_third(third: &Bird, routes: &[Route]) {
    eventually("their routes at the third", async || same(third.prefixes(GATEWAY.parse()?)?, routes)).await;
}

fn same(found: BTreeSet<IpNet>, wanted: &[Route]) -> anyhow::Result<()> {
    let wanted: BTreeSet<IpNet> = wanted.iter().map(|route| route.prefix).collect();
    let missing: Vec<_> = wanted.difference(&found).take(3).collect();
    let more: Vec<_> = found.difference(&wanted).take(3).collect();
    ensure!(missing.is_empty() && more.is_empty(), "{} found; missing {missing:?}, too many {more:?}", found.len());
    Ok(())
}
