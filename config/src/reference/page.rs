//! docs/config.md.

use std::fmt::Write as _;

use super::{KeyLine, Need, Section, sections};

const INTRODUCTION: &str = "\
# Configuration

This page is made from the program's own list of keys; `vpngw check FILE` looks at a file without running it.

";

/// What holds for every key, in Markdown.
pub(super) const RULES: [&str; 7] = [
    "The file is TOML. An unknown key is an error, and so is a key given twice.",
    "Files in `conf.d/` beside the main one are read too, in the order of their names: a section may stand in several files, a key
in one of them, and `[[...]]` sections are strung together.",
    "A duration is a string with a unit (`\"300ms\"`, `\"90s\"`, `\"2m\"`, `\"1h\"`) or a bare number of seconds.",
    "A list of one may be written without brackets.",
    "A string may hold `${NAME}` from the environment.",
    "Secrets stand in files of their own, named by keys that end in `-file`. White space around a secret is trimmed. A file that
everyone may read or change is refused; its group may read it.",
    "`[wireguard]` and `[bgp]` may each be absent.",
];

/// The reference page of all keys, in Markdown.
pub fn reference() -> String {
    let sections = sections();
    let mut page = INTRODUCTION.to_owned();
    for rule in RULES {
        let _ = writeln!(page, "- {}", rule.replace('\n', "\n  "));
    }
    for section in &sections {
        let title = heading(section, surrounding(section, &sections));
        let _ = write!(page, "\n## {title}\n\n{}\n", section.doc);
        if !section.keys.is_empty() {
            page.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
            section.keys.iter().for_each(|key| page.push_str(&row(key)));
        }
    }
    page
}

/// The array in whose elements a section lies.
pub(super) fn surrounding<'s>(section: &Section, all: &'s [Section]) -> Option<&'s Section> {
    all.iter().find(|parent| parent.many && parent.path == section.parent())
}

/// A table inside an array's element is written in braces.
pub(super) fn heading(section: &Section, inside: Option<&Section>) -> String {
    match (inside, section.many) {
        (Some(parent), false) => {
            let off = if section.or_false { " or `false`" } else { "" };
            format!("`{} = {{ }}`{off} in `[[{}]]`", section.name(), parent.path)
        }
        (_, true) => format!("`[[{}]]`", section.path),
        (_, false) => format!("`[{}]`", section.path),
    }
}

fn row(key: &KeyLine) -> String {
    let default = match &key.need {
        Need::Required => "required".to_owned(),
        Need::Optional => String::new(),
        Need::Default(value) => format!("`{value}`"),
    };
    format!("| `{}` | {} | {default} | {} |\n", key.name, key.allowed, key.doc)
}
