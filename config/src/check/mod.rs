//! The laws between keys.

use crate::raw::Report;
use crate::read::Draft;

/// What makes a configuration unusable.
pub(crate) fn laws(_draft: &Draft, _report: &mut Report) {}

/// What its writer should know of a usable one.
pub(crate) fn advice(_draft: &Draft, _report: &mut Report) {}
