//! Ends of sessions: each side hears why, and it comes back where it should.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::common::daemon::{Daemon, Feature, Route, Session, Settings};
use crate::common::{Lab, eventually, with_site};
use crate::site::{
    Config, DAEMON, DAEMON_IPV6, GATEWAY, OUR_AS, THEIR_AS, established, name, neighbor, sessions_are_up, settings,
};

const BOTH: &str = "families = [\"ipv4\", \"ipv6\"]\n";

fn session() -> Session {
    Session::new(GATEWAY, OUR_AS, DAEMON).both_families(DAEMON_IPV6)
}

fn routes() -> [Route; 2] {
    [Route::new("10.20.0.0/24"), Route::new("2001:db8:20::/48")]
}

/// A gateway that has this besides in its neighbor's settings, and a daemon, between which the session is up.
fn with_session<D: Daemon>(more: &str, test: impl AsyncFnOnce(&mut Lab, D, &Settings)) {
    let config = Config::new(&[DAEMON], THEIR_AS, &format!("{BOTH}{more}"));
    let settings = settings(vec![session()], &routes());
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let daemon = D::start(lab, "daemon", &settings).await;
        sessions_are_up(lab, &daemon, &settings).await;
        test(lab, daemon, &settings).await;
    });
}

pub(crate) fn a_reset_of_ours_is_seen_there_and_the_session_comes_back<D: Daemon>() {
    with_session("", async |lab, daemon: D, settings| {
        lab.tell("gateway", &["neighbor", &name(DAEMON), "reset"]).await;
        there_is_said(&daemon, D::says_of_cease(4)).await;
        sessions_are_up(lab, &daemon, settings).await;
    });
}

pub(crate) fn a_shutdown_message_of_ours_is_seen_there<D: Daemon>() {
    with_session("", async |lab, daemon: D, settings| {
        let message = "kernel update, back at 05:00";
        lab.tell("gateway", &["neighbor", &name(DAEMON), "disable", message]).await;
        there_is_said(&daemon, D::says_of_cease(2)).await;
        there_is_said(&daemon, message).await;
        let shown = neighbor(lab, &name(DAEMON)).unwrap();
        assert_eq!(shown["note"], format!("disabled: {message}"), "{shown}");
        lab.tell("gateway", &["neighbor", &name(DAEMON), "enable"]).await;
        sessions_are_up(lab, &daemon, settings).await;
    });
}

pub(crate) fn a_shutdown_message_of_theirs_is_seen_here<D: Daemon>() {
    with_session("", async |lab, daemon: D, settings| {
        daemon.disable(GATEWAY.parse().unwrap(), "disk is being replaced").unwrap();
        let stays = D::lacks(Feature::StayDown).is_none();
        let text = match D::lacks(Feature::SendShutdownMessage) {
            None => "Cease/Administrative Shutdown: \"disk is being replaced\"",
            Some(_) => "Cease/Administrative Shutdown: \"Administrative Shutdown\"",
        };
        eventually("the end among the events", async || ended(lab, text)).await;
        if stays {
            eventually("the reason", async || reason(lab, false, 2)).await;
            daemon.enable(GATEWAY.parse().unwrap()).unwrap();
        }
        sessions_are_up(lab, &daemon, settings).await;
    });
}

/// Too many come in, and we end it: it stays down until it is reset.
pub(crate) fn too_many_prefixes_of_theirs_end_the_session_and_it_hears_so<D: Daemon>() {
    with_session("max-prefixes = 2\n", async |lab, mut daemon: D, settings| {
        let more = ["10.20.1.0/24", "10.20.2.0/24"].map(Route::new);
        daemon.change(|settings| settings.routes.extend(more)).unwrap();
        eventually("the reason", async || reason(lab, true, 1)).await;
        there_is_said(&daemon, D::says_of_cease(1)).await;
        let shown = neighbor(lab, &name(DAEMON)).unwrap();
        assert_eq!(shown["note"], "sent more than 2 ipv4 prefixes: down until reset", "{shown}");
        daemon.change(|settings| settings.routes.truncate(2)).unwrap();
        lab.tell("gateway", &["neighbor", &name(DAEMON), "reset"]).await;
        sessions_are_up(lab, &daemon, settings).await;
    });
}

/// Too many go out, and the daemon ends it: Cease/Maximum Number of Prefixes Reached.
pub(crate) fn too_many_prefixes_of_ours_end_the_session_and_we_say_so<D: Daemon>() {
    if let Some(why) = D::lacks(Feature::MaxPrefixes) {
        println!("{} cannot: {why}", D::NAME);
        return;
    }
    // FRR looks before it counts: it takes one more than the others.
    let ours = ["10.10.0.0/24", "10.10.1.0/24", "10.10.2.0/24", "10.10.3.0/24", "10.10.4.0/24"].map(Route::new);
    let config = Config::new(&[DAEMON], THEIR_AS, BOTH).routes(&ours);
    let limited = Session { max_prefixes: Some(2), ..session() };
    let settings = settings(vec![limited], &routes());
    with_site(D::PROGRAMS, config.site(), async |lab| {
        lab.start("gateway");
        let _daemon = D::start(lab, "daemon", &settings).await;
        eventually("the end among the events", async || ended(lab, "Cease/Maximum Number of Prefixes Reached")).await;
        assert!(established(lab, &name(DAEMON)).is_err());
    });
}

async fn there_is_said<D: Daemon>(daemon: &D, text: &str) {
    eventually(&format!("{text} at {}", D::NAME), async || {
        let said = daemon.said()?;
        ensure!(said.contains(text), "{said}");
        Ok(())
    })
    .await;
}

/// Whether `show neighbor` has a Cease with this subcode as the reason.
fn reason(lab: &Lab, sent: bool, subcode: u8) -> anyhow::Result<()> {
    let shown = neighbor(lab, &name(DAEMON))?;
    let error = &shown["last_error"];
    // Where both have graceful restart, a Hard Reset has it inside (RFC 8538 §3.1): no routes shall stay.
    let hard = error["subcode"] == 9
        && error["data_hex"].as_str().is_some_and(|data| data.starts_with(&format!("06{subcode:02x}")));
    ensure!(error["sent"] == sent && error["code"] == 6 && (error["subcode"] == subcode || hard), "{shown}");
    Ok(())
}

/// Whether `show events` has an end of the session that the other side began, with this text.
fn ended(lab: &Lab, text: &str) -> anyhow::Result<()> {
    let shown = lab.show("gateway", &["events"])?;
    let events = shown["events"].as_array().context("events")?;
    let is_it = |event: &&Value| {
        event["kind"] == "session-down"
            && event["text"].as_str().is_some_and(|found| found.starts_with("received") && found.contains(text))
    };
    events.iter().find(is_it).with_context(|| shown.to_string()).map(drop)
}
