//! One value of the file, and what may be wrong with it.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::DeValue;
use toml::value::Datetime;

use super::Place;
use crate::Context;

/// A value with its file.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) file: usize,
    pub(crate) value: &'a Spanned<DeValue<'a>>,
    pub(crate) context: &'a Context<'a>,
}

/// Why a value is refused.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    /// The offending part.
    pub(crate) place: Place,
    /// What was found, and what is the matter with it: follows the key's name.
    pub(crate) what: String,
    /// Stands beside the text: what is allowed, or how to write it.
    pub(crate) label: String,
}

/// Several items of one list may be refused at once.
#[derive(Clone, Debug)]
pub(crate) struct Wrongs(pub(crate) Vec<Wrong>);

impl From<Wrong> for Wrongs {
    fn from(wrong: Wrong) -> Self {
        Self(vec![wrong])
    }
}

impl<'a> Node<'a> {
    pub(crate) fn place(&self) -> Place {
        Place::new(self.file, self.value.span())
    }

    /// The items of a list; a value that is no list counts as a list of one.
    pub(crate) fn items(&self) -> Vec<Node<'a>> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().map(|value| Node { value, ..*self }).collect(),
            _ => vec![*self],
        }
    }

    /// The text of a string, with `${NAME}` replaced from the environment. `Ok(None)`: not a string.
    pub(crate) fn text(&self) -> Result<Option<Cow<'a, str>>, Wrong> {
        match self.value.get_ref() {
            DeValue::String(text) => self.expand(text).map(Some),
            _ => Ok(None),
        }
    }

    /// An integer. `None`: not one, or beyond 64 bits.
    pub(crate) fn integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(crate) fn datetime(&self) -> Option<Datetime> {
        self.value.get_ref().as_datetime().copied()
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        self.value.get_ref().as_bool()
    }

    /// Refuses the value and says what is allowed.
    pub(crate) fn not_allowed(&self, allowed: impl Into<String>) -> Wrong {
        self.wrong("is not allowed", format!("allowed: {}", allowed.into()))
    }

    /// Refuses the value for a reason: "KEY FOUND REASON", and beside the text the label.
    pub(crate) fn wrong(&self, reason: &str, label: impl Into<String>) -> Wrong {
        Wrong { place: self.place(), what: format!("{} {reason}", self.found()), label: label.into() }
    }

    /// How the value is quoted in a message; never a secret, those stand in files of their own.
    fn found(&self) -> String {
        match self.value.get_ref() {
            DeValue::String(text) => {
                let text = self.expand(text).unwrap_or(Cow::Borrowed(text));
                format!("\"{}\"", shortened(&text))
            }
            DeValue::Integer(integer) => shortened(&integer.to_string()),
            DeValue::Float(float) => shortened(&float.to_string()),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(_) => "(a date)".to_owned(),
            DeValue::Array(items) if items.is_empty() => "[]".to_owned(),
            DeValue::Array(_) => "(a list)".to_owned(),
            DeValue::Table(_) => "(a table)".to_owned(),
        }
    }

    fn expand(&self, text: &'a str) -> Result<Cow<'a, str>, Wrong> {
        if !text.contains("${") {
            return Ok(Cow::Borrowed(text));
        }
        let (mut expanded, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let refuse = |what: String, label: &str| Wrong { place: self.place(), what, label: label.to_owned() };
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| refuse("has a `${` without its `}`".to_owned(), "write ${NAME}"))?;
            let value = (self.context.env)(name).ok_or_else(|| {
                refuse(format!("needs the environment variable `{}`", shortened(name)), "the variable is not set")
            })?;
            expanded.push_str(before);
            expanded.push_str(&value);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(Cow::Owned(expanded))
    }
}

/// On one line and of bearable length.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 50;
    let shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{shown}…") } else { shown }
}
