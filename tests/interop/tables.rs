//! Both sides show the same, by their own command lines, in both directions.

use std::collections::BTreeSet;

use anyhow::ensure;
use bgpd::types::Family;
use vpngw::lab::site::ip;

use crate::common::daemon::attributes::extended_community;
use crate::common::daemon::bird::Bird;
use crate::common::daemon::{Attributes, Daemon, Feature, Origin, Route, Session, Settings, Table};
use crate::common::{Lab, eventually, with_site};
use crate::site::{
    Config, DAEMON, DAEMON_IPV6, GATEWAY, GATEWAY_IPV6, OUR_AS, THEIR_AS, THIRD, THIRD_AS, THIRD_IPV6, name, received,
    settings,
};

pub(crate) fn tables_are_equal_on_one_session_of_both_families<D: Daemon>() {
    let session = Session::new(GATEWAY, OUR_AS, DAEMON).both_families(DAEMON_IPV6);
    exchange::<D>(&[DAEMON], vec![session]);
}

pub(crate) fn tables_are_equal_on_a_session_of_each_family<D: Daemon>() {
    let sessions = [(GATEWAY, DAEMON), (GATEWAY_IPV6, DAEMON_IPV6)];
    let sessions = sessions.map(|(neighbor, local)| Session::new(neighbor, OUR_AS, local)).to_vec();
    exchange::<D>(&[DAEMON, DAEMON_IPV6], sessions);
}

/// Ours and those of a third are at the daemon and its own are here, with their attributes; then some change and some go.
fn exchange<D: Daemon>(addresses: &[&str], sessions: Vec<Session>) {
    let families = if addresses.len() == 1 { "families = [\"ipv4\", \"ipv6\"]\n" } else { "" };
    let config = Config::new(addresses, THEIR_AS, families).third(families_of_both()).routes(&ours());
    with_site(&[D::PROGRAMS, Bird::PROGRAMS].concat(), config.site(), async |lab| {
        lab.start("gateway");
        let mut third = third(lab, &others()).await;
        let settings = settings(sessions, &theirs::<D>());
        let mut daemon = D::start(lab, "daemon", &settings).await;

        let told: Vec<Route> = ours().into_iter().chain(passed_on(others())).collect();
        daemon_has(&daemon, &settings.sessions, &told).await;
        gateway_has(lab, addresses, &settings.routes).await;

        let (mut others, mut theirs) = (others(), settings.routes.clone());
        change(&mut others);
        change(&mut theirs);
        third.change(|settings| settings.routes = others.clone()).unwrap();
        daemon.change(|settings| settings.routes = theirs.clone()).unwrap();
        let told: Vec<Route> = ours().into_iter().chain(passed_on(others)).collect();
        daemon_has(&daemon, &settings.sessions, &told).await;
        gateway_has(lab, addresses, &theirs).await;
    });
}

fn families_of_both() -> &'static str {
    "families = [\"ipv4\", \"ipv6\"]\n"
}

/// Another neighbor of the gateway, which tells it these.
async fn third(lab: &mut Lab, routes: &[Route]) -> Bird {
    let session = Session::new(GATEWAY, OUR_AS, THIRD).both_families(THIRD_IPV6);
    let settings =
        Settings { asn: THIRD_AS, router_id: THIRD.parse().unwrap(), sessions: vec![session], routes: routes.to_vec() };
    Bird::start(lab, "third", &settings).await
}

/// Originated by the gateway.
fn ours() -> Vec<Route> {
    vec![
        Route::new("10.10.0.0/24"),
        with("10.10.1.0/25", |attributes| {
            attributes.med = Some(u32::MAX);
            attributes.as_path = vec![OUR_AS; 3];
        }),
        with("10.10.2.2/32", everything),
        Route::new("2001:db8:10::/48"),
        with("2001:db8:11::/49", everything),
    ]
}

/// Originated by a third.
fn others() -> Vec<Route> {
    vec![
        Route::new("0.0.0.0/0"),
        with("10.30.0.0/15", everything),
        with("10.30.1.1/32", |attributes| {
            attributes.as_path = (0..40).map(|number| 4_200_001_000 + number).collect();
            attributes.origin = Origin::Egp;
        }),
        Route::new("10.30.2.0/24"),
        Route::new("::/0"),
        with("2001:db8:30::/44", everything),
        Route::new("2001:db8:31::1/128"),
    ]
}

