//! The host's switches for forwarding: set where the configuration says so, and judged.

use std::fs;

use anyhow::{Context as _, Result};
use bgpd::types::Family;
use tracing::warn;

/// Forwarding of both families. A host without IPv6 has no such switch, which is no error.
pub fn forwarding(wanted: Option<bool>) -> Result<()> {
    for family in Family::ALL {
        set(forwarding_key(family), wanted.map(|on| if on { "1" } else { "0" }))?;
    }
    if wanted.is_none() {
        Family::ALL.into_iter().filter_map(forwarding_fault).for_each(|fault| warn!("{fault}"));
    }
    Ok(())
}

/// Reverse-path filter of the tunnel's device: loose, or none. Strict drops what comes back another way.
pub fn rp_filter(interface: &str, wanted: Option<bool>) -> Result<()> {
    set(&rp_filter_key(interface), wanted.map(|on| if on { "2" } else { "0" }))?;
    if let Some(fault) = rp_filter_fault(interface) {
        warn!("{fault}");
    }
    Ok(())
}

/// Has the kernel take packets of the tunnel's device that come from an address of this host. False: it does not let us.
pub fn accept_local(interface: &str) -> bool {
    let key = format!("net/ipv4/conf/{interface}/accept_local");
    set(&key, Some("1")).is_ok() && read(&key).is_some_and(|value| value == "1")
}

/// What is wrong now with the forwarding of a family, in one sentence.
pub fn forwarding_fault(family: Family) -> Option<String> {
    let key = forwarding_key(family);
    let packets = match family {
        Family::Ipv4 => "IPv4 packets",
        Family::Ipv6 => "IPv6 packets",
    };
    let off = read(key)? == "0";
    off.then(|| format!("{} is 0: {packets} between the tunnel and other links are not forwarded", dotted(key)))
}

fn forwarding_key(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "net/ipv4/ip_forward",
        Family::Ipv6 => "net/ipv6/conf/all/forwarding",
    }
}

/// What is wrong now with the reverse-path filter of the tunnel's device, in one sentence.
pub fn rp_filter_fault(interface: &str) -> Option<String> {
    let value = |key: String| Some((read(&key)?.parse::<u8>().ok()?, key));
    // The kernel takes the greater of the two (ip-sysctl.rst)
    let (value, key) = ["all", interface].into_iter().filter_map(|name| value(rp_filter_key(name))).max()?;
    let strict = "strict reverse-path filtering drops packets whose way back is another";
    (value == 1).then(|| format!("{} is 1: on {interface}, {strict}", dotted(&key)))
}

fn rp_filter_key(interface: &str) -> String {
    format!("net/ipv4/conf/{interface}/rp_filter")
}

/// A host that does not have the switch is left alone.
fn set(key: &str, wanted: Option<&str>) -> Result<()> {
    match (wanted, read(key)) {
        (Some(wanted), Some(found)) if wanted != found => {
            fs::write(path(key), wanted).with_context(|| format!("cannot set {} to {wanted}", dotted(key)))
        }
        _ => Ok(()),
    }
}

fn read(key: &str) -> Option<String> {
    Some(fs::read_to_string(path(key)).ok()?.trim().to_owned())
}

fn path(key: &str) -> String {
    format!("/proc/sys/{key}")
}

fn dotted(key: &str) -> String {
    key.replace('/', ".")
}
