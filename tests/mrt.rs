//! The Loc-RIB in the MRT format: Debian's bgpdump reads it, and says what `show routes --json` says.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::site::{Expectation, Gateway, Link, Node, Port, Site, nets};

const NEAR: &str = r#"
[router]
asn       = 64512
router-id = "192.0.2.1"
[[bgp.neighbor]]
name     = "far"
address  = "192.0.2.2"
asn      = 4200000000
families = ["ipv4", "ipv6"]
import   = "judged"
export   = "accept-all"
[[bgp.originate]]
prefix = "10.1.0.0/16"
[[policy.judged]]
set    = { local-pref = 200 }
action = "accept"
[kernel]
install = false
[control]
socket = "${LAB}/near.sock"
"#;

const FAR: &str = r#"
[router]
asn       = 4200000000
router-id = "192.0.2.2"
[[bgp.neighbor]]
name     = "near"
address  = "192.0.2.1"
asn      = 64512
families = ["ipv4", "ipv6"]
import   = "accept-all"
export   = "marked"
[[policy.marked]]
match  = { family = "ipv6" }
set    = { prepend = 2, add-large-community = "64513:1:2" }
action = "accept"
[[policy.marked]]
set    = { med = 7, add-community = ["64513:100", "no-export"] }
action = "accept"
[kernel]
install  = false
protocol = 158
[control]
socket = "${LAB}/far.sock"
"#;

/// More than a slice of either family.
const MANY: usize = 1100;

fn site() -> Site {
    let prefixes = |number: usize| {
        let (high, low) = (number / 256, number % 256);
        format!(
            "[[bgp.originate]]\nprefix = \"10.{}.{low}.0/24\"\n[[bgp.originate]]\nprefix = \"fd00:{number:x}::/32\"\n",
            100 + high
        )
    };
    let far = FAR.to_owned() + &(0..MANY).map(prefixes).collect::<String>();
    Site {
        name: "mrt",
        drawing: "near - far",
        nodes: vec![Node::host("near"), Node::host("far")],
        links: vec![Link::new(
            "cable",
            vec![
                Port::new("near", "eth0", &["192.0.2.1/24", "2001:db8::1/64"]),
                Port::new("far", "eth0", &["192.0.2.2/24", "2001:db8::2/64"]),
            ],
        )],
        gateways: vec![
            Gateway { name: "near", node: "near", config: NEAR.to_owned() },
            Gateway { name: "far", node: "far", config: far },
        ],
        expectations: Vec::new(),
    }
}

/// Neighbor, its AS, prefix, path, ORIGIN, next hop, LOCAL_PREF, MED, communities: as bgpdump prints them.
fn shown(routes: &Value) -> BTreeSet<String> {
    let number = |value: &Value| value.as_u64().unwrap_or(0).to_string();
    let line = |prefix: &Value, path: &Value| {
        let (neighbor, asn, next_hop) = match path["neighbor_address"].as_str() {
            Some(address) => (address, "4200000000", path["next_hop"].as_str().unwrap()),
            None => ("0.0.0.0", "64512", "0.0.0.0"),
        };
        let communities = path["communities"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
        let fields = [
            neighbor.to_owned(),
            asn.to_owned(),
            prefix.as_str().unwrap().to_owned(),
            path["as_path_text"].as_str().unwrap().to_owned(),
            path["origin"].as_str().unwrap().to_uppercase(),
            next_hop.to_owned(),
            number(&path["local_pref"]),
            number(&path["med"]),
            communities.collect::<Vec<_>>().join(" "),
        ];
        fields.join("|")
    };
    let paths = |route: &Value| -> Vec<String> {
        route["paths"].as_array().unwrap().iter().map(|path| line(&route["prefix"], path)).collect()
    };
    routes["routes"].as_array().unwrap().iter().flat_map(paths).collect()
}

/// What bgpdump reads, a line a path.
fn dumped(lab: &Lab, file: &str, options: &str) -> String {
    let path = lab.running.directory().file(file);
    lab.output("near", "bgpdump", &[options, path.to_str().unwrap()]).unwrap()
}

async fn dump(lab: &Lab, what: &[&str], file: &str) {
    let path = lab.running.directory().file(file);
    lab.tell("near", &[&["show", "routes"], what, &["--mrt", path.to_str().unwrap()]].concat()).await;
}

#[test]
fn bgpdump_reads_the_routes_that_are_shown() {
    with_site(&["bgpdump"], site(), async |lab| {
        lab.start_all(&["near", "far"]);
        let all = 2 * MANY + 1;
        eventually("all routes", async || {
            let routes = lab.show("near", &["routes"])?;
            let count = routes["routes"].as_array().map_or(0, Vec::len);
            anyhow::ensure!(count == all, "{count} of {all}");
            Ok(())
        })
        .await;
        dump(lab, &[], "all.mrt").await;
        let text = dumped(lab, "all.mrt", "-m");
        let lines = text.lines().map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            assert_eq!((fields[0], fields[2]), ("TABLE_DUMP2", "B"), "{line}");
            fields[3..12].join("|").replace("no-export", "65535:65281")
        });
        let routes = lab.show("near", &["routes"]).unwrap();
        let (lines, shown) = (lines.collect::<BTreeSet<_>>(), shown(&routes));
        assert_eq!(lines.len(), all);
        let differing: Vec<_> = lines.symmetric_difference(&shown).take(6).collect();
        assert!(differing.is_empty(), "{differing:#?}");

        dump(lab, &["fd00::/32"], "one.mrt").await;
        let text = dumped(lab, "one.mrt", "-H");
        assert!(text.contains("LARGE_COMMUNITY: 64513:1:2"), "{text}");
        assert_eq!(text.matches("PREFIX: ").count(), 1, "{text}");
    });
}

#[test]
fn a_dump_that_fails_leaves_no_file() {
    with_site(&[], site(), async |lab| {
        lab.start("near");
        lab.expect(Expectation::Routes { gateway: "near", prefixes: nets(&["10.1.0.0/16"]) }).await;
        let directory = lab.running.directory().path().to_owned();
        let file = directory.join("none").join("all.mrt");
        let mut command = std::process::Command::new(common::binary());
        command.arg("--socket").arg(lab.running.socket("near")).args(["show", "routes", "--mrt"]).arg(&file);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("cannot write") && error.contains("No such file"), "{error}");
        let left = std::fs::read_dir(directory).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("mrt")
        });
        assert_eq!(left.count(), 0);
    });
}
