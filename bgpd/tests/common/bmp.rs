//! What a monitoring station reads (RFC 7854), strictly: a message a line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgpd::types::Asn;
use bgpd::wire::{self, Context, Message};

/// Takes octets off the front, none too many.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at_checked(count).expect("a message ends too early");
        self.0 = rest;
        front
    }

    fn number(&mut self, octets: usize) -> u64 {
        self.take(octets).iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
    }

    fn address(&mut self, ipv6: bool) -> IpAddr {
        let octets: [u8; 16] = self.take(16).try_into().unwrap();
        if ipv6 {
            return Ipv6Addr::from(octets).into();
        }
        assert_eq!(octets[..12], [0; 12], "an IPv4 address stands in the last four octets");
        Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]).into()
    }

    /// A BGP message, header included.
    fn message(&mut self) -> &'a [u8] {
        let length = wire::frame_length(self.0, wire::MAX_MESSAGE).unwrap().expect("a whole BGP message");
        self.take(length)
    }

    fn end(&self) {
        assert!(self.0.is_empty(), "octets are left over: {:?}", self.0);
    }
}

/// The messages at the front of `octets`, which they are taken off; one that is not whole stays.
pub(crate) fn read(octets: &mut Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(header) = octets.first_chunk::<6>() {
        assert_eq!(header[0], 3, "version");
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if octets.len() < length {
            break;
        }
        let (kind, message): (u8, Vec<u8>) = (header[5], octets.drain(..length).skip(6).collect());
        lines.push(show(kind, Octets(&message)));
    }
    lines
}

fn show(kind: u8, mut body: Octets<'_>) -> String {
    match kind {
        4 => format!("initiation {}", information(&mut body)),
        5 => format!("termination {}", information(&mut body)),
        _ => {
            let peer = Peer::read(&mut body);
            let text = match kind {
                0 => format!("route {peer} {}", peer.update(body.message())),
                1 => format!("statistics {peer} {}", statistics(&mut body)),
                2 => format!("down {peer} {}", down(&mut body)),
                3 => format!("up {peer} {}", up(&mut body, peer.ipv6)),
                _ => panic!("message type {kind}"),
            };
            body.end();
            text
        }
    }
}

/// TLVs, to the end.
fn information(body: &mut Octets<'_>) -> String {
    let mut all = Vec::new();
    while !body.0.is_empty() {
        let kind = body.number(2);
        let length = body.number(2) as usize;
        let value = body.take(length);
        let text = std::str::from_utf8(value).ok().filter(|text| !text.contains(char::is_control));
        all.push(format!("{kind}={}", text.map_or(format!("{value:?}"), str::to_owned)));
    }
    all.join(" ")
}

fn up(body: &mut Octets<'_>, ipv6: bool) -> String {
    let (local, ours, theirs) = (body.address(ipv6), body.number(2), body.number(2));
    let opens = [body.message(), body.message()].map(|open| match wire::decode(open, &context(false)).unwrap() {
        Message::Open(open) => format!("{} hold {}", open.asn, open.hold_time),
        other => panic!("{other:?}"),
    });
    format!("at {local} ports {ours} {theirs}: {} / {}", opens[0], opens[1])
}

fn down(body: &mut Octets<'_>) -> String {
    let reason = body.number(1);
    if reason == 2 {
        return format!("2 {}", body.number(2)); // with the event of the FSM
    }
    if !matches!(reason, 1 | 3) {
        return reason.to_string();
    }
    match wire::decode(body.message(), &context(false)).unwrap() {
        Message::Notification(notification) => format!("{reason} {}", notification.text()),
        other => panic!("{other:?}"),
    }
}

fn statistics(body: &mut Octets<'_>) -> String {
    let count = body.number(4);
    let one = |body: &mut Octets<'_>| {
        let (kind, length) = (body.number(2), body.number(2));
        match (kind, length) {
            (7 | 8, 8) => format!("{kind}={}", body.number(8)),
            (9, 11) => format!("9/{}/{}={}", body.number(2), body.number(1), body.number(8)),
            other => panic!("statistic {other:?}"),
        }
    };
    (0..count).map(|_| one(body)).collect::<Vec<_>>().join(" ")
}

/// The per-peer header.
struct Peer {
    ipv6: bool,
    legacy: bool,
    address: IpAddr,
    asn: u64,
    identifier: Ipv4Addr,
    seconds: u64,
}

impl Peer {
    fn read(body: &mut Octets<'_>) -> Self {
        assert_eq!(body.number(1), 0, "a peer of the global instance");
        let flags = body.number(1);
        assert_eq!(flags & !0xA0, 0, "flags");
        assert_eq!(body.number(8), 0, "distinguisher");
        let (ipv6, legacy) = (flags & 0x80 != 0, flags & 0x20 != 0);
        let (address, asn) = (body.address(ipv6), body.number(4));
        let identifier = Ipv4Addr::from(body.number(4) as u32);
        let seconds = body.number(4);
        assert!(body.number(4) < 1_000_000, "microseconds");
        Self { ipv6, legacy, address, asn, identifier, seconds }
    }

    fn update(&self, message: &[u8]) -> String {
        let context = context(self.legacy);
        let Message::Update(update) = wire::decode(message, &context).unwrap() else { panic!("{message:?}") };
        if let Some(family) = update.end_of_rib() {
            return format!("end of {family}");
        }
        let withdrawn = update.withdrawn.iter().chain(update.mp_withdrawn.iter().flat_map(|nlri| nlri.iter()));
        let parsed = update.attributes.parse(&context);
        let mp = update.mp_nlri.iter().flat_map(|(_, nlri)| nlri.iter());
        let next_hop = update.mp_nlri.map(|(next_hop, _)| next_hop.address).or(parsed.next_hop.map(IpAddr::V4));
        let withdrawn: Vec<_> = withdrawn.map(|prefix| format!("-{prefix}")).collect();
        let announced: Vec<_> = update.nlri.iter().chain(mp).map(|prefix| format!("+{prefix}")).collect();
        let path = next_hop.map(|next_hop| format!(" via {next_hop} [{}]", parsed.attributes.as_path));
        [withdrawn, announced].concat().join(" ") + &path.unwrap_or_default()
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{} at {}", self.address, self.asn, self.identifier, self.seconds)
    }
}

fn context(legacy: bool) -> Context {
    Context { four_octet_as: !legacy, internal: true, enforce_first_asn: false, ..Context::new(Asn::TRANS) }
}
