//! The keys of one section: each read by one call, the unread ones reported.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::unsupported::is_planned;
use super::{Node, Place, Places, Report, Wrongs};
use crate::reference::{KeyLine, Need, Section};
use crate::value::{Value, Written};
use crate::{Context, Source};

/// What lives as long as the walk.
pub(crate) struct Walk<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) context: &'a Context<'a>,
    pub(crate) report: Report,
    /// What the readers say of themselves; only asked for by the reference.
    pub(crate) sections: Option<Vec<Section>>,
}

impl Walk<'_> {
    /// The readers are run over nothing, to say what they know.
    fn is_describing(&self) -> bool {
        self.sections.is_some()
    }
}

/// A table that was read, and where its values stand.
#[derive(Clone, Debug)]
pub(crate) struct Entry<T> {
    pub(crate) value: T,
    pub(crate) places: Places,
}

/// The keys of one section. A section may stand in several files: its keys are those of all of them.
pub(crate) struct Keys<'w, 'a> {
    pub(crate) walk: &'w mut Walk<'a>,
    pub(crate) places: Places,
    /// `bgp.neighbor`; a name that the user chose stands there as `NAME`.
    path: String,
    parts: Vec<Part<'a>>,
    known: BTreeSet<String>,
    /// The user chose the keys.
    free: bool,
    /// In place of the section stands the value of this key alone.
    short: Option<(&'static str, Node<'a>)>,
}

/// A section as it stands in one file.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) file: usize,
    pub(crate) table: &'a DeTable<'a>,
}

impl<'w, 'a> Keys<'w, 'a> {
    /// Reads the whole of some files: their outermost tables.
    pub(crate) fn root<T>(
        walk: &'w mut Walk<'a>,
        parts: Vec<Part<'a>>,
        read: impl FnOnce(&mut Keys<'_, 'a>) -> T,
    ) -> T {
        let mut keys = Keys::new(walk, String::new(), Place::WHOLE, parts);
        let value = read(&mut keys);
        keys.finish();
        value
    }

    fn new(walk: &'w mut Walk<'a>, path: String, header: Place, parts: Vec<Part<'a>>) -> Self {
        Self { walk, places: Places::new(header), path, parts, known: BTreeSet::new(), free: false, short: None }
    }

    /// A key that must be there.
    pub(crate) fn required<T: Value>(&mut self, name: &str, doc: &'static str) -> Option<T> {
        self.describe::<T>(name, Need::Required, doc);
        let node = self.find(name);
        if node.is_none() && !self.walk.is_describing() {
            let header = self.places.table;
            let label = format!("needed: {}", T::allowed());
            self.walk.report.missing(header, format!("`{name}` is missing"), label);
        }
        self.read(name, node?)
    }

    /// A key that may be absent.
    pub(crate) fn optional<T: Value>(&mut self, name: &str, doc: &'static str) -> Option<T> {
        self.describe::<T>(name, Need::Optional, doc);
        let node = self.find(name)?;
        self.read(name, node)
    }

    /// A key with a default. A refused value is reported and counts as absent.
    pub(crate) fn or<T: Written>(&mut self, name: &str, default: T, doc: &'static str) -> T {
        self.describe::<T>(name, Need::Default(default.written()), doc);
        self.find(name).and_then(|node| self.read(name, node)).unwrap_or(default)
    }

    /// A section that may be absent.
    pub(crate) fn table<T>(
        &mut self,
        name: &str,
        doc: &'static str,
        read: impl FnOnce(&mut Keys<'_, 'a>) -> T,
    ) -> Option<Entry<T>> {
        let nodes = self.find_all(name);
        let parts: Vec<_> = nodes.iter().filter_map(|node| self.part(name, *node)).collect();
        self.open_section(name, false, doc);
        if parts.is_empty() && !self.walk.is_describing() {
            return None;
        }
        let header = nodes.first().map_or(self.places.table, Node::place);
        if !nodes.is_empty() {
            self.places.insert(name, header, Vec::new());
        }
        Some(self.enter(name, header, parts, read))
    }

