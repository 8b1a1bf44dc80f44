//! packaging/unifi/bgp.conf, in the FRR that UniFi has.

use std::collections::BTreeSet;

use anyhow::ensure;
use ipnet::IpNet;
use vpngw::lab::homelab_aws;
use vpngw::lab::site::{Site, nets};

use crate::common::{eventually, with_site};
use crate::tools::text;

const GATEWAY: &str = "192.168.2.195";

/// The site's gateways; the one at home tells the edge everything it has.
fn site() -> Site {
    let mut site = homelab_aws::site();
    site.gateways.retain(|gateway| ["home", "ec2"].contains(&gateway.name));
    let home = &mut site.gateways.iter_mut().find(|gateway| gateway.name == "home").unwrap().config;
    let neighbor = home.find("\"edge\"").unwrap();
    let export = neighbor + home[neighbor..].find("\"vpc-only\"").unwrap();
    home.replace_range(export..export + "\"vpc-only\"".len(), "\"accept-all\"");
    site.expectations.clear();
    site
}

#[test]
fn the_edge_learns_the_vpc_alone_and_tells_nothing() {
    with_site(&["bgpd", "zebra", "vtysh"], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        let edge = lab.frr("edge", "edge", &text("unifi/bgp.conf")).await;
        eventually("the edge's routes", async || {
            let found: BTreeSet<IpNet> = lab.ip_routes("edge", "bgp")?.into_keys().collect();
            ensure!(found == nets(&["10.20.0.0/16", "10.20.128.0/20"]).into_iter().collect(), "{found:?}");
            Ok(())
        })
        .await;
        // The gateway has told more than that.
        let told = lab.show("home", &["advertised", "edge"]).unwrap();
        assert!(told.to_string().contains("192.168.2.0/24"), "{told}");

        edge.vtysh(&["configure terminal", "router bgp", "address-family ipv4 unicast", "network 192.168.2.0/24"])
            .unwrap();
        eventually("the edge's own route", async || {
            let table = edge.ask("show bgp ipv4 unicast json")?;
            ensure!(table["routes"]["192.168.2.0/24"].is_array(), "{table}");
            Ok(())
        })
        .await;
        let told = edge.ask(&format!("show bgp ipv4 unicast neighbors {GATEWAY} advertised-routes json")).unwrap();
        assert_eq!(told["totalPrefixCounter"], 0, "{told}");
    });
}
