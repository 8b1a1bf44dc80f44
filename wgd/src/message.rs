//! What a datagram says about itself before any key is used.

/// The type octet of a handshake initiation.
pub(crate) const INITIATION: u8 = 1;
/// The type octet of a handshake response.
pub(crate) const RESPONSE: u8 = 2;
const COOKIE_REPLY: u8 = 3;
/// The type octet of transport data.
pub(crate) const TRANSPORT: u8 = 4;

const INITIATION_LEN: usize = 148;
const RESPONSE_LEN: usize = 92;
const COOKIE_REPLY_LEN: usize = 64;
/// Header and tag of transport data without content: a keepalive.
pub(crate) const KEEPALIVE_LEN: usize = 32;

/// A datagram with a type and a length that belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Message {
    Initiation { ephemeral: [u8; 32] },
    Response { receiver: u32, ephemeral: [u8; 32] },
    CookieReply { receiver: u32 },
    Transport { receiver: u32 },
}

impl Message {
    /// None: not WireGuard, or cut.
    pub(crate) fn parse(datagram: &[u8]) -> Option<Self> {
        let [kind, 0, 0, 0] = field(datagram, 0)? else { return None };
        match (kind, datagram.len()) {
            (TRANSPORT, KEEPALIVE_LEN..) => Some(Self::Transport { receiver: u32::from_le_bytes(field(datagram, 4)?) }),
            (INITIATION, INITIATION_LEN) => Some(Self::Initiation { ephemeral: field(datagram, 8)? }),
            (RESPONSE, RESPONSE_LEN) => Some(Self::Response {
                receiver: u32::from_le_bytes(field(datagram, 8)?),
                ephemeral: field(datagram, 12)?,
            }),
            (COOKIE_REPLY, COOKIE_REPLY_LEN) => {
                Some(Self::CookieReply { receiver: u32::from_le_bytes(field(datagram, 4)?) })
            }
            _ => None,
        }
    }
}

/// The octets of one field.
pub(crate) fn field<const N: usize>(octets: &[u8], offset: usize) -> Option<[u8; N]> {
    octets.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_accepted_with_its_length_only() {
        for (kind, len) in [
            (INITIATION, INITIATION_LEN),
            (RESPONSE, RESPONSE_LEN),
            (COOKIE_REPLY, COOKIE_REPLY_LEN),
            (TRANSPORT, KEEPALIVE_LEN),
        ] {
            let mut datagram = vec![0; len];
            datagram[0] = kind;
            assert!(Message::parse(&datagram).is_some());
            assert_eq!(Message::parse(&datagram[..len - 1]), None);
            datagram[1] = 1; // the reserved octets are zero
            assert_eq!(Message::parse(&datagram), None);
        }
        assert_eq!(Message::parse(&[]), None);
    }
}
