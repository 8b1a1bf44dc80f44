//! Addresses of hosts and of sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bgpd::types::BgpIdentifier;
use ipnet::IpNet;

use super::name::is_interface_name;
use super::{Value, Written, parsed};
use crate::raw::{Node, Wrongs};

const STRING: &str = "\"type\": \"string\"";

/// The address of one host.
impl Value for IpAddr {
    fn allowed() -> String {
        "address".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        host(node, "an IPv4 or IPv6 address")
    }
}

/// The address of a host that may also be something else, as `allowed` says.
pub(super) fn host(node: Node<'_>, allowed: impl Into<String>) -> Result<IpAddr, Wrongs> {
    let address: IpAddr = parsed(node, allowed)?;
    let canonical = address.to_canonical();
    if canonical != address {
        // No kernel sends to it: the packets are IPv4 (RFC 4038 §4.2).
        return Err(node.wrong("is an IPv4 address in IPv6 clothes", format!("write \"{canonical}\"")).into());
    }
    if !is_unicast(&address) {
        return Err(node.wrong("is not the address of a host", "allowed: a unicast address").into());
    }
    Ok(address)
}

impl Value for SocketAddr {
    fn allowed() -> String {
        "ADDRESS:PORT".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        Ok(parsed(node, "ADDRESS:PORT, an IPv6 address in brackets")?)
    }
}

impl Written for SocketAddr {
    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for BgpIdentifier {
    fn allowed() -> String {
        "IPv4 address other than 0.0.0.0".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let address: Ipv4Addr = parsed(node, Self::allowed())?;
        Self::new(address).ok_or_else(|| node.not_allowed(Self::allowed()).into()) // RFC 6286 §2.1
    }
}

/// The address of an interface with the length of its network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct InterfaceAddress(pub(crate) IpNet);

impl Value for InterfaceAddress {
    fn allowed() -> String {
        "ADDRESS/LENGTH".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let address: IpNet = parsed(node, Self::allowed())?;
        if !is_unicast(&address.addr()) {
            return Err(node
                .wrong("is not the address of a host", "allowed: a unicast address with its length")
                .into());
        }
        Ok(Self(address))
    }
}

/// The address of a neighbor; a link-local one with its interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NeighborAddress {
    /// The address.
    pub(crate) address: IpAddr,
    /// The interface.
    pub(crate) zone: Option<String>,
}

impl Value for NeighborAddress {
    fn allowed() -> String {
        "address; a link-local one with its interface, \"fe80::1%eth0\"".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        let Some((address, zone)) = text.as_deref().and_then(|text| text.split_once('%')) else {
            let address = IpAddr::read(node)?;
            if is_link_local(&address) {
                let label = format!("write \"{address}%INTERFACE\"");
                return Err(node.wrong("needs its interface", label).into());
            }
            return Ok(Self { address, zone: None });
        };
        let address = address.parse().ok().filter(is_link_local);
        let address = address.filter(|_| is_interface_name(zone));
        let address = address.ok_or_else(|| node.not_allowed(Self::allowed()))?;
        Ok(Self { address, zone: Some(zone.to_owned()) })
    }
}

fn is_unicast(address: &IpAddr) -> bool {
    let broadcast = *address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

/// Only IPv6: an IPv4 one is reached without naming its interface.
fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
