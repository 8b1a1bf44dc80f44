//! Keys that the interface names and this version does not have yet. A file that uses one is told so plainly.

/// Section path and its names.
const LATER: &[(&str, &[&str])] = &[
    ("", &["aws", "kubernetes"]),
    ("router", &["cluster-id"]),
    ("bgp.neighbor", SESSION),
    ("bgp.dynamic-neighbor", SESSION),
    ("bgp.dynamic-neighbor", &["members", "listen", "local-address", "passive", "port", "shutdown", "via"]),
    ("bgp.originate", &["from", "set", "when-reachable"]),
    ("kernel", &["rule", "route"]),
];

/// Of every session.
const SESSION: &[&str] = &["bfd"];

/// Whether a later version will know the key.
pub(crate) fn is_planned(section: &str, key: &str) -> bool {
    LATER.iter().any(|(path, keys)| *path == section && keys.contains(&key))
}
