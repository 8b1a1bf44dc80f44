//! vpngw's configuration: TOML text to typed settings, errors that point at the line.
//!
//! Every key is read by one call that carries its type, its default and its doc line; the reference page and the
//! suggestions for misspelt keys come from those calls. All errors of all files are reported at once.
//!
//! The readers walk the text's spanned tables and fill the engines' own settings, then the laws between keys are checked,
//! then everything found is told in file order.

#![forbid(unsafe_code)]

mod assemble;
mod check;
mod diagnostic;
mod raw;
mod read;
mod reference;
mod secrets;
pub mod settings;
mod together;
mod value;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::SystemTime;

use toml::de::DeTable;
use zeroize::Zeroizing;

pub use diagnostic::{Diagnostic, Severity};
pub use reference::{manual, reference, schema};
pub use secrets::{SecretError, no_secrets, secrets_from_files};
pub use settings::{Config, OnStop, Source};
pub use together::check_together;

use crate::raw::{Keys, Part, Place, Report, Walk};

/// What the reader takes from the host.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Used where `[router] router-id` is absent: the first IPv4 address of the host.
    pub default_router_id: Option<Ipv4Addr>,
    /// Used where `[router] on-stop` is absent: what the service that runs us wants.
    pub default_on_stop: OnStop,
    /// What time it is, for the advice about times.
    pub now: SystemTime,
    /// The environment, for `${NAME}`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a key file: [`secrets_from_files`] or [`no_secrets`].
    pub secrets: &'a dyn Fn(&Path) -> Result<Zeroizing<String>, SecretError>,
}

/// Reads a configuration: the main file, and those of `conf.d/` in the order of their names. A section may stand in several
/// files, a key in one of them; arrays of tables are strung together.
///
/// # Errors
/// Everything that makes the configuration unusable, and no warnings. Ok carries the warnings.
pub fn read(sources: &[Source], context: &Context<'_>) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let parsed: Vec<_> = sources.iter().map(|source| DeTable::parse_recoverable(&source.text)).collect();
    let mut report = Report::default();
    for (file, (_, errors)) in parsed.iter().enumerate() {
        let end = sources[file].text.len();
        for error in errors {
            report.syntax(Place::new(file, error.span().unwrap_or(end..end)), error.message());
        }
    }
    let parts = parsed.iter().enumerate().map(|(file, (table, _))| Part { file, table: table.get_ref() }).collect();
    let mut walk = Walk { sources, context, report, sections: None };
    let draft = Keys::root(&mut walk, parts, read::everything);
    let mut report = walk.report;
    let draft = assemble::resolve(draft, context, &mut report);
    check::laws(&draft, &mut report);
    if !report.has_errors() {
        check::advice(&draft, context.now, &mut report);
    }
    let broken = report.has_errors();
    let config = assemble::config(draft);
    let diagnostics = report.diagnostics(sources);
    match config {
        Some(config) if !broken => Ok((config, diagnostics)),
        _ => Err(diagnostics),
    }
}
