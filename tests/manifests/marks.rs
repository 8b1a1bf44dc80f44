//! `grep -rn EDIT packaging config/examples` shows an owner every value that is the site's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

use crate::tools::{packaging, repository};

/// What only this site has: its LAN, its pods, its VPC.
const SITE: [&str; 4] = ["192.168.2.0/24", "10.244.0.0/16", "10.245.0.0/16", "10.20.0.0/16"];
/// A mark stands on the line, or on one shortly above it.
const ABOVE: usize = 6;

#[test]
fn every_address_of_the_site_is_marked_where_it_stands() {
    let mut files = vec![repository("config/examples/ec2.toml")];
    for directory in ["kubernetes/base", "kubernetes/homelab-aws", "cilium", "talos", "unifi", "terraform"] {
        files.extend(packaging(directory).read_dir().unwrap().map(|entry| entry.unwrap().path()));
    }
    let mut values = 0;
    for path in files.into_iter().filter(|path| is_text_of_ours(path)) {
        for (value, marked) in values_of(&path) {
            assert!(marked, "{value} has no EDIT in {}", path.display());
            values += 1;
        }
    }
    assert!(values > 20, "{values}");
}

fn is_text_of_ours(path: &Path) -> bool {
    let extensions = ["conf", "tf", "toml", "yaml"];
    path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known))
}

/// The site's values in a file, and whether one of the places where it stands is marked.
fn values_of(path: &Path) -> BTreeMap<String, bool> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let marked = lines[number.saturating_sub(ABOVE)..=number].iter().any(|line| line.contains("EDIT"));
        for value in
            line.split(['#', '!']).next().unwrap().split(|c: char| !(c.is_ascii_hexdigit() || "./:".contains(c)))
        {
            if is_of_the_site(value) {
                *found.entry(value.to_owned()).or_default() |= marked;
            }
        }
    }
    found
}

fn is_of_the_site(value: &str) -> bool {
    let Some(prefix) = value.parse::<IpNet>().ok().or_else(|| Some(value.parse::<IpAddr>().ok()?.into())) else {
        return false;
    };
    SITE.iter().any(|site| site.parse::<IpNet>().unwrap().contains(&prefix))
}
