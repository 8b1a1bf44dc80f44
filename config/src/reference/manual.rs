//! vpngw.toml(5), in the language of man(7).

use std::fmt::Write as _;

use super::page::{RULES, heading, surrounding};
use super::{KeyLine, Need, sections};

const HEAD: &str = concat!(
    ".TH vpngw.toml 5 \"\" \"vpngw ",
    env!("CARGO_PKG_VERSION"),
    "\" vpngw\n",
    ".SH NAME\nvpngw.toml \\- configuration of the BGP and WireGuard gateway vpngw\n",
    ".SH SYNOPSIS\n/etc/vpngw/vpngw.toml\n.br\n/etc/vpngw/conf.d/*.toml\n",
    ".SH DESCRIPTION\nWhat a gateway is told, in TOML.\n",
    ".B vpngw check\nlooks at a file without running it.\n",
);

const TAIL: &str = ".SH SEE ALSO\n.BR vpngw (1),\n.BR vpngw-check (1),\n.BR wg (8)\n";

/// The manual page of all keys.
pub fn manual() -> String {
    let sections = sections();
    let mut page = HEAD.to_owned();
    for rule in RULES {
        let _ = write!(page, ".IP \\(bu 2\n{}\n", text(rule));
    }
    page.push_str(".SH SECTIONS\n");
    for section in &sections {
        let title = heading(section, surrounding(section, &sections)).replace('`', "");
        let _ = write!(page, ".SS {}\n{}\n", text(&title), text(section.doc));
        section.keys.iter().for_each(|key| page.push_str(&entry(key)));
    }
    page + TAIL
}

fn entry(key: &KeyLine) -> String {
    let need = match &key.need {
        Need::Required => " Required.".to_owned(),
        Need::Optional => String::new(),
        Need::Default(value) => format!(" Default: `{value}`."),
    };
    format!(".TP\n\\fB{}\\fR: {}\n{}\n", text(&key.name), text(&key.allowed), text(&format!("{}{need}", key.doc)))
}

/// Escaped as groff_char(7) asks; what stands between backticks is bold.
fn text(markdown: &str) -> String {
    let mut roff = String::with_capacity(markdown.len() * 2);
    let mut bold = false;
    for character in markdown.chars() {
        match character {
            '`' => {
                bold = !bold;
                roff.push_str(if bold { "\\fB" } else { "\\fR" });
            }
            '\\' => roff.push_str("\\(rs"),
            '-' => roff.push_str("\\-"),
            '\'' => roff.push_str("\\(aq"),
            '^' => roff.push_str("\\(ha"),
            '~' => roff.push_str("\\(ti"),
            other => roff.push(other),
        }
    }
    // A line that begins with a dot would be a request.
    let lines = roff.lines().map(|line| if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_is_read_as_a_request() {
        assert_eq!(text("a `b-c`\n.d 'e'\\"), "a \\fBb\\-c\\fR\n\\&.d \\(aqe\\(aq\\(rs");
    }

    #[test]
    fn every_key_of_every_section_has_an_entry() {
        let page = manual();
        let keys: usize = sections().iter().map(|section| section.keys.len()).sum();
        assert_eq!(page.matches("\n.TP\n").count(), keys);
        assert_eq!(page.matches("\n.SS ").count(), sections().len());
    }
}
