//! What the test binaries of this crate share: speakers in virtual time, and neighbors that say what a test wants.
#![allow(dead_code)] // each binary uses its part

pub(crate) mod bmp;
pub(crate) mod network;
pub(crate) mod raw;
pub(crate) mod settings;
