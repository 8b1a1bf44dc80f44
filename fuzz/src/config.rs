//! Any text is a configuration, or is refused with places that exist.

use config::{Context, Diagnostic, Source};

/// Reads a text as one file, and as two files of one configuration.
///
/// # Panics
/// Where the reader does, and where it points outside of the text.
pub fn text(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let (first, second) = text.split_at(middle);
    read(&[source("whole", text)]);
    read(&[source("first", first), source("second", second)]);
}

fn read(sources: &[Source]) {
    // Short names are set, long ones are not.
    let env = |name: &str| (name.len() < 4).then(|| name.to_owned());
    let context = Context {
        default_router_id: None,
        default_on_stop: config::OnStop::Withdraw,
        now: std::time::SystemTime::UNIX_EPOCH,
        env: &env,
        secrets: &config::no_secrets,
    };
    let diagnostics = config::read(sources, &context).map_or_else(
        |errors| {
            assert!(!errors.is_empty(), "refused without a reason");
            errors
        },
        |(config, warnings)| {
            config::check_together(&[("one".to_owned(), &config), ("other".to_owned(), &config)]);
            warnings
        },
    );
    for diagnostic in diagnostics {
        assert!(lies_in(&diagnostic, sources), "{diagnostic:?} points nowhere");
        assert!(diagnostic.render(false).contains(&diagnostic.file));
    }
}

fn lies_in(diagnostic: &Diagnostic, sources: &[Source]) -> bool {
    let Some(source) = sources.iter().find(|source| source.name == diagnostic.file) else { return false };
    let line = diagnostic.line.checked_sub(1).map(|line| source.text.split('\n').nth(line));
    match line {
        None => diagnostic.column == 0, // the file as a whole
        Some(None) => false,
        Some(Some(line)) => (1..=line.chars().count() + 1).contains(&diagnostic.column),
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}
