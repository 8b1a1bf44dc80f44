//! Datagrams that are not transport data, and whom a datagram is from.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Device, Output, announce, entry_mut};
use crate::curve;
use crate::drops::Reason;
use crate::envelope::Ecn;
use crate::fault::Fault;
use crate::message::Message;
use crate::settings::PublicKey;
use crate::table::PeerId;

/// Places among the gates.
const INITIATIONS: usize = 0;
const RESPONSES: usize = 1;

impl Device {
    /// Err: a drop that belongs to no peer.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ecn: Ecn,
        datagram: &[u8],
        out: &mut Output,
    ) -> Result<(), Reason> {
        if datagram.len() > out.packets.room().len() {
            return Err(Reason::Malformed);
        }
        match Message::parse(datagram).ok_or(Reason::Malformed)? {
            Message::Transport { receiver } => {
                let id = self.owner(receiver)?;
                self.transport(now, from, ecn, id, datagram, out);
            }
            Message::Initiation { ephemeral } => {
                let ours = self.admit(INITIATIONS, now, from, &ephemeral, datagram, out)?;
                let theirs = self.keys.initiator(ours, datagram).ok_or(Reason::BadMac)?;
                let id = self.by_key.get(&theirs).or_else(|| self.by_next_key.get(&theirs)).copied();
                let Some(id) = id else {
                    self.misfit(now, from, Fault::UnknownPeer(theirs));
                    return Err(Reason::UnknownPeer);
                };
                self.initiation(now, from, id, (ours, theirs), datagram, out);
            }
            Message::Response { receiver, ephemeral } => {
                let id = self.owner(receiver)?;
                self.admit(RESPONSES, now, from, &ephemeral, datagram, out)?;
                self.response(now, from, id, datagram, out);
            }
            Message::CookieReply { receiver } => {
                let id = self.owner(receiver)?;
                // No proof of who sent it: neither life nor a new endpoint
                self.wake(now, id, out);
                let Some(entry) = entry_mut(&mut self.entries, id) else { return Ok(()) };
                if let Err(reason) = entry.peer.take_cookie(datagram, out.datagrams.room()) {
                    entry.drops.count(reason);
                }
            }
        }
        Ok(())
    }

    fn owner(&self, receiver: u32) -> Result<PeerId, Reason> {
        self.by_index.get(&(receiver >> 8)).copied().ok_or(Reason::UnknownIndex)
    }

    /// Checks the MACs of a handshake message, before anything costly is done for it: our key that it is made for.
    fn admit(
        &mut self,
        gate: usize,
        now: Instant,
        from: SocketAddr,
        ephemeral: &[u8; 32],
        datagram: &[u8],
        out: &mut Output,
    ) -> Result<PublicKey, Reason> {
        let Some(identity) = self.keys.meant(datagram) else {
            self.misfit(now, from, Fault::OtherKey);
            return Err(Reason::OtherKey);
        };
        let gate = &mut self.gates[gate];
        if !gate.is_open(now) {
            match identity.check_cookie(from.ip(), datagram, out.datagrams.room()) {
                Ok(()) if gate.admits(now, from.ip()) => {}
                Err(reply) if gate.gives_cookie(now) => {
                    out.datagrams.push(reply, from.into());
                    return Err(Reason::RateLimited);
                }
                Ok(()) | Err(_) => return Err(Reason::RateLimited),
            }
        }
        if curve::is_low_order(ephemeral) {
            return Err(Reason::Malformed);
        }
        Ok(identity.public_key())
    }

    /// The answer goes back where the initiation came from. The peer's endpoint moves when the new session is used:
    /// an initiation can be a recorded one, played back from elsewhere after our restart.
    fn initiation(
        &mut self,
        now: Instant,
        from: SocketAddr,
        id: PeerId,
        keys: (PublicKey, PublicKey),
        datagram: &[u8],
        out: &mut Output,
    ) {
        self.wake(now, id, out);
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        match entry.peer.respond(keys, from.ip(), datagram, out.datagrams.room()) {
            Ok(len) => {
                entry.handshakes.initiations_received += 1;
                entry.handshakes.responses_sent += 1;
                entry.answered(now, from, datagram.len());
                entry.transmit(now, from.into(), len, &mut out.datagrams);
            }
            Err(reason) => entry.refuse(now, from, reason),
        }
    }

    fn response(&mut self, now: Instant, from: SocketAddr, id: PeerId, datagram: &[u8], out: &mut Output) {
        self.wake(now, id, out);
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        match entry.peer.confirm(now, from.ip(), datagram, out.datagrams.room()) {
            Ok(keepalive) => {
                entry.handshakes.responses_received += 1;
                entry.transmit(now, from.into(), keepalive, &mut out.datagrams);
                if entry.hear(now, from, datagram.len(), &mut out.events) {
                    announce(id, entry, &mut self.table, &mut out.events);
                }
                entry.established(now);
                entry.tell_handshake(&mut out.events);
                entry.drain(now, &mut out.datagrams);
                entry.probe(now, out);
            }
            Err(reason) => entry.refuse(now, from, reason),
        }
    }
}
