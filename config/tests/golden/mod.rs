//! Golden files: compared, or with `UPDATE_GOLDEN=1` written.

use std::path::Path;

pub(crate) fn check(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == golden, "{} differs; UPDATE_GOLDEN=1 writes what was found:\n{found}", path.display());
}
