//! What a tunnel is told: the whole desired state, which the device compares with what it has.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::pmtu::BASE;
use crate::{curve, peer};

/// A whole tunnel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Our key.
    pub private_key: PrivateKey,
    /// The key that takes its place.
    pub next_private_key: Option<NextPrivateKey>,
    /// In file order; a peer with our own public key is not among them.
    pub peers: Vec<PeerSettings>,
    /// Clamp the MSS of TCP SYNs to what fits the path.
    pub clamp_mss: bool,
    /// The device's MTU.
    pub mtu: Mtu,
    /// The device's own addresses, each with the length of its link: from there paths are probed. None: no path is.
    pub addresses: Vec<IpNet>,
    /// Where ICMP errors to this side come from, one of a family; without one, from where the packet was to go.
    pub icmp_sources: Vec<IpAddr>,
}

impl Settings {
    /// A tunnel with this key and these peers, as one that says no more: MSS is clamped, paths decide about the MTU, and
    /// as no address is known, none is probed.
    pub fn new(private_key: PrivateKey, peers: Vec<PeerSettings>) -> Self {
        Self {
            private_key,
            next_private_key: None,
            peers,
            clamp_mss: true,
            mtu: Mtu::Auto,
            addresses: Vec::new(),
            icmp_sources: Vec::new(),
        }
    }
}

/// The device's MTU, in octets of a packet inside.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mtu {
    /// What the paths to the peers take.
    #[default]
    Auto,
    /// So many octets, and no path is used with more. Where nobody can be asked, every path takes them.
    Octets(u16),
}

impl Mtu {
    /// The device's MTU before any path is known; [`Event::Mtu`](crate::view::Event::Mtu) tells those that follow.
    pub fn first(self) -> u16 {
        match self {
            Self::Auto => BASE,
            Self::Octets(octets) => octets,
        }
    }
}

/// A private key beside the present one. Handshakes made for either are answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NextPrivateKey {
    /// Another key than the present one.
    pub key: PrivateKey,
    /// Handshakes are begun with it from then on.
    pub from: SystemTime,
}

/// One peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerSettings {
    /// For people.
    pub name: String,
    /// Who it is.
    pub public_key: PublicKey,
    /// Who it is too: the key that takes the place of `public_key`.
    pub next_public_key: Option<PublicKey>,
    /// Mixed into the handshake.
    pub preshared_key: Option<PresharedKey>,
    /// Where it is; absent: learned from its packets.
    pub endpoint: Option<Endpoint>,
    /// Sent when nothing else is.
    pub persistent_keepalive: Option<Duration>,
    /// Always allowed, and where next hops of its paths lie.
    pub allowed_ips: Vec<IpNet>,
    /// Watched: starts handshakes itself, suspect after 15 s and down after 25 s without an answer. So is a peer named
    /// by a BGP neighbor's `via`; silence of any other is never down.
    pub watched: bool,
}

impl PeerSettings {
    /// Somebody of whom nothing else is known, and to whom nothing is allowed.
    pub fn new(name: impl Into<String>, public_key: PublicKey) -> Self {
        Self {
            name: name.into(),
            public_key,
            next_public_key: None,
            preshared_key: None,
            endpoint: None,
            persistent_keepalive: None,
            allowed_ips: Vec::new(),
            watched: false,
        }
    }
}

/// Where a peer is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// An address.
    Address(SocketAddr),
    /// A name and a port: resolved by the shell, again on failure.
    Name(String, u16),
}

/// A Curve25519 public key.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicKey(pub [u8; 32]);

/// A Curve25519 private key; wiped when dropped, never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct PrivateKey(pub Zeroizing<[u8; 32]>);

/// A preshared key; wiped when dropped, never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct PresharedKey(pub Zeroizing<[u8; 32]>);

/// Text that is not a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyError {
    /// Not 32 octets in base64.
    Malformed,
    /// A point of low order: whoever claims this public key is believed.
    LowOrder,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a key: 32 octets in base64 (44 characters) are expected",
            Self::LowOrder => "not a public key: a point of low order, which no private key belongs to",
        })
    }
}

impl std::error::Error for KeyError {}

fn octets(text: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).map_err(|_| KeyError::Malformed)?);
    let mut key = Zeroizing::new([0; 32]);
    if decoded.len() != key.len() {
        return Err(KeyError::Malformed);
    }
    key.copy_from_slice(&decoded);
    Ok(key)
}

impl PublicKey {
    /// From base64, as `wg pubkey` prints it.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let key = octets(text)?;
        if curve::is_low_order(&key) { Err(KeyError::LowOrder) } else { Ok(Self(*key)) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl PrivateKey {
    /// From base64, as `wg genkey` prints it.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        octets(text).map(Self)
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        peer::public_key(self)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PresharedKey {
    /// From base64, as `wg genpsk` prints it.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        octets(text).map(Self)
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(..)")
    }
}
