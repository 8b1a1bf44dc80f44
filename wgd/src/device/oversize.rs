//! Packets of this side that do not fit their peer's path: what a router does with them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::entry::Entry;
use crate::batch::Batch;
use crate::drops::Reason;
use crate::icmp;
use crate::offload::{Kind, NetHeader, fragment};
use crate::packet::Header;
use crate::pmtu::BASE;

/// Errors that may be sent at once, and how long one more takes: RFC 1812 §4.3.2.8, RFC 4443 §2.4(f).
const BURST: u32 = 50;
const EACH: Duration = Duration::from_millis(10);

/// Tells senders what fits.
#[derive(Debug, Default)]
pub(super) struct Errors {
    sources: Vec<IpAddr>,
    /// When all errors that were sent are paid for.
    paid: Option<Instant>,
}

impl Errors {
    /// Where they come from, one address of a family at most.
    pub(super) fn set_sources(&mut self, sources: Vec<IpAddr>) {
        self.sources = sources;
    }

    fn tell(&mut self, now: Instant, packet: &[u8], header: &Header, mtu: u16, out: &mut Batch<()>) {
        let paid = self.paid.map_or(now, |paid| paid.max(now));
        if paid.saturating_duration_since(now) > EACH * BURST {
            return;
        }
        // Without an address of ours it comes from where the packet was to go, as from a host there
        let own = self.sources.iter().find(|source| source.is_ipv4() == header.source.is_ipv4());
        let source = own.copied().unwrap_or(header.destination);
        if let Some(len) = icmp::too_big(packet, header, mtu, source, out.room()) {
            out.push(len, ());
            self.paid = Some(paid + EACH);
        }
    }
}

/// What fits for the IP layer: what is below IPv6 has to take 1280 octets (RFC 8200 §5).
fn ip_mtu(header: &Header, mtu: u16) -> u16 {
    if header.source.is_ipv6() { mtu.max(BASE) } else { mtu }
}

impl Entry {
    /// A packet that is longer than the path's MTU.
    pub(super) fn send_oversize(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        header: &Header,
        errors: &mut Errors,
        out: &mut Output,
    ) {
        let mtu = self.path.mtu();
        let may_fragment = header.source.is_ipv4() && buffer.get(6).is_some_and(|flags| flags & 0x40 == 0);
        if header.length <= usize::from(ip_mtu(header, mtu)) {
            self.send_in_pieces(now, buffer, header.length, out);
        } else if !may_fragment {
            self.drops.count(Reason::TooBig);
            errors.tell(now, buffer, header, ip_mtu(header, mtu), &mut out.packets);
        } else if !fragment(buffer, header, mtu, |piece, len| self.send(now, piece, len, out)) {
            self.drops.count(Reason::TooBig);
        }
    }

    /// Segments of TCP are cut to fit, so that nothing is lost; a sender that does not know what fits is told all the same.
    pub(super) fn tell_of_cut(
        &self,
        now: Instant,
        offload: &NetHeader,
        packet: &[u8],
        header: &Header,
        errors: &mut Errors,
        out: &mut Output,
    ) {
        let may_fragment = header.source.is_ipv4() && packet.get(6).is_some_and(|flags| flags & 0x40 == 0);
        if may_fragment || !matches!(offload.kind, Kind::TcpIpv4 | Kind::TcpIpv6) {
            return;
        }
        let transport = usize::from(offload.checksum_start);
        let Some(offset) = packet.get(transport + 12) else { return };
        let length = transport + usize::from(offset >> 4) * 4 + usize::from(offload.segment);
        let mtu = ip_mtu(header, self.path.mtu());
        if length.min(header.length) > usize::from(mtu) {
            errors.tell(now, packet, header, mtu, &mut out.packets);
        }
    }
}
