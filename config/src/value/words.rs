//! Enumerations: a word for each value.

use bgpd::policy::{Action, Protocol};
use bgpd::role::Role;
use bgpd::settings::{AddPath, LimitAction};
use bgpd::types::Family;
use bgpd::wire::Origin;

use super::{Value, Written};
use crate::raw::{Node, Wrongs};
use crate::settings::{LogFormat, OnStop};

/// A type whose values have names.
pub(crate) trait Words: Copy + PartialEq + 'static {
    /// Every value with its name.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Words> Value for T {
    fn allowed() -> String {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }

    fn schema() -> String {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("\"enum\": [{}]", words.join(", "))
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        let found = T::WORDS.iter().find(|(word, _)| text.as_deref() == Some(*word));
        found.map(|(_, value)| *value).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl<T: Words> Written for T {
    fn written(&self) -> String {
        let word = T::WORDS.iter().find(|(_, value)| value == self).map_or("", |(word, _)| word);
        format!("\"{word}\"")
    }
}

impl Words for OnStop {
    const WORDS: &'static [(&'static str, Self)] = &[("withdraw", Self::Withdraw), ("keep", Self::Keep)];
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

impl Words for Action {
    const WORDS: &'static [(&'static str, Self)] =
        &[("accept", Self::Accept), ("reject", Self::Reject), ("next", Self::Next)];
}

impl Words for LimitAction {
    const WORDS: &'static [(&'static str, Self)] =
        &[("cease", Self::Cease), ("discard", Self::Discard), ("warn", Self::Warn)];
}

impl Words for Family {
    const WORDS: &'static [(&'static str, Self)] = &[("ipv4", Self::Ipv4), ("ipv6", Self::Ipv6)];
}

impl Words for Role {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("provider", Self::Provider),
        ("customer", Self::Customer),
        ("peer", Self::Peer),
        ("rs", Self::RouteServer),
        ("rs-client", Self::RouteServerClient),
    ];
}

impl Words for AddPath {
    const WORDS: &'static [(&'static str, Self)] =
        &[("receive", Self::Receive), ("send", Self::Send), ("both", Self::Both)];
}

impl Words for Protocol {
    const WORDS: &'static [(&'static str, Self)] =
        &[("bgp", Self::Bgp), ("originate", Self::Originate), ("aggregate", Self::Aggregate)];
}

impl Words for Origin {
    const WORDS: &'static [(&'static str, Self)] =
        &[("igp", Self::Igp), ("egp", Self::Egp), ("incomplete", Self::Incomplete)];
}
