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
    place: Option<Place>,
    label: String,
    also: Option<(Place, String)>,
}

impl Finding {
    /// Points at a second place.
    pub(crate) fn also(&mut self, place: Place, label: impl Into<String>) {
        self.also = Some((place, label.into()));
    }
}

impl Report {
    /// Something that makes the configuration unusable; the label stands beside the text.
    pub(crate) fn error(&mut self, place: Place, title: impl Into<String>, label: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, Some(place), title.into(), label.into())
    }

    /// Something that its writer should know.
    pub(crate) fn warning(&mut self, place: Place, title: impl Into<String>, label: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, Some(place), title.into(), label.into())
    }

    /// An error of the configuration as a whole.
    pub(crate) fn error_of_the_whole(&mut self, title: impl Into<String>, label: impl Into<String>) {
        self.add(Severity::Error, None, title.into(), label.into());
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, place: Option<Place>, title: String, label: String) -> &mut Finding {
        self.findings.push(Finding { severity, title, place, label, also: None });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// In file order. A line with a syntax error was only half understood: what else is found there is not told.
    pub(crate) fn diagnostics(mut self, sources: &[Source], syntax: &[Place]) -> Vec<Diagnostic> {
        let broken: Vec<_> = syntax.iter().map(|place| line_of(sources, *place)).collect();
        self.findings.retain(|finding| {
            finding.place.is_none_or(|place| syntax.contains(&place) || !broken.contains(&line_of(sources, place)))
        });
        self.findings.sort_by_key(|finding| finding.place); // stable: what is said of one place keeps its order
        self.findings.into_iter().map(|finding| finding.diagnostic(sources)).collect()
    }
}

impl Finding {
    fn diagnostic(self, sources: &[Source]) -> Diagnostic {
        let excerpt = |place: Place, label| Excerpt::new(&sources[place.file], place, label);
        match self.place {
            Some(place) => {
                let also = self.also.map(|(place, label)| excerpt(place, label));
                Diagnostic::of_line(self.severity, self.title, excerpt(place, self.label), also)
            }
            None => {
                let file = sources.first().map_or_else(String::new, |source| source.name.clone());
                Diagnostic::of_file(self.severity, file, self.title, self.label)
            }
        }
    }
}

fn line_of(sources: &[Source], place: Place) -> (usize, usize) {
    let before = sources.get(place.file).and_then(|source| source.text.get(..place.start)).unwrap_or_default();
    (place.file, before.matches('\n').count())
}
