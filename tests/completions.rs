//! A real bash is asked for the words that fit, with the script that `vpngw completions bash` prints.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::tempdir;

/// Calls the completing function as bash does, for a line whose words are the arguments.
const ASK: &str = r#"
source "$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
complete -p vpngw >/dev/null || exit
_clap_complete_vpngw vpngw "${!#}" "${COMP_WORDS[$# - 2]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// What a gateway knows of a neighbor that dialled in.
const NEIGHBORS: &str = r#"{"neighbors": [{
    "name": "cilium/192.168.2.19", "description": null, "address": "192.168.2.19", "asn": 64512, "router_id": null,
    "state": "active", "note": null, "uptime_seconds": null, "families": [], "received": 0, "accepted": 0,
    "rejected": 0, "advertised": 0, "pending": 0, "unsent_bytes": 0, "draining": false,
    "messages_received": {"open": 0, "update": 0, "notification": 0, "keepalive": 0, "route_refresh": 0},
    "messages_sent": {"open": 0, "update": 0, "notification": 0, "keepalive": 0, "route_refresh": 0},
    "counters": {
        "announced": 0, "withdrawn": 0, "discarded": 0, "treat_as_withdraw": 0, "attribute_discard": 0,
        "ignored_families": 0, "flaps": 0
    },
    "history": [], "last_error": null, "hold_time_seconds": null, "capabilities": [], "via": null, "bfd": null
}]}"#;

/// What bash offers behind `line`; options, which fit everywhere, aside.
fn offered(line: &str, socket: &Path) -> Vec<String> {
    let binary = common::binary();
    let directory = tempdir().unwrap();
    let script = directory.path().join("vpngw");
    let printed = Command::new(&binary).args(["completions", "bash"]).output().unwrap();
    assert!(printed.status.success());
    fs::write(&script, printed.stdout).unwrap();
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["--norc", "-c", ASK, "bash"])
        .args(line.split(' '))
        .env("SCRIPT", script)
        .env("PATH", path)
        .env("VPNGW_SOCKET", socket)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{line}");
    let words = String::from_utf8(output.stdout).unwrap();
    words.lines().filter(|word| !word.is_empty() && !word.starts_with("--")).map(str::to_owned).collect()
}

fn offered_without_gateway(line: &str) -> Vec<String> {
    offered(line, Path::new("/nonexistent/vpngw.sock"))
}

/// Answers one request.
fn gateway(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let length = stream.read(&mut [0; 4096]).unwrap();
        assert_ne!(length, 0);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", NEIGHBORS.len());
        stream.write_all((head + NEIGHBORS).as_bytes()).unwrap();
    });
}

#[test]
fn commands_and_what_they_show_are_completed() {
    assert_eq!(offered_without_gateway("vpngw sh"), ["show"]);
    let shown = offered_without_gateway("vpngw show ");
    assert!(shown.starts_with(&["status".to_owned(), "neighbors".to_owned()]), "{shown:?}");
    assert_eq!(offered_without_gateway("vpngw lab "), ["homelab-aws"]);
    assert_eq!(offered_without_gateway("vpngw completions "), ["bash", "zsh", "fish"]);
}

#[test]
fn hidden_commands_are_not_offered() {
    assert_eq!(offered_without_gateway("vpngw lab"), ["lab"]);
}

#[test]
fn a_file_is_completed_as_a_path() {
    assert_eq!(offered_without_gateway("vpngw check /etc/hostn"), ["/etc/hostname"]);
    assert_eq!(offered_without_gateway("vpngw run --config /etc/hostn"), ["/etc/hostname"]);
}

#[test]
fn a_neighbor_is_completed_by_the_running_gateway() {
    for line in ["vpngw neighbor cil", "vpngw show neighbor ", "vpngw show received "] {
        let directory = tempdir().unwrap();
        let socket = directory.path().join("vpngw.sock");
        gateway(&socket);
        assert_eq!(offered(line, &socket), ["cilium/192.168.2.19"], "{line}");
    }
}

#[test]
fn the_socket_of_the_line_is_the_one_that_is_asked() {
    let directory = tempdir().unwrap();
    let socket = directory.path().join("vpngw.sock");
    gateway(&socket);
    let line = format!("vpngw --socket {} show advertised ", socket.display());
    assert_eq!(offered_without_gateway(&line), ["cilium/192.168.2.19"]);
}

#[test]
fn no_name_is_offered_where_no_gateway_runs() {
    assert_eq!(offered_without_gateway("vpngw show neighbor "), Vec::<String>::new());
    assert_eq!(offered_without_gateway("vpngw neighbor "), ["all"]);
    assert_eq!(offered_without_gateway("vpngw neighbor homelab re"), ["reset", "refresh", "resend"]);
}

#[test]
fn without_a_shell_that_asks_nothing_is_completed() {
    for value in ["", "0"] {
        let output = Command::new(common::binary()).arg("--version").env("VPNGW_COMPLETE", value).output().unwrap();
        assert!(output.stdout.starts_with(b"vpngw "), "{value}");
    }
}
