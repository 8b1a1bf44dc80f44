//! Laws of the sites' descriptions.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::homelab_aws;
use super::site::{Expectation, Site};

fn nodes(site: &Site) -> BTreeSet<&'static str> {
    site.nodes.iter().map(|node| node.name).collect()
}

fn gateways(site: &Site) -> BTreeSet<&'static str> {
    site.gateways.iter().map(|gateway| gateway.name).collect()
}

#[test]
fn every_name_in_the_site_is_declared_once() {
    let site = homelab_aws::site();
    assert_eq!(nodes(&site).len(), site.nodes.len());
    assert_eq!(gateways(&site).len(), site.gateways.len());
    for port in site.links.iter().flat_map(|link| &link.ports) {
        assert!(nodes(&site).contains(port.node), "{port:?}");
        assert!(port.interface.len() < 16, "{port:?}");
    }
    for gateway in &site.gateways {
        assert!(nodes(&site).contains(gateway.node), "{gateway:?}");
    }
}

#[test]
fn every_expectation_is_about_something_that_is_there() {
    let site = homelab_aws::site();
    for expectation in &site.expectations {
        let known = match expectation {
            Expectation::Tunnel { gateway, .. }
            | Expectation::Session { gateway, .. }
            | Expectation::Routes { gateway, .. } => gateways(&site).contains(gateway),
            Expectation::KernelRoutes { node, .. } => nodes(&site).contains(node),
            Expectation::Ping { from, .. } | Expectation::Tcp { from, .. } => nodes(&site).contains(from),
        };
        assert!(known, "{expectation:?}");
    }
}

#[test]
fn every_static_route_leads_to_a_neighbor_on_a_link() {
    let site = homelab_aws::site();
    let ports = || site.links.iter().flat_map(|link| link.ports.iter().map(move |port| (link, port)));
    for node in &site.nodes {
        for route in &node.routes {
            let leads = ports().filter(|(_, port)| port.node == node.name).any(|(link, _)| {
                link.ports.iter().any(|port| port.addresses.iter().any(|address| address.addr() == route.gateway))
            });
            assert!(leads, "{}: {route:?}", node.name);
        }
    }
}

#[test]
fn every_configuration_names_the_control_socket_that_the_lab_opens() {
    for gateway in homelab_aws::site().gateways {
        let socket = format!("socket = \"${{LAB}}/{}.sock\"", gateway.name);
        assert!(gateway.config.contains(&socket), "{}", gateway.name);
    }
}

#[test]
fn every_configuration_is_one_that_the_gateway_reads() {
    let keys = config::no_secrets;
    for gateway in homelab_aws::site().gateways {
        let env = |name: &str| match name {
            "LAB" => Some("/lab".to_owned()),
            name if name.ends_with("_PUBLIC_KEY") => Some("b".repeat(42) + "Y="),
            _ => None,
        };
        let context = config::Context {
            default_router_id: None,
            default_on_stop: config::OnStop::Withdraw,
            now: std::time::SystemTime::UNIX_EPOCH,
            env: &env,
            secrets: &keys,
        };
        let source = config::Source { name: format!("{}.toml", gateway.name), text: gateway.config };
        if let Err(diagnostics) = config::read(&[source], &context) {
            let text: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
            panic!("{}", text.join("\n"));
        }
    }
}
