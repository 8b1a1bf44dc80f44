//! Writers of the desired state. The file is the first of them.

mod file;

pub use file::{LoadError, Loaded, load};
