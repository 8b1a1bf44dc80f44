//! The TUN, on the worker's thread: packets of a batch, one system call each.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::worker::tun_is_gone;
use crate::batch::Batch;

/// Packets taken in one turn.
const MOST: usize = 64;

#[derive(Debug)]
pub(super) struct Tun(File);

impl Tun {
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// Reads what is there, up to a batch.
    pub(super) fn read(&mut self, batch: &mut Batch<()>) -> io::Result<()> {
        for _ in 0..MOST {
            match self.0.read(batch.room()) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => batch.push(len, ()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all; how many the kernel refused. EIO: the device is down, which is not our affair.
    pub(super) fn write(&mut self, batch: &Batch<()>) -> io::Result<u64> {
        let mut refused = 0;
        for (packet, ()) in batch.iter() {
            match self.0.write(packet) {
                Ok(_) => {}
                Err(error) if tun_is_gone(&error) => return Err(error),
                Err(_) => refused += 1,
            }
        }
        Ok(refused)
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
