//! Numbers, yes and no.

use std::fmt::Display;

use wgd::settings::Mtu;

use super::{Value, Written};
use crate::raw::{Node, Wrongs};

/// A number from `MIN` to `MAX`; the type holds all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Within<T, const MIN: u32, const MAX: u32>(pub(crate) T);

/// A TCP or UDP port that can be dialled.
pub(crate) type Port = Within<u16, 1, 65535>;

impl<T: TryFrom<i64>, const MIN: u32, const MAX: u32> Value for Within<T, MIN, MAX> {
    fn allowed() -> String {
        format!("number from {MIN} to {MAX}")
    }

    fn schema() -> String {
        format!("\"type\": \"integer\", \"minimum\": {MIN}, \"maximum\": {MAX}")
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let number = node.integer().filter(|number| (i64::from(MIN)..=i64::from(MAX)).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok()).map(Self);
        number.ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl<T: Display + TryFrom<i64>, const MIN: u32, const MAX: u32> Written for Within<T, MIN, MAX> {
    fn written(&self) -> String {
        self.0.to_string()
    }
}

impl Value for bool {
    fn allowed() -> String {
        "true or false".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"boolean\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        node.boolean().ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl Written for bool {
    fn written(&self) -> String {
        self.to_string()
    }
}

/// What IPv4 hosts must be able to take (RFC 791), and what a packet can be.
type MtuNumber = Within<u16, 576, 65535>;

impl Value for Mtu {
    fn allowed() -> String {
        format!("\"auto\" or {}", MtuNumber::allowed())
    }

    fn schema() -> String {
        format!("\"anyOf\": [{{\"const\": \"auto\"}}, {{{}}}]", MtuNumber::schema())
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        match node.text()? {
            Some(text) if text == "auto" => Ok(Self::Auto),
            None if node.integer().is_some() => MtuNumber::read(node).map(|number| Self::Octets(number.0)),
            _ => Err(node.not_allowed(Self::allowed()).into()),
        }
    }
}

impl Written for Mtu {
    fn written(&self) -> String {
        match self {
            Self::Auto => "\"auto\"".to_owned(),
            Self::Octets(octets) => octets.to_string(),
        }
    }
}
