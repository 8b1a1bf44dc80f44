//! A kernel's routes as `ip -j route` shows them, compared with what a gateway says of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use ipnet::IpNet;
use serde_json::Value;

use super::{Lab, eventually};

/// Where a route leads: gateway and link of each hop, in order; none = a discard route.
pub type Hops = Vec<(Option<String>, String)>;

impl Lab {
    /// Routes of a protocol, as `ip` names it, in every table: by prefix.
    pub fn ip_routes(&self, node: &str, protocol: &str) -> anyhow::Result<BTreeMap<IpNet, Hops>> {
        let mut routes = BTreeMap::new();
        for family in ["-4", "-6"] {
            let arguments = [family, "-j", "route", "show", "table", "all", "protocol", protocol];
            let text = self.output(node, "ip", &arguments)?;
            let list: Vec<Value> = if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text)? };
            for route in &list {
                routes.insert(destination(route, family)?, hops(route));
            }
        }
        Ok(routes)
    }

    /// What `show fib --json` says is installed.
    pub fn fib_routes(&self, gateway: &str) -> anyhow::Result<BTreeMap<IpNet, Hops>> {
        let shown = self.show(gateway, &["fib"])?;
        let mut routes = BTreeMap::new();
        for route in shown["routes"].as_array().context("no routes")? {
            ensure!(route["state"] == "installed", "{route}");
            let mut hops: Hops = route["next_hops"]
                .as_array()
                .context("no next hops")?
                .iter()
                .map(|hop| (text(&hop["address"]), text(&hop["interface"]).unwrap_or_default()))
                .collect();
            hops.sort();
            routes.insert(text(&route["prefix"]).context("no prefix")?.parse()?, hops);
        }
        Ok(routes)
    }

    /// Waits until the kernel has exactly these routes of a gateway, and the gateway says so too.
    pub async fn kernel_has(&self, gateway: &str, node: &str, expected: &[(&str, &[(&str, &str)])]) {
        let hops = |hops: &[(&str, &str)]| -> Hops {
            let text = |gateway: &str| (!gateway.is_empty()).then(|| gateway.to_owned());
            hops.iter().map(|(gateway, link)| (text(gateway), (*link).to_owned())).collect()
        };
        let expected: BTreeMap<IpNet, Hops> =
            expected.iter().map(|(prefix, to)| (prefix.parse().unwrap(), hops(to))).collect();
        eventually(&format!("kernel of {node}"), async || {
            let kernel = self.ip_routes(node, "157")?;
            ensure!(kernel == expected, "kernel: {kernel:?}, expected: {expected:?}");
            let fib = self.fib_routes(gateway)?;
            ensure!(kernel == fib, "kernel: {kernel:?}, show fib: {fib:?}");
            Ok(())
        })
        .await;
    }

    /// Waits until a gateway, which is on the node of its name, says of its routes what the kernel says. It hears later
    /// than we that the kernel has done something.
    pub async fn fib_and_kernel_agree(&self, gateway: &str) {
        eventually(&format!("show fib of {gateway} and its kernel agree"), async || {
            let (fib, kernel) = (self.fib_routes(gateway)?, self.ip_routes(gateway, "157")?);
            ensure!(fib == kernel, "show fib: {fib:?}, kernel: {kernel:?}");
            Ok(())
        })
        .await;
    }

    /// Waits until the kernel has this route of a gateway, or has it no more.
    pub async fn kernel_route(&self, node: &str, prefix: &str, present: bool) {
        let prefix: IpNet = prefix.parse().unwrap();
        eventually(&format!("{prefix} in the kernel of {node}: {present}"), async || {
            let kernel = self.ip_routes(node, "157")?;
            ensure!(kernel.contains_key(&prefix) == present, "{kernel:?}");
            Ok(())
        })
        .await;
    }
}

fn destination(route: &Value, family: &str) -> anyhow::Result<IpNet> {
    let text = text(&route["dst"]).context("no destination")?;
    let host = if family == "-4" { 32 } else { 128 };
    Ok(match text.as_str() {
        "default" if family == "-4" => "0.0.0.0/0".parse()?,
        "default" => "::/0".parse()?,
        prefix if prefix.contains('/') => prefix.parse()?,
        address => IpNet::new(address.parse()?, host)?,
    })
}

fn hops(route: &Value) -> Hops {
    if matches!(route["type"].as_str(), Some("blackhole" | "unreachable" | "prohibit")) {
        return Vec::new();
    }
    let hop = |hop: &Value| {
        let gateway = text(&hop["gateway"]).or_else(|| text(&hop["via"]["host"]));
        (gateway, text(&hop["dev"]).unwrap_or_default())
    };
    let mut hops: Hops = match route["nexthops"].as_array() {
        Some(hops) => hops.iter().map(hop).collect(),
        None => vec![hop(route)],
    };
    hops.sort();
    hops
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
