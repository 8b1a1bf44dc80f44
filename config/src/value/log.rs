//! What is logged.

use super::{Value, Written};
use crate::raw::{Node, Wrongs};

/// A filter: a level, or levels by module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogLevel(pub(crate) String);

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Value for LogLevel {
    fn allowed() -> String {
        format!("{}; or by module, \"bgpd=debug,info\"", LEVELS.join(", "))
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let module =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
        let part = |part: &str| match part.split_once('=') {
            Some((name, level)) => module(name) && LEVELS.contains(&level),
            None => LEVELS.contains(&part),
        };
        let level = node.text()?.filter(|text| text.split(',').all(part));
        level.map(|text| Self(text.into_owned())).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl Written for LogLevel {
    fn written(&self) -> String {
        format!("\"{}\"", self.0)
    }
}
