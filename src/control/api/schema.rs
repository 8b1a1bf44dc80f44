//! `docs/schema` is made from the types: `UPDATE_GOLDEN=1 cargo test --lib schema` writes it.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};

use super::{
    Advertised, ConfigFiles, Events, Fib, Neighbor, Neighbors, PacketLine, PeerLine, Peers, Received, RouteLine,
    Routes, SessionLine, Status,
};

#[test]
fn the_schemas_in_docs_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    for (name, schema) in schemas() {
        let file = directory.join(name).with_extension("json");
        let expected = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &expected).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == expected, "{} is not up to date: run with UPDATE_GOLDEN=1", file.display());
    }
}

/// The word after `show`, or `monitor-` and that after `monitor`, and the schema of what `--json` then prints.
fn schemas() -> [(&'static str, Schema); 14] {
    [
        ("status", schema::<Status>("vpngw show status --json")),
        ("routes", schema::<Routes>("vpngw show routes --json")),
        ("received", schema::<Received>("vpngw show received NAME --json")),
        ("advertised", schema::<Advertised>("vpngw show advertised NAME --json")),
        ("neighbors", schema::<Neighbors>("vpngw show neighbors --json")),
        ("neighbor", schema::<Neighbor>("vpngw show neighbor NAME --json")),
        ("peers", schema::<Peers>("vpngw show peers --json")),
        ("fib", schema::<Fib>("vpngw show fib --json")),
        ("events", schema::<Events>("vpngw show events --json")),
        ("monitor-sessions", schema::<SessionLine>("a line of vpngw monitor sessions --json")),
        ("monitor-routes", schema::<RouteLine>("a line of vpngw monitor routes --json")),
        ("monitor-tunnel", schema::<PeerLine>("a line of vpngw monitor tunnel --json")),
        ("monitor-packets", schema::<PacketLine>("a line of vpngw monitor packets --json")),
        ("config", schema::<ConfigFiles>("vpngw show config --json")),
    ]
}

fn schema<T: JsonSchema>(title: &str) -> Schema {
    // What is written, not what is read: every field is there, and those without a value are null.
    // The defaults are for those that read.
    let without_defaults = RecursiveTransform(|schema: &mut Schema| drop(schema.remove("default")));
    let settings = SchemaSettings::default().for_serialize().with_transform(without_defaults);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema
}
