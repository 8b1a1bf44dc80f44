//! vpngw's configuration: TOML text to typed settings, errors that point at the line.
//!
//! Every key is read by one call that carries its type, its default and its doc line; the reference page and the
//! suggestions for misspelt keys come from those calls. All errors of all files are reported at once.

pub mod settings;

pub use settings::{Config, Source};
