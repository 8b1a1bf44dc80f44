//! The request socket: many messages a send, answers sorted back by sequence number, and whole dumps.

use std::fmt;
use std::io;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use socket2::SockRef;

use super::message::{HEADER, Message, Received, attributes, messages};

/// Messages a send: their answers wait in the socket's buffer (212,992 octets unless the administrator changed it; about
/// 1 KiB an acknowledgement), and an answer without room is lost.
const BATCH: usize = 128;

/// The same where each answer is a message of its own, up to 8 KiB with what the kernel accounts for it.
const BATCH_OF_QUESTIONS: usize = 16;

/// Octets a send: below the socket's send buffer also with routes of many hops.
const BATCH_OCTETS: usize = 64 << 10;

/// The kernel gives dumps in pieces of at most 32 KiB.
const INBOX: usize = 64 << 10;

/// A dump is asked for again this often when the table changes under it.
const DUMPS: usize = 4;

/// The kernel answers before `send` returns; this only keeps a fault from stopping the thread for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// NLMSGERR_ATTR_MSG: the kernel's own sentence.
const ERROR_SENTENCE: u16 = 1;

/// The kernel's refusal of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refused {
    /// The error number, positive.
    pub(super) errno: i32,
    /// The kernel's sentence, where it has one.
    pub(super) sentence: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sentence) = &self.sentence {
            write!(f, "{}: ", sentence.trim_end_matches('.'))?;
        }
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(Self::from_raw_os_error(refused.errno).kind(), refused)
    }
}

/// The answer to one message: empty for an acknowledgement, else the payload of what was asked for.
pub(super) type Answer = Result<Vec<u8>, Refused>;

/// A socket for requests. Blocking: the kernel works on a request inside `send`.
pub(super) struct Requests {
    socket: Socket,
    port: u32,
    sequence: u32,
    outbox: Vec<u8>,
    inbox: Box<[u8]>,
}

