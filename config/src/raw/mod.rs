//! The raw layer: a walk over TOML's spanned tables that collects every error and knows every key.
//!
//! A serde derive stops at its first error, so the walk is our own. A section is read by a function of its [`Keys`]; each key by
//! one call that carries its type, its default and its doc line. The same functions, run over no files at all,
//! describe themselves: the reference page, the schema and "did you mean" are made of those very calls.

mod keys;
mod node;
mod place;
mod report;
mod unsupported;

pub(crate) use keys::{Entry, Keys, Part, Walk, nearest};
pub(crate) use node::{Node, Wrong, Wrongs};
pub(crate) use place::{Place, Places};
pub(crate) use report::Report;
