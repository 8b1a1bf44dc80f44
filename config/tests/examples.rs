//! Every file a user may start from is a configuration.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{read, told};

#[test]
fn every_example_is_read_without_a_warning() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, warnings) =
            read(&[(path.to_str().unwrap(), &text)]).unwrap_or_else(|errors| panic!("{}", told(&errors)));
        assert!(warnings.is_empty(), "{}", told(&warnings));
        files += 1;
    }
    assert!(files >= 2);
}
