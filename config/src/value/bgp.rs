//! What only BGP's keys hold.

use std::ops::RangeInclusive;

use bgpd::policy::NewNextHop;
use bgpd::settings::NextHopSelf;

use super::address::host;
use super::prefix::lengths_of;
use super::{Value, Within, Written};
use crate::raw::{Node, Wrongs};

impl Value for NextHopSelf {
    fn allowed() -> String {
        "\"auto\", true or false".to_owned()
    }

    fn schema() -> String {
        "\"enum\": [\"auto\", true, false]".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        match (node.boolean(), node.text()?.as_deref()) {
            (Some(true), _) => Ok(Self::Always),
            (Some(false), _) => Ok(Self::Never),
            (_, Some("auto")) => Ok(Self::Auto),
            _ => Err(node.not_allowed(Self::allowed()).into()),
        }
    }
}

impl Written for NextHopSelf {
    fn written(&self) -> String {
        match self {
            Self::Auto => "\"auto\"",
            Self::Always => "true",
            Self::Never => "false",
        }
        .to_owned()
    }
}

impl Value for NewNextHop {
    fn allowed() -> String {
        "ADDRESS or \"self\"".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        match node.text()?.as_deref() {
            Some("self") => Ok(Self::Ourselves),
            _ => Ok(Self::Address(host(node, Self::allowed())?)),
        }
    }
}

/// A number, or numbers from one to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NumberRange(pub(crate) RangeInclusive<u32>);

impl Value for NumberRange {
    fn allowed() -> String {
        format!("{}, \"le N\", \"ge N\" or \"ge N le M\"", Within::<u32, 0, { u32::MAX }>::allowed())
    }

    fn schema() -> String {
        "\"type\": [\"integer\", \"string\"]".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let range = match node.text()? {
            Some(text) => lengths_of(&text).filter(|lengths| *lengths != (None, None)),
            None => node.integer().and_then(|n| u32::try_from(n).ok()).map(|n| (Some(n), Some(n))),
        };
        let range = range.map(|(least, most)| least.unwrap_or(0)..=most.unwrap_or(u32::MAX));
        let range = range.filter(|range| !range.is_empty());
        range.map(Self).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}
