//! `[wireguard]` and its peers.

use ipnet::IpNet;
use wgd::settings::{Mtu, NextPrivateKey, PeerSettings, PrivateKey};

use super::Names;
use crate::raw::{Entry, Keys};
use crate::value::{InterfaceAddress, InterfaceName, IntervalOrNever, Moment, Prefix, SecretFile, Within};

/// `[wireguard]`.
pub(crate) struct Tunnel {
    pub(crate) interface: String,
    pub(crate) private_key: Option<PrivateKey>,
    pub(crate) next_private_key: Option<Entry<Option<NextPrivateKey>>>,
    pub(crate) listen_port: u16,
    pub(crate) fwmark: Option<Entry<Fwmark>>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) mtu: Mtu,
    pub(crate) clamp_mss: bool,
    pub(crate) peers: Vec<Entry<Peer>>,
    /// Of all peers, also of those that could not be read.
    pub(crate) names: Names,
}

/// `[wireguard] fwmark`; without what could not be read.
pub(crate) struct Fwmark {
    pub(crate) value: Option<u32>,
    /// Absent: the bits of `value`.
    pub(crate) mask: Option<u32>,
}

/// `[[wireguard.peer]]`.
pub(crate) struct Peer {
    pub(crate) settings: PeerSettings,
    pub(crate) static_routes: bool,
    pub(crate) routed_ips: Vec<IpNet>,
}

pub(super) fn tunnel(keys: &mut Keys<'_, '_>) -> Tunnel {
    let interface = keys.or("interface", InterfaceName("wg0".to_owned()), "Name of the device.");
    let private_key = keys.required("private-key-file", "File with our private key, as `wg genkey` writes it.");
    let next_private_key = keys.table(
        "next-private-key",
        "The key that takes the place of `private-key-file`. Handshakes made for either are answered; the far end has its \
         public key as `next-public-key`.",
        next_private_key,
    );
    let listen_port = keys.or("listen-port", Within::<u16, 0, 65535>(51820), "UDP port; 0: any.");
    let fwmark = keys.table("fwmark", "The mark that the tunnel's own packets carry, for rules of this host.", fwmark);
    let addresses: Option<Vec<InterfaceAddress>> = keys.optional("addresses", "Addresses of the device.");
    let mtu = keys.or(
        "mtu",
        Mtu::Auto,
        "The longest packet in the tunnel, in octets. `auto` follows what probes find the paths to take; a number is the device's MTU and the most that any path is used with.",
    );
    let clamp_mss = keys.or(
        "clamp-mss",
        true,
        "Lower the MSS of TCP connections through the tunnel, in both directions, to what fits the path to the peer.",
    );
    let mut names = Names::default();
    let peers =
        keys.tables("peer", "A peer. One whose public key is our own is skipped.", |keys| peer(keys, &mut names));
    Tunnel {
        interface: interface.0,
        private_key: private_key.map(|key: SecretFile<_>| key.0),
        next_private_key,
        listen_port: listen_port.0,
        fwmark,
        addresses: addresses.into_iter().flatten().map(|address| address.0).collect(),
        mtu,
        clamp_mss,
        peers,
        names,
    }
}

fn fwmark(keys: &mut Keys<'_, '_>) -> Fwmark {
    let value = keys.required("value", "The mark.");
    let mask = keys.optional("mask", "The bits of the mark that rules look at; absent: those of `value`.");
    let bits = |bits: Within<u32, 1, { u32::MAX }>| bits.0;
    Fwmark { value: value.map(bits), mask: mask.map(bits) }
}

fn next_private_key(keys: &mut Keys<'_, '_>) -> Option<NextPrivateKey> {
    let key = keys.required("file", "File with the next private key, as `wg genkey` writes it.");
    let from = keys.required("from", "Handshakes are begun with it from then on.");
    Some(NextPrivateKey { key: key.map(|key: SecretFile<_>| key.0)?, from: from.map(|from: Moment| from.0)? })
}

fn peer(keys: &mut Keys<'_, '_>, names: &mut Names) -> Option<Peer> {
    let name = names.claim(keys, "What people and `via` call it.");
    let public_key = keys.required("public-key", "Who it is, as `wg pubkey` writes it.");
    let next_public_key = keys.optional(
        "next-public-key",
        "Who it is too: the key that takes the place of `public-key`. Handshakes by either are answered.",
    );
    let preshared_key = keys.optional("preshared-key-file", "File with the preshared key, as `wg genpsk` writes it.");
    let endpoint = keys.optional("endpoint", "Where it is; absent: learned from its packets.");
    let keepalive: Option<IntervalOrNever> = keys.optional(
        "persistent-keepalive",
        "Sent when nothing else is; absent: 10 s for a peer that a neighbor's `via` names, else never.",
    );
    let allowed_ips =
        keys.optional("allowed-ips", "Always allowed; a path whose next hop lies in here is this peer's.");
    let static_routes =
        keys.or("static-routes", false, "Make kernel routes of `allowed-ips`, for a tunnel without BGP.");
    let routed_ips = keys.optional("routed-ips", "The ceiling of what BGP may add; absent: nothing.");
    let settings = PeerSettings {
        name: name?,
        public_key: public_key?,
        next_public_key,
        preshared_key: preshared_key.map(|key: SecretFile<_>| key.0),
        endpoint,
        persistent_keepalive: keepalive.and_then(|keepalive| keepalive.0),
        allowed_ips: prefixes(allowed_ips),
        watched: false,
    };
    Some(Peer { settings, static_routes, routed_ips: prefixes(routed_ips) })
}

fn prefixes(list: Option<Vec<Prefix>>) -> Vec<IpNet> {
    list.unwrap_or_default().into_iter().map(|prefix| prefix.0).collect()
}