    /// A section whose keys all have defaults: an absent one is an empty one.
    pub(crate) fn section<T>(
        &mut self,
        name: &str,
        doc: &'static str,
        mut read: impl FnMut(&mut Keys<'_, 'a>) -> T,
    ) -> Entry<T> {
        let header = self.places.table;
        match self.table(name, doc, &mut read) {
            Some(entry) => entry,
            None => self.enter(name, header, Vec::new(), read),
        }
    }

    /// A section that may be absent, or written short: as the value of its key `short` alone.
    pub(crate) fn table_or_value<T>(
        &mut self,
        name: &str,
        doc: &'static str,
        short: &'static str,
        read: impl FnOnce(&mut Keys<'_, 'a>) -> T,
    ) -> Option<Entry<T>> {
        let is_short = |node: &Node<'a>| node.value.get_ref().as_table().is_none();
        let Some(node) = self.find_all(name).into_iter().find(is_short) else {
            let section = self.table(name, doc, read);
            let path = self.child(name);
            let described = self.walk.sections.iter_mut().flatten().find(|section| section.path == path);
            described.into_iter().for_each(|section| section.short = Some(short));
            return section;
        };
        self.find(name); // nothing beside it
        self.places.insert(name, node.place(), Vec::new());
        let mut keys =
            Keys { short: Some((short, node)), ..Keys::new(self.walk, String::new(), node.place(), Vec::new()) };
        let value = read(&mut keys);
        Some(Entry { value, places: keys.finish() })
    }

    /// The same, for what can be switched off by `false` in the place of the table. `None`: it is.
    pub(crate) fn section_or_false<T>(
        &mut self,
        name: &str,
        doc: &'static str,
        read: impl FnMut(&mut Keys<'_, 'a>) -> T,
    ) -> Option<Entry<T>> {
        let off = self.find_all(name).into_iter().find(|node| node.boolean() == Some(false));
        if let Some(off) = off {
            self.find(name); // no table beside it
            self.places.insert(name, off.place(), Vec::new());
            return None;
        }
        let section = self.section(name, doc, read);
        let path = self.child(name);
        let described = self.walk.sections.iter_mut().flatten().find(|section| section.path == path);
        if let Some(described) = described {
            described.or_false = true;
        }
        Some(section)
    }

    /// An array of tables, of all files in their order. What could not be read is reported and left out.
    pub(crate) fn tables<T>(
        &mut self,
        name: &str,
        doc: &'static str,
        mut read: impl FnMut(&mut Keys<'_, 'a>) -> Option<T>,
    ) -> Vec<Entry<T>> {
        let nodes: Vec<_> = self.find_all(name).iter().flat_map(Node::items).collect();
        self.open_section(name, true, doc);
        if self.walk.is_describing() {
            let header = self.places.table;
            self.enter(name, header, Vec::new(), read);
            return Vec::new();
        }
        let mut entries = Vec::new();
        for node in nodes {
            let Some(part) = self.part(name, node) else { continue };
            let Entry { value, places } = self.enter(name, node.place(), vec![part], &mut read);
            entries.extend(value.map(|value| Entry { value, places }));
        }
        entries
    }

    /// The names of a section whose keys are chosen by the user, each once.
    pub(crate) fn names(&mut self) -> BTreeSet<String> {
        self.free = true;
        if let Some(sections) = &mut self.walk.sections {
            sections.iter_mut().filter(|section| section.path == self.path).for_each(|section| section.free = true);
            return BTreeSet::from(["NAME".to_owned()]);
        }
        self.parts.iter().flat_map(|part| part.table.keys()).map(|key| key.get_ref().to_string()).collect()
    }

    /// The line of the section's header, from 1.
    pub(crate) fn line(&self) -> u32 {
        let Place { file, start, .. } = self.places.table;
        let before = self.walk.sources.get(file).and_then(|source| source.text.get(..start)).unwrap_or_default();
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    }

