//! What `packaging/deb/build` and `packaging/image/build` have made of the program under test.

use std::fs;
use std::path::{Path, PathBuf};

/// The file of this version in target/packages whose name begins and ends so, which `maker` makes. `None`, said on
/// stderr, where there is none; CI must not skip.
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
    found
}
