//! What holds for every command: the last part of `vpngw --help`, and sections of its manual page.

/// A section: its heading, and what it explains by name.
pub(super) type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// What a user of any command may want to know.
pub(super) const SECTIONS: [Section; 3] = [
    (
        "Exit status",
        &[
            ("0", "Done."),
            ("1", "Failed, with one sentence on standard error."),
            ("2", "Usage or configuration error, with everything that is wrong on standard error."),
        ],
    ),
    (
        "Environment",
        &[
            ("VPNGW_SOCKET", "Control socket of the running gateway, where --socket does not name it."),
            ("NO_COLOR", "Not empty: no colour, not even on a terminal."),
        ],
    ),
    (
        "Files",
        &[
            ("/etc/vpngw/vpngw.toml", "The configuration; the files with its keys and passwords lie beside it."),
            ("/etc/vpngw/conf.d/*.toml", "More of it, read in the order of the names."),
            ("/run/vpngw/vpngw.sock", "The control socket: HTTP with JSON, mode 0660."),
        ],
    ),
];

/// As `vpngw --help` ends.
pub(super) fn sections() -> String {
    let section = |(heading, entries): &Section| {
        let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let entries = entries.iter().map(|(name, meaning)| format!("  {name:width$}  {meaning}\n"));
        format!("{heading}:\n{}", entries.collect::<String>())
    };
    SECTIONS.iter().map(section).collect::<Vec<_>>().join("\n")
}
