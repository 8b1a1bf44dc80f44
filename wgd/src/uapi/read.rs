//! Lines to a request.

use std::net::SocketAddr;
use std::str::{self, FromStr};
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::{Changes, Errno, Error, PeerChange, Request, Verb};
use crate::curve;
use crate::settings::{PresharedKey, PrivateKey, PublicKey};

/// Octets of a line, with its end. The longest that means something, an endpoint, has less than a hundred.
pub const MAX_LINE: usize = 512;
/// Octets of a request: room for 5,000 peers with ten allowed IPs each.
pub const MAX_REQUEST: usize = 4 << 20;

/// Reads requests, a line at a time. After an error it reads on to the end of the request and answers then: who is in
/// the middle of writing does not listen.
#[derive(Debug, Default)]
pub struct Reader {
    request: Option<Request>,
    octets: usize,
    error: Option<Error>,
}

impl Reader {
    /// A line without its end, or its first [`MAX_LINE`] octets. `Some` at the empty line that ends a request: what is
    /// asked, or the first error in it.
    pub fn line(&mut self, line: &[u8]) -> Option<Result<Request, Error>> {
        if line.is_empty() {
            let Self { request, error, .. } = std::mem::take(self);
            let missing = || Error::new(Errno::Protocol, "an empty line where get=1 or set=1 begins a request");
            return Some(match error {
                Some(error) => Err(error),
                None => request.ok_or_else(missing),
            });
        }
        self.octets = self.octets.saturating_add(line.len() + 1);
        if self.error.is_none() {
            self.error = self.take(line).err();
        }
        if self.error.is_some() {
            self.request = None; // what was read is wiped now, and the rest not kept
        }
        None
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        if line.len() >= MAX_LINE {
            return Err(Error::new(Errno::TooLong, format!("a line of more than {MAX_LINE} octets")));
        }
        if self.octets > MAX_REQUEST {
            return Err(Error::new(Errno::TooLong, format!("a request of more than {MAX_REQUEST} octets")));
        }
        let no_pair = || Error::new(Errno::Protocol, "a line that is not KEY=VALUE");
        let (key, value) = str::from_utf8(line).ok().and_then(|line| line.split_once('=')).ok_or_else(no_pair)?;
        match &mut self.request {
            None => {
                self.request = Some(match (key, value) {
                    ("get", "1") => Request::Get,
                    ("set", "1") => Request::Set(Changes::default()),
                    _ => return Err(Error::new(Errno::Protocol, "a request that begins neither with get=1 nor set=1")),
                });
                Ok(())
            }
            Some(Request::Get) => Err(Error::invalid("get=1 is followed by more than an empty line")),
            Some(Request::Set(changes)) => changes.take(key, value),
        }
    }
}

impl Changes {
    fn take(&mut self, key: &str, value: &str) -> Result<(), Error> {
        if key == "public_key" {
            self.peers.push(PeerChange::new(public_key(value)?));
            return Ok(());
        }
        match self.peers.last_mut() {
            Some(peer) => peer.take(key, value),
            None => self.take_own(key, value),
        }
    }

    fn take_own(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "private_key" => self.private_key = Some(secret(key, value)?.map(PrivateKey)),
            "listen_port" => self.listen_port = Some(number(key, value)?),
            "fwmark" => self.fwmark = Some(number(key, value)?),
            "replace_peers" => {
                is_true(key, value)?;
                self.replace_peers = true;
            }
            _ => return Err(unknown(key, "the tunnel")),
        }
        Ok(())
    }
}

impl PeerChange {
    fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            remove: false,
            update_only: false,
            preshared_key: None,
            endpoint: None,
            persistent_keepalive: None,
            replace_allowed_ips: false,
            allowed_ips: Vec::new(),
        }
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "remove" => {
                is_true(key, value)?;
                self.remove = true;
            }
            "update_only" => {
                is_true(key, value)?;
                self.update_only = true;
            }
            "preshared_key" => self.preshared_key = Some(secret(key, value)?.map(PresharedKey)),
            "endpoint" => self.endpoint = Some(endpoint(value)?),
            "persistent_keepalive_interval" => {
                let seconds: u16 = number(key, value)?;
                self.persistent_keepalive = Some((seconds > 0).then(|| Duration::from_secs(seconds.into())));
            }
            "replace_allowed_ips" => {
                is_true(key, value)?;
                self.replace_allowed_ips = true;
                self.allowed_ips.clear();
            }
            "allowed_ip" => self.allowed_ips.push(allowed_ip(value)?),
            "protocol_version" if value == "1" => {}
            "protocol_version" => return Err(Error::invalid("protocol_version is not 1")),
            _ => return Err(unknown(key, "a peer")),
        }
        Ok(())
    }
}

fn unknown(key: &str, of: &str) -> Error {
    Error::invalid(format!("{key:?} is no key of {of}"))
}

fn is_true(key: &str, value: &str) -> Result<(), Error> {
    if value == "true" { Ok(()) } else { Err(Error::invalid(format!("{key} can only be true"))) }
}

/// Digits alone: no sign, no space.
fn number<T: FromStr>(key: &str, value: &str) -> Result<T, Error> {
    let digits = value.bytes().all(|octet| octet.is_ascii_digit());
    let number = digits.then(|| value.parse().ok()).flatten();
    number.ok_or_else(|| Error::invalid(format!("{key} is not a number that it can have")))
}

fn endpoint(value: &str) -> Result<SocketAddr, Error> {
    let found = value.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    found.ok_or_else(|| Error::invalid(format!("endpoint {value:?} is not ADDRESS:PORT or [ADDRESS]:PORT")))
}

fn allowed_ip(value: &str) -> Result<(Verb, IpNet), Error> {
    let (verb, prefix) = match value.strip_prefix('-') {
        Some(prefix) => (Verb::Remove, prefix),
        None => (Verb::Add, value),
    };
    let prefix: IpNet =
        prefix.parse().map_err(|_| Error::invalid(format!("allowed_ip {value:?} is not ADDRESS/LENGTH")))?;
    Ok((verb, prefix.trunc()))
}

fn public_key(value: &str) -> Result<PublicKey, Error> {
    let key = octets("public_key", value)?;
    // Also the key of zeros, which would be no peer.
    if curve::is_low_order(&key) {
        return Err(Error::invalid("public_key is a point of low order, which no private key belongs to"));
    }
    Ok(PublicKey(*key))
}

/// A key of zeros is none.
fn secret(key: &str, value: &str) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
    let octets = octets(key, value)?;
    Ok((*octets != [0; 32]).then_some(octets))
}

fn octets(key: &str, value: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    let wrong = || Error::invalid(format!("{key} is not 64 hexadecimal digits"));
    let mut octets = Zeroizing::new([0; 32]);
    let digits = value.as_bytes();
    if digits.len() != 2 * octets.len() {
        return Err(wrong());
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let (high, low) = digit(pair[0]).zip(digit(pair[1])).ok_or_else(wrong)?;
        *octet = (high << 4 | low) as u8;
    }
    Ok(octets)
}
