//! The host's switches for forwarding: set where the configuration says so, else only checked.

use std::fs;

use anyhow::{Context as _, Result};
use tracing::warn;

const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

/// Forwarding of both families. A host without IPv6 has no such switch, which is no error.
pub fn forwarding(wanted: Option<bool>) -> Result<()> {
    for key in FORWARDING {
        apply(key, wanted.map(|on| if on { "1" } else { "0" }), |value| {
            (value == "0").then_some("packets between the tunnel and other links are not forwarded")
        })?;
    }
    Ok(())
}

/// Reverse-path filter of the tunnel's device: loose, or none. Strict drops what comes back another way.
pub fn rp_filter(interface: &str, wanted: Option<bool>) -> Result<()> {
    let key = format!("net/ipv4/conf/{interface}/rp_filter");
    apply(&key, wanted.map(|on| if on { "2" } else { "0" }), |value| {
        (value == "1").then_some("strict reverse-path filtering drops packets whose way back is another")
    })
}

fn apply(key: &str, wanted: Option<&str>, fault: impl Fn(&str) -> Option<&'static str>) -> Result<()> {
    let path = format!("/proc/sys/{key}");
    let Ok(found) = fs::read_to_string(&path) else { return Ok(()) };
    let found = found.trim();
    match wanted {
        Some(wanted) if wanted != found => {
            fs::write(&path, wanted).with_context(|| format!("cannot set {} to {wanted}", key.replace('/', ".")))
        }
        Some(_) => Ok(()),
        None => {
            if let Some(fault) = fault(found) {
                warn!(sysctl = key.replace('/', "."), value = found, "{fault}");
            }
            Ok(())
        }
    }
}
