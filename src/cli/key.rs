//! `vpngw key`: what `wg genkey`, `wg pubkey` and `wg genpsk` do.

use std::io::{self, Read as _};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wgd::settings::PrivateKey;
use zeroize::Zeroizing;

use super::args::KeyCommand;
use super::output::print;

/// More than a key and its white space; a longer stdin is not read to its end.
const MAX_INPUT: u64 = 1024;

/// Prints a key in base64.
pub(super) fn key(command: &KeyCommand) -> anyhow::Result<()> {
    let key = match command {
        KeyCommand::Generate => encode(&clamp(random()?)),
        KeyCommand::Preshared => encode(&random()?),
        KeyCommand::Public => {
            let mut text = Zeroizing::new(String::new());
            io::stdin().take(MAX_INPUT).read_to_string(&mut text).context("cannot read stdin")?;
            public(&text)?
        }
    };
    print(&key)
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
