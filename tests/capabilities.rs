//! Each capability, and what is told by communities, against a daemon that has it too: offered, agreed on, and used in both directions.
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
        nodes: vec![Node::router("near").address("198.51.100.1/32"), Node::router("far").address("203.0.113.1/32")],
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

/// IPv6 alone: what is IPv4 goes over IPv6 next hops.
const IPV6: [&[&str]; 2] = [&["2001:db8::1/64"], &["2001:db8::2/64"]];

/// Routes on both sides lead over the other's IPv6 address, and packets take them.
async fn ipv4_over_ipv6_works(lab: &Lab) {
    let neighbor = established(lab).await;
    assert!(capabilities(&neighbor).contains(&"extended-next-hop"), "{neighbor}");
    lab.kernel_has("gateway", "near", &[(THEIRS, &[("2001:db8::2", "eth0")])]).await;
    lab.pings("near", "198.51.100.1", "203.0.113.1").await;
    lab.pings("far", "203.0.113.1", "198.51.100.1").await;
}

fn over_ipv6() -> Site {
    site(IPV6, config("2001:db8::2", "export = 'accept-all'\nfamilies = ['ipv4', 'ipv6']", ""))
}

#[test]
fn bird_and_the_gateway_reach_each_other_s_ipv4_over_an_ipv6_link() {
    let bird_config = format!(
        "router id 192.0.2.2;\nprotocol static own {{ ipv4; route {THEIRS} unreachable; }}\n\
         protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; }}\n\
         protocol bgp far {{ local 2001:db8::2 as 64513; neighbor 2001:db8::1 as 64512;\n\
         ipv4 {{ import all; export all; extended next hop on; }}; ipv6 {{ import all; export all; }}; }}\n"
    );
    with_site(bird::PROGRAMS, over_ipv6(), async |lab| {
        let bird = Bird::start(lab, "far", &bird_config).await;
        lab.start("gateway");
        ipv4_over_ipv6_works(lab).await;
        let told = bird.received(OURS).unwrap();
        assert!(told.contains("BGP.next_hop: 2001:db8::1"), "{told}");
    });
}

#[test]
fn frr_and_the_gateway_reach_each_other_s_ipv4_over_an_ipv6_link() {
    let frr_config = format!(
        "router bgp 64513\n bgp router-id 192.0.2.2\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         neighbor 2001:db8::1 remote-as 64512\n neighbor 2001:db8::1 capability extended-nexthop\n \
         address-family ipv4 unicast\n  network {THEIRS}\n exit-address-family\n \
         address-family ipv6 unicast\n  neighbor 2001:db8::1 activate\n exit-address-family\n"
    );
    with_site(&["bgpd", "zebra", "vtysh"], over_ipv6(), async |lab| {
        let frr = lab.frr("frr", "far", &frr_config).await;
        lab.start("gateway");
        ipv4_over_ipv6_works(lab).await;
        let told = frr.ask(&format!("show bgp ipv4 unicast {OURS} json")).unwrap();
        assert!(told.to_string().contains("\"ip\":\"2001:db8::1\""), "{told}");
    });
}

#[test]
fn bird_and_the_gateway_send_each_other_begin_and_end_of_a_refresh() {
    let bird_config = format!(
        "debug protocols all;\nrouter id 192.0.2.2;\nprotocol static own {{ ipv4; route {THEIRS} unreachable; }}\n\
         protocol bgp far {{ local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512;\n\
         ipv4 {{ import all; export all; }}; }}\n"
    );
    let site = site(BOTH, config("192.0.2.2", "export = 'accept-all'", ""));
    with_site(bird::PROGRAMS, site, async |lab| {
        let bird = Bird::start(lab, "far", &bird_config).await;
        lab.start("gateway");
        let neighbor = established(lab).await;
        assert!(capabilities(&neighbor).contains(&"enhanced-route-refresh"), "{neighbor}");
        let before = received(lab, THEIRS).await;
        eventually("our route at BIRD", async || bird.received(OURS)).await;

        bird.ask("reload in far").unwrap();
        said(lab, &["Sending ROUTE-REFRESH", "Got BEGIN-OF-RR", "Got END-OF-RR"]).await;
        bird.received(OURS).unwrap();

        lab.tell("gateway", &["neighbor", "far", "refresh"]).await;
        said(lab, &["Got ROUTE-REFRESH", "Sending BEGIN-OF-RR", "Sending END-OF-RR"]).await;
        let after = received(lab, THEIRS).await;
        assert_eq!(after.len(), before.len());
        assert_eq!(after[0]["accepted"], true, "{after:?}");
    });
}

