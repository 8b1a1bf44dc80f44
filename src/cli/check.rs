//! `vpngw check`: everything that is wrong with configurations.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use config::Diagnostic;

use super::USAGE;
use super::args::Check;
use super::load::{LoadError, load};
use super::output::{fail, say};

/// Stands for the address of a host that is not this one (RFC 5737).
const SOME_ROUTER_ID: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Checks the files.
pub(super) fn check(arguments: &Check) -> ExitCode {
    let mut sound = true;
    for file in &arguments.files {
        match load(file, !arguments.no_secrets, Some(SOME_ROUTER_ID)) {
            Ok(loaded) => tell(&loaded.warnings),
            Err(refused) => {
                explain(&refused);
                sound = false;
            }
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
}

/// Says why a configuration is not taken.
pub(super) fn explain(error: &LoadError) {
    match error {
        LoadError::Refused(diagnostics) => tell(diagnostics),
        LoadError::Read(_, cause) => fail(format_args!("{error}: {cause}")),
    }
}

fn tell(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        say(&format!("{}\n", diagnostic.render(true)));
    }
}
