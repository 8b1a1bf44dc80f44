//! What `packaging/deb/build` and `packaging/image/build` have made of the program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a package is made of.
const SOURCES: [&str; 7] = ["Cargo.lock", "bgpd/src", "config/src", "config/examples", "packaging", "src", "wgd/src"];

/// The file of this version in target/packages whose name begins and ends so, which `maker` makes. `None`, said on
/// stderr, where there is none; CI must not skip.
///
/// # Panics
/// Where it is older than its sources: a test of yesterday's program shows nothing.
pub fn find(begin: &str, end: &str, maker: &str) -> Option<PathBuf> {
    let packages = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("packages");
    let begin = format!("{begin}{}", env!("CARGO_PKG_VERSION"));
    let entries = fs::read_dir(packages).into_iter().flatten();
    let found = entries.map(|entry| entry.unwrap().path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&begin) && name.ends_with(end)
    });
    if found.is_none() {
        assert!(std::env::var_os("VPNGW_CI").is_none(), "CI must run this test, which needs what {maker} makes");
        eprintln!("skipped: this test needs what {maker} makes");
    }
    if let Some(found) = &found {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (changed, source) = SOURCES.iter().map(|name| newest(&sources.join(name))).max().unwrap();
        let made = fs::metadata(found).unwrap().modified().unwrap();
        assert!(made >= changed, "{} is older than {}: run {maker}", found.display(), source.display());
    }
    found
}

/// The file that was changed last, at or below a path.
fn newest(path: &Path) -> (SystemTime, PathBuf) {
    let metadata = fs::metadata(path).unwrap();
    if metadata.is_dir() {
        let below = fs::read_dir(path).unwrap().map(|entry| newest(&entry.unwrap().path()));
        return below.max().unwrap_or((SystemTime::UNIX_EPOCH, path.to_owned()));
    }
    (metadata.modified().unwrap(), path.to_owned())
}
