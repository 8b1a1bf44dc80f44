//! The TUN, on the worker's thread: packets of the host, super-segments where it has offloads.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::offloads::{self, TunOffloads};
use super::worker::tun_is_gone;
use crate::batch::Batch;
use crate::offload::{Coalescer, NetHeader, PACKETS, Run};

/// The header, the largest packet, and its padding.
const ROOM: usize = NetHeader::LEN + 65_536 + 16;

#[derive(Debug)]
pub(super) struct Tun {
    file: File,
    offloads: TunOffloads,
    buffer: Box<[u8]>,
    coalescer: Coalescer,
}

/// A packet of the host's.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    /// What is left to do for it.
    pub(super) offload: NetHeader,
    /// It, and room for padding.
    pub(super) buffer: &'a mut [u8],
    pub(super) len: usize,
}

impl Tun {
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        let offloads = offloads::of_tun(descriptor.as_fd());
        Self {
            file: descriptor.into(),
            offloads,
            buffer: vec![0; ROOM].into_boxed_slice(),
            coalescer: Coalescer::default(),
        }
    }

    pub(super) fn offloads(&self) -> TunOffloads {
        self.offloads
    }

    /// The next packet; none: nothing is there.
    pub(super) fn read(&mut self) -> io::Result<Option<Packet<'_>>> {
        let at = if self.offloads.header { 0 } else { NetHeader::LEN };
        let end = loop {
            match self.file.read(&mut self.buffer[at..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => break at + read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        // Without offloads the header stays as it was made: zeros
        let Some((header, buffer)) = self.buffer.split_first_chunk_mut() else { return Ok(None) };
        Ok(Some(Packet { offload: NetHeader::parse(header), buffer, len: end.saturating_sub(NetHeader::LEN) }))
    }

    /// Writes all; how many the kernel refused. EIO: the device is down, which is not our affair.
    pub(super) fn write(&mut self, batch: &mut Batch<()>) -> io::Result<u64> {
        let mut refused = 0;
        if !self.offloads.header {
            for (packet, ()) in batch.iter() {
                refused += u64::from(is_refused(self.file.write(packet))?);
            }
            return Ok(refused);
        }
        self.coalescer.coalesce(batch, self.offloads.accepts);
        for run in self.coalescer.runs() {
            let result = write_run(&mut self.file, &self.coalescer, run, batch);
            if result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)) {
                self.offloads.accepts.remove(run.header.kind); // not one more is lost by it
            }
            refused += run.packets() as u64 * u64::from(is_refused(result)?);
        }
        Ok(refused)
    }
}

/// Header and packets of a run, gathered from where they lie.
fn write_run(file: &mut File, coalescer: &Coalescer, run: &Run, batch: &Batch<()>) -> io::Result<usize> {
    let header = run.header.octets();
    if run.packets() == 1 {
        return file.write_vectored(&[IoSlice::new(&header), IoSlice::new(batch.get(run.first).unwrap_or_default())]);
    }
    let mut pieces = [IoSlice::new(&[]); PACKETS + 1];
    let payloads = coalescer.others(run).filter_map(|index| batch.get(index)?.get(run.header_len()..));
    let octets = [&header[..]].into_iter().chain(batch.get(run.first)).chain(payloads);
    let mut count = 0;
    for (piece, octets) in pieces.iter_mut().zip(octets) {
        *piece = IoSlice::new(octets);
        count += 1;
    }
    file.write_vectored(&pieces[..count])
}

/// Whether the kernel refused a packet. Err: there is no device any more.
fn is_refused(result: io::Result<usize>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(false),
        Err(error) if tun_is_gone(&error) => Err(error),
        Err(_) => Ok(true),
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
