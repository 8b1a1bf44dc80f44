//! Where in which file something stands.

use std::collections::BTreeMap;
use std::ops::Range;

/// A stretch of text: octets `start..end` of the file with this number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    /// Index of the source.
    pub(crate) file: usize,
    /// Its first octet.
    pub(crate) start: usize,
    /// One past its last octet.
    pub(crate) end: usize,
}

impl Place {
    /// The configuration as a whole: where something is missing that could stand anywhere.
    pub(crate) const WHOLE: Self = Self { file: 0, start: 0, end: 0 };

    /// A span of a file.
    pub(crate) fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }

    /// Whether another one begins in here.
    pub(crate) fn holds(&self, other: Self) -> bool {
        self.file == other.file && (self.start..self.end).contains(&other.start)
    }
}

/// Where a table's values stand: what the laws between keys point at. One entry of the side table that leaves the
/// engines' settings free of spans.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The table's header.
    pub(crate) table: Place,
    spots: BTreeMap<String, Spot>,
}

/// Where a value and, if it is a list, its items stand.
#[derive(Clone, Debug)]
struct Spot {
    value: Place,
    items: Vec<Place>,
}

impl Places {
    pub(crate) fn new(table: Place) -> Self {
        Self { table, spots: BTreeMap::new() }
    }

    pub(crate) fn insert(&mut self, key: &str, value: Place, items: Vec<Place>) {
        self.spots.insert(key.to_owned(), Spot { value, items });
    }

    /// Whether the file gives the key, be it well or badly.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.spots.contains_key(key)
    }

    /// The value of a key; the table where the key is absent.
    pub(crate) fn of(&self, key: &str) -> Place {
        self.spots.get(key).map_or(self.table, |spot| spot.value)
    }

    /// One item of a list, as near as is known.
    pub(crate) fn item(&self, key: &str, index: usize) -> Place {
        self.spots.get(key).map_or(self.table, |spot| spot.items.get(index).copied().unwrap_or(spot.value))
    }
}
