//! What `wg` prints of our tunnel, beside what it prints of wireguard-go with the same configuration.

use std::collections::BTreeMap;

use anyhow::ensure;

use crate::common::wireguard::{Program, Wireguard};
use crate::common::{Lab, eventually};
use crate::ends::{INTERFACE, IPV4, KNOWS, Side, Trial, equip_home, works};

/// After `wg show` and the interface.
const FIELDS: [&str; 12] = [
    "dump",
    "public-key",
    "private-key",
    "listen-port",
    "fwmark",
    "peers",
    "preshared-keys",
    "endpoints",
    "allowed-ips",
    "latest-handshakes",
    "transfer",
    "persistent-keepalive",
];

/// Everything that `wg` prints, by its arguments; times, counters and the order of allowed IPs and peers taken out.
fn printed(lab: &Lab, end: &Wireguard) -> anyhow::Result<BTreeMap<String, String>> {
    let mut questions =
        vec![vec!["show"], vec!["show", INTERFACE], vec!["show", "interfaces"], vec!["showconf", INTERFACE]];
    for field in FIELDS {
        questions.extend([vec!["show", INTERFACE, field], vec!["show", "all", field]]);
    }
    let answer = |question: Vec<&str>| {
        let field = *question.last().unwrap();
        let lines = end.wg(lab, &question)?.lines().map(|line| normal(line, field)).collect::<Vec<_>>().join("\n");
        // wireguard-go has its peers in another order each time. One is a line or a paragraph.
        let between = if FIELDS.contains(&field) { "\n" } else { "\n\n" };
        let mut peers: Vec<&str> = lines.split(between).collect();
        peers.sort_unstable();
        anyhow::Ok((question.join(" "), peers.join(between)))
    };
    questions.into_iter().map(answer).collect()
}

fn normal(line: &str, question: &str) -> String {
    let mut columns: Vec<String> = line.split('\t').map(sorted).collect();
    let last = columns.len() - 1;
    let counters = match question {
        "dump" if last >= 7 => last - 3..last,
        "latest-handshakes" => last..last + 1,
        "transfer" => last - 1..last + 1,
        _ => 0..0,
    };
    for counter in &mut columns[counters] {
        *counter = if counter == "0" { "none" } else { "some" }.to_owned();
    }
    columns.join("\t")
}

/// A list of prefixes in order; what is said of now is taken out.
fn sorted(column: &str) -> String {
    let column = column.trim_end();
    for said in ["  latest handshake: ", "  transfer: "] {
        if column.starts_with(said) {
            return said.to_owned();
        }
    }
    let (name, list) = ["  allowed ips: ", "AllowedIPs = "]
        .into_iter()
        .find_map(|name| Some((name, column.strip_prefix(name)?)))
        .unwrap_or(("", column));
    let mut items: Vec<&str> = list.split([',', ' ']).filter(|item| !item.is_empty()).collect();
    if items.iter().all(|item| item.parse::<ipnet::IpNet>().is_ok()) {
        items.sort_unstable();
        return format!("{name}{}", items.join(" "));
    }
    column.to_owned()
}

#[test]
fn wg_prints_of_us_what_it_prints_of_wireguard_go() {
    let ours = Side { knows: true, keepalive: 25 };
    let trial = Trial { program: Program::WireguardGo, outside: IPV4, ours, theirs: KNOWS };
    trial.connected(async |lab, ours, _| {
        works(lab).await;
        let of_us = printed(lab, &ours).unwrap();
        let config = ours.wg(lab, &["showconf", INTERFACE]).unwrap();
        assert!(config.contains("PresharedKey = ") && of_us["show"].contains("persistent keepalive: every 25 seconds"));
        lab.terminate("home").await;
        let config = lab.file("ours.conf", &config);
        let reference = lab.wireguard(Program::WireguardGo, "home", "wg0", &config).await;
        equip_home(lab).await;
        works(lab).await;
        eventually("the same words", async || {
            let of_reference = printed(lab, &reference)?;
            for (question, said) in &of_us {
                ensure!(
                    *said == of_reference[question],
                    "wg {question}: {said}\n--- wireguard-go: {}",
                    of_reference[question]
                );
            }
            Ok(())
        })
        .await;
    });
}
