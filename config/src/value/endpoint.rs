//! Where a WireGuard peer is.

use std::net::SocketAddr;

use wgd::settings::Endpoint;

use super::Value;
use crate::raw::{Node, Wrongs};

impl Value for Endpoint {
    fn allowed() -> String {
        "HOST:PORT, the host a name or an address, an IPv6 address in brackets".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        let endpoint = text.as_deref().and_then(endpoint);
        endpoint.ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0 && !address.ip().is_unspecified()).then_some(Endpoint::Address(address));
    }
    let (name, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host_name(name).then(|| Endpoint::Name(name.to_owned(), port))
}

/// RFC 1123 §2.1, and `_` which is met in practice. A last label of digits is a broken address, not a name.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let digits = |label: &str| label.chars().all(|c| c.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(label) && !name.rsplit('.').next().is_some_and(digits)
}
