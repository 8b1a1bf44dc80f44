//! Communities as people write them, alone and with parts that may be anything.

use std::net::Ipv4Addr;
use std::str::FromStr;

use bgpd::policy::{Bits, Wildcard};
use bgpd::types::{Community, ExtendedCommunity, LargeCommunity};

use super::{AnyCommunity, Value};
use crate::raw::{Node, Wrongs};

/// A kind of community.
pub(crate) trait CommunityKind: Bits {
    /// What may be written, in words.
    fn forms() -> String;

    /// Reads one, where each part may be `*` that has a place of its own among the octets.
    fn parse(text: &str) -> Option<Wildcard<Self>>;

    /// A member of a set, where it is of this kind.
    fn of(any: AnyCommunity) -> Option<Wildcard<Self>>;
}

/// Whether the text is meant as a community of any kind, and not as the name of a set.
pub(super) fn is_literal(text: &str) -> bool {
    text.contains(':') || text.starts_with("0x") || well_known(text).is_some()
}

fn well_known(name: &str) -> Option<Community> {
    Community::WELL_KNOWN.iter().find(|(known, _)| *known == name).map(|(_, community)| *community)
}

/// `64513:100`, or a name of the registry.
impl CommunityKind for Community {
    fn forms() -> String {
        let names = Self::WELL_KNOWN.map(|(name, _)| format!("\"{name}\""));
        format!("\"A:B\", {}", names.join(", "))
    }

    fn parse(text: &str) -> Option<Wildcard<Self>> {
        if let Some(community) = well_known(text) {
            return Some(community.into());
        }
        let (asn, value) = text.split_once(':')?;
        let ((asn, asn_mask), (value, value_mask)) = (part::<u16>(asn)?, part::<u16>(value)?);
        let joined = |high: u16, low: u16| Self(u32::from(high) << 16 | u32::from(low));
        Some(Wildcard::new(joined(asn, value), joined(asn_mask, value_mask)))
    }

    fn of(any: AnyCommunity) -> Option<Wildcard<Self>> {
        if let AnyCommunity::Standard(community) = any { Some(community) } else { None }
    }
}

/// `64513:1:2` (RFC 8092 §5).
impl CommunityKind for LargeCommunity {
    fn forms() -> String {
        "\"A:B:C\"".to_owned()
    }

    fn parse(text: &str) -> Option<Wildcard<Self>> {
        let mut parts = text.splitn(3, ':').map(part::<u32>);
        let [global, local1, local2] = [parts.next()??, parts.next()??, parts.next()??];
        let value = Self { global: global.0, local1: local1.0, local2: local2.0 };
        Some(Wildcard::new(value, Self { global: global.1, local1: local1.1, local2: local2.1 }))
    }

    fn of(any: AnyCommunity) -> Option<Wildcard<Self>> {
        if let AnyCommunity::Large(community) = any { Some(community) } else { None }
    }
}

/// Route target and route origin (RFC 4360 §4, §5): `rt:64513:100`, `rt:10.0.0.1:100`, `soo:…` for `ro:…`; or the eight octets.
impl CommunityKind for ExtendedCommunity {
    fn forms() -> String {
        "\"rt:A:B\", \"ro:A:B\" (or \"soo:A:B\") or 16 hex digits after 0x".to_owned()
    }

    fn parse(text: &str) -> Option<Wildcard<Self>> {
        if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.len() == 16) {
            let hex = digits.chars().all(|c| c.is_ascii_hexdigit());
            return u64::from_str_radix(digits, 16).ok().filter(|_| hex).map(|octets| Self(octets).into());
        }
        let (kind, rest) = text.split_once(':')?;
        let subtype: u64 = match kind {
            "rt" => 2 << 48,
            "ro" | "soo" => 3 << 48,
            _ => return None,
        };
        let (administrator, value) = rest.split_once(':')?;
        let narrow = |kind: u64, administrator: u32| {
            let (value, mask) = part::<u16>(value)?;
            let octets = kind << 56 | subtype | u64::from(administrator) << 16 | u64::from(value);
            Some(Wildcard::new(Self(octets), Self(!0 << 16 | u64::from(mask))))
        };
        if let Ok(address) = administrator.parse::<Ipv4Addr>() {
            return narrow(1, address.to_bits()); // RFC 4360 §3.2
        }
        let asn = number::<u32>(administrator)?;
        let Ok(asn) = u16::try_from(asn) else { return narrow(2, asn) }; // RFC 5668
        let (value, mask) = part::<u32>(value)?;
        let octets = subtype | u64::from(asn) << 32 | u64::from(value); // RFC 4360 §3.1
        Some(Wildcard::new(Self(octets), Self(!0 << 32 | u64::from(mask))))
    }

    fn of(any: AnyCommunity) -> Option<Wildcard<Self>> {
        if let AnyCommunity::Extended(community) = any { Some(community) } else { None }
    }
}

impl<T: CommunityKind> Value for Wildcard<T> {
    fn allowed() -> String {
        format!("{}; a number may be `*`", T::forms())
    }

    fn schema() -> String {
        "\"type\": \"string\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let text = node.text()?;
        text.as_deref().and_then(T::parse).ok_or_else(|| node.not_allowed(Self::allowed()).into())
    }
}

/// A number, or `*`: with the bits that count.
fn part<T: FromStr + Default + std::ops::Not<Output = T>>(text: &str) -> Option<(T, T)> {
    if text == "*" { Some((T::default(), T::default())) } else { Some((number(text)?, !T::default())) }
}

/// Digits alone: `parse` would also take a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    if text.chars().all(|c| c.is_ascii_digit()) { text.parse().ok() } else { None }
}
