//! Prefixes, and ranges of them.

use std::net::IpAddr;

use bgpd::policy::PrefixRange;
use ipnet::IpNet;

use super::Value;
use crate::raw::{Node, Wrong, Wrongs};

/// A prefix without host bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Prefix(pub(crate) IpNet);

impl Value for Prefix {
    fn allowed() -> String {
        "PREFIX/LENGTH".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?.ok_or_else(|| node.not_allowed(Self::allowed()))?;
        Ok(Self(prefix(node, &text)?))
    }
}

/// `P`, `P le N`, `P ge N`, `P ge N le M`.
impl Value for PrefixRange {
    fn allowed() -> String {
        "\"P\", \"P le N\", \"P ge N\" or \"P ge N le M\"".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?.ok_or_else(|| node.not_allowed(Self::allowed()))?;
        let (prefix_text, lengths) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let prefix = prefix(node, prefix_text)?;
        let (least, most) = lengths_of(lengths).ok_or_else(|| node.not_allowed(Self::allowed()))?;
        let (shortest, longest) = (u32::from(prefix.prefix_len()), u32::from(prefix.max_prefix_len()));
        let min = least.unwrap_or(shortest);
        let max = most.unwrap_or(if least.is_some() { longest } else { shortest });
        if min < shortest || max < min || longest < max {
            let allowed = format!("lengths from {shortest} to {longest}, the least first");
            return Err(node.not_allowed(allowed).into());
        }
        // Both are at most `longest`, which came from a u8.
        Ok(Self { prefix, min: min as u8, max: max as u8 })
    }
}

/// `ge N`, `le N`, both, or nothing; `None` for anything else.
pub(crate) fn lengths_of(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    let words: Vec<_> = text.split_whitespace().collect();
    let number = |text: &str| text.parse().ok();
    match words[..] {
        [] => Some((None, None)),
        ["ge", least] => Some((Some(number(least)?), None)),
        ["le", most] => Some((None, Some(number(most)?))),
        ["ge", least, "le", most] => Some((Some(number(least)?), Some(number(most)?))),
        _ => None,
    }
}

fn prefix(node: Node<'_>, text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(node.wrong("has no length", format!("write \"{}\"", IpNet::from(address))));
    }
    let prefix: IpNet = text.parse().map_err(|_| node.wrong("is not a prefix", "allowed: PREFIX/LENGTH"))?;
    if prefix != prefix.trunc() {
        return Err(node.wrong("has host bits set", format!("the prefix is {}", prefix.trunc())));
    }
    Ok(prefix)
}
