//! Sets by name where literals are allowed.

use bgpd::policy::{PrefixRange, Wildcard};
use bgpd::types::{Asn, Community, ExtendedCommunity, LargeCommunity};

use super::community::{CommunityKind, is_literal};
use super::{Name, PathItem, Value};
use crate::raw::{Node, Wrongs};

/// The name of a set, or a literal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SetOr<T> {
    /// A set by its name.
    Set(String),
    /// The thing itself.
    Literal(T),
}

/// What may be collected in sets.
pub(crate) trait Member: Value + Clone {
    /// The section its sets stand in.
    const SECTION: &'static str;

    /// Whether the text is meant as a literal. Numbers always are.
    fn is_literal(text: &str) -> bool;
}

impl Member for PrefixRange {
    const SECTION: &'static str = "prefix-set";

    fn is_literal(text: &str) -> bool {
        text.contains(['/', ':']) || text.starts_with(|c: char| c.is_ascii_digit())
    }
}

impl Member for Asn {
    const SECTION: &'static str = "as-set";

    fn is_literal(_: &str) -> bool {
        false
    }
}

impl Member for PathItem {
    const SECTION: &'static str = "as-set";

    /// No expression that begins with a letter matches a path.
    fn is_literal(text: &str) -> bool {
        !text.starts_with(char::is_alphabetic)
    }
}

impl<T: CommunityKind> Member for Wildcard<T> {
    const SECTION: &'static str = "community-set";

    fn is_literal(text: &str) -> bool {
        is_literal(text)
    }
}

impl<T: Member> Value for SetOr<T> {
    fn allowed() -> String {
        format!("name of {} `{}`, or {}", article(T::SECTION), T::SECTION, T::allowed())
    }

    fn schema() -> String {
        format!("\"anyOf\": [{{\"type\": \"string\"}}, {{{}}}]", T::schema())
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        match node.text()? {
            Some(text) if !T::is_literal(&text) => Name::read(node).map(|name| Self::Set(name.0)),
            _ => T::read(node).map(Self::Literal),
        }
    }
}

fn article(section: &str) -> &'static str {
    if section.starts_with('a') { "an" } else { "a" }
}

/// A community of any kind, as a set holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AnyCommunity {
    /// RFC 1997.
    Standard(Wildcard<Community>),
    /// RFC 8092.
    Large(Wildcard<LargeCommunity>),
    /// RFC 4360.
    Extended(Wildcard<ExtendedCommunity>),
}

impl Value for AnyCommunity {
    fn allowed() -> String {
        let [standard, large, extended] = [Community::forms(), LargeCommunity::forms(), ExtendedCommunity::forms()];
        format!("{standard}; large: {large}; extended: {extended}; a number may be `*`")
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let extended = |_| Wildcard::read(node).map(Self::Extended);
        let large = |_| Wildcard::read(node).map(Self::Large);
        let any = Wildcard::read(node).map(Self::Standard).or_else(large).or_else(extended);
        any.map_err(|_: Wrongs| node.not_allowed(Self::allowed()).into())
    }
}
