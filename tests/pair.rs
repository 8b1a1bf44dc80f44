//! Two gateways: one tunnel, one session inside it, one prefix each way in each family; and what happens when things change.
#![allow(clippy::unwrap_used)]

mod common;

use anyhow::{Context as _, ensure};
use common::pair::{ENDS, OUTSIDE, PODS, SPEAKER, VPC, connected, exchanged, site};
use common::schema::is_of_schema;
use common::{Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::request::Request;
use vpngw::lab::site::Expectation;

/// RFC 4271 §4.5.
const CEASE: u64 = 6;

/// Tunnel, session, routes and packets, both ways and in both families.
async fn works(lab: &mut Lab) {
    lab.expect_all(&connected()).await;
    lab.expect_all(&exchanged()).await;
    for (pod, instance) in ENDS {
        lab.pings("pod", pod, instance).await;
        lab.pings("instance", instance, pod).await;
    }
}

#[test]
fn two_gateways_carry_packets_for_one_prefix_each_way_in_each_family() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        lab.kernel_has("home", "home", &VPC.map(|prefix| (prefix, &[("", "wg0")][..]))).await;
        lab.kernel_has("ec2", "ec2", &PODS.map(|prefix| (prefix, &[("", "wg0")][..]))).await;
    });
}

#[test]
fn either_end_may_start_first() {
    for [first, second] in [["home", "ec2"], ["ec2", "home"]] {
        with_site(&[], site(), async |lab| {
            lab.start(first);
            lab.answers(first).await;
            lab.start(second);
            works(lab).await;
        });
    }
}

#[test]
fn a_prefix_that_is_withdrawn_is_gone_from_both_kernels() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2", "speaker"]);
        for prefix in SPEAKER {
            lab.kernel_route("home", prefix, true).await;
            lab.kernel_route("ec2", prefix, true).await;
        }
        lab.terminate("speaker").await;
        for prefix in SPEAKER {
            lab.kernel_route("home", prefix, false).await;
            lab.kernel_route("ec2", prefix, false).await;
        }
        works(lab).await;
    });
}

#[test]
fn a_gateway_that_is_stopped_takes_its_routes_with_it_at_both_ends() {
    for (stopped, stays, prefixes) in [("home", "ec2", PODS), ("ec2", "home", VPC)] {
        with_site(&[], site(), async |lab| {
            lab.start_all(&["home", "ec2"]);
            works(lab).await;
            lab.terminate(stopped).await;
            assert!(lab.ip_routes(stopped, "157").unwrap().is_empty());
            assert!(lab.output(stopped, "ip", &["link", "show", "wg0"]).is_err(), "the device is still there");
            for prefix in prefixes {
                lab.kernel_route(stays, prefix, false).await;
            }
            lab.fib_and_kernel_agree(stays).await;
            lab.start(stopped);
            works(lab).await;
        });
    }
}

#[test]
fn a_gateway_that_was_killed_and_starts_again_finds_its_place() {
    for killed in ["home", "ec2"] {
        with_site(&[], site(), async |lab| {
            lab.start_all(&["home", "ec2"]);
            works(lab).await;
            lab.kill(killed).await;
            lab.start(killed);
            works(lab).await;
        });
    }
}

#[test]
fn a_link_that_is_cut_takes_the_session_with_it_and_gives_it_back() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        lab.output("home", "ip", &["link", "set", "wan0", "down"]).unwrap();
        for (gateway, name) in [("home", "aws"), ("ec2", "homelab")] {
            eventually("the end of tunnel and session", async || {
                let (peer, neighbor) = (peer(lab, gateway, name)?, neighbor(lab, gateway, name)?);
                ensure!(peer["state"] == "down" && neighbor["state"] != "established", "{peer}, {neighbor}");
                Ok(())
            })
            .await;
        }
        lab.output("home", "ip", &["link", "set", "wan0", "up"]).unwrap();
        works(lab).await;
    });
}

