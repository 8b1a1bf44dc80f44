//! Names that must be unique.

use std::collections::BTreeMap;

use crate::raw::{Keys, Place};
use crate::value::Name;

/// The names given so far, also those of tables that are broken otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<String, Place>);

impl Names {
    /// Reads the name of a table and keeps it.
    pub(crate) fn claim(&mut self, keys: &mut Keys<'_, '_>, doc: &'static str) -> Option<String> {
        let Name(name) = keys.required("name", doc)?;
        let place = keys.places.of("name");
        match self.0.get(&name) {
            Some(first) => {
                let title = format!("name \"{name}\" is given twice");
                keys.walk.report.error(place, title, "given again").also(*first, "given first");
            }
            None => _ = self.0.insert(name.clone(), place),
        }
        Some(name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
