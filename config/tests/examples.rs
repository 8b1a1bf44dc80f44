//! Every file a user may start from is a configuration.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use config::{Config, Context, Source};

fn load(path: &Path) -> Config {
    let text = std::fs::read_to_string(path).unwrap();
    let source = Source { name: path.file_name().unwrap().to_string_lossy().into_owned(), text };
    let context = Context { default_router_id: None, env: &|_| None, secrets: &config::no_secrets };
    let (config, warnings) = config::read(&[source], &context).unwrap_or_else(|errors| panic!("{}", told(&errors)));
    assert!(warnings.is_empty(), "{}", told(&warnings));
    config
}

fn told(diagnostics: &[config::Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n\n")).collect()
}

#[test]
fn every_example_is_read_without_a_warning() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        load(&entry.unwrap().path());
        files += 1;
    }
    assert!(files >= 2);
}
