//! Netlink messages as bytes: one writer with a reused buffer, and readers that never look past what arrived.

use netlink_packet_core::NetlinkSerializable;

/// Length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;

/// Writes one message to the end of a buffer.
#[derive(Debug)]
pub(super) struct Message<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Message<'a> {
    /// Begins a message with NLM_F_REQUEST and these flags; [`Message::finish`] sets its length.
    pub(super) fn begin(bytes: &'a mut Vec<u8>, kind: u16, flags: u16, sequence: u32) -> Self {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | netlink_packet_core::NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, start }
    }

    /// Appends octets as they are; their length is a multiple of four.
    pub(super) fn put(&mut self, octets: &[u8]) {
        self.bytes.extend_from_slice(octets);
    }

    /// Appends a body that the packet crate encodes.
    pub(super) fn put_body(&mut self, body: &impl NetlinkSerializable) {
        let at = self.bytes.len();
        self.bytes.resize(at + body.buffer_len(), 0);
        body.serialize(&mut self.bytes[at..]);
    }

    /// Appends an attribute with its padding.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |message| message.bytes.extend_from_slice(value));
    }

    /// Appends an attribute whose value is written by `fill`.
    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.record(|message| {
            message.put(&kind.to_ne_bytes());
            fill(message);
        });
    }

    /// Appends what begins with its own length in two octets: an attribute, or a `struct rtnexthop`.
    pub(super) fn record(&mut self, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        fill(self);
        // Nothing we write comes near 64 KiB: the longest is RTA_MULTIPATH, 64 hops of at most 36 octets.
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(start + padded(usize::from(length)), 0);
    }

    /// Sets the message's length.
    pub(super) fn finish(self) {
        let length = u32::try_from(self.bytes.len() - self.start).unwrap_or(u32::MAX);
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// One message that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<'a> {
    /// `nlmsg_type`.
    pub(super) kind: u16,
    /// `nlmsg_flags`.
    pub(super) flags: u16,
    /// `nlmsg_seq`.
    pub(super) sequence: u32,
    /// What follows the header.
    pub(super) payload: &'a [u8],
}

/// The messages of one datagram.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let message = datagram.get(..length)?;
        let payload = message.get(HEADER..)?;
        datagram = datagram.get(padded(length)..).unwrap_or_default();
        Some(Received { kind: u16_at(message, 4)?, flags: u16_at(message, 6)?, sequence: u32_at(message, 8)?, payload })
    })
}

/// The attributes of a message or of a nest: kind without its flag bits, and value.
pub(super) fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(octets, 0)?);
        let kind = u16_at(octets, 2)? & NLA_TYPE_MASK;
        let value = octets.get(4..length)?;
        octets = octets.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Kind without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Rounded up to NLMSG_ALIGNTO, NLA_ALIGNTO and RTNH_ALIGNTO, which are all 4.
pub(super) const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Two octets in the host's order.
pub(super) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// Four octets in the host's order.
pub(super) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}
