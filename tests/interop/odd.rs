//! UPDATEs that are odd, and one that is wrong, as ExaBGP writes them: what it does not understand it sends as octets.

use anyhow::{Context as _, ensure};

use crate::common::daemon::bird::Bird;
use crate::common::daemon::exabgp::ExaBgp;
use crate::common::daemon::{Daemon, Route, Session, Settings};
use crate::common::{Lab, eventually, with_site};
use crate::site::{
    Config, DAEMON, GATEWAY, OUR_AS, THEIR_AS, THIRD, THIRD_AS, fate_is, name, received, sessions_are_up, settings,
};

/// What stands behind `announce route PREFIX`, and whether it is received.
const PATHS: [(&str, &str, bool); 8] = [
    ("10.20.1.0/24", "next-hop self as-path [ 64600 0 ]", false), // RFC 7607 section 2
    ("10.20.2.0/24", "next-hop self as-path [ 64600 ( 65001 65002 ) ]", false), // RFC 9774 section 3
    ("10.20.3.0/24", "next-hop self as-path [ 65001 64600 ]", false), // RFC 7606 section 7.2
    ("10.20.4.0/24", "next-hop self as-path [ 64600 64600 64600 ]", true),
    ("10.20.5.0/24", "next-hop self attribute [ 0x99 0xc0 0x010203 ]", true),
    ("10.20.6.0/24", "next-hop self attribute [ 0x98 0x80 0x010203 ]", true),
    ("10.20.7.0/24", "next-hop 127.0.0.1", true),
    ("10.20.8.0/24", "next-hop self as-path [ 64600 4200000513 ]", true),
];

async fn started(lab: &mut Lab) -> (ExaBgp, Settings) {
    let settings = settings(vec![Session::new(GATEWAY, OUR_AS, DAEMON)], &[Route::new("10.20.0.0/24")]);
    lab.start("gateway");
    let daemon = ExaBgp::start(lab, "daemon", &settings).await;
    sessions_are_up(lab, &daemon, &settings).await;
    (daemon, settings)
}

#[test]
fn odd_paths_of_exabgp_have_the_fate_that_the_rfcs_say() {
    let config = Config::new(&[DAEMON], THEIR_AS, "").third("");
    with_site(&[ExaBgp::PROGRAMS, Bird::PROGRAMS].concat(), config.site(), async |lab| {
        let (daemon, _) = started(lab).await;
        let third = Settings {
            asn: THIRD_AS,
            router_id: THIRD.parse().unwrap(),
            sessions: vec![Session::new(GATEWAY, OUR_AS, THIRD)],
            routes: Vec::new(),
        };
        let third = Bird::start(lab, "third", &third).await;
        // Each was there before: treat-as-withdraw takes the old path, too.
        for (prefix, _, _) in PATHS {
            daemon.tell(&format!("announce route {prefix} next-hop self\n")).unwrap();
        }
        eventually("all of them, as they should be", async || {
            let found = received(lab, &name(DAEMON))?;
            ensure!(PATHS.iter().all(|(prefix, ..)| found.contains_key(&prefix.parse().unwrap())), "{found:?}");
            Ok(())
        })
        .await;
        for (prefix, words, _) in PATHS {
            daemon.tell(&format!("announce route {prefix} {words}\n")).unwrap();
        }
        daemon.tell("announce route 10.20.255.0/24 next-hop self\n").unwrap();
        eventually("the last of them", async || fate_is(lab, "10.20.255.0/24", None)).await;
        for (prefix, words, stays) in PATHS {
            let is_there = lab.show("gateway", &["received", &name(DAEMON)]).unwrap().to_string().contains(prefix);
            assert_eq!(is_there, stays, "{prefix} {words}");
        }
        fate_is(lab, "10.20.8.0/24", Some("our own AS is in AS_PATH")).unwrap();
        eventually("what is passed on", async || {
            let shown = third.ask("show route all")?;
            // Optional transitive, and passed on by one that does not know it: Partial (RFC 4271 section 5).
            ensure!(shown.contains("BGP.99 [t]: 01 02 03") || shown.contains("BGP.99 [tp]: 01 02 03"), "{shown}");
            ensure!(!shown.contains("BGP.98"), "{shown}");
            let lost = ["10.20.1.0/24", "10.20.2.0/24", "10.20.3.0/24", "10.20.7.0/24", "10.20.8.0/24"];
            ensure!(!lost.iter().any(|prefix| shown.contains(prefix)), "{shown}");
            ensure!(shown.contains("10.20.255.0/24"), "{shown}");
            Ok(())
        })
        .await;
        let shown = lab.show("gateway", &["events"]).unwrap();
        assert!(!shown.to_string().contains("session-down"), "{shown}");
    });
}

#[test]
fn an_unknown_well_known_attribute_of_exabgp_ends_the_session() {
    let config = Config::new(&[DAEMON], THEIR_AS, "");
    with_site(ExaBgp::PROGRAMS, config.site(), async |lab| {
        let (daemon, _) = started(lab).await;
        daemon.tell("announce route 10.20.1.0/24 next-hop self attribute [ 0x99 0x40 0x010203 ]\n").unwrap();
        eventually("UPDATE Message Error, with the attribute", async || {
            let shown = lab.show("gateway", &["events"])?;
            let events = shown["events"].as_array().context("events")?;
            let text = "sent UPDATE Message Error/Unrecognized Well-known Attribute";
            ensure!(
                events.iter().any(|event| event["text"].as_str().is_some_and(|found| found.starts_with(text))),
                "{shown}"
            );
            let said = daemon.said()?;
            ensure!(said.contains("NOTIFICATION 3/2"), "{said}");
            Ok(())
        })
        .await;
    });
}
