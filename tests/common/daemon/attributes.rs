//! Path attributes as the tests compare them, and the ways in which command lines write them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, bail, ensure};
use ipnet::IpNet;
use serde_json::Value;

/// Paths of one neighbor by prefix.
pub type Table = BTreeMap<IpNet, Attributes>;

/// What of a path both sides show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    pub origin: Origin,
    pub as_path: Vec<u32>,
    pub next_hop: Option<IpAddr>,
    pub med: Option<u32>,
    pub local_pref: Option<u32>,
    pub communities: BTreeSet<(u16, u16)>,
    pub large_communities: BTreeSet<(u32, u32, u32)>,
    /// Eight octets each.
    pub extended_communities: BTreeSet<u64>,
    pub originator: Option<Ipv4Addr>,
    pub cluster_list: Vec<Ipv4Addr>,
}

/// ORIGIN.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    #[default]
    Igp,
    Egp,
    Incomplete,
}

impl Origin {
    /// As most command lines write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Igp => "igp",
            Self::Egp => "egp",
            Self::Incomplete => "incomplete",
        }
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "igp" => Ok(Self::Igp),
            "egp" => Ok(Self::Egp),
            "incomplete" => Ok(Self::Incomplete),
            other => bail!("origin {other}"),
        }
    }
}

/// AS numbers between spaces.
pub fn as_path(text: &str) -> anyhow::Result<Vec<u32>> {
    text.split_whitespace().map(|asn| asn.parse().with_context(|| text.to_owned())).collect()
}

/// `64512:1`, or a name of RFC 1997, 7999 or 8326 in whatever spelling.
pub fn community(text: &str) -> anyhow::Result<(u16, u16)> {
    if let Some((asn, value)) = text.split_once(':') {
        return Ok((asn.parse()?, value.parse()?));
    }
    match text.to_ascii_lowercase().replace(['_', '-'], "").as_str() {
        "noexport" => Ok((65535, 65281)),
        "noadvertise" => Ok((65535, 65282)),
        "localas" | "noexportsubconfed" => Ok((65535, 65283)),
        "nopeer" => Ok((65535, 65284)),
        "blackhole" => Ok((65535, 666)),
        "gracefulshutdown" => Ok((65535, 0)),
        other => bail!("community {other}"),
    }
}

/// `64512:1:2`.
pub fn large_community(text: &str) -> anyhow::Result<(u32, u32, u32)> {
    let parts: Vec<u32> = text.split(':').map(str::parse).collect::<Result<_, _>>().with_context(|| text.to_owned())?;
    ensure!(parts.len() == 3, "large community {text}");
    Ok((parts[0], parts[1], parts[2]))
}

/// A route target (`rt`) or route origin (`ro`, `soo`) as RFC 4360 and RFC 5668 lay it out by the size of what stands
/// before the colon: an AS number of two octets, of four, or an address.
pub fn extended_community(kind: &str, value: &str) -> anyhow::Result<u64> {
    let subtype: u64 = match kind.to_ascii_lowercase().as_str() {
        "rt" | "target" => 2,
        "ro" | "soo" | "origin" => 3,
        other => bail!("extended community {other} {value}"),
    };
    let (administrator, local) = value.rsplit_once(':').with_context(|| value.to_owned())?;
    let local: u64 = local.parse()?;
    if let Ok(address) = administrator.parse::<Ipv4Addr>() {
        return Ok((0x0100 | subtype) << 48 | u64::from(u32::from(address)) << 16 | local);
    }
    let asn: u32 = administrator.parse()?;
    Ok(match u16::try_from(asn) {
        Ok(asn) => subtype << 48 | u64::from(asn) << 32 | local,
        Err(_) => (0x0200 | subtype) << 48 | u64::from(asn) << 16 | local,
    })
}

/// The other way round: `rt` or `ro`, what stands before the colon, and what behind.
pub fn extended_text(community: u64) -> (&'static str, String) {
    let kind = if community >> 48 & 0xFF == 2 { "rt" } else { "ro" };
    let value = match community >> 56 {
        0 => format!("{}:{}", community >> 32 & 0xFFFF, community & 0xFFFF_FFFF),
        1 => format!("{}:{}", Ipv4Addr::from((community >> 16) as u32), community & 0xFFFF),
        _ => format!("{}:{}", community >> 16 & 0xFFFF_FFFF, community & 0xFFFF),
    };
    (kind, value)
}

/// The texts of a JSON list, each parsed; an absent list is an empty one.
pub fn parsed<T: Ord>(list: &Value, parse: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<BTreeSet<T>> {
    let texts = list.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().map(|text| parse(text.as_str().context("a text")?)).collect()
}

/// A number of JSON that fits.
pub fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

/// What `vpngw show received NAME` and `vpngw show advertised NAME` print.
pub fn of_vpngw(shown: &Value) -> anyhow::Result<Table> {
    let routes = shown["routes"].as_array().with_context(|| shown.to_string())?;
    routes
        .iter()
        .map(|route| {
            let path = &route["paths"][0];
            let numbers = path["as_path"].as_array().with_context(|| path.to_string())?;
            let attributes = Attributes {
                origin: Origin::parse(path["origin"].as_str().context("origin")?)?,
                as_path: numbers.iter().filter_map(number).collect(),
                next_hop: path["next_hop"].as_str().and_then(|text| text.parse().ok()),
                med: number(&path["med"]),
                local_pref: number(&path["local_pref"]),
                communities: parsed(&path["communities"], community)?,
                large_communities: parsed(&path["large_communities"], large_community)?,
                extended_communities: parsed(&path["extended_communities"], |text| match text.split_once(':') {
                    Some((kind, value)) => extended_community(kind, value),
                    None => Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?),
                })?,
                originator: None,
                cluster_list: Vec::new(),
            };
            Ok((route["prefix"].as_str().context("prefix")?.parse()?, attributes))
        })
        .collect()
}
