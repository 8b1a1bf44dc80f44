//! What a rule may ask of AS_PATH: numbers in it, and regular expressions over its text.

use std::fmt;
use std::sync::Arc;

use regex_automata::Input;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

use crate::types::Asn;
use crate::wire::AsPath;

/// What an expression may become: more than any that people write, and compiled in milliseconds.
const NFA_LIMIT: usize = 64 << 10;
const DFA_LIMIT: usize = 256 << 10;
const WORK_LIMIT: usize = 1 << 20;

/// What `_` stands for: an end of the text, or what stands between numbers.
const BOUNDARY: &str = "(?:^|$|[ ,{}()])";

/// AS numbers, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AsnSet(Vec<Asn>);

impl AsnSet {
    /// Whether a number is in it.
    pub fn contains(&self, asn: Asn) -> bool {
        self.0.binary_search(&asn).is_ok()
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = Asn> {
        self.0.iter().copied()
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Asn> for AsnSet {
    fn from_iter<I: IntoIterator<Item = Asn>>(asns: I) -> Self {
        let mut asns: Vec<_> = asns.into_iter().collect();
        asns.sort_unstable();
        asns.dedup();
        Self(asns)
    }
}

/// Any of them must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PathMatch {
    /// One of these stands anywhere in the path.
    pub asns: AsnSet,
    /// One of these matches its text.
    pub patterns: Vec<PathPattern>,
}

impl PathMatch {
    pub(super) fn holds(&self, path: &AsPath) -> bool {
        path.iter().any(|asn| self.asns.contains(asn)) || {
            let text = if self.patterns.is_empty() { String::new() } else { path.to_string() };
            self.patterns.iter().any(|pattern| pattern.matches(&text))
        }
    }

    /// Whether nothing can hold.
    pub fn is_empty(&self) -> bool {
        self.asns.is_empty() && self.patterns.is_empty()
    }
}

/// A regular expression over the text of a path, as routers have it: `^64512_`, `_6500[1-9]_`, `^$`.
///
/// It is a table that each octet of the text is looked up in once, whatever the expression.
#[derive(Clone)]
pub struct PathPattern {
    text: String,
    automaton: Arc<dense::DFA<Vec<u32>>>,
}

impl PathPattern {
    /// # Errors
    /// It is no regular expression, or would become too large; the text says which, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let syntax = syntax::Config::new().unicode(false).utf8(false).nest_limit(32);
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(DFA_LIMIT))
            .determinize_size_limit(Some(WORK_LIMIT));
        let automaton = dense::Builder::new()
            .syntax(syntax)
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(NFA_LIMIT)))
            .configure(config)
            .build(&with_boundaries(text))
            .map_err(|error| reason(&error))?;
        Ok(Self { text: text.to_owned(), automaton: Arc::new(automaton) })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a path that is written so: numbers with a space between.
    pub fn matches(&self, path: &str) -> bool {
        let input = Input::new(path).earliest(true);
        // It fails only at octets that it was told to stop at, of which there are none.
        self.automaton.try_search_fwd(&input).is_ok_and(|end| end.is_some())
    }
}

/// `_` is no part of a regular expression's language; inside brackets and behind a backslash it is itself.
fn with_boundaries(text: &str) -> String {
    let mut expanded = String::new();
    let (mut in_class, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '_' if !in_class && !escaped => expanded.push_str(BOUNDARY),
            _ => expanded.push(c),
        }
        in_class = !escaped && (c == '[' || in_class && c != ']') || escaped && in_class;
        escaped = c == '\\' && !escaped;
    }
    expanded
}

/// The last line of a report with the expression in it is what is wrong.
fn reason(error: &dense::BuildError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathPattern").field(&self.text).finish()
    }
}

impl Eq for PathPattern {}

/// Equal texts are equal expressions.
impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
