//! Communities as people write them, and sets by name.

use bgpd::types::{Community, ExtendedCommunity, LargeCommunity};

use super::Value;
use crate::raw::{Node, Wrongs};

/// `64513:100`, or a name of the registry.
impl Value for Community {
    fn allowed() -> String {
        "\"A:B\" or \"no-export\", \"no-advertise\", \"no-export-subconfed\", \"blackhole\", \"graceful-shutdown\""
            .to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        let found = text.as_deref().and_then(|text| well_known(text).or_else(|| community(text)));
        found.ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// `64513:1:2` (RFC 8092 §5).
impl Value for LargeCommunity {
    fn allowed() -> String {
        "\"A:B:C\"".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        text.as_deref().and_then(large).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// `rt:64513:100` and `ro:64513:100` (RFC 4360 §4, §5), or the eight octets.
impl Value for ExtendedCommunity {
    fn allowed() -> String {
        "\"rt:A:B\", \"ro:A:B\" or 16 hex digits after 0x".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        text.as_deref().and_then(extended).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

pub(super) fn well_known(name: &str) -> Option<Community> {
    match name {
        "no-export" => Some(Community::NO_EXPORT),
        "no-advertise" => Some(Community::NO_ADVERTISE),
        "no-export-subconfed" => Some(Community::NO_EXPORT_SUBCONFED),
        "blackhole" => Some(Community(0xFFFF_029A)), // RFC 7999
        "graceful-shutdown" => Some(Community::GRACEFUL_SHUTDOWN),
        _ => None,
    }
}

fn community(text: &str) -> Option<Community> {
    let (asn, value) = text.split_once(':')?;
    Some(Community(u32::from(number::<u16>(asn)?) << 16 | u32::from(number::<u16>(value)?)))
}

fn large(text: &str) -> Option<LargeCommunity> {
    let mut parts = text.splitn(3, ':').map(number);
    Some(LargeCommunity { global: parts.next()??, local1: parts.next()??, local2: parts.next()?? })
}

fn extended(text: &str) -> Option<ExtendedCommunity> {
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.len() == 16) {
        let hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        return u64::from_str_radix(digits, 16).ok().filter(|_| hex).map(ExtendedCommunity);
    }
    let (kind, rest) = text.split_once(':')?;
    let subtype: u64 = match kind {
        "rt" => 2,
        "ro" => 3,
        _ => return None,
    };
    let (asn, value) = rest.split_once(':')?;
    let (asn, value) = (number::<u32>(asn)?, number::<u32>(value)?);
    match (u16::try_from(asn), u16::try_from(value)) {
        (Ok(asn), _) => Some(ExtendedCommunity(subtype << 48 | u64::from(asn) << 32 | u64::from(value))), // RFC 4360 §3.1
        (Err(_), Ok(value)) => {
            Some(ExtendedCommunity(0x02 << 56 | subtype << 48 | u64::from(asn) << 16 | u64::from(value)))
        } // RFC 5668
        _ => None,
    }
}

/// Digits alone: `parse` would also take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.chars().all(|c| c.is_ascii_digit()) { text.parse().ok() } else { None }
}
