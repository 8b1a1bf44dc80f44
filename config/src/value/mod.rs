//! The types of values: one reader for each, used for every key of that type.

mod address;
mod asn;
mod bgp;
mod community;
mod duration;
mod endpoint;
mod kernel;
mod list;
mod log;
mod name;
mod number;
mod prefix;
mod secret;
mod set;
mod time;
mod words;

use std::str::FromStr;

pub(crate) use address::{InterfaceAddress, NeighborAddress};
pub(crate) use asn::{NeighborAsn, PathItem, SpeakerAsn};
pub(crate) use bgp::NumberRange;
pub(crate) use community::CommunityKind;
pub(crate) use duration::{Interval, IntervalOrNever, Seconds};
pub(crate) use kernel::{ProtocolNumber, Table};
pub(crate) use list::AtLeastOne;
pub(crate) use log::LogLevel;
pub(crate) use name::{FilePath, InterfaceName, Name, Text, Via};
pub(crate) use number::{Port, Within};
pub(crate) use prefix::Prefix;
pub(crate) use secret::SecretFile;
pub(crate) use set::{AnyCommunity, Member, SetOr};
pub(crate) use time::Moment;

use crate::raw::{Node, Wrong, Wrongs};

/// A type of value.
pub(crate) trait Value: Sized {
    /// What is allowed, in words: for the reference page and for errors.
    fn allowed() -> String;

    /// What is allowed, as members of a JSON schema without the braces.
    fn schema() -> String;

    /// Reads one.
    fn read(node: Node<'_>) -> Result<Self, Wrongs>;
}

/// A type that may stand as a default.
pub(crate) trait Written: Value {
    /// As it would be written in the file; what TOML and JSON write alike.
    fn written(&self) -> String;
}

/// A string in the form of its type.
fn parsed<T: FromStr>(node: Node<'_>, allowed: impl Into<String>) -> Result<T, Wrong> {
    let parsed = node.text()?.and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| node.not_allowed(allowed))
}

#[cfg(test)]
mod tests;
