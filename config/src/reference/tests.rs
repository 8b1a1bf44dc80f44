#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{Need, Section, sections};
use crate::{Config, Context, OnStop, Source, no_secrets};

/// What stands for keys without a default.
fn sample(key: &str) -> &'static str {
    match key {
        "private-key-file" | "file" => "'wg0.key'",
        "from" => "2026-03-01T02:00:00Z",
        "public-key" => "'1lZ6QKCmrWlqVGjVHJtVUHCqo8RvFGXzjAvlqOcvvCM='",
        "address" => "'192.0.2.9'",
        "asn" => "64512",
        "range" => "'198.51.100.0/24'",
        "limit" => "9",
        "value" => "16",
        "action" | "import" => "'accept-all'",
        _ => panic!("{key} needs a sample"),
    }
}

/// Every section once, with its required keys and, if asked for, its defaults.
fn written(defaults: bool) -> String {
    let mut text = "[router]\nasn = 64513\n".to_owned();
    for (number, section) in sections().iter().enumerate().filter(|(_, section)| !section.path.starts_with("policy")) {
        match (section.path.as_str(), section.many) {
            ("router", _) => {}
            (path, true) => _ = writeln!(text, "[[{path}]]"),
            (path, false) => _ = writeln!(text, "[{path}]"),
        }
        for key in &section.keys {
            match &key.need {
                Need::Required if key.name == "name" => _ = writeln!(text, "name = 'name-{number}'"),
                Need::Required if section.path == "bgp.bmp" => text.push_str("address = '192.0.2.9:5000'\n"),
                Need::Required if key.name == "prefix" => _ = writeln!(text, "prefix = '10.{number}.0.0/16'"),
                Need::Required => _ = writeln!(text, "{} = {}", key.name, sample(&key.name)),
                Need::Default(value) if defaults => _ = writeln!(text, "{} = {value}", key.name),
                Need::Optional if needs(section, &key.name) => {
                    _ = writeln!(text, "{} = {}", key.name, sample(&key.name))
                }
                Need::Optional | Need::Default(_) => {}
            }
        }
    }
    text
}

/// A law asks for it.
fn needs(section: &Section, key: &str) -> bool {
    section.path == "bgp.dynamic-neighbor" && key == "import"
}

fn read(text: String) -> Config {
    let router_id = Some(Ipv4Addr::new(192, 0, 2, 1));
    let context = Context {
        default_router_id: router_id,
        default_on_stop: OnStop::Withdraw,
        now: std::time::SystemTime::UNIX_EPOCH,
        env: &|_| None,
        secrets: &no_secrets,
    };
    let source = Source { name: "vpngw.toml".to_owned(), text };
    let outcome = crate::read(&[source], &context);
    outcome.unwrap_or_else(|errors| panic!("{}", errors.iter().map(ToString::to_string).collect::<String>())).0
}

#[test]
fn a_default_that_is_written_changes_nothing() {
    assert!(written(true).lines().count() > written(false).lines().count() + 30);
    assert_eq!(read(written(true)), read(written(false)));
}

#[test]
fn every_section_and_every_key_says_what_it_is() {
    for section in sections() {
        assert!(section.doc.ends_with('.'), "{}", section.path);
        for key in section.keys {
            assert!(key.doc.ends_with('.'), "{}.{}", section.path, key.name);
            assert!(!key.allowed.is_empty());
        }
    }
}
