//! `vpngw key`: what `wg genkey`, `wg pubkey` and `wg genpsk` do.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wgd::settings::PrivateKey;
use zeroize::Zeroizing;

use super::args::KeyCommand;
use super::output::{print, say};

/// More than a key and its white space; a longer stdin is not read to its end.
const MAX_INPUT: u64 = 1024;

/// Prints a key in base64.
pub(super) fn key(command: &KeyCommand) -> anyhow::Result<()> {
    let key = match command {
        KeyCommand::Generate => secret(&clamp(random()?)),
        KeyCommand::Preshared => secret(&random()?),
        KeyCommand::Public => {
            let mut text = Zeroizing::new(String::new());
            io::stdin().take(MAX_INPUT).read_to_string(&mut text).context("cannot read stdin")?;
            public(&text)?
        }
    };
    print(&key)
}

/// A key that nobody else may read. A redirected stdout is a file that the shell made: the gateway would refuse it.
fn secret(key: &Zeroizing<[u8; 32]>) -> Zeroizing<String> {
    let file = io::stdout().as_fd().try_clone_to_owned().and_then(|out| File::from(out).metadata());
    if file.is_ok_and(|file| file.is_file() && is_open_to_all(file.mode())) {
        say("warning: everyone may read the file that this key is written to: chmod it, or set umask 077 before");
    }
    encode(key)
}

fn is_open_to_all(mode: u32) -> bool {
    mode & 0o007 != 0
}

fn random() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut octets = Zeroizing::new([0; 32]);
    getrandom::getrandom(octets.as_mut()).context("the operating system gives no randomness")?;
    Ok(octets)
}

/// RFC 7748 §5: so that other programs see a key in the form they expect.
fn clamp(mut key: Zeroizing<[u8; 32]>) -> Zeroizing<[u8; 32]> {
    key[0] &= 0b1111_1000;
    key[31] = key[31] & 0b0111_1111 | 0b0100_0000;
    key
}

fn public(private: &str) -> anyhow::Result<Zeroizing<String>> {
    ensure!(!private.trim().is_empty(), "stdin is empty: a private key is expected");
    let private = PrivateKey::from_base64(private).context("stdin")?;
    Ok(Zeroizing::new(format!("{}\n", private.public_key())))
}

fn encode(key: &Zeroizing<[u8; 32]>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(BASE64_STANDARD.encode(**key));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_public_key_is_that_of_rfc_7748_6_1() {
        let private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n";
        assert_eq!(*public(private).unwrap(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n");
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_is_expected() {
        let error = format!("{:#}", public("c2hvcnQ=").unwrap_err());
        assert_eq!(error, "stdin: not a key: 32 octets in base64 (44 characters) are expected");
        assert_eq!(public(" \n").unwrap_err().to_string(), "stdin is empty: a private key is expected");
    }

    #[test]
    fn a_file_of_the_owner_and_the_group_is_closed_to_others() {
        assert!([0o600, 0o640, 0o100_660].into_iter().all(|mode| !is_open_to_all(mode)));
        assert!([0o644, 0o604, 0o622, 0o601].into_iter().all(is_open_to_all));
    }

    #[test]
    fn generated_keys_differ_and_are_clamped() {
        let key = || clamp(random().unwrap());
        let (one, other) = (key(), key());
        assert_ne!(one, other);
        assert_eq!((one[0] & 7, one[31] & 0xC0), (0, 0x40));
    }

    #[test]
    fn a_generated_key_is_read_back() {
        let text = encode(&clamp(random().unwrap()));
        assert_eq!(text.len(), 45);
        assert!(PrivateKey::from_base64(&text).is_ok());
    }
}
