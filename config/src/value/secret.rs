//! Keys and passwords: public ones stand in the file, secret ones in files of their own.

use std::path::Path;

use bgpd::settings::Password;
use wgd::settings::{KeyError, PresharedKey, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::{FilePath, Value};
use crate::raw::{Node, Wrongs};

impl Value for PublicKey {
    fn allowed() -> String {
        "public key, base64".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?.unwrap_or_default();
        Self::from_base64(&text).map_err(|error| node.wrong("is not a public key", error.to_string()).into())
    }
}

/// A secret that is read from the file whose path stands in the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretFile<T>(pub(crate) T);

/// What a secret file may hold.
pub(crate) trait Secret: Sized {
    /// From the file's text; the error is what to tell, without the text.
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<T: Secret> Value for SecretFile<T> {
    fn allowed() -> String {
        FilePath::allowed()
    }

    fn schema() -> String {
        FilePath::schema()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let FilePath(path) = FilePath::read(node)?;
        let text: Zeroizing<String> = (node.context.secrets)(Path::new(&path))
            .map_err(|error| node.wrong("cannot be used", error.to_string()))?;
        let secret = T::from_text(text.trim());
        secret.map(Self).map_err(|error| node.wrong("cannot be used", error).into())
    }
}

impl Secret for PrivateKey {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_base64(text).map_err(|error: KeyError| error.to_string())
    }
}

impl Secret for PresharedKey {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_base64(text).map_err(|error: KeyError| error.to_string())
    }
}

impl Secret for Password {
    fn from_text(text: &str) -> Result<Self, String> {
        /// Linux's TCP_MD5SIG_MAXKEYLEN.
        const LONGEST: usize = 80;
        match text.len() {
            1..=LONGEST => Ok(Self(Zeroizing::new(text.as_bytes().to_vec()))),
            length => Err(format!("the password has {length} octets, allowed: 1 to {LONGEST}")),
        }
    }
}
