//! `vpngw monitor`: what it prints of sessions and best routes with real neighbors, what it writes for bgpdump, and how it
//! ends.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use common::gobgp::GoBgp;
use common::schema::are_of_schema;
use common::{DEADLINE, Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

const ROUTE: &str = "10.50.0.0/24";
const PROGRAMS: [&str; 2] = ["gobgpd", "gobgp"];

/// A gateway (AS 64512), and a neighbor (AS 64513) on its link, who dials.
fn site(keys: &str) -> Site {
    let config = format!(
        "[router]\nasn = 64512\nrouter-id = '192.0.2.1'\n[control]\nsocket = '${{LAB}}/gateway.sock'\n[bgp]\n\
         [[bgp.neighbor]]\nname = 'far'\naddress = '192.0.2.2'\nasn = 64513\nconnect-retry = 1\n\
         graceful-restart = false\nimport = 'accept-all'\nexport = 'accept-all'\n{keys}\n\
         [[bgp.originate]]\nprefix = '198.51.100.0/24'\n[kernel]\ninstall = false\n"
    );
    Site {
        name: "monitor",
        drawing: "gateway - far",
        nodes: vec![Node::host("near"), Node::host("far")],
        links: vec![Link::new(
            "cable",
            vec![Port::new("near", "eth0", &["192.0.2.1/24"]), Port::new("far", "eth0", &["192.0.2.2/24"])],
        )],
        gateways: vec![Gateway { name: "gateway", node: "near", config }],
        expectations: Vec::new(),
    }
}

/// Starts `vpngw monitor` as a program of the site.
fn monitor(lab: &mut Lab, name: &str, words: &[&str]) {
    lab.monitor("gateway", name, words);
}

fn said(lab: &mut Lab, name: &str) -> String {
    lab.running.process(name).unwrap().output()
}

/// Waits until a line of a monitor has all these words, and returns it.
async fn line(lab: &mut Lab, name: &str, words: &[&str]) -> String {
    eventually(&format!("{words:?} of {name}"), async || {
        let said = said(lab, name);
        let found = said.lines().find(|line| words.iter().all(|word| line.contains(word)));
        Ok(found.with_context(|| said.clone())?.to_owned())
    })
    .await
}

/// Disables and enables the neighbor: whoever listens hears of it.
async fn news_of_sessions(lab: &Lab) {
    lab.tell("gateway", &["neighbor", "far", "disable"]).await;
    lab.tell("gateway", &["neighbor", "far", "enable"]).await;
}

/// So until the monitor has seen it: from then on it hears everything.
async fn hears_sessions(lab: &mut Lab, name: &str) {
    eventually(&format!("{name} hears"), async || {
        news_of_sessions(lab).await;
        ensure!(said(lab, name).contains("far"), "nothing");
        Ok(())
    })
    .await;
}

/// The same with a route of the neighbor's.
async fn hears_routes(lab: &mut Lab, name: &str, gobgp: &GoBgp) {
    eventually(&format!("{name} hears"), async || {
        for verb in ["add", "del"] {
            gobgp.run(&["global", "rib", verb, "-a", "ipv4", "10.99.0.0/24"])?;
        }
        ensure!(said(lab, name).contains("10.99.0.0/24"), "nothing");
        Ok(())
    })
    .await;
}

#[test]
fn sessions_are_told_state_by_state_with_the_reason_until_ctrl_c() {
    with_site(&PROGRAMS, site(""), async |lab| {
        lab.start("gateway");
        lab.answers("gateway").await;
        monitor(lab, "text", &["sessions"]);
        monitor(lab, "json", &["sessions", "--json"]);
        hears_sessions(lab, "text").await;
        hears_sessions(lab, "json").await;
        lab.gobgp_far().await;
        line(lab, "text", &["Z  far  192.0.2.2  open-confirm -> established"]).await;
        lab.kill("gobgp").await;
        let told = line(lab, "text", &["far  192.0.2.2  established -> active: "]).await;
        let (_, reason) = told.rsplit_once("-> active: ").unwrap();
        // The latter where it was killed before it had read what we told it: its kernel then sends RST
        assert!(reason == "the neighbor closed the connection" || reason.starts_with("connection lost: "), "{told}");
        let ended = line(lab, "json", &[r#""before":"established""#]).await;
        let value: Value = serde_json::from_str(&ended).unwrap();
        assert_eq!(
            (&value["name"], &value["address"], &value["asn"]),
            (&"far".into(), &"192.0.2.2".into(), &64513.into())
        );
        assert_eq!((&value["state"], &value["reason"]), (&"active".into(), &reason.into()));
        are_of_schema("monitor-sessions", &said(lab, "json"));
        lab.interrupt("text").await;
        lab.interrupt("json").await;
    });
}

#[test]
fn best_routes_are_told_as_they_change_until_the_gateway_stops() {
    with_site(&PROGRAMS, site(""), async |lab| {
        lab.start("gateway");
        let gobgp = lab.gobgp_far().await;
        monitor(lab, "text", &["routes"]);
        monitor(lab, "json", &["routes", "--json"]);
        hears_routes(lab, "text", &gobgp).await;
        hears_routes(lab, "json", &gobgp).await;
        gobgp.announce(ROUTE);
        line(lab, "text", &["Z  10.50.0.0/24  via 192.0.2.2  from far  64513 "]).await;
        let told = line(lab, "json", &[ROUTE, r#""withdrawn":false"#]).await;
        let value: Value = serde_json::from_str(&told).unwrap();
        let shown = lab.show("gateway", &["routes", ROUTE]).unwrap();
        let same =
            ["neighbor", "neighbor_address", "next_hop", "as_path", "as_path_text", "origin", "communities", "best"];
        for name in same {
            assert_eq!(value["path"][name], shown["routes"][0]["paths"][0][name], "{name}: {told}");
        }
        gobgp.withdraw(ROUTE);
        line(lab, "text", &["Z  10.50.0.0/24  withdrawn  from far"]).await;
        line(lab, "json", &[ROUTE, r#""withdrawn":true,"neighbor":"far","path":null"#]).await;
        are_of_schema("monitor-routes", &said(lab, "json"));
        lab.interrupt("json").await;
        lab.terminate("gateway").await;
        let status = lab.running.process("text").unwrap().wait(DEADLINE).await.unwrap();
        assert_eq!(status.code(), Some(1));
        line(lab, "text", &["error: vpngw at ", "gateway.sock has stopped"]).await;
        lab.kill("text").await; // which has ended, and not well
    });
}

#[test]
fn monitors_that_have_ended_make_room_for_others() {
    with_site(&PROGRAMS, site(""), async |lab| {
        lab.start("gateway");
        lab.answers("gateway").await;
        let names: Vec<String> = (0..8).map(|number| format!("monitor-{number}")).collect();
        names.iter().for_each(|name| monitor(lab, name, &["sessions"]));
        for name in &names {
            hears_sessions(lab, name).await;
        }
        monitor(lab, "refused", &["sessions"]);
        line(lab, "refused", &["error: there are too many monitors already"]).await;
        lab.kill("refused").await;
        lab.interrupt(&names[0]).await;
        lab.kill(&names[1]).await;
        for name in ["one-more", "another"] {
            eventually("room for one more", async || {
                monitor(lab, name, &["sessions"]);
                // It ends where there is none, or hears what the others hear
                eventually("an answer", async || {
                    news_of_sessions(lab).await;
                    let ended = lab.running.process(name)?.ended()?.is_some();
                    ensure!(ended || said(lab, name).contains("far"), "{}", said(lab, name));
                    Ok(())
                })
                .await;
                ensure!(lab.running.process(name)?.ended()?.is_none(), "{}", said(lab, name));
                Ok(())
            })
            .await;
            lab.interrupt(name).await;
        }
        for name in &names[2..] {
            lab.interrupt(name).await;
        }
    });
}

/// The records of an MRT file: type and subtype. Its end is the end of one.
fn records(octets: &[u8]) -> Vec<(u16, u16)> {
    let mut records = Vec::new();
    let mut rest = octets;
    while let Some(header) = rest.first_chunk::<12>() {
        let [_, _, _, _, a, b, c, d, length @ ..] = *header;
        records.push((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
        rest = rest.get(12 + u32::from_be_bytes(length) as usize..).expect("a record is cut");
    }
    assert!(rest.is_empty(), "a header is cut");
    records
}

/// Starts a monitor that writes, and waits until it does.
async fn writing(lab: &mut Lab, name: &str, what: &str) -> PathBuf {
    let file = lab.running.directory().file(&format!("{name}.mrt"));
    monitor(lab, name, &[what, "--write", file.to_str().unwrap()]);
    line(lab, name, &["writing to ", "until Ctrl-C"]).await;
    file
}

/// What bgpdump reads, a line each, without the time.
fn dumped(lab: &Lab, file: &PathBuf) -> Vec<String> {
    records(&std::fs::read(file).unwrap());
    let text = lab.output("near", "bgpdump", &["-m", file.to_str().unwrap()]).unwrap();
    text.lines().map(|line| line.splitn(3, '|').nth(2).unwrap().to_owned()).collect()
}

/// Waits until bgpdump reads a line that begins so.
async fn reads(lab: &Lab, file: &PathBuf, begin: &str) {
    eventually(begin, async || {
        let lines = dumped(lab, file);
        ensure!(lines.iter().any(|line| line.starts_with(begin)), "{lines:#?}");
        Ok(())
    })
    .await;
}

#[test]
fn bgpdump_reads_what_sessions_say_while_the_file_grows() {
    with_site(&[&PROGRAMS[..], &["bgpdump"]].concat(), site(""), async |lab| {
        lab.start("gateway");
        lab.answers("gateway").await;
        let sessions = writing(lab, "sessions", "sessions").await;
        let routes = writing(lab, "routes", "routes").await;
        let gobgp = lab.gobgp_far().await;
        for file in [&sessions, &routes] {
            reads(lab, file, "STATE|192.0.2.2|64513|5|6").await; // OpenConfirm to Established
        }
        gobgp.announce(ROUTE);
        reads(lab, &routes, "A|192.0.2.2|64513|10.50.0.0/24|64513|").await;
        gobgp.withdraw(ROUTE);
        reads(lab, &routes, "W|192.0.2.2|64513|10.50.0.0/24").await;
        reads(lab, &routes, "A|192.0.2.2|64513|198.51.100.0/24|64512|").await; // what it was told
        lab.kill("gobgp").await;
        reads(lab, &sessions, "STATE|192.0.2.2|64513|6|3").await;
        lab.interrupt("sessions").await;
        lab.interrupt("routes").await;
        const ET: u16 = 17;
        let kinds = records(&std::fs::read(&routes).unwrap());
        assert!(kinds.iter().all(|kind| [(ET, 4), (ET, 5), (ET, 7)].contains(kind)), "{kinds:?}");
        let text = lab.output("near", "bgpdump", &["-H", sessions.to_str().unwrap()]).unwrap();
        for kind in ["STATE_CHANGE", "MESSAGE/Open", "MESSAGE_LOCAL/Open", "MESSAGE/Keepalive"] {
            assert!(text.contains(kind), "{kind}: {text}");
        }
        assert!(!text.contains("/Update"), "{text}");
    });
}

/// ExaBGP with two paths to one prefix, and what it needs to tell both.
const TWO_PATHS: &str = "neighbor 192.0.2.1 {
 router-id 192.0.2.2; local-address 192.0.2.2; local-as 64513; peer-as 64512;
 family { ipv4 unicast; }
 capability { add-path send/receive; }
 static {
  route 10.50.0.0/24 next-hop 192.0.2.2 path-information 0.0.0.1;
  route 10.50.0.0/24 next-hop 192.0.2.2 med 7 path-information 0.0.0.2;
 }
}
";

#[test]
fn several_paths_of_a_neighbor_are_kept_apart() {
    with_site(&["exabgp", "bgpdump"], site("add-path = 'both'"), async |lab| {
        lab.start("gateway");
        lab.answers("gateway").await;
        let routes = writing(lab, "routes", "routes").await;
        let config = lab.file("exabgp.conf", TWO_PATHS);
        let mut command = lab.node("far").command("/usr/sbin/exabgp");
        command.arg(config).env("exabgp.daemon.drop", "false").env("exabgp.api.cli", "false");
        lab.running.run("exabgp", command).unwrap();
        eventually("both paths", async || {
            let shown = lab.show("gateway", &["routes", ROUTE])?;
            let count = shown["routes"][0]["paths"].as_array().map_or(0, Vec::len);
            ensure!(count == 2, "{shown}");
            Ok(())
        })
        .await;
        // Behind the prefix stands the identifier.
        reads(lab, &routes, "A|192.0.2.2|64513|10.50.0.0/24|1|64513|IGP|192.0.2.2|0|0|").await;
        reads(lab, &routes, "A|192.0.2.2|64513|10.50.0.0/24|2|64513|IGP|192.0.2.2|0|7|").await;
        const ET: u16 = 17;
        let kinds = records(&std::fs::read(&routes).unwrap());
        for subtype in [9, 11] {
            assert!(kinds.contains(&(ET, subtype)), "RFC 8050 §3, {subtype}: {kinds:?}");
        }
        let table = lab.running.directory().file("table.mrt");
        lab.tell("gateway", &["show", "routes", "--mrt", table.to_str().unwrap()]).await;
        const TABLE_DUMP_V2: u16 = 13;
        let kinds = records(&std::fs::read(&table).unwrap());
        assert_eq!(kinds, [(TABLE_DUMP_V2, 1), (TABLE_DUMP_V2, 8), (TABLE_DUMP_V2, 2)]);
        let of_prefix: Vec<_> = dumped(lab, &table).into_iter().filter(|line| line.contains(ROUTE)).collect();
        assert_eq!(of_prefix.len(), 2, "{of_prefix:#?}");
        lab.interrupt("routes").await;
    });
}
