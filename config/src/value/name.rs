//! Names: of peers, neighbors, policies, interfaces and files.

use std::path::PathBuf;

use bgpd::settings::PolicyName;

use super::{Value, Written};
use crate::raw::{Node, Wrongs};

const STRING: &str = "\"type\": \"string\"";

/// A name that stands in commands, and before the `/` of a dynamic neighbor's session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Name(pub(crate) String);

impl Value for Name {
    fn allowed() -> String {
        "name of letters, digits, '-', '_' and '.'".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let allowed = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let name = node.text()?.filter(|name| !name.is_empty() && name.chars().all(allowed));
        name.map(|name| Self(name.into_owned())).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// Free text on one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Text(pub(crate) String);

impl Value for Text {
    fn allowed() -> String {
        "text on one line".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?.filter(|text| !text.contains(char::is_control));
        text.map(|text| Self(text.into_owned())).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// The name of a network interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct InterfaceName(pub(crate) String);

impl Value for InterfaceName {
    fn allowed() -> String {
        "interface name of 1 to 15 octets".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let name = node.text()?.filter(|name| is_interface_name(name));
        name.map(|name| Self(name.into_owned())).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl Written for InterfaceName {
    fn written(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// What Linux takes, without `%`, which would make a pattern of it.
pub(crate) fn is_interface_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !"/:%".contains(c);
    (1..=15).contains(&name.len()) && name.chars().all(allowed) && !matches!(name, "." | "..")
}

/// The path of a file or socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

impl Value for FilePath {
    fn allowed() -> String {
        "path".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let path = node.text()?.filter(|path| !path.is_empty() && !path.contains('\0'));
        path.map(|path| Self(path.as_ref().into())).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

impl Written for FilePath {
    fn written(&self) -> String {
        format!("\"{}\"", self.0.display())
    }
}

/// A WireGuard peer by name, or the one that owns an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Via {
    /// The owner of the neighbor's address.
    Auto,
    /// The peer of this name.
    Peer(String),
}

impl Value for Via {
    fn allowed() -> String {
        "name of a WireGuard peer, or \"auto\"".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let Name(name) = Name::read(node)?;
        Ok(if name == "auto" { Self::Auto } else { Self::Peer(name) })
    }
}

impl Value for PolicyName {
    fn allowed() -> String {
        "name of a policy, or \"accept-all\"".to_owned()
    }

    fn schema() -> String {
        STRING.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let Name(name) = Name::read(node)?;
        Ok(if name == "accept-all" { Self::AcceptAll } else { Self::Named(name) })
    }
}