impl Requests {
    /// Opens the socket in the caller's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        // Connected to the kernel: nobody else's unicast gets in.
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        socket.set_netlink_get_strict_chk(true)?;
        SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, port, sequence: 0, outbox: Vec::new(), inbox: vec![0; INBOX].into() })
    }

    /// The netlink port by which notifications name what was done here.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Sends a command for each item and returns what the kernel said to each. `between` runs after every send.
    pub(super) fn commands<T>(
        &mut self,
        items: &[T],
        flags: impl Fn(&T) -> (u16, u16),
        encode: impl Fn(&T, &mut Message<'_>),
        between: impl FnMut(),
    ) -> io::Result<Vec<Answer>> {
        let flags = |item: &T| {
            let (kind, flags) = flags(item);
            (kind, flags | NLM_F_ACK)
        };
        self.exchange(items, BATCH, flags, encode, between)
    }

    /// Sends a question for each item and returns the payload of each answer.
    pub(super) fn questions<T>(
        &mut self,
        kind: u16,
        items: &[T],
        encode: impl Fn(&T, &mut Message<'_>),
    ) -> io::Result<Vec<Answer>> {
        self.exchange(items, BATCH_OF_QUESTIONS, |_| (kind, 0), encode, || ())
    }

    /// Sends one command.
    pub(super) fn command(
        &mut self,
        kind: u16,
        flags: u16,
        encode: impl Fn(&mut Message<'_>),
    ) -> io::Result<Result<(), Refused>> {
        let answers = self.commands(&[()], |()| (kind, flags), |(), message| encode(message), || ())?;
        Ok(answers.into_iter().try_for_each(|answer| answer.map(drop)))
    }

    fn exchange<T>(
        &mut self,
        items: &[T],
        at_most: usize,
        flags: impl Fn(&T) -> (u16, u16),
        encode: impl Fn(&T, &mut Message<'_>),
        mut between: impl FnMut(),
    ) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(items.len());
        let mut items = items.iter().peekable();
        while items.peek().is_some() {
            self.outbox.clear();
            let first = self.sequence;
            let mut count = 0;
            while let Some(item) = items.next_if(|_| count < at_most && self.outbox.len() < BATCH_OCTETS) {
                let (kind, flags) = flags(item);
                let mut message = Message::begin(&mut self.outbox, kind, flags, self.sequence);
                encode(item, &mut message);
                message.finish();
                self.sequence = self.sequence.wrapping_add(1);
                count += 1;
            }
            self.socket.send(&self.outbox, 0)?;
            answers.append(&mut self.answers(first, count)?);
            between();
        }
        Ok(answers)
    }

    /// Waits for the answers to `count` messages. Answers to earlier, given up ones are passed over.
    fn answers(&mut self, first: u32, count: usize) -> io::Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; count];
        let mut missing = count;
        while missing > 0 {
            for message in messages(receive(&self.socket, &mut self.inbox)?) {
                let index = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let (Some(slot), Some(answer)) = (answers.get_mut(index), answer(&message)) else { continue };
                if slot.replace(answer).is_none() {
                    missing -= 1;
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Asks for a whole table; `decode` says what of each message is kept. One that keeps changing while it is read is
    /// taken as it is at last: its changes are told by the monitor.
    pub(super) fn dump<T>(
        &mut self,
        kind: u16,
        encode: impl Fn(&mut Message<'_>),
        decode: impl Fn(&Received<'_>) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut dump = self.try_dump(kind, &encode, &decode)?;
        for _ in 1..DUMPS {
            if !dump.torn {
                break;
            }
            dump = self.try_dump(kind, &encode, &decode)?;
        }
        Ok(dump.table)
    }

    fn try_dump<T>(
        &mut self,
        kind: u16,
        encode: impl Fn(&mut Message<'_>),
        decode: impl Fn(&Received<'_>) -> Option<T>,
    ) -> io::Result<Dump<T>> {
        self.outbox.clear();
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = Message::begin(&mut self.outbox, kind, NLM_F_DUMP, sequence);
        encode(&mut message);
        message.finish();
        self.socket.send(&self.outbox, 0)?;
        let mut dump = Dump { table: Vec::new(), torn: false };
        loop {
            for message in messages(receive(&self.socket, &mut self.inbox)?) {
                if message.sequence != sequence {
                    continue;
                }
                dump.torn |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        refusal(&message).map_or(Ok(()), Err)?;
                        return Ok(dump);
                    }
                    _ => dump.table.extend(decode(&message)),
                }
            }
        }
    }
}

/// A whole table.
struct Dump<T> {
    table: Vec<T>,
    /// It changed while it was read: something may be missing or twice there.
    torn: bool,
}

/// One datagram.
pub(super) fn receive<'a>(socket: &Socket, inbox: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // A `Vec` would be appended to; a slice of a slice is overwritten.
    let length = match socket.recv(&mut &mut *inbox, 0) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(&[]),
        length => length?,
    };
    Ok(inbox.get(..length).unwrap_or(inbox))
}

fn answer(message: &Received<'_>) -> Option<Answer> {
    match message.kind {
        NLMSG_NOOP | NLMSG_OVERRUN | NLMSG_DONE => None,
        NLMSG_ERROR => Some(refusal(message).map_or(Ok(Vec::new()), Err)),
        _ => Some(Ok(message.payload.to_vec())),
    }
}

/// The error of NLMSG_ERROR or NLMSG_DONE; `None` for 0, which acknowledges.
fn refusal(message: &Received<'_>) -> Option<Refused> {
    let code = message.payload.get(..4)?.try_into().ok().map(i32::from_ne_bytes)?;
    if code == 0 {
        return None;
    }
    // NLMSG_ERROR echoes the header of the request (only that: NETLINK_CAP_ACK) before the attributes.
    let echoed = if message.kind == NLMSG_ERROR { HEADER } else { 0 };
    let extended = message.payload.get(4 + echoed..).filter(|_| message.flags & NLM_F_ACK_TLVS != 0);
    let sentence = attributes(extended.unwrap_or_default())
        .find(|(kind, _)| *kind == ERROR_SENTENCE)
        .map(|(_, text)| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
    Some(Refused { errno: code.saturating_neg(), sentence })
}
