//! A site's namespaces and links: everything but the programs that run in it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::namespace::Namespace;
use super::request::Request;
use super::site::{Link, Node, Port, Site};

/// The namespaces by the names of their nodes. They end when this is dropped.
#[derive(Debug)]
pub struct Network {
    nodes: BTreeMap<&'static str, Namespace>,
    /// Switches are in nobody's way: each has a namespace of its own.
    _switches: Vec<Namespace>,
}

impl Network {
    /// Makes the nodes, joins them, and gives them their addresses and static routes.
    ///
    /// # Errors
    /// Those of the kernel, with the node and link they are about.
    pub async fn build(site: &Site, binary: &Path) -> anyhow::Result<Self> {
        let mut network = Self { nodes: BTreeMap::new(), _switches: Vec::new() };
        for node in &site.nodes {
            network.nodes.insert(node.name, Namespace::create(binary, node.name).await?);
        }
        for link in &site.links {
            network.join(link, binary).await.with_context(|| format!("link {}", link.name))?;
        }
        for node in &site.nodes {
            network.equip(node).await?;
        }
        Ok(network)
    }

    /// The namespace of a node.
    ///
    /// # Errors
    /// Where the site has none of that name.
    pub fn node(&self, name: &str) -> anyhow::Result<&Namespace> {
        self.nodes.get(name).with_context(|| format!("the site has no node {name}"))
    }

    async fn join(&mut self, link: &Link, binary: &Path) -> anyhow::Result<()> {
        if let [near, far] = &link.ports[..] {
            self.plug(self.node(near.node)?, near.interface.to_owned(), far).await?;
        } else {
            let switch = Namespace::create(binary, link.name).await?;
            self.switch(&switch, &link.ports).await?;
            self._switches.push(switch);
        }
        for port in &link.ports {
            self.raise(port).await?;
        }
        Ok(())
    }

    async fn switch(&self, switch: &Namespace, ports: &[Port]) -> anyhow::Result<()> {
        let bridge = "switch".to_owned();
        switch.perform(Request::Bridge { name: bridge.clone() }).await?;
        for (number, port) in ports.iter().enumerate() {
            let link = format!("port{number}");
            self.plug(switch, link.clone(), port).await?;
            switch.perform(Request::Enslave { link: link.clone(), bridge: bridge.clone() }).await?;
            switch.perform(Request::Up { link }).await?;
        }
        Ok(())
    }

    async fn plug(&self, near: &Namespace, name: String, far: &Port) -> anyhow::Result<()> {
        let far_pid = self.node(far.node)?.pid();
        near.perform(Request::Cable { name, far_name: far.interface.to_owned(), far_pid }).await
    }

    async fn raise(&self, port: &Port) -> anyhow::Result<()> {
        let node = self.node(port.node)?;
        for address in &port.addresses {
            node.address(port.interface, *address).await?;
        }
        node.perform(Request::Up { link: port.interface.to_owned() }).await
    }

    async fn equip(&self, node: &Node) -> anyhow::Result<()> {
        let namespace = self.node(node.name)?;
        if node.forwards {
            for name in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
                namespace.perform(Request::Sysctl { name: name.to_owned(), value: "1".to_owned() }).await?;
            }
        }
        for address in &node.addresses {
            namespace.address("lo", *address).await?;
        }
        for route in &node.routes {
            namespace.route(route.clone()).await?;
        }
        for server in &node.echo {
            namespace.serve(*server).await?;
        }
        Ok(())
    }
}
