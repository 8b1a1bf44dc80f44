//! docs/rfc-compliance.md names what is there.

use std::path::{Path, PathBuf};

/// Where the paths of the page begin.
const ROOTS: [&str; 3] = ["bgpd/src", "bgpd/tests", ""];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(repository().join("docs/rfc-compliance.md")).unwrap()
}

/// What stands between backticks.
fn quoted(row: &str) -> impl Iterator<Item = &str> {
    row.split('`').skip(1).step_by(2)
}

fn is_file(text: &str) -> bool {
    text.ends_with(".rs") || text.ends_with(".txt")
}

/// Names of tests have several words.
fn is_test(text: &str) -> bool {
    text.matches('_').count() >= 2 && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn find(path: &str) -> Option<PathBuf> {
    ROOTS.iter().map(|root| repository().join(root).join(path)).find(|path| path.is_file())
}

#[test]
fn every_file_and_test_that_the_page_names_is_there() {
    let page = page();
    let mut tests = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let mut text = String::new(); // of the file named last
        for name in quoted(row) {
            if is_file(name) {
                let path = find(name).unwrap_or_else(|| panic!("no {name}: {row}"));
                text = std::fs::read_to_string(path).unwrap();
            } else if is_test(name) {
                assert!(text.contains(&format!("fn {name}(")), "no test {name}: {row}");
                tests += 1;
            }
        }
    }
    assert!(tests > 100, "{tests} tests are named");
}

#[test]
fn every_row_of_the_page_is_shown_or_says_that_it_is_not_built() {
    for row in page().lines().filter(|line| line.starts_with("| ")) {
        let is_head = ["| clause", "| situation", "| what |", "| flood"].iter().any(|head| row.starts_with(head));
        let is_shown = quoted(row).any(is_file);
        assert!(is_head || is_shown || row.contains("not built"), "{row}");
    }
}
