//! config/examples as its user runs them: by the program, with key files that belong together.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::common::{binary, output};
use crate::tools::repository;

/// Both ends in a directory, each with its own keys and the other's public key.
struct Pair {
    directory: TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { directory: TempDir::new().unwrap() };
        let keys = ["home", "ec2"].map(|end| pair.key(end));
        let shared = key(&["preshared"], "");
        for (end, psk) in [("home", "aws.psk"), ("ec2", "homelab.psk")] {
            pair.write(&format!("{end}/{psk}"), &shared);
        }
        pair.write("home/cilium.password", &key(&["preshared"], ""));
        for (end, far_key) in [("ec2", &keys[0]), ("home", &keys[1])] {
            let text = std::fs::read_to_string(repository(&format!("config/examples/{end}.toml"))).unwrap();
            let directory = pair.directory.path().join(end);
            let text = text.replace("\"/etc/vpngw/", &format!("\"{}/", directory.display()));
            let line = text.lines().find(|line| line.starts_with("public-key")).unwrap();
            pair.write(&format!("{end}/vpngw.toml"), &text.replace(line, &format!("public-key = \"{far_key}\"")));
        }
        pair
    }

    /// Makes an end's private key; its public half.
    fn key(&self, end: &str) -> String {
        std::fs::create_dir(self.directory.path().join(end)).unwrap();
        let private = key(&["generate"], "");
        self.write(&format!("{end}/wg0.key"), &private);
        key(&["public"], &private).trim().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn replace(&self, end: &str, found: &str, replacement: &str) {
        let path = self.file(end);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(found), "{found}");
        std::fs::write(path, text.replace(found, replacement)).unwrap();
    }

    fn file(&self, end: &str) -> PathBuf {
        self.directory.path().join(end).join("vpngw.toml")
    }

    /// `vpngw check` of one or both; its exit code and what it said.
    fn check(&self, ends: &[&str]) -> (Option<i32>, String) {
        let said = Command::new(binary()).arg("check").args(ends.iter().map(|end| self.file(end))).output().unwrap();
        (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned())
    }
}

fn key(arguments: &[&str], stdin: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", "printf %s \"$1\" | \"$0\" key \"$2\""]).arg(binary()).arg(stdin).args(arguments);
    output(command).unwrap()
}

#[test]
fn the_examples_pass_alone_and_together() {
    let pair = Pair::new();
    for ends in [&["ec2"] as &[_], &["home"], &["ec2", "home"], &["home", "ec2"]] {
        assert_eq!(pair.check(ends), (Some(0), String::new()), "{ends:?}");
    }
}

#[test]
fn the_home_example_is_the_overlays_file() {
    let example = std::fs::canonicalize(repository("config/examples/home.toml")).unwrap();
    let overlay = repository("packaging/kubernetes/homelab-aws/vpngw.toml");
    assert_eq!(example, std::fs::canonicalize(overlay).unwrap());
}

/// What an owner may get wrong: at which end, the text and what stands in its place, and what `check` says of both.
const FAULTS: [(&str, &str, &str, &str); 3] = [
    ("home", "asn          = 64513", "asn          = 64514", "the asn of neighbor `aws` does not fit"),
    ("ec2", "169.254.64.1/30", "169.254.65.1/30", "is not in the allowed-ips of peer `aws`"),
    (
        "home",
        "\"10.245.0.0/16 ge 24 le 26\"",
        "\"10.244.0.0/16 ge 24 le 26\"",
        "10.244.0.0/16 is claimed by both `mlops` and `administration`",
    ),
];

#[test]
fn a_pair_that_does_not_fit_is_refused_and_told_why() {
    for (end, found, replacement, message) in FAULTS {
        let pair = Pair::new();
        pair.replace(end, found, replacement);
        let (code, said) = pair.check(&["ec2", "home"]);
        assert_eq!(code, Some(2), "{found} -> {replacement}: {said}");
        assert!(said.contains(message), "{found} -> {replacement}: {said}");
    }
}

#[test]
fn a_pair_with_two_preshared_keys_is_refused() {
    let pair = Pair::new();
    pair.write("home/aws.psk", &key(&["preshared"], ""));
    let (code, said) = pair.check(&["ec2", "home"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("the preshared key of peer `homelab` is not the one in"), "{said}");
}
