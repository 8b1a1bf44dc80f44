//! The manual pages are what man and mandb expect of a page.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::{TempDir, tempdir};

fn written() -> (TempDir, Vec<PathBuf>) {
    let directory = tempdir().unwrap();
    let made = directory.path().join("man");
    let status = Command::new(common::binary()).arg("man").arg(&made).status().unwrap();
    assert!(status.success());
    let pages: Vec<_> = fs::read_dir(made).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.iter().any(|page| page.ends_with("vpngw-show.1")), "{pages:?}");
    assert!(pages.iter().any(|page| page.ends_with("vpngw.toml.5")), "{pages:?}");
    (directory, pages)
}

#[test]
fn man_shows_every_page_without_a_warning() {
    if !common::can_run(&["man"]) {
        return;
    }
    let (_directory, pages) = written();
    for page in pages {
        let output = Command::new("man")
            .args(["--warnings", "--local-file"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", page.display());
        assert!(output.status.success() && output.stdout.len() > 500, "{}", page.display());
    }
}

#[test]
fn mandb_finds_a_name_and_a_description_on_every_page() {
    if !common::can_run(&["lexgrog"]) {
        return;
    }
    let (_directory, pages) = written();
    for page in pages {
        let output = Command::new("lexgrog").arg(&page).output().unwrap();
        let name = page.file_stem().unwrap().to_str().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && found.contains(&format!("\"{name} - ")), "{found}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let output = Command::new(common::binary()).args(["man", "/dev/null/man"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot make /dev/null/man: "));
}
