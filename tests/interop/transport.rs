//! What stands below BGP: TCP-MD5 (RFC 2385), GTSM (RFC 5082), neighbors that are not directly connected.

use anyhow::{Context as _, ensure};

use crate::common::daemon::{Daemon, Feature, Route, Session, Settings};
use crate::common::{Lab, eventually, with_site};
use crate::site::{
    Config, DAEMON, DAEMON_IPV6, FAR, FAR_IPV6, GATEWAY, GATEWAY_IPV6, OUR_AS, THEIR_AS, established, name, neighbor,
    sessions_are_up, settings,
};

const PASSWORD: &str = "password-file = \"${LAB}/password\"\n";

/// IPv4: we dial; IPv6: the daemon does.
fn one_dials_each(session_keys: &str, edit: impl Fn(&mut Session)) -> (Config, Settings) {
    let keys = |more: &str| format!("{session_keys}{more}");
    let config = Config::new(&[DAEMON], THEIR_AS, session_keys).neighbor(
        &name(DAEMON_IPV6),
        DAEMON_IPV6,
        THEIR_AS,
        &keys("passive = true\n"),
    );
    let mut sessions = vec![Session::new(GATEWAY, OUR_AS, DAEMON), Session::new(GATEWAY_IPV6, OUR_AS, DAEMON_IPV6)];
    sessions.iter_mut().for_each(edit);
    sessions[0].passive = true;
    (config, settings(sessions, &[Route::new("10.20.0.0/24"), Route::new("2001:db8:20::/48")]))
}

/// Both sessions come up, and a route comes over each.
async fn comes_up<D: Daemon>(lab: &mut Lab, settings: &Settings) {
    lab.file("password", "both-know-it");
    lab.start("gateway");
    let daemon = D::start(lab, "daemon", settings).await;
    sessions_are_up(lab, &daemon, settings).await;
}

pub(crate) fn a_session_with_a_password_comes_up_whoever_dials<D: Daemon>() {
    let (config, mut settings) = one_dials_each(PASSWORD, |session| session.password = Some("both-know-it".to_owned()));
    // Then it dials both.
    settings.sessions[0].passive = D::lacks(Feature::ListenWithPassword).is_none();
    with_site(D::PROGRAMS, config.site(), async |lab| comes_up::<D>(lab, &settings).await);
}

pub(crate) fn a_session_with_a_password_comes_up_from_a_listen_range<D: Daemon>() {
    let config = Config::new(&[], THEIR_AS, "").range(THEIR_AS, PASSWORD);
    let (_, mut settings) = one_dials_each("", |session| session.password = Some("both-know-it".to_owned()));
    settings.sessions[0].passive = false;
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.file("password", "both-know-it");
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", &settings).await;
        eventually("both sessions of the range", async || {
            for (neighbor, address) in [(GATEWAY, DAEMON), (GATEWAY_IPV6, DAEMON_IPV6)] {
                established(lab, &format!("range/{address}"))?;
                let state = daemon.session(neighbor.parse()?)?;
                ensure!(state.established, "{}", state.text);
            }
            Ok(())
        })
        .await;
    });
}

pub(crate) fn a_session_with_another_password_stays_down_and_says_why<D: Daemon>() {
    let (config, settings) = one_dials_each(PASSWORD, |session| session.password = Some("another".to_owned()));
    stays_down::<D>(&config, &settings, |lab| {
        let shown = neighbor(lab, &name(DAEMON))?;
        let text = shown["last_error"]["text"].as_str().unwrap_or_default();
        ensure!(text.ends_with("the TCP-MD5 passwords differ"), "{shown}");
        Ok(())
    });
}

pub(crate) fn a_session_with_gtsm_comes_up_whoever_dials<D: Daemon>() {
    let (config, settings) = one_dials_each("ttl-security = 1\n", |session| session.ttl_security = Some(1));
    with_site(D::PROGRAMS, config.site(), async |lab| comes_up::<D>(lab, &settings).await);
}

pub(crate) fn a_neighbor_without_gtsm_stays_down_where_we_have_it<D: Daemon>() {
    let (config, settings) = one_dials_each("ttl-security = 1\n", |_| {});
    stays_down::<D>(&config, &settings, |lab| {
        // The TCP connection may stand: BIRD and FRR listen with TTL 255. Nothing comes over it.
        ensure!(dropped(lab, "TCPMinTTLDrop")? > 2, "the kernel dropped nothing");
        Ok(())
    });
}

/// A sign shows that both sides have tried, and no session is up.
fn stays_down<D: Daemon>(config: &Config, settings: &Settings, sign: impl Fn(&Lab) -> anyhow::Result<()>) {
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.file("password", "we-know-it");
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", settings).await;
        eventually("a sign at the gateway", async || sign(lab)).await;
        for (address, theirs) in [(DAEMON, GATEWAY), (DAEMON_IPV6, GATEWAY_IPV6)] {
            assert!(established(lab, &name(address)).is_err(), "{address} is up");
            let state = daemon.session(theirs.parse().unwrap()).unwrap();
            assert!(!state.established, "{}", state.text);
        }
    });
}

/// A counter of the gateway's kernel, from `/proc/net/netstat`: a line of names, a line of numbers.
fn dropped(lab: &Lab, counter: &str) -> anyhow::Result<u64> {
    let text = lab.output("gateway", "cat", &["/proc/net/netstat"])?;
    let lines: Vec<&str> = text.lines().collect();
    let mut pairs = lines.chunks_exact(2).flat_map(|pair| pair[0].split(' ').zip(pair[1].split(' ')));
    let (_, number) = pairs.find(|(name, _)| *name == counter).with_context(|| text.clone())?;
    Ok(number.parse()?)
}

/// IPv4 with a TTL that suffices, IPv6 with GTSM over two hops.
pub(crate) fn a_session_through_a_router_comes_up_with_multihop_and_with_gtsm<D: Daemon>() {
    let config = Config::new(&[FAR], THEIR_AS, "ebgp-multihop = 2\n").neighbor(
        &name(FAR_IPV6),
        FAR_IPV6,
        THEIR_AS,
        "ttl-security = 2\n",
    );
    let mut ipv4 = Session::new(GATEWAY, OUR_AS, FAR);
    ipv4.multihop = Some(2);
    let mut ipv6 = Session::new(GATEWAY_IPV6, OUR_AS, FAR_IPV6);
    ipv6.ttl_security = Some(2);
    let settings = settings(vec![ipv4, ipv6], &[Route::new("10.20.0.0/24"), Route::new("2001:db8:20::/48")]);
    with_site(D::PROGRAMS, config.beyond_a_router(), async |lab| comes_up::<D>(lab, &settings).await);
}
