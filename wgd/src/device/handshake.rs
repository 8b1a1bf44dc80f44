//! Datagrams that are not transport data, and whom a datagram is from.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Device, Output, announce, entry_mut};
use crate::curve;
use crate::drops::Reason;
use crate::fault::Fault;
use crate::message::Message;
use crate::peer::Admission;
use crate::table::PeerId;

impl Device {
    /// Err: a drop that belongs to no peer.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Output,
    ) -> Result<(), Reason> {
        if datagram.len() > out.packets.room().len() {
            return Err(Reason::Malformed);
        }
        match Message::parse(datagram).ok_or(Reason::Malformed)? {
            Message::Transport { receiver } => {
                let id = self.owner(receiver)?;
                self.transport(now, from, id, datagram, out);
            }
            Message::Initiation { ephemeral } => {
                self.admit(now, from, &ephemeral, datagram, out)?;
                let key = self.identity.initiator(datagram).ok_or(Reason::BadMac)?;
                let Some(id) = self.by_key.get(&key).copied() else {
                    self.misfit(now, from, Fault::UnknownPeer(key));
                    return Err(Reason::UnknownPeer);
                };
                self.initiation(now, from, id, datagram, out);
            }
            Message::Response { receiver, ephemeral } => {
                let id = self.owner(receiver)?;
                self.admit(now, from, &ephemeral, datagram, out)?;
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

    fn admit(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ephemeral: &[u8; 32],
        datagram: &[u8],
        out: &mut Output,
    ) -> Result<(), Reason> {
        match self.identity.admit(now, from.ip(), datagram, out.datagrams.room()) {
            Admission::Admitted if curve::is_low_order(ephemeral) => Err(Reason::Malformed),
            Admission::Admitted => Ok(()),
            Admission::Cookie(len) => {
                out.datagrams.push(len, from);
                Err(Reason::RateLimited)
            }
            Admission::OtherKey => {
                self.misfit(now, from, Fault::OtherKey);
                Err(Reason::OtherKey)
            }
        }
    }

    /// The answer goes back where the initiation came from. The peer's endpoint moves when the new session is used:
    /// an initiation can be a recorded one, played back from elsewhere after our restart.
    fn initiation(&mut self, now: Instant, from: SocketAddr, id: PeerId, datagram: &[u8], out: &mut Output) {
        self.wake(now, id, out);
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        match entry.peer.respond(from.ip(), datagram, out.datagrams.room()) {
            Ok(len) => {
                entry.answered(now, from);
                entry.transmit(now, from, len, &mut out.datagrams);
            }
            Err(reason) => entry.refuse(now, from, reason),
        }
    }

    fn response(&mut self, now: Instant, from: SocketAddr, id: PeerId, datagram: &[u8], out: &mut Output) {
        self.wake(now, id, out);
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        match entry.peer.confirm(now, from.ip(), datagram, out.datagrams.room()) {
            Ok(keepalive) => {
                entry.transmit(now, from, keepalive, &mut out.datagrams);
                if entry.hear(now, from, datagram.len(), &mut out.events) {
                    announce(id, entry, &mut self.table, &mut out.events);
                }
                entry.established(now);
                entry.tell_handshake(&mut out.events);
                entry.drain(now, &mut out.datagrams);
            }
            Err(reason) => entry.refuse(now, from, reason),
        }
    }
}