/// Originated by the daemon.
fn theirs<D: Daemon>() -> Vec<Route> {
    let mut routes = vec![
        Route::new("10.20.0.0/24"),
        with("10.20.1.0/25", |attributes| {
            attributes.med = Some(20);
            attributes.as_path = vec![65_001, 4_200_000_001, 65_001];
            attributes.origin = Origin::Egp;
        }),
        with("10.20.2.2/32", everything),
        Route::new("10.20.3.0/24"),
        Route::new("2001:db8:20::/48"),
        with("2001:db8:21::/49", everything),
        Route::new("2001:db8:22::/47"),
    ];
    if D::lacks(Feature::AsPath).is_some() {
        routes.iter_mut().for_each(|route| route.attributes.as_path.clear());
    }
    routes
}

fn with(prefix: &str, change: impl FnOnce(&mut Attributes)) -> Route {
    let mut route = Route::new(prefix);
    change(&mut route.attributes);
    route
}

/// What BGP can carry, at its limits.
fn everything(attributes: &mut Attributes) {
    attributes.med = Some(7);
    // The last is NO_PEER (RFC 3765). Not BLACKHOLE: FRR adds NO_EXPORT to it, as RFC 7999 asks.
    attributes.communities = BTreeSet::from([(1, 0), (64_513, 100), (65_534, 65_535), (65_535, 65_284)]);
    attributes.large_communities =
        BTreeSet::from([(1, 0, 0), (64_513, 1, 2), (OUR_AS, u32::MAX, 0), (u32::MAX, u32::MAX, u32::MAX)]);
    let extended = [("rt", "64513:4000000000"), ("ro", "64513:1"), ("rt", "4200000513:65535"), ("rt", "192.0.2.9:7")];
    attributes.extended_communities =
        extended.iter().map(|(kind, value)| extended_community(kind, value).unwrap()).collect();
}

/// One route of each family goes, one loses what it carried, one gets more.
fn change(routes: &mut Vec<Route>) {
    for family in Family::ALL {
        let of_family = |routes: &[Route]| -> Vec<usize> {
            (0..routes.len()).filter(|index| routes[*index].family() == family).collect()
        };
        let last = *of_family(routes).last().unwrap();
        routes.remove(last);
        let rest = of_family(routes);
        routes[rest[0]].attributes.communities = BTreeSet::from([(64_513, 7)]);
        routes[rest[1]].attributes = Attributes::default();
    }
}

/// As the gateway tells others what a third told it: its AS is in front, and the MED stays behind (RFC 4271 section 5.1.4).
fn passed_on(mut routes: Vec<Route>) -> Vec<Route> {
    for route in &mut routes {
        route.attributes.as_path.insert(0, THIRD_AS);
        route.attributes.med = None;
    }
    routes
}

/// What arrives at the other end of an external session.
fn arrived(route: &Route, asn: u32, next_hops: [&str; 2]) -> Attributes {
    let next_hop = next_hops[usize::from(route.family() == Family::Ipv6)];
    let mut attributes = Attributes { next_hop: Some(ip(next_hop)), ..route.attributes.clone() };
    attributes.as_path.insert(0, asn);
    attributes
}

/// Waits until the daemon shows these of the gateway and nothing else.
async fn daemon_has<D: Daemon>(daemon: &D, sessions: &[Session], routes: &[Route]) {
    let next_hops = [GATEWAY, GATEWAY_IPV6];
    let wanted: Table = routes.iter().map(|route| (route.prefix, arrived(route, OUR_AS, next_hops))).collect();
    eventually(&format!("the gateway's routes at {}", D::NAME), async || {
        let mut found = Table::new();
        for session in sessions {
            found.extend(daemon.received(session.neighbor)?);
        }
        same(found, &wanted)
    })
    .await;
}

/// Waits until the gateway shows these of the daemon and nothing else.
async fn gateway_has(lab: &Lab, addresses: &[&str], routes: &[Route]) {
    let next_hops = [DAEMON, DAEMON_IPV6];
    let wanted: Table = routes.iter().map(|route| (route.prefix, arrived(route, THEIR_AS, next_hops))).collect();
    eventually("the daemon's routes at the gateway", async || {
        let mut found = Table::new();
        for address in addresses {
            found.extend(received(lab, &name(address))?);
        }
        // FRR tells a MED of 0 where there is none: the same (RFC 4271 section 9.1.2.2).
        found.values_mut().for_each(|attributes| attributes.med = attributes.med.filter(|med| *med != 0));
        same(found, &wanted)
    })
    .await;
}

/// Compares what an external session carries: LOCAL_PREF is each side's own.
fn same(mut found: Table, wanted: &Table) -> anyhow::Result<()> {
    found.values_mut().for_each(|attributes| attributes.local_pref = None);
    for (prefix, attributes) in wanted {
        let shown = found.remove(prefix);
        ensure!(shown.as_ref() == Some(attributes), "{prefix}: found {shown:?}, wanted {attributes:?}");
    }
    ensure!(found.is_empty(), "too many: {found:?}");
    Ok(())
}
