//! `vpngw check`: everything that is wrong with configurations, each by itself and all of them together.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use config::{Config, Diagnostic, OnStop, Severity};

use super::USAGE;
use super::args::Check;

use super::output::{fail, print, say};
use crate::source::{LoadError, load};

/// Stands for the address of a host that is not this one (RFC 5737).
pub(super) const SOME_ROUTER_ID: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Checks the files, or prints the schema.
pub(super) fn check(arguments: &Check) -> anyhow::Result<ExitCode> {
    if arguments.schema {
        print(&config::schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if check_files(arguments) { ExitCode::SUCCESS } else { ExitCode::from(USAGE) })
}

/// Whether all of them can be used.
fn check_files(arguments: &Check) -> bool {
    let mut sound = Vec::new();
    for file in &arguments.files {
        match load(file, !arguments.no_secrets, Some(SOME_ROUTER_ID), OnStop::Withdraw) {
            Ok(loaded) => {
                tell(&loaded.warnings);
                sound.push((file.display().to_string(), loaded.config));
            }
            Err(refused) => explain(&refused),
        }
    }
    let all: Vec<(String, &Config)> = sound.iter().map(|(name, config)| (name.clone(), config)).collect();
    let between = config::check_together(&all);
    tell(&between);
    sound.len() == arguments.files.len() && between.iter().all(|found| found.severity != Severity::Error)
}

/// Says why a configuration is not taken.
pub(super) fn explain(error: &LoadError) {
    match error {
        LoadError::Refused(diagnostics) => tell(diagnostics),
        LoadError::Read(_, cause) => fail(format_args!("{error}: {cause}")),
    }
}

/// Why a gateway does not run, in one sentence.
pub(super) fn in_short(error: &anyhow::Error) -> String {
    let Some(LoadError::Refused(diagnostics)) = error.downcast_ref() else { return format!("{error:#}") };
    let errors = || diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let Some(first) = errors().next() else { return error.to_string() };
    let place = if first.line == 0 { first.file.clone() } else { format!("{}:{}", first.file, first.line) };
    let others = match errors().count() {
        ..=1 => String::new(),
        count => format!(" (and {} more: see the log)", count - 1),
    };
    format!("{place}: {}: {}{others}", first.message, first.help)
}

/// Prints diagnostics, an empty line after each.
pub(super) fn tell(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        say(&format!("{}\n", diagnostic.render(true)));
    }
}
