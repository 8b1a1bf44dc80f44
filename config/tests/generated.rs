//! What is made from the reader stays what the reader says. `UPDATE_GOLDEN=1 cargo test -p config` writes it anew.
#![allow(clippy::unwrap_used)]

mod golden;

use std::path::Path;

#[test]
fn the_reference_page_is_what_the_reader_says() {
    golden::check(&docs("config.md"), &config::reference());
}

#[test]
fn the_schema_is_what_the_reader_says() {
    golden::check(&docs("config.schema.json"), &config::schema());
}

#[test]
fn the_schema_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&config::schema()).unwrap();
    assert_eq!(schema["properties"]["bgp"]["properties"]["multipath"]["default"], 8);
}

fn docs(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}
