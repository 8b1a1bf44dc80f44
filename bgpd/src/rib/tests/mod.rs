#![allow(clippy::unwrap_used)]

mod decision;
mod model;
