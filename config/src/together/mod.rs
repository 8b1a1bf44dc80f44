//! Both ends at once: what each file alone cannot show.
//!
//! Files whose secrets were not read (`check --no-secrets`) are matched by their tunnel addresses, and their keys are not
//! compared.

mod owners;
mod session;
mod tunnel;

use std::net::IpAddr;

use wgd::settings::{PeerSettings, PrivateKey, PublicKey};

use crate::diagnostic::{Diagnostic, Severity};
use crate::secrets::DUMMY;
use crate::settings::{Bgp, Config, Wireguard};

/// Checks configurations that are to work together; each is given with its file's name.
pub fn check_together(files: &[(String, &Config)]) -> Vec<Diagnostic> {
    let ends: Vec<_> = files.iter().map(|(file, config)| End { file, config }).collect();
    let mut findings = Findings::default();
    for (index, one) in ends.iter().enumerate() {
        for other in &ends[index + 1..] {
            tunnel::check(*one, *other, ends.len() == 2, &mut findings);
            session::check(*one, *other, &mut findings);
            owners::check(*one, *other, &mut findings);
        }
    }
    findings.0
}

/// One configuration.
#[derive(Clone, Copy)]
struct End<'c> {
    file: &'c str,
    config: &'c Config,
}

#[derive(Default)]
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn error(&mut self, end: End<'_>, message: String, help: String) {
        self.0.push(Diagnostic::of_file(Severity::Error, end.file.to_owned(), message, help));
    }

    fn warning(&mut self, end: End<'_>, message: String, help: String) {
        self.0.push(Diagnostic::of_file(Severity::Warning, end.file.to_owned(), message, help));
    }
}

impl<'c> End<'c> {
    fn wireguard(self) -> Option<&'c Wireguard> {
        self.config.wireguard.as_ref()
    }

    fn bgp(self) -> Option<&'c Bgp> {
        self.config.bgp.as_ref()
    }

    /// `None` where there is no tunnel, or its key was not read.
    fn public_key(self) -> Option<PublicKey> {
        let key = &self.wireguard()?.tunnel.private_key;
        let is_dummy = PrivateKey::from_base64(DUMMY).is_ok_and(|dummy| dummy == *key);
        (!is_dummy).then(|| key.public_key())
    }

    /// The public key that takes the place of [`Self::public_key`].
    fn next_public_key(self) -> Option<PublicKey> {
        let next = self.wireguard()?.tunnel.next_private_key.as_ref();
        self.public_key().and(next).map(|next| next.key.public_key())
    }

    /// The addresses of the tunnel's device.
    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        self.wireguard().into_iter().flat_map(|wireguard| &wireguard.addresses).map(ipnet::IpNet::addr)
    }

    /// The other end among our peers.
    fn peer(self, other: Self) -> Option<&'c PeerSettings> {
        let peers = &self.wireguard()?.tunnel.peers;
        match other.public_key() {
            Some(key) => peers.iter().find(|peer| peer.public_key == key || peer.next_public_key == Some(key)),
            None => peers.iter().find(|peer| other.addresses().any(|address| allows(peer, &address))),
        }
    }
}

fn allows(peer: &PeerSettings, address: &IpAddr) -> bool {
    peer.allowed_ips.iter().any(|prefix| prefix.contains(address))
}
