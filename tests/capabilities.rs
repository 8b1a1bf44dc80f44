//! Each capability against a daemon that has it too: offered, agreed on, and used in both directions.
#![allow(clippy::unwrap_used)]

#[path = "capabilities/bird.rs"]
mod bird;
mod common;

use anyhow::{Context as _, ensure};
use bird::Bird;
use common::{Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

/// Ours.
const OURS: &str = "198.51.100.0/24";
/// Of the daemon.
const THEIRS: &str = "203.0.113.0/24";

/// A gateway (AS 64512) and a daemon (AS 64513) on one cable, which has these addresses at either end.
fn site(addresses: [&[&str]; 2], config: String) -> Site {
    Site {
        name: "capabilities",
        drawing: "",
        nodes: vec![Node::router("near"), Node::router("far")],
        links: vec![Link::new(
            "cable",
            vec![Port::new("near", "eth0", addresses[0]), Port::new("far", "eth0", addresses[1])],
        )],
        gateways: vec![Gateway { name: "gateway", node: "near", config }],
        expectations: Vec::new(),
    }
}

const BOTH: [&[&str]; 2] = [&["192.0.2.1/24", "2001:db8::1/64"], &["192.0.2.2/24", "2001:db8::2/64"]];

/// The gateway's file: one neighbor with these keys, and what stands behind it.
fn config(address: &str, keys: &str, rest: &str) -> String {
    format!(
        "[router]\nasn = 64512\nrouter-id = '192.0.2.1'\n[control]\nsocket = '${{LAB}}/gateway.sock'\n[bgp]\n\
         [[bgp.neighbor]]\nname = 'far'\naddress = '{address}'\nasn = 64513\nconnect-retry = 1\nimport = 'accept-all'\n\
         {keys}\n[[bgp.originate]]\nprefix = '{OURS}'\n{rest}"
    )
}

/// The neighbor as `show neighbors` has it, once its session is up.
async fn established(lab: &Lab) -> Value {
    eventually("the session", async || {
        let shown = lab.show("gateway", &["neighbors"])?;
        let neighbor = &shown["neighbors"][0];
        ensure!(neighbor["state"] == "established", "{neighbor}");
        Ok(neighbor.clone())
    })
    .await
}

fn capabilities(neighbor: &Value) -> Vec<&str> {
    neighbor["capabilities"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// The neighbor's paths of a prefix as they came.
async fn received(lab: &Lab, prefix: &str) -> Vec<Value> {
    eventually(&format!("{prefix} from the neighbor"), async || {
        let shown = lab.show("gateway", &["received", "far"])?;
        let routes = shown["routes"].as_array().context("routes")?;
        let route = routes.iter().find(|route| route["prefix"] == prefix).with_context(|| shown.to_string())?;
        Ok(route["paths"].as_array().context("paths")?.clone())
    })
    .await
}

/// So many communities are an attribute of more than 4096 octets.
const COMMUNITIES: u16 = 1500;

#[test]
fn bird_and_the_gateway_tell_each_other_routes_in_messages_of_more_than_4096_octets() {
    let ours: Vec<String> = (0..COMMUNITIES).map(|number| format!("'64512:{number}'")).collect();
    let policy = format!("[[policy.long]]\nset = {{ add-community = [{}] }}\naction = 'accept'\n", ours.join(", "));
    let theirs: String = (0..COMMUNITIES).map(|number| format!("bgp_community.add((64513,{number}));")).collect();
    let bird_config = format!(
        "router id 192.0.2.2;\nprotocol static own {{ ipv4; route {THEIRS} unreachable {{ {theirs} }}; }}\n\
         protocol bgp far {{ local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512; enable extended messages on;\n\
         ipv4 {{ import all; export all; }}; }}\n"
    );
    let site = site(BOTH, config("192.0.2.2", "export = 'long'", &policy));
    with_site(bird::PROGRAMS, site, async |lab| {
        let bird = Bird::start(lab, "far", &bird_config).await;
        lab.start("gateway");
        let neighbor = established(lab).await;
        assert!(capabilities(&neighbor).contains(&"extended-message"), "{neighbor}");
        let paths = received(lab, THEIRS).await;
        assert_eq!(paths[0]["communities"].as_array().unwrap().len(), usize::from(COMMUNITIES));
        let told = eventually("our route at BIRD", async || bird.received(OURS)).await;
        assert_eq!(told.matches("(64512,").count(), usize::from(COMMUNITIES), "{told}");
    });
}

/// BIRD's session with its role.
fn bird_with_role(role: &str) -> String {
    format!(
        "router id 192.0.2.2;\nprotocol static own {{ ipv4; route {THEIRS} unreachable; }}\n\
         protocol bgp far {{ local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512; local role {role};\n\
         ipv4 {{ import all; export all; }}; }}\n"
    )
}

#[test]
fn bird_as_provider_and_the_gateway_as_customer_mark_routes_for_customers_only() {
    let site = site(BOTH, config("192.0.2.2", "export = 'accept-all'\nrole = 'customer'", ""));
    with_site(bird::PROGRAMS, site, async |lab| {
        let bird = Bird::start(lab, "far", &bird_with_role("provider")).await;
        lab.start("gateway");
        let neighbor = established(lab).await;
        assert!(capabilities(&neighbor).contains(&"role provider"), "{neighbor}");
        received(lab, THEIRS).await;
        // A customer's own route goes up unmarked.
        let told = eventually("our route at BIRD", async || bird.received(OURS)).await;
        assert!(!told.contains("otc"), "{told}");
    });
}

#[test]
fn bird_as_peer_takes_our_route_with_our_as_as_its_mark() {
    let site = site(BOTH, config("192.0.2.2", "export = 'accept-all'\nrole = 'peer'", ""));
    with_site(bird::PROGRAMS, site, async |lab| {
        let bird = Bird::start(lab, "far", &bird_with_role("peer")).await;
        lab.start("gateway");
        established(lab).await;
        let told = eventually("our route at BIRD", async || bird.received(OURS)).await;
        assert!(told.contains("BGP.otc: 64512"), "{told}");
        // Marked with BIRD's own AS, so it is no leak.
        let paths = received(lab, THEIRS).await;
        assert_eq!(paths[0]["accepted"], true, "{paths:?}");
    });
}

#[test]
fn bird_and_the_gateway_as_providers_of_each_other_have_no_session() {
    let site = site(BOTH, config("192.0.2.2", "export = 'accept-all'\nrole = 'provider'", ""));
    with_site(bird::PROGRAMS, site, async |lab| {
        let bird = Bird::start(lab, "far", &bird_with_role("provider")).await;
        lab.start("gateway");
        eventually("the refusal", async || {
            let shown = lab.show("gateway", &["neighbors"])?;
            let error = &shown["neighbors"][0]["last_error"];
            ensure!(error["code"] == 2 && error["subcode"] == 11, "{error}");
            Ok(())
        })
        .await;
        eventually("the refusal at BIRD", async || {
            let text = bird.ask("show protocols all far")?;
            ensure!(text.contains("Role mismatch"), "{text}");
            Ok(())
        })
        .await;
    });
}
