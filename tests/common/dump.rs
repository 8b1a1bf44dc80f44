//! The state of everything, for whoever reads why a test failed.

use super::Lab;

const SHOWN: [&str; 6] = ["status", "neighbors", "peers", "routes", "fib", "events"];
const LOG_LINES: usize = 60;

/// Prints every gateway's own view, every kernel's, and the end of every log.
pub fn everything(lab: &mut Lab) {
    let gateways: Vec<&str> = lab.running.gateways().iter().map(|gateway| gateway.name).collect();
    for gateway in gateways {
        for what in SHOWN {
            match lab.show(gateway, &[what]) {
                Ok(value) => eprintln!("=== {gateway}: show {what}\n{value}"),
                Err(error) => eprintln!("=== {gateway}: show {what}: {error:#}"),
            }
        }
    }
    for node in lab.nodes.clone() {
        for arguments in
            [&["-br", "address"][..], &["route", "show", "table", "all"], &["-6", "route"], &["-s", "neigh"]]
        {
            let text = lab.output(node, "ip", arguments).unwrap_or_else(|error| format!("{error:#}"));
            eprintln!("=== {node}: ip {}\n{text}", arguments.join(" "));
        }
    }
    for process in lab.running.processes() {
        let output = process.output();
        let lines: Vec<&str> = output.lines().collect();
        let last = lines.len().saturating_sub(LOG_LINES);
        let ended = process.ended();
        eprintln!("=== {} ({ended:?}) said last:\n{}", process.name(), lines[last..].join("\n"));
    }
}
