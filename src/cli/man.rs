//! `vpngw man`: the manual pages, made from the words of the command line and the keys of the configuration.
//!
//! A page for `vpngw` and one for each command; what stands below a command (`show routes`) is a part of its page.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::Arguments;
use super::help::{SECTIONS, Section};

/// The page of the configuration file.
const CONFIGURATION: &str = "vpngw.toml";

/// Writes every page into the directory, which is made if it is not there.
pub(super) fn man(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, page) in pages()? {
        let file = directory.join(name);
        fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Every page with the name of its file.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut program = Arguments::command();
    program.build();
    let mut pages = vec![("vpngw.1".to_owned(), program_page(&program)?)];
    for command in visible(&program) {
        pages.push((format!("vpngw-{}.1", command.get_name()), command_page(command)?));
    }
    pages.push((format!("{CONFIGURATION}.5"), config::manual().into_bytes()));
    Ok(pages)
}

fn program_page(program: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = head(program, &mut page)?;
    man.render_subcommands_section(&mut page)?;
    let mut rest = Roff::new();
    SECTIONS.iter().for_each(|section| explain(section, &mut rest));
    let commands: Vec<_> = visible(program).map(|command| format!("vpngw-{}", command.get_name())).collect();
    let others = commands.iter().map(|name| (name.as_str(), "1"));
    see_also(others.chain([(CONFIGURATION, "5"), ("wg", "8")]), &mut rest);
    rest.to_writer(&mut page)?;
    Ok(page)
}

fn command_page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    head(command, &mut page)?;
    let mut rest = Roff::new();
    if visible(command).next().is_some() {
        rest.control("SH", ["COMMANDS"]);
        visible(command).for_each(|below| below_command(below, &mut rest));
    }
    see_also([("vpngw", "1"), (CONFIGURATION, "5")].into_iter(), &mut rest);
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// Name, synopsis, description and options.
fn head(command: &Command, page: &mut Vec<u8>) -> anyhow::Result<Man> {
    let mut command = command.clone();
    if command.get_subcommand_value_name().is_none() {
        command = command.subcommand_value_name("COMMAND").subcommand_help_heading("COMMANDS");
    }
    let man = Man::new(command).source(format!("vpngw {}", env!("CARGO_PKG_VERSION"))).manual("vpngw");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    Ok(man)
}

/// `routes [PREFIX]`, and what it does.
fn below_command(command: &Command, page: &mut Roff) {
    let mut line = vec![bold(command.get_name())];
    for argument in command.get_positionals() {
        let name = argument.get_value_names().unwrap_or_default().join(" ");
        let [open, close] = if argument.is_required_set() { ["", ""] } else { ["[", "]"] };
        line.extend([roman(format!(" {open}")), italic(name), roman(close)]);
    }
    page.control("TP", []);
    page.text(line);
    // Paragraphs of a long text stay in the indent of the tag.
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    for (number, paragraph) in about.split("\n\n").enumerate() {
        if number > 0 {
            page.control("IP", []);
        }
        page.text([roman(paragraph)]);
    }
}

fn explain((heading, entries): &Section, page: &mut Roff) {
    page.control("SH", [heading.to_uppercase().as_str()]);
    for (name, meaning) in *entries {
        page.control("TP", []);
        page.text([bold(*name)]);
        page.text([roman(*meaning)]);
    }
}

fn see_also<'n>(pages: impl Iterator<Item = (&'n str, &'static str)>, page: &mut Roff) {
    page.control("SH", ["SEE ALSO"]);
    // Names are not divided.
    page.control("nh", []);
    let mut line: Vec<Inline> = Vec::new();
    for (name, section) in pages {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(name), roman(format!("({section})"))]);
    }
    page.text(line);
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn page(name: &str) -> String {
        let (_, page) = pages().unwrap().into_iter().find(|(page, _)| page == name).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn every_visible_command_has_a_page_and_what_is_below_it_a_place_there() {
        for command in visible(&Arguments::command()) {
            let page = page(&format!("vpngw-{}.1", command.get_name()));
            for below in visible(command) {
                assert!(page.contains(&format!("\n.TP\n\\fB{}\\fR", below.get_name())), "{page}");
            }
        }
    }

    #[test]
    fn a_hidden_command_has_none() {
        assert!(pages().unwrap().iter().all(|(name, _)| !name.contains("lab-node") && !name.contains("-man")));
    }

    #[test]
    fn no_page_is_without_a_description() {
        for (name, page) in pages().unwrap() {
            let page = String::from_utf8(page).unwrap();
            let (_, rest) = page.split_once("\n.SH DESCRIPTION\n").unwrap_or_else(|| panic!("{name}"));
            assert!(rest.starts_with(|first: char| first.is_alphabetic()), "{name}: {rest}");
        }
    }

    #[test]
    fn what_holds_for_every_command_is_in_its_help_too() {
        let help = Arguments::command().render_long_help().to_string();
        for (heading, entries) in SECTIONS {
            assert!(page("vpngw.1").contains(&heading.to_uppercase()), "{heading}");
            assert!(entries.iter().all(|(name, _)| help.contains(name)), "{help}");
        }
    }
}
