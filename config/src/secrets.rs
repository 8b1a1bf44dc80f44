//! Key files: who reads them, and from whom they are kept.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{error, fmt};

use zeroize::Zeroizing;

/// A well-formed key and password that stands for every secret where none is to be read. The laws that compare keys
/// leave it alone.
pub(crate) const DUMMY: &str = "GLmWWp28m7TxqoFfKZ4jvGjcV1S7fHyXCn0vFZn/jk8=";

/// Octets of the longest file that can be a secret of ours.
const LONGEST: u64 = 4096;

/// Why a secret file cannot be used.
#[derive(Debug)]
pub enum SecretError {
    /// It cannot be read.
    Read(io::Error),
    /// Everyone on the host may read or change it; its mode.
    Open(u32),
    /// It is longer than any secret.
    Long,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot read it: {error}"),
            Self::Open(mode) => write!(f, "mode {mode:04o} lets everyone read or change it: chmod o= it"),
            Self::Long => write!(f, "it is longer than {LONGEST} octets"),
        }
    }
}

impl error::Error for SecretError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Open(_) | Self::Long => None,
        }
    }
}

/// Reads a secret from its file. A file that others than its owner and group may read or change is refused; the group may,
/// since a Secret mounted into a pod belongs to its group.
pub fn secrets_from_files(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let file = File::open(path).map_err(SecretError::Read)?;
    let mode = file.metadata().map_err(SecretError::Read)?.mode() & 0o7777;
    if mode & 0o006 != 0 {
        return Err(SecretError::Open(mode));
    }
    // All of it at once: a buffer that grows would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(SecretError::Read)?;
    if text.len() as u64 > LONGEST { Err(SecretError::Long) } else { Ok(text) }
}

/// Reads nothing: `check` on a machine that does not hold the keys.
pub fn no_secrets(_: &Path) -> Result<Zeroizing<String>, SecretError> {
    Ok(Zeroizing::new(DUMMY.to_owned()))
}
