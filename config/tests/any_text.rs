//! No text panics the reader, and whatever it points at lies in the text.
#![allow(clippy::unwrap_used)]

#[allow(unreachable_pub)] // it is, in its own crate
#[path = "../../fuzz/src/config.rs"]
mod property;

use std::path::Path;

use proptest::prelude::*;

/// The files that other tests read: good starting points for bad ones.
fn seeds() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["examples", "tests/broken"].map(|directory| std::fs::read_dir(here.join(directory)).unwrap());
    let paths = files.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A configuration with a few stretches replaced by text that is likely to matter.
fn damaged() -> impl Strategy<Value = String> {
    let patch = prop_oneof![
        Just(String::new()),
        "[\\[\\]{}=\"'.,#\n${}0-9a-z/:% \t\r-]{0,6}",
        "\\PC{0,3}",
        prop::sample::select(vec![
            "\"\"",
            "[]",
            "{}",
            "0",
            "-1",
            "true",
            "99999999999999999999",
            "1.5",
            "\"\"\"",
            "[[x]]"
        ])
        .prop_map(str::to_owned),
    ];
    let edit = (any::<prop::sample::Index>(), 0usize..40, patch);
    (prop::sample::select(seeds()), prop::collection::vec(edit, 0..4)).prop_map(|(mut text, edits)| {
        for (at, length, patch) in edits {
            let mut characters: Vec<char> = text.chars().collect();
            let start = at.index(characters.len() + 1);
            let end = (start + length).min(characters.len());
            characters.splice(start..end, patch.chars());
            text = characters.into_iter().collect();
        }
        text
    })
}

proptest! {
    #[test]
    fn a_damaged_configuration_is_read_or_refused_where_it_is_damaged(text in damaged()) {
        property::text(text.as_bytes());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        property::text(text.as_bytes());
    }
}

#[test]
fn edges_of_the_text_are_places_too() {
    for text in
        ["", "\u{feff}", "=", "\"", "[", "[[", "\r\n", "a=1\r\nb=2", "é=\"ü", "x = '''\n", "[bgp]\nlisten=[", "\0"]
    {
        property::text(text.as_bytes());
    }
}
