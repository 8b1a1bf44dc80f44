//! A page of docs/ that is followed command by command.
//!
//! A fenced block ```` ```console PLACE ```` holds what is typed there, each command after `$ `, and what it then prints.
//! In the output, `…` stands for any text, and alone on a line for any lines. `<words>` in a command stand for what the
//! reader fills in; the test fills it in from a table. Commands at the place `cloud` need one and are not followed.

use std::fs;
use std::path::Path;

/// The place whose commands are not followed.
pub(crate) const CLOUD: &str = "cloud";

/// One page.
#[derive(Debug)]
pub(crate) struct Guide {
    pub(crate) sections: Vec<Section>,
}

/// What stands between two headings.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// One command.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Page and line, to point at.
    pub(crate) at: String,
    pub(crate) place: String,
    pub(crate) command: String,
    pub(crate) output: Vec<String>,
}

impl Guide {
    /// Reads a page of docs/.
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        Self::parse(name, &fs::read_to_string(path).unwrap())
    }

    fn parse(name: &str, text: &str) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                sections.push(Section { title: title.to_owned(), steps: Vec::new() });
            } else if let Some(kind) = line.strip_prefix("```console") {
                let place = kind.trim();
                assert!(!place.is_empty(), "{name}:{number}: where is this typed?");
                let block = lines.by_ref().take_while(|(line, _)| *line != "```").collect::<Vec<_>>();
                let section = sections.last_mut().expect("commands stand below a heading");
                section.steps.extend(steps(name, place, &block));
            }
        }
        Self { sections }
    }

    /// The section whose title is this.
    pub(crate) fn section(&self, title: &str) -> &Section {
        let known = || self.sections.iter().map(|section| section.title.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.sections.iter().find(|section| section.title == title);
        found.unwrap_or_else(|| panic!("no section `{title}`; there are {}", known()))
    }
}

fn steps(name: &str, place: &str, block: &[(&str, usize)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for (line, number) in block {
        match line.strip_prefix("$ ") {
            _ if goes_on => {
                let command = &mut steps.last_mut().unwrap().command;
                command.push('\n');
                command.push_str(line);
            }
            Some(command) => steps.push(Step {
                at: format!("docs/{name}:{number}"),
                place: place.to_owned(),
                command: command.to_owned(),
                output: Vec::new(),
            }),
            None => {
                let step = steps.last_mut().unwrap_or_else(|| panic!("{name}:{number}: output without a command"));
                step.output.push((*line).to_owned());
            }
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

impl Step {
    /// The command with the reader's own values in it.
    pub(crate) fn filled_in(&self, mut value: impl FnMut(&str) -> String) -> String {
        let mut filled = String::new();
        let mut rest = self.command.as_str();
        while let Some((before, after)) = rest.split_once('<') {
            filled.push_str(before);
            // `< file` is the shell's.
            match after.split_once('>').filter(|_| !after.starts_with(' ')) {
                Some((words, after)) => {
                    filled.push_str(&value(words));
                    rest = after;
                }
                None => {
                    filled.push('<');
                    rest = after;
                }
            }
        }
        filled + rest
    }

    /// Whether the page promises this output.
    pub(crate) fn promises(&self, printed: &str) -> bool {
        let printed: Vec<&str> = printed.lines().map(str::trim).collect();
        let trimmed = printed.iter().rposition(|line| !line.is_empty()).map_or(&[][..], |last| &printed[..=last]);
        let expected: Vec<&str> = self.output.iter().map(|line| line.trim()).collect();
        lines_match(&expected, trimmed)
    }
}

fn lines_match(expected: &[&str], printed: &[&str]) -> bool {
    match expected {
        [] => printed.is_empty(),
        ["…", rest @ ..] => (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..])),
        [line, rest @ ..] => match printed {
            [first, others @ ..] => line_matches(line, first) && lines_match(rest, others),
            [] => false,
        },
    }
}

/// Columns are as wide as what stands in them, so only the words count.
fn line_matches(expected: &str, printed: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = words(printed);
    let mut pieces = Vec::new();
    let expected = words(expected);
    pieces.extend(expected.split('…'));
    let (first, rest) = pieces.split_first().expect("a split has a first piece");
    let Some(mut left) = printed.strip_prefix(first) else { return false };
    let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
    for piece in middle {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(output: &str) -> Step {
        let output = output.lines().map(str::to_owned).collect();
        Step { at: String::new(), place: String::new(), command: String::new(), output }
    }

    #[test]
    fn what_is_printed_must_be_what_is_promised() {
        assert!(step("a  b").promises("a b\n"));
        assert!(step("up for … s, … lost\n…\nend").promises("up for 17 s, none lost\n1\n2\nend\n"));
        assert!(!step("a\nb").promises("a\n"));
        assert!(!step("a").promises("a\nb\n"));
        assert!(!step("up for … s").promises("up for 17 min\n"));
        assert!(step("").promises(""));
    }

    #[test]
    fn a_page_is_read_into_commands_and_what_they_print() {
        let page = "# P\n## One\n```console ec2\n$ first \\\n  more\nout\n$ second\n```\n";
        let guide = Guide::parse("p.md", page);
        let steps = &guide.section("One").steps;
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].command.as_str(), steps[0].output.len()), ("first \\\n  more", 1));
        assert_eq!((steps[1].at.as_str(), steps[1].place.as_str()), ("docs/p.md:7", "ec2"));
    }
}
