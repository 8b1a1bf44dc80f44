//! Capabilities that the program was permitted but does not have yet.
//!
//! In a container that does not run as root they come from the file, which marks them permitted, not effective: an
//! effective one would keep the program from starting wherever the container was not granted it. As root, and with
//! systemd's ambient capabilities, they are effective already and this changes nothing.

use anyhow::{Context as _, Result};
use caps::{CapSet, Capability, has_cap, raise};

/// For links, addresses and routes; for TCP port 179.
const OURS: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE];

/// Makes effective what of ours is permitted. A capability binds the calling thread and those that it starts later: to
/// be called before any other is. One that is missing shows where it is needed, with what to do about it.
pub fn raise_capabilities() -> Result<()> {
    for capability in OURS {
        if has_cap(None, CapSet::Permitted, capability)? {
            raise(None, CapSet::Effective, capability)
                .with_context(|| format!("cannot make {capability} effective"))?;
        }
    }
    Ok(())
}
