//! What is told of a configuration: the message, the line it is about, and what is allowed there.

use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::Source;
use crate::raw::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is taken, but its writer should know.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One error or warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// What is allowed, or how to mend it.
    pub help: String,
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 where the file as a whole is meant.
    pub column: usize,
    excerpts: Vec<Excerpt>,
}

/// A line of a file with a stretch of it marked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Excerpt {
    file: String,
    line: usize,
    text: String,
    /// Octets of `text`.
    start: usize,
    end: usize,
    label: String,
}

impl Diagnostic {
    /// About the file as a whole.
    pub(crate) fn of_file(severity: Severity, file: String, message: String, help: String) -> Self {
        Self { severity, message, help, file, line: 0, column: 0, excerpts: Vec::new() }
    }

    /// About a line, and perhaps a second one.
    pub(crate) fn of_line(severity: Severity, message: String, excerpt: Excerpt, also: Option<Excerpt>) -> Self {
        Self {
            severity,
            message,
            help: excerpt.label.clone(),
            file: excerpt.file.clone(),
            line: excerpt.line,
            column: excerpt.text[..excerpt.start].chars().count() + 1,
            excerpts: [Some(excerpt), also].into_iter().flatten().collect(),
        }
    }

    /// As people read it, without a line feed at the end.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let group = Group::with_title(level.primary_title(&self.message));
        let group = match &self.excerpts[..] {
            [] => group.element(Origin::path(&self.file)).element(Level::HELP.message(&self.help)),
            [primary, rest @ ..] => {
                let (same, others): (Vec<_>, Vec<_>) = rest.iter().partition(|also| also.is_beside(primary));
                let same = same.into_iter().map(|also| also.marked(AnnotationKind::Context));
                let others = others.into_iter().map(|also| also.snippet(AnnotationKind::Context));
                group.element(primary.snippet(AnnotationKind::Primary).annotations(same)).elements(others)
            }
        };
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Excerpt {
    /// The first line of a place.
    pub(crate) fn new(source: &Source, place: Place, label: String) -> Self {
        let text = source.text.as_str();
        let start = floor(text, place.start);
        let line_start = text[..start].rfind('\n').map_or(0, |feed| feed + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |feed| start + feed);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let inside = |at: usize| floor(line, at.saturating_sub(line_start));
        Self {
            file: source.name.clone(),
            line: text[..start].matches('\n').count() + 1,
            text: line.to_owned(),
            start: inside(start),
            end: inside(place.end),
            label,
        }
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.file == other.file && self.line == other.line
    }

    fn snippet(&self, kind: AnnotationKind) -> Snippet<'_, Annotation<'_>> {
        Snippet::source(&self.text).line_start(self.line).path(&self.file).annotation(self.marked(kind))
    }

    fn marked(&self, kind: AnnotationKind) -> Annotation<'_> {
        kind.span(self.start..self.end).label(&self.label)
    }
}

/// The nearest character boundary at or before an octet.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
