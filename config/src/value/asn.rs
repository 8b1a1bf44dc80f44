//! AS numbers, and what stands for them.

use bgpd::policy::PathPattern;
use bgpd::types::Asn;

use super::{Value, Within};
use crate::raw::{Node, Wrongs};

/// Any AS number but 0.
impl Value for Asn {
    fn allowed() -> String {
        Within::<u32, 1, { u32::MAX }>::allowed()
    }

    fn schema() -> String {
        Within::<u32, 1, { u32::MAX }>::schema()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let number = Within::<u32, 1, { u32::MAX }>::read(node)?;
        Self::new(number.0).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// What may stand in a path: a number, or an expression over its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PathItem {
    /// Anywhere in it.
    Asn(Asn),
    /// Over all of it.
    Pattern(PathPattern),
}

impl Value for PathItem {
    fn allowed() -> String {
        format!("{}, or a regular expression over the path, where `_` is an end of a number", Asn::allowed())
    }

    fn schema() -> String {
        format!("\"anyOf\": [{{\"type\": \"string\"}}, {{{}}}]", Asn::schema())
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let Some(text) = node.text()? else { return Asn::read(node).map(Self::Asn) };
        if !text.contains(|c: char| !c.is_ascii_digit() && c != ' ') {
            let number = text.split(' ').next().unwrap_or_default();
            let label =
                format!("write the number without quotes, or \"_{number}_\": else it is found in longer ones too");
            return Err(node.wrong("does not say where a number ends", label).into());
        }
        let pattern = PathPattern::new(&text);
        pattern.map(Self::Pattern).map_err(|why| node.wrong("is not usable as a regular expression", why).into())
    }
}

/// The AS number of a speaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SpeakerAsn(pub(crate) Asn);

impl Value for SpeakerAsn {
    fn allowed() -> String {
        "number from 1 to 4294967294, but 23456 and 65535".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4294967294, \"not\": {\"enum\": [23456, 65535]}".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        // RFC 7607, RFC 6793 §9, RFC 7300
        let number = node.integer().and_then(|number| u32::try_from(number).ok()).and_then(Asn::new);
        let asn = number.filter(|asn| asn.is_assignable());
        asn.map(Self).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// What AS a neighbor may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NeighborAsn {
    /// This one.
    Number(Asn),
    /// Any but ours.
    External,
    /// Ours.
    Internal,
}

impl NeighborAsn {
    /// Whether it stands for many.
    pub(crate) fn is_word(&self) -> bool {
        !matches!(self, Self::Number(_))
    }
}

impl Value for NeighborAsn {
    fn allowed() -> String {
        "AS number, \"external\" or \"internal\"".to_owned()
    }

    fn schema() -> String {
        format!("\"anyOf\": [{{\"enum\": [\"external\", \"internal\"]}}, {{{}}}]", SpeakerAsn::schema())
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        match node.text()?.as_deref() {
            Some("external") => Ok(Self::External),
            Some("internal") => Ok(Self::Internal),
            None if node.integer().is_some() => SpeakerAsn::read(node).map(|asn| Self::Number(asn.0)),
            _ => Err(node.not_allowed(Self::allowed()).into()),
        }
    }
}