#[test]
fn a_route_outside_the_peers_routed_ips_is_refused_with_its_reason_and_goes_nowhere() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2", "speaker", "inside"]);
        lab.expect_all(&connected()).await;
        // The home side has no such ceiling towards its LAN.
        lab.kernel_route("home", OUTSIDE, true).await;
        let path = eventually("the refused path", async || only_path(lab, "ec2", OUTSIDE)).await;
        assert_eq!(path["best"], false, "{path}");
        let reason = path["not_best"].as_str().unwrap_or_default();
        assert!(reason.contains("routed-ips"), "{path}");

        // What came with it has gone everywhere, so this had its time.
        lab.kernel_route("ec2", SPEAKER[0], true).await;
        eventually("the accepted prefix inside the VPC", async || only_path(lab, "inside", SPEAKER[0])).await;
        assert!(only_path(lab, "inside", OUTSIDE).is_err());
        assert!(!lab.ip_routes("ec2", "157").unwrap().keys().any(|prefix| prefix.to_string() == OUTSIDE));
        let peer = peer(lab, "ec2", "homelab").unwrap();
        let allowed = peer["allowed_ips_from_bgp"].to_string();
        assert!(allowed.contains(SPEAKER[0]) && !allowed.contains(OUTSIDE), "{peer}");
    });
}

#[test]
fn a_packet_whose_source_the_peer_did_not_announce_is_dropped_and_counted() {
    const SPOOFED: [(&str, &str); 2] = [("10.66.0.1", "10.20.0.20"), ("fd66::1", "fd20::20")];
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        for (source, target) in SPOOFED {
            let before = dropped_sources(lab).unwrap();
            let address = ipnet::IpNet::from(source.parse::<std::net::IpAddr>().unwrap());
            lab.node("pod").perform(Request::Address { link: "lo".to_owned(), address }).await.unwrap();
            assert_eq!(lab.answered("pod", source, target).await.unwrap(), 0);
            eventually("the drops at the far end", async || {
                let after = dropped_sources(lab)?;
                ensure!(after >= before + 3, "{before} before, {after} after");
                Ok(())
            })
            .await;
        }
        works(lab).await;
    });
}

#[test]
fn a_session_that_is_reset_comes_back_with_its_routes() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        let socket = lab.running.socket("home");
        let mut command = std::process::Command::new(common::binary());
        command.arg("--socket").arg(socket).args(["neighbor", "aws", "reset"]);
        common::output(command).unwrap();
        eventually("the end of the first session at the far end", async || {
            let last = neighbor(lab, "ec2", "homelab")?["last_error"].clone();
            ensure!(last["sent"] == false && last["code"] == CEASE, "{last}");
            Ok(())
        })
        .await;
        works(lab).await;
    });
}

#[test]
fn tcp_carries_octets_through_the_tunnel_both_ways() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        lab.expect_all(&exchanged()).await;
        let address = |text: &str| text.parse().unwrap();
        let server = |text: &str| std::net::SocketAddr::new(address(text), 7);
        for (from, to, swapped) in [("pod", "instance", false), ("instance", "pod", true)] {
            let pair = |(pod, instance): (&str, &str)| {
                if swapped { (instance.to_owned(), pod.to_owned()) } else { (pod.to_owned(), instance.to_owned()) }
            };
            let addresses = ENDS.map(pair).iter().map(|(from, to)| (address(from), server(to))).collect();
            lab.expect(Expectation::Tcp { from, to, addresses }).await;
        }
    });
}

fn only_path(lab: &Lab, gateway: &str, prefix: &str) -> anyhow::Result<Value> {
    let shown = lab.show(gateway, &["routes", prefix])?;
    let route = shown["routes"].as_array().and_then(|routes| routes.iter().find(|route| route["prefix"] == prefix));
    Ok(route.with_context(|| shown.to_string())?["paths"][0].clone())
}

fn peer(lab: &Lab, gateway: &str, name: &str) -> anyhow::Result<Value> {
    named(&lab.show(gateway, &["peers"])?["peers"], name)
}

fn neighbor(lab: &Lab, gateway: &str, name: &str) -> anyhow::Result<Value> {
    named(&lab.show(gateway, &["neighbors"])?["neighbors"], name)
}

fn named(list: &Value, name: &str) -> anyhow::Result<Value> {
    let found = list.as_array().and_then(|list| list.iter().find(|item| item["name"] == name));
    found.cloned().with_context(|| format!("no {name} in {list}"))
}

fn dropped_sources(lab: &Lab) -> anyhow::Result<u64> {
    let peer = peer(lab, "ec2", "homelab")?;
    Ok(peer["drops"]["source not allowed"].as_u64().unwrap_or_default())
}

#[test]
fn what_show_prints_is_as_the_schemas_say() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        let commands: [&[&str]; 10] = [
            &["status"],
            &["routes"],
            &["received", "aws"],
            &["advertised", "aws"],
            &["neighbors"],
            &["neighbor", "aws"],
            &["peers"],
            &["fib"],
            &["events"],
            &["config"],
        ];
        for command in commands {
            let shown = lab.show("home", command).unwrap();
            is_of_schema(command[0], &shown);
        }
    });
}
