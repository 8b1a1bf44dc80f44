//! What only the kernel's keys hold.

use super::{Value, Within, Written};
use crate::raw::{Node, Wrongs};

/// A routing table by name or number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Table(pub(crate) u32);

impl Table {
    /// RT_TABLE_MAIN.
    pub(crate) const MAIN: Self = Self(254);
    /// RT_TABLE_DEFAULT.
    const DEFAULT: Self = Self(253);
    /// RT_TABLE_LOCAL: the kernel's own.
    const LOCAL: Self = Self(255);
}

impl Value for Table {
    fn allowed() -> String {
        "\"main\", \"default\" or number from 1, but 255".to_owned()
    }

    fn schema() -> String {
        format!("\"anyOf\": [{{\"enum\": [\"main\", \"default\"]}}, {{{}}}]", Within::<u32, 1, { u32::MAX }>::schema())
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let table = match node.text()?.as_deref() {
            Some("main") => Some(Self::MAIN),
            Some("default") => Some(Self::DEFAULT),
            Some(_) => None,
            None => node.integer().and_then(|number| u32::try_from(number).ok()).map(Self),
        };
        let table = table.filter(|table| *table != Self(0) && *table != Self::LOCAL);
        table.ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl Written for Table {
    fn written(&self) -> String {
        match *self {
            Self::MAIN => "\"main\"".to_owned(),
            Self(number) => number.to_string(),
        }
    }
}

/// A routing protocol number of our own (`rtm_protocol`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ProtocolNumber(pub(crate) u8);

impl Value for ProtocolNumber {
    fn allowed() -> String {
        "number from 5 to 255 that no other program uses".to_owned()
    }

    fn schema() -> String {
        Within::<u8, 5, 255>::schema()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let Within(number) = Within::<u8, 5, 255>::read(node)?;
        let owner = match number {
            9 => "the kernel's router discovery",
            11 | 12 | 186..=199 => "FRR and Zebra, which sweep it",
            16 => "DHCP clients",
            _ => return Ok(Self(number)),
        };
        Err(node.wrong("is not allowed", format!("used by {owner}; 157 is free")).into())
    }
}

impl Written for ProtocolNumber {
    fn written(&self) -> String {
        self.0.to_string()
    }
}
