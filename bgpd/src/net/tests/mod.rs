#![allow(clippy::unwrap_used)]

mod descriptors;
mod gateway;
mod hostile;
mod neighbor;
mod refusals;
mod sessions;
mod sockets;

use gateway::{Gateway, settings};
use neighbor::RawNeighbor;
