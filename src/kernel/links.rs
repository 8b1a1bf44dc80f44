//! Links and addresses, with the messages of `netlink-packet-route`.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::message::Received;
use super::socket::Refused;
use super::thread::Netlink;
use super::{Address, Link};

impl Netlink {
    /// All links, by index.
    pub(super) fn links(&mut self) -> io::Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut links = self.dump(&request, link)?;
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// All addresses.
    pub(super) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        self.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()), address)
    }

    /// Sets the MTU, where given, and brings the link up.
    pub(super) fn link_up(&mut self, interface: u32, mtu: Option<u32>) -> io::Result<()> {
        let mut message = link_message(interface);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes.extend(mtu.map(LinkAttribute::Mtu));
        self.change(0, &RouteNetlinkMessage::SetLink(message))
    }

    /// Sets a link's MTU.
    pub(super) fn set_mtu(&mut self, interface: u32, mtu: u32) -> io::Result<()> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::Mtu(mtu));
        self.change(0, &RouteNetlinkMessage::SetLink(message))
    }

    /// Writes an alias on a link.
    pub(super) fn set_alias(&mut self, interface: u32, alias: String) -> io::Result<()> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::IfAlias(alias));
        self.change(0, &RouteNetlinkMessage::SetLink(message))
    }

    /// Removes a link.
    pub(super) fn delete_link(&mut self, interface: u32) -> io::Result<()> {
        self.change(0, &RouteNetlinkMessage::DelLink(link_message(interface)))
    }

    /// Adds a veth pair, the peer in the namespace of the process `pid`.
    pub(super) fn add_veth(&mut self, name: &str, peer: &str, pid: Option<u32>) -> io::Result<()> {
        let mut other = named(peer);
        other.attributes.extend(pid.map(LinkAttribute::NetNsPid));
        let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other)))];
        self.add_link(name, info)
    }

    /// Adds a bridge.
    pub(super) fn add_bridge(&mut self, name: &str) -> io::Result<()> {
        self.add_link(name, vec![LinkInfo::Kind(InfoKind::Bridge)])
    }

    /// Puts a link under a bridge.
    pub(super) fn set_master(&mut self, interface: u32, bridge: u32) -> io::Result<()> {
        let mut message = link_message(interface);
        message.attributes.push(LinkAttribute::Controller(bridge));
        self.change(0, &RouteNetlinkMessage::SetLink(message))
    }

    /// Adds an address; one that exists is no error.
    pub(super) fn add_address(&mut self, interface: u32, address: IpNet) -> io::Result<()> {
        let mut message = address_message(interface, address);
        if let IpNet::V6(_) = address {
            // Usable at once, without duplicate detection: a BGP session binds to it.
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        match self.change(NLM_F_CREATE | NLM_F_EXCL, &RouteNetlinkMessage::NewAddress(message)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    /// Removes an address; to remove what is not there is no error.
    pub(super) fn delete_address(&mut self, interface: u32, address: IpNet) -> io::Result<()> {
        match self.change(0, &RouteNetlinkMessage::DelAddress(address_message(interface, address))) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            result => result,
        }
    }

    fn add_link(&mut self, name: &str, info: Vec<LinkInfo>) -> io::Result<()> {
        let mut message = named(name);
        message.attributes.push(LinkAttribute::LinkInfo(info));
        self.change(NLM_F_CREATE | NLM_F_EXCL, &RouteNetlinkMessage::NewLink(message))
    }

    fn change(&mut self, flags: u16, body: &RouteNetlinkMessage) -> io::Result<()> {
        let answer = self.requests.command(body.message_type(), flags, |message| message.put_body(body))?;
        answer.map_err(|refused: Refused| refused.into())
    }

    fn dump<T>(
        &mut self,
        body: &RouteNetlinkMessage,
        decode: impl Fn(&Received<'_>) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        self.requests.dump(body.message_type(), |message| message.put_body(body), decode)
    }
}

fn link_message(interface: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = interface;
    message
}

fn address_message(interface: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.index = interface;
    message.header.prefix_len = address.prefix_len();
    message.attributes = vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
    message
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

fn link(received: &Received<'_>) -> Option<Link> {
    let message = LinkMessage::parse(received.payload).inspect_err(|error| unreadable("link", error)).ok()?;
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        up: flags.contains(LinkFlags::Up),
        // IFF_RUNNING alone follows the carrier with a delay.
        running: flags.contains(LinkFlags::Up | LinkFlags::Running | LinkFlags::LowerUp),
        mtu: 0,
        alias: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            _ => {}
        }
    }
    Some(link)
}

fn address(received: &Received<'_>) -> Option<Address> {
    let message = AddressMessage::parse(received.payload).inspect_err(|error| unreadable("address", error)).ok()?;
    let mut ours: Option<IpAddr> = None;
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link IFA_ADDRESS is the other end's.
            AddressAttribute::Local(local) => ours = Some(*local),
            AddressAttribute::Address(address) => ours = ours.or(Some(*address)),
            _ => {}
        }
    }
    let address = IpNet::new(ours?, message.header.prefix_len).ok()?;
    Some(Address { interface: message.header.index, address })
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "a {what} of the kernel could not be read");
}
