//! poll(2), on the worker's thread: which descriptors have something to read.
#![allow(unsafe_code)] // std has no poll

use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::time::Duration;

/// How long a full send buffer may hold the worker.
const WRITABLE_WITHIN: Duration = Duration::from_millis(5);

/// A fixed list of descriptors, which outlive it.
#[derive(Debug)]
pub(super) struct Poll(Vec<libc::pollfd>);

impl Poll {
    pub(super) fn new(descriptors: impl Iterator<Item = RawFd>) -> Self {
        Self(descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect())
    }

    /// Waits until one is ready or the time is over.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        poll(&mut self.0, timeout)
    }

    /// Readable or in error: reading tells which.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(|descriptor| descriptor.revents != 0)
    }

    /// Leaves one out until [`Self::wake_all`]: an error that does not go away must not keep the thread busy.
    pub(super) fn rest(&mut self, index: usize) {
        if let Some(descriptor) = self.0.get_mut(index) {
            descriptor.fd = if descriptor.fd < 0 { descriptor.fd } else { !descriptor.fd }; // poll(2): ignored
        }
    }

    pub(super) fn wake_all(&mut self) {
        for descriptor in &mut self.0 {
            descriptor.fd = if descriptor.fd < 0 { !descriptor.fd } else { descriptor.fd };
        }
    }
}

/// Waits a moment until a socket takes more.
pub(super) fn wait_writable(fd: RawFd) {
    let _ = poll(&mut [libc::pollfd { fd, events: libc::POLLOUT, revents: 0 }], WRITABLE_WITHIN);
}

fn poll(descriptors: &mut [libc::pollfd], timeout: Duration) -> io::Result<()> {
    // Rounded up: a wait that ends too early would be repeated at once
    let timeout = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
    for descriptor in &mut *descriptors {
        descriptor.revents = 0;
    }
    // SAFETY: pointer and length are of one slice that is borrowed for the call
    let result = unsafe { libc::poll(descriptors.as_mut_ptr(), descriptors.len() as libc::nfds_t, timeout) };
    match (result, io::Error::last_os_error()) {
        (0.., _) => Ok(()),
        (_, error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        (_, error) => Err(error),
    }
}