/// Waits until BIRD has logged all of it, in this order.
async fn said(lab: &mut Lab, lines: &[&str]) {
    eventually(&format!("{lines:?} in BIRD's log"), async || {
        let log = lab.running.process("far-bird")?.output();
        let mut rest = log.as_str();
        for line in lines {
            rest = rest.split_once(line).with_context(|| format!("no {line}"))?.1;
        }
        Ok(())
    })
    .await;
}

#[test]
fn frr_asks_for_a_refresh_and_gets_its_begin_and_its_end() {
    let frr_config = format!(
        "router bgp 64513\n bgp router-id 192.0.2.2\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         neighbor 192.0.2.1 remote-as 64512\n address-family ipv4 unicast\n  network {THEIRS}\n exit-address-family\n"
    );
    let site = site(BOTH, config("192.0.2.2", "export = 'accept-all'", ""));
    with_site(&["bgpd", "zebra", "vtysh"], site, async |lab| {
        let frr = lab.frr("frr", "far", &frr_config).await;
        lab.start("gateway");
        established(lab).await;
        received(lab, THEIRS).await;
        let refreshes = || -> anyhow::Result<u64> {
            let shown = frr.ask("show bgp neighbors 192.0.2.1 json")?;
            shown["192.0.2.1"]["messageStats"]["routeRefreshRecv"].as_u64().with_context(|| shown.to_string())
        };
        let got = refreshes().unwrap();
        frr.vtysh(&["clear bgp ipv4 unicast 192.0.2.1 soft in"]).unwrap();
        eventually("begin and end at FRR", async || {
            let now = refreshes()?;
            ensure!(now >= got + 2, "{now}, {got} before");
            Ok(())
        })
        .await;
        assert!(frr.ask(&format!("show bgp ipv4 unicast {OURS} json")).unwrap()["paths"].is_array());
    });
}

#[test]
fn a_host_that_bird_marks_with_blackhole_is_dropped_by_the_kernel() {
    let victim = "203.0.113.7/32";
    let policy = format!(
        "[[policy.far]]\nmatch = {{ prefix = '{THEIRS} ge 32', community = 'blackhole' }}\naction = 'accept'\n\
         [[policy.far]]\nmatch = {{ prefix = '{THEIRS}' }}\naction = 'accept'\n"
    );
    let bird_config = format!(
        "router id 192.0.2.2;\nprotocol static own {{ ipv4; route {THEIRS} unreachable;\n\
         route {victim} unreachable {{ bgp_community.add((65535,666)); }}; }}\n\
         protocol bgp far {{ local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512;\n\
         ipv4 {{ import all; export all; }}; }}\n"
    );
    let text = config("192.0.2.2", "export = 'accept-all'", &policy).replace("import = 'accept-all'", "import = 'far'");
    with_site(bird::PROGRAMS, site(BOTH, text), async |lab| {
        Bird::start(lab, "far", &bird_config).await;
        lab.start("gateway");
        established(lab).await;
        lab.kernel_has("gateway", "near", &[(THEIRS, &[("192.0.2.2", "eth0")]), (victim, &[])]).await;
        assert!(lab.output("near", "ip", &["route", "get", "203.0.113.7"]).is_err(), "there is a way");
    });
}

/// The gateway's neighbor takes and tells several paths; two more daemons, `left` and `right`, announce the same prefix.
fn three_daemons(mode: &str) -> Site {
    let other = |name: &str, address: &str, asn: u32| {
        format!(
            "[[bgp.neighbor]]\nname = '{name}'\naddress = '{address}'\nasn = {asn}\nconnect-retry = 1\n\
             import = 'accept-all'\nexport = 'accept-all'\n"
        )
    };
    let others = other("left", "192.0.2.3", 64521) + &other("right", "192.0.2.4", 64522);
    let keys = format!("export = 'accept-all'\nadd-path = '{mode}'");
    let mut site = site(BOTH, config("192.0.2.2", &keys, &others));
    for (node, address) in [("left", "192.0.2.3/24"), ("right", "192.0.2.4/24")] {
        site.nodes.push(Node::router(node));
        site.links[0].ports.push(Port::new(node, "eth0", &[address]));
    }
    site
}

