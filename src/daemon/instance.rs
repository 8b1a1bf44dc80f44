//! One gateway for each protocol number in a network namespace: by that number alone it knows its routes and its device,
//! so a second one with the same would remove what the first uses.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// One that is just ending is waited for this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
const POLL: Duration = Duration::from_millis(50);

/// Held by a gateway from before it touches anything until it is done, and by whoever removes what one has left. It is an
/// abstract socket: the kernel keeps those for each network namespace, and it ends with its process, however that ends.
#[derive(Debug)]
pub(super) struct Instance(#[expect(dead_code, reason = "nothing is sent or read: it is there")] UnixDatagram);

impl Instance {
    /// `None`: another holds it.
    pub(super) async fn claim(protocol: u8) -> io::Result<Option<Self>> {
        let name = SocketAddr::from_abstract_name(format!("vpngw {protocol}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixDatagram::bind_addr(&name) {
                Ok(socket) => return Ok(Some(Self(socket))),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
                Err(_) if Instant::now() > deadline => return Ok(None),
                Err(_) => sleep(POLL).await,
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Of no protocol number that a gateway may have: the tests share the host's namespace.
    const NOBODYS: u8 = 0;

    #[tokio::test(start_paused = true)]
    async fn it_is_held_by_one_and_free_again_when_that_one_is_gone() {
        let first = Instance::claim(NOBODYS).await.unwrap().unwrap();
        assert!(Instance::claim(NOBODYS).await.unwrap().is_none());
        let ending = async {
            sleep(2 * POLL).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(Instance::claim(NOBODYS), ending);
        assert!(second.unwrap().is_some());
    }
}
