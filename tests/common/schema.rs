//! The schemas that programs may rely on.

use std::path::Path;

use serde_json::Value;

/// Whether something is as `docs/schema` says of it.
pub fn is_of_schema(name: &str, value: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{name}.json"));
    let schema = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{value:#}");
}

/// The same of each line.
pub fn are_of_schema(name: &str, lines: &str) {
    lines.lines().for_each(|line| is_of_schema(name, &serde_json::from_str(line).unwrap()));
}