/// A daemon with one prefix.
fn bird_with(prefix: &str, address: &str, asn: u32) -> String {
    format!(
        "router id {address};\nprotocol static own {{ ipv4; route {prefix} unreachable; }}\n\
         protocol bgp far {{ local {address} as {asn}; neighbor 192.0.2.1 as 64512;\n\
         ipv4 {{ import all; export all; }}; }}\n"
    )
}

/// In the paths of one neighbor: the AS behind ours, and the identifier.
fn origins_and_ids(paths: &[Value]) -> Vec<(u64, u64)> {
    let mut found: Vec<_> = paths
        .iter()
        .filter_map(|path| Some((path["as_path"].as_array()?.last()?.as_u64()?, path["path_id"].as_u64()?)))
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn bird_hears_of_both_paths_to_a_prefix_and_of_the_end_of_one() {
    let shared = "10.50.0.0/24";
    with_site(bird::PROGRAMS, three_daemons("both"), async |lab| {
        let add_paths = bird_with(THEIRS, "192.0.2.2", 64513).replace("import all;", "add paths on; import all;");
        let bird = Bird::start(lab, "far", &add_paths).await;
        let _left = Bird::start(lab, "left", &bird_with(shared, "192.0.2.3", 64521)).await;
        let right = Bird::start(lab, "right", &bird_with(shared, "192.0.2.4", 64522)).await;
        lab.start("gateway");
        let neighbor = established(lab).await;
        assert!(capabilities(&neighbor).contains(&"add-path ipv4 both"), "{neighbor}");
        eventually("both paths at BIRD", async || {
            let text = bird.received(shared)?;
            ensure!(text.contains("64512 64521") && text.contains("64512 64522"), "{text}");
            Ok(())
        })
        .await;
        let advertised = lab.show("gateway", &["advertised", "far"]).unwrap();
        let routes = advertised["routes"].as_array().unwrap();
        let route = routes.iter().find(|route| route["prefix"] == shared).unwrap();
        let found = origins_and_ids(route["paths"].as_array().unwrap());
        assert!(found.len() == 2 && found[0].1 != found[1].1, "{found:?}");
        // What BIRD tells has identifiers too.
        assert!(received(lab, THEIRS).await[0]["path_id"].is_u64());
        right.ask("disable far").unwrap();
        eventually("one path at BIRD", async || {
            let text = bird.received(shared)?;
            ensure!(text.contains("64512 64521") && !text.contains("64512 64522"), "{text}");
            Ok(())
        })
        .await;
    });
}

#[test]
fn frr_tells_both_of_its_paths_to_a_prefix() {
    let shared = "10.50.0.0/24";
    let frr_config = "router bgp 64513\n bgp router-id 192.0.2.2\n no bgp ebgp-requires-policy\n \
                      neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.3 remote-as 64521\n \
                      neighbor 192.0.2.4 remote-as 64522\n address-family ipv4 unicast\n  \
                      neighbor 192.0.2.1 addpath-tx-all-paths\n exit-address-family\n";
    let mut site = three_daemons("receive");
    site.gateways[0].config = config("192.0.2.2", "export = 'accept-all'\nadd-path = 'receive'", "");
    let towards_frr = |address: &str, asn| {
        bird_with(shared, address, asn).replace("neighbor 192.0.2.1 as 64512", "neighbor 192.0.2.2 as 64513")
    };
    let programs = [bird::PROGRAMS, &["bgpd", "zebra", "vtysh"]].concat();
    with_site(&programs, site, async |lab| {
        lab.frr("frr", "far", frr_config).await;
        let _left = Bird::start(lab, "left", &towards_frr("192.0.2.3", 64521)).await;
        let right = Bird::start(lab, "right", &towards_frr("192.0.2.4", 64522)).await;
        lab.start("gateway");
        established(lab).await;
        let both = |paths: &[Value]| origins_and_ids(paths).iter().map(|(origin, _)| *origin).eq([64521, 64522]);
        eventually("both paths of FRR", async || {
            let paths = received(lab, shared).await;
            ensure!(both(&paths), "{paths:?}");
            Ok(())
        })
        .await;
        right.ask("disable far").unwrap();
        eventually("one path of FRR", async || {
            let paths = received(lab, shared).await;
            ensure!(origins_and_ids(&paths).len() == 1, "{paths:?}");
            Ok(())
        })
        .await;
    });
}
