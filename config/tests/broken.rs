//! Broken configurations, each with what is told of it: `broken/NAME.toml` and `broken/NAME.txt`.
//! `UPDATE_GOLDEN=1 cargo test -p config` writes them anew.
#![allow(clippy::unwrap_used)]

mod common;
mod golden;

use std::path::{Path, PathBuf};

use common::{Outcome, read_with_router_id, told};
use config::Severity;

#[test]
fn every_broken_file_gets_exactly_its_diagnostics() {
    let mut files: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(files.len() >= 20);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = read(&[(path.file_name().unwrap().to_str().unwrap(), &text)]);
        golden::check(&path.with_extension("txt"), &verdict(&found));
    }
}

#[test]
fn a_key_in_two_files_is_refused_with_both_places() {
    let main = "[router]\nasn = 64512\nrouter-id = \"10.0.0.1\"\n[bgp]\n";
    let found = read(&[("vpngw.toml", main), ("conf.d/10-asn.toml", "[router]\nasn = 64513\n")]);
    golden::check(&directory().join("two-files.txt"), &verdict(&found));
}

#[test]
fn errors_come_in_file_order_and_hide_the_warnings() {
    let Err(errors) = read(&[("a", "[bgp]\nmultipath = 0\nx = 1\n"), ("b", "[kernel]\nmetric = 0\n")]) else {
        panic!()
    };
    let places: Vec<_> = errors.iter().map(|error| (error.file.as_str(), error.line, error.column)).collect();
    assert_eq!(places, [("a", 0, 0), ("a", 0, 0), ("a", 2, 13), ("a", 3, 1), ("b", 2, 10)]);
    assert!(errors.iter().all(|error| error.severity == Severity::Error));
}

/// On a host without an address, which must have its router ID written.
fn read(files: &[(&str, &str)]) -> Outcome {
    read_with_router_id(files, None)
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Ok((_, warnings)) => told(warnings) + "taken\n",
        Err(errors) => told(errors) + "refused\n",
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}
