//! Every error and warning of all files, until they are told in file order.

use super::Place;
use crate::Source;
use crate::diagnostic::{Diagnostic, Excerpt, Severity};

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

/// An error or a warning.
#[derive(Debug)]
pub(crate) struct Finding {
    severity: Severity,
    title: String,
    place: Place,
    label: String,
    also: Option<(Place, String)>,
    kind: Kind,
}

/// How far a finding can be trusted beside a syntax error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// It is the syntax error.
    Syntax,
    /// Something is missing: it may stand where the text was not understood.
    Absence,
    /// Something is there.
    Presence,
}

impl Finding {
    /// Points at a second place.
    pub(crate) fn also(&mut self, place: Place, label: impl Into<String>) {
        self.also = Some((place, label.into()));
    }
}

impl Report {
    /// Something that is not TOML.
    pub(crate) fn syntax(&mut self, place: Place, message: &str) {
        self.error(place, format!("TOML syntax: {message}"), "here").kind = Kind::Syntax;
    }

    /// Something that must be there and is not.
    pub(crate) fn missing(&mut self, place: Place, title: impl Into<String>, label: impl Into<String>) {
        self.error(place, title, label).kind = Kind::Absence;
    }

    /// Something that makes the configuration unusable; the label stands beside the text.
    pub(crate) fn error(&mut self, place: Place, title: impl Into<String>, label: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, place, title.into(), label.into())
    }

    /// Something that its writer should know.
    pub(crate) fn warning(&mut self, place: Place, title: impl Into<String>, label: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, place, title.into(), label.into())
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, place: Place, title: String, label: String) -> &mut Finding {
        self.findings.push(Finding { severity, title, place, label, also: None, kind: Kind::Presence });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// In file order. What TOML could not understand is not held against the rest.
    pub(crate) fn diagnostics(mut self, sources: &[Source]) -> Vec<Diagnostic> {
        let syntax = self.findings.iter().filter(|finding| finding.kind == Kind::Syntax);
        let unclear: Vec<_> = syntax.map(|finding| unclear(sources, finding.place)).collect();
        self.findings.retain(|finding| match finding.kind {
            Kind::Syntax => true,
            Kind::Absence => unclear.is_empty(),
            Kind::Presence => !unclear.iter().any(|lines| lines.holds(finding.place)),
        });
        self.findings.sort_by_key(|finding| finding.place); // stable: what is said of one place keeps its order
        self.findings.into_iter().map(|finding| finding.diagnostic(sources)).collect()
    }
}

impl Finding {
    fn diagnostic(self, sources: &[Source]) -> Diagnostic {
        if self.place == Place::WHOLE {
            let file = sources.first().map_or_else(String::new, |source| source.name.clone());
            return Diagnostic::of_file(self.severity, file, self.title, self.label);
        }
        let excerpt = |place: Place, label| Excerpt::new(&sources[place.file], place, label);
        let also = self.also.map(|(place, label)| excerpt(place, label));
        Diagnostic::of_line(self.severity, self.title, excerpt(self.place, self.label), also)
    }
}

/// The line of a syntax error; where that is a section's header, the whole section, whose keys went astray.
fn unclear(sources: &[Source], error: Place) -> Place {
    let text = sources[error.file].text.as_str();
    let before = text.get(..error.start).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |feed| feed + 1);
    let rest = &text[start..];
    let next = if rest.trim_start().starts_with('[') { "\n[" } else { "\n" };
    let end = rest.find(next).map_or(text.len() + 1, |length| start + length + 1);
    Place { file: error.file, start, end }
}
