//! docs/config.schema.json, for editors.

use super::{KeyLine, Need, Section, sections};

/// The JSON schema of a configuration file. It knows types and names, not the laws between keys.
pub fn schema() -> String {
    let members = [
        "\"$schema\": \"http://json-schema.org/draft-07/schema#\"".to_owned(),
        "\"title\": \"vpngw configuration\"".to_owned(),
        "\"type\": \"object\"".to_owned(),
        "\"additionalProperties\": false".to_owned(),
        format!("\"properties\": {}", braces(&children(&sections(), ""))),
    ];
    braces(&members) + "\n"
}

fn table(section: &Section, all: &[Section]) -> String {
    let keys = section.keys.iter().map(|key| format!("{}: {}", quoted(&key.name), value(key)));
    let children = children(all, &section.path);
    let doc = format!("\"description\": {}", quoted(section.doc));
    let mut members = vec![doc, "\"type\": \"object\"".to_owned()];
    if section.free {
        // The only member describes whatever name the user chooses.
        let any = section.keys.iter().map(value).chain(inner(all, &section.path)).next().unwrap_or_default();
        members.push(format!("\"additionalProperties\": {any}"));
        return braces(&members);
    }
    members.push("\"additionalProperties\": false".to_owned());
    let required = section.keys.iter().filter(|key| matches!(key.need, Need::Required));
    let required: Vec<_> = required.map(|key| quoted(&key.name)).collect();
    if !required.is_empty() {
        members.push(format!("\"required\": [{}]", required.join(", ")));
    }
    members.push(format!("\"properties\": {}", braces(&keys.chain(children).collect::<Vec<_>>())));
    braces(&members)
}

/// The sections right inside a path, as members.
fn children(all: &[Section], path: &str) -> Vec<String> {
    let names = all.iter().filter(|section| section.parent() == path).map(|section| quoted(section.name()));
    names.zip(inner(all, path)).map(|(name, schema)| format!("{name}: {schema}")).collect()
}

fn inner<'s>(all: &'s [Section], path: &'s str) -> impl Iterator<Item = String> + 's {
    all.iter().filter(move |section| section.parent() == path).map(|section| {
        let one = table(section, all);
        let short = section.keys.iter().find(|key| section.short == Some(key.name.as_str()));
        match short {
            Some(key) => format!("{{\"anyOf\": [{{{}}}, {one}]}}", key.schema),
            None if section.many => format!("{{\"anyOf\": [{one}, {{\"type\": \"array\", \"items\": {one}}}]}}"),
            None if section.or_false => format!("{{\"anyOf\": [{one}, {{\"const\": false}}]}}"),
            None => one,
        }
    })
}

fn value(key: &KeyLine) -> String {
    let doc = format!("\"description\": {}", quoted(key.doc));
    let default = match &key.need {
        Need::Default(default) => format!(", \"default\": {default}"),
        Need::Required | Need::Optional => String::new(),
    };
    format!("{{{doc}, {}{default}}}", key.schema)
}

fn braces(members: &[String]) -> String {
    if members.is_empty() {
        return "{}".to_owned();
    }
    format!("{{\n  {}\n}}", members.join(",\n").replace('\n', "\n  "))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
