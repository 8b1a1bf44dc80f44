//! What a session lives by: AS numbers of four octets, hold times, either side gone and back.

use anyhow::{Context as _, ensure};
use ipnet::IpNet;

use crate::common::daemon::bird::Bird;
use crate::common::daemon::{Daemon, Feature, Route, Session, Settings};
use crate::common::{Lab, eventually, with_site};
use crate::site::{
    Config, DAEMON, DAEMON_IPV6, GATEWAY, OUR_AS, THEIR_AS, THIRD, THIRD_AS, THIRD_IPV6, established, name, received,
    sessions_are_up, settings,
};

const BOTH: &str = "families = [\"ipv4\", \"ipv6\"]\n";
/// Of four octets.
const FAR_AS: u32 = 4_200_000_600;
/// AS_TRANS (RFC 6793 section 9).
const AS_TRANS: u32 = 23_456;

fn session() -> Session {
    Session::new(GATEWAY, OUR_AS, DAEMON).both_families(DAEMON_IPV6)
}

fn routes() -> [Route; 2] {
    [Route::new("10.20.0.0/24"), Route::new("2001:db8:20::/48")]
}

pub(crate) fn both_ends_have_as_numbers_of_four_octets<D: Daemon>() {
    let config = Config::new(&[DAEMON], FAR_AS, BOTH).routes(&[Route::new("10.10.0.0/24")]);
    let settings = Settings { asn: FAR_AS, ..settings(vec![session()], &routes()) };
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", &settings).await;
        sessions_are_up(lab, &daemon, &settings).await;
        let found = received(lab, &name(DAEMON)).unwrap();
        assert!(found.values().all(|attributes| attributes.as_path == [FAR_AS]), "{found:?}");
        path_is(&daemon, "10.10.0.0/24", &[OUR_AS]).await;
    });
}

/// It takes us for AS_TRANS, and AS4_PATH has what does not fit (RFC 6793 section 4.2).
pub(crate) fn a_neighbor_of_two_octets_hears_as_trans_and_the_path_in_as4_path<D: Daemon>() {
    if let Some(why) = D::lacks(Feature::TwoOctetAs) {
        println!("{} cannot: {why}", D::NAME);
        return;
    }
    let config = Config::new(&[DAEMON], THEIR_AS, BOTH).third(BOTH).routes(&[Route::new("10.10.0.0/24")]);
    let old = Session { four_octet_as: false, asn: AS_TRANS, ..session() };
    let settings = settings(vec![old], &routes());
    with_site(&[D::PROGRAMS, Bird::PROGRAMS].concat(), config.site(), async |lab| {
        lab.start("gateway");
        let mut long = Route::new("10.30.0.0/24");
        long.attributes.as_path = vec![65_020, 4_200_000_700];
        let at_third = Session::new(GATEWAY, OUR_AS, THIRD).both_families(THIRD_IPV6);
        let third =
            Settings { asn: THIRD_AS, router_id: THIRD.parse().unwrap(), sessions: vec![at_third], routes: vec![long] };
        let _third = Bird::start(lab, "third", &third).await;
        let daemon = D::start(lab, "daemon", &settings).await;
        sessions_are_up(lab, &daemon, &settings).await;
        let shown = established(lab, &name(DAEMON)).unwrap();
        assert!(!shown["capabilities"].to_string().contains("four-octet-as"), "{shown}");
        path_is(&daemon, "10.10.0.0/24", &[OUR_AS]).await;
        path_is(&daemon, "10.30.0.0/24", &[OUR_AS, THIRD_AS, 65_020, 4_200_000_700]).await;
    });
}

/// Waits until the daemon has this prefix of ours with this path.
async fn path_is<D: Daemon>(daemon: &D, prefix: &str, path: &[u32]) {
    eventually(&format!("{prefix} at {}", D::NAME), async || {
        let table = daemon.received(GATEWAY.parse()?)?;
        let found = table.get(&prefix.parse::<IpNet>()?).with_context(|| format!("{table:?}"))?;
        ensure!(found.as_path == path, "{found:?}");
        Ok(())
    })
    .await;
}

pub(crate) fn a_hold_time_of_three_seconds_is_kept<D: Daemon>() {
    stays_up::<D>(3);
}

pub(crate) fn a_session_without_a_hold_time_stays<D: Daemon>() {
    if let Some(why) = D::lacks(Feature::HoldTimeZero) {
        println!("{} cannot: {why}", D::NAME);
        return;
    }
    stays_up::<D>(0);
}

/// For longer than three seconds, by KEEPALIVEs or without. A machine that stands still for three may end it before.
fn stays_up<D: Daemon>(hold_time: u16) {
    let config = Config::new(&[DAEMON], THEIR_AS, &format!("{BOTH}hold-time = {hold_time}\n"));
    let settings = settings(vec![Session { hold_time: Some(hold_time), ..session() }], &routes());
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", &settings).await;
        sessions_are_up(lab, &daemon, &settings).await;
        eventually("a session that is five seconds old", async || {
            let shown = established(lab, &name(DAEMON))?;
            ensure!(shown["hold_time_seconds"] == hold_time, "{shown}");
            ensure!(shown["uptime_seconds"].as_u64().is_some_and(|seconds| seconds >= 5), "{shown}");
            Ok(())
        })
        .await;
    });
}

pub(crate) fn either_side_is_killed_and_comes_back<D: Daemon>() {
    let ours = Route::new("10.10.0.0/24");
    let config = Config::new(&[DAEMON], THEIR_AS, BOTH).routes(std::slice::from_ref(&ours));
    let settings = settings(vec![session()], &routes());
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", &settings).await;
        both_have_all(lab, &daemon, &settings, &ours).await;
        lab.kill("gateway").await;
        eventually("the daemon sees it", async || {
            let state = daemon.session(GATEWAY.parse()?)?;
            ensure!(!state.established, "{}", state.text);
            Ok(())
        })
        .await;
        lab.start("gateway");
        both_have_all(lab, &daemon, &settings, &ours).await;
        daemon.kill(lab).await;
        eventually("the gateway sees it", async || {
            ensure!(established(lab, &name(DAEMON)).is_err(), "established");
            Ok(())
        })
        .await;
        let daemon = D::start(lab, "daemon", &settings).await;
        both_have_all(lab, &daemon, &settings, &ours).await;
    });
}

async fn both_have_all<D: Daemon>(lab: &Lab, daemon: &D, settings: &Settings, ours: &Route) {
    sessions_are_up(lab, daemon, settings).await;
    eventually(&format!("our prefix at {}", D::NAME), async || {
        let found = daemon.prefixes(GATEWAY.parse()?)?;
        ensure!(found.contains(&ours.prefix), "{found:?}");
        Ok(())
    })
    .await;
}