    fn read<T: Value>(&mut self, name: &str, node: Node<'a>) -> Option<T> {
        let items = node.items().iter().map(Node::place).collect();
        self.places.insert(name, node.place(), items);
        match T::read(node) {
            Ok(value) => Some(value),
            Err(Wrongs(wrongs)) => {
                for wrong in wrongs {
                    self.walk.report.error(wrong.place, format!("{name} {}", wrong.what), wrong.label);
                }
                None
            }
        }
    }

    /// The value of a key that may be given once.
    fn find(&mut self, name: &str) -> Option<Node<'a>> {
        let nodes = self.find_all(name);
        let (first, others) = nodes.split_first()?;
        for other in others {
            let title = format!("{name} is given twice");
            self.walk.report.error(other.place(), title, "given again").also(first.place(), "given first");
        }
        Some(*first)
    }

    /// The values of a key in all files.
    fn find_all(&mut self, name: &str) -> Vec<Node<'a>> {
        self.known.insert(name.to_owned());
        if let Some((_, node)) = self.short.filter(|(short, _)| *short == name) {
            return vec![node];
        }
        let context = self.walk.context;
        let values = self.parts.iter().filter_map(|part| Some((part.file, part.table.get(name)?)));
        values.map(|(file, value)| Node { file, value, context }).collect()
    }

    fn part(&mut self, name: &str, node: Node<'a>) -> Option<Part<'a>> {
        match node.value.get_ref() {
            DeValue::Table(table) => Some(Part { file: node.file, table }),
            _ => {
                let wrong = node.not_allowed(format!("a table, [{}]", self.child(name)));
                self.walk.report.error(wrong.place, format!("{name} {}", wrong.what), wrong.label);
                None
            }
        }
    }

    fn enter<T>(
        &mut self,
        name: &str,
        header: Place,
        parts: Vec<Part<'a>>,
        read: impl FnOnce(&mut Keys<'_, 'a>) -> T,
    ) -> Entry<T> {
        let path = self.child(name);
        let mut keys = Keys::new(self.walk, path, header, parts);
        let value = read(&mut keys);
        Entry { value, places: keys.finish() }
    }

    /// Reports the keys that nobody asked for.
    fn finish(self) -> Places {
        for part in &self.parts {
            for key in part.table.keys().filter(|key| !self.known.contains(key.get_ref().as_ref())) {
                let place = Place::new(part.file, key.span());
                let (title, label) = self.unknown(key.get_ref());
                self.walk.report.error(place, title, label);
            }
        }
        self.places
    }

    fn unknown(&self, key: &str) -> (String, String) {
        if is_planned(&self.path, key) {
            return (format!("`{key}` is not supported by this version"), "take it out".to_owned());
        }
        let known = || self.known.iter().map(String::as_str);
        let label = match nearest(key, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
        };
        (format!("unknown key `{}`", key.escape_debug()), label)
    }

    /// The path of a section inside this one.
    fn child(&self, name: &str) -> String {
        let name = if self.free { "NAME" } else { name };
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn describe<T: Value>(&mut self, name: &str, need: Need, doc: &'static str) {
        if let Some(sections) = &mut self.walk.sections
            && let Some(section) = sections.iter_mut().find(|section| section.path == self.path)
        {
            let line = KeyLine { name: name.to_owned(), allowed: T::allowed(), schema: T::schema(), need, doc };
            section.keys.push(line);
        }
    }

    fn open_section(&mut self, name: &str, many: bool, doc: &'static str) {
        let path = self.child(name);
        if let Some(sections) = &mut self.walk.sections {
            sections.push(Section { path, many, free: false, short: None, or_false: false, doc, keys: Vec::new() });
        }
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'n>(found: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |name: &str| strsim::damerau_levenshtein(found, name);
    let near = known.map(|name| (distance(name), name)).min()?;
    (near.0 <= (found.chars().count() / 3).max(1)).then_some(near.1)
}
