//! A gateway's configuration from its files: the main one, and `conf.d/*.toml` beside it. `run` and `check` share it, so
//! that what was checked is what runs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, error, fmt, fs, io};

use config::{Config, Context, Diagnostic, OnStop, Source};

/// The directory beside the main file whose files are read too.
const FRAGMENTS: &str = "conf.d";

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The files as they were read, the main one first.
    pub sources: Vec<Source>,
    /// What its writer should know.
    pub warnings: Vec<Diagnostic>,
}

/// Why it cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// A file or directory cannot be read.
    Read(PathBuf, io::Error),
    /// Something in it is wrong; never empty.
    Refused(Vec<Diagnostic>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) => write!(f, "cannot read {}", path.display()),
            Self::Refused(diagnostics) => write!(f, "the configuration has {} errors", diagnostics.len()),
        }
    }
}

impl error::Error for LoadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Refused(_) => None,
        }
    }
}

/// Reads the configuration whose main file is `path`. Without `secrets` no key file is opened. `default_router_id`
/// stands for an absent `router-id`, `default_on_stop` for an absent `on-stop`.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn load(
    path: &Path,
    secrets: bool,
    default_router_id: Option<Ipv4Addr>,
    default_on_stop: OnStop,
) -> Result<Loaded, LoadError> {
    let sources = sources(path)?;
    let context = Context {
        default_router_id,
        default_on_stop,
        now: SystemTime::now(),
        env: &|name| env::var(name).ok(),
        secrets: if secrets { &config::secrets_from_files } else { &config::no_secrets },
    };
    match config::read(&sources, &context) {
        Ok((config, warnings)) => Ok(Loaded { config, sources, warnings }),
        Err(diagnostics) => Err(LoadError::Refused(diagnostics)),
    }
}

fn sources(path: &Path) -> Result<Vec<Source>, LoadError> {
    let main = path.to_path_buf();
    [main].into_iter().chain(fragments(&path.with_file_name(FRAGMENTS))?).map(source).collect()
}

fn source(path: PathBuf) -> Result<Source, LoadError> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Source { name: path.display().to_string(), text }),
        Err(error) => Err(LoadError::Read(path, error)),
    }
}

/// In the order of their names. Hidden files are not ours: editors and Kubernetes keep theirs there.
fn fragments(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::Read(directory.to_path_buf(), error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tempfile::{TempDir, tempdir};

    use super::*;

    const ID: Option<Ipv4Addr> = Some(Ipv4Addr::new(192, 0, 2, 1));

    /// A gateway's files.
    fn directory(files: &[(&str, &str)]) -> TempDir {
        let directory = tempdir().unwrap();
        fs::create_dir(directory.path().join(FRAGMENTS)).unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn loaded(directory: &TempDir) -> Result<Loaded, LoadError> {
        load(&directory.path().join("vpngw.toml"), true, ID, OnStop::Withdraw)
    }

    #[test]
    fn fragments_are_read_after_the_main_file_in_the_order_of_their_names() {
        let files = directory(&[
            ("vpngw.toml", "[router]\nasn = 64513\n[bgp]\nlisten = []\n"),
            ("conf.d/20-log.toml", "[log]\nlevel = \"debug\"\n"),
            ("conf.d/10-control.toml", "[control]\nsocket = \"/run/other.sock\"\n"),
            ("conf.d/.hidden.toml", "not TOML"),
            ("conf.d/readme.txt", "not TOML"),
        ]);
        let loaded = loaded(&files).unwrap();
        let names =
            loaded.sources.iter().map(|source| source.name.strip_prefix(files.path().to_str().unwrap()).unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["/vpngw.toml", "/conf.d/10-control.toml", "/conf.d/20-log.toml"]);
        assert_eq!(loaded.config.log.level, "debug");
        assert_eq!(loaded.config.control.socket, Path::new("/run/other.sock"));
    }

    #[test]
    fn errors_of_all_files_come_at_once() {
        let files =
            directory(&[("vpngw.toml", "[router]\nasn = 0\n[bgp]\n"), ("conf.d/a.toml", "[log]\nlevle = \"info\"\n")]);
        let Err(LoadError::Refused(diagnostics)) = loaded(&files) else { panic!("it was taken") };
        let places = diagnostics.iter().map(|found| (found.file.rsplit('/').next().unwrap(), found.line));
        assert_eq!(places.collect::<Vec<_>>(), [("vpngw.toml", 2), ("a.toml", 2)]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let Err(error) = load(Path::new("/nowhere/vpngw.toml"), true, ID, OnStop::Withdraw) else {
            panic!("it was taken")
        };
        assert_eq!(error.to_string(), "cannot read /nowhere/vpngw.toml");
        assert!(matches!(error, LoadError::Read(_, cause) if cause.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn a_key_file_is_opened_only_when_secrets_are_wanted() {
        let text = "[wireguard]\nprivate-key-file = \"/nowhere/key\"\naddresses = \"10.0.0.1/32\"\n";
        let files = directory(&[("vpngw.toml", text)]);
        let main = files.path().join("vpngw.toml");
        assert!(matches!(load(&main, true, ID, OnStop::Withdraw), Err(LoadError::Refused(_))));
        assert!(load(&main, false, ID, OnStop::Withdraw).is_ok());
    }
}
