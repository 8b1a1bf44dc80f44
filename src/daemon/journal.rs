//! What happened lately, for `show events`.

use std::collections::VecDeque;
use std::time::SystemTime;

/// How many entries are kept; the oldest go first.
const KEPT: usize = 1000;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counts up from 1.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// `session-up`, `session-down`, `peer-up`, `peer-suspect`, `peer-down`, `limit`, `refused`, `kernel`.
    pub kind: &'static str,
    /// The neighbor or peer.
    pub subject: String,
    /// One sentence.
    pub text: String,
}

/// The last entries, oldest first.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    written: u64,
}

impl Journal {
    /// Adds an entry, stamped now.
    pub fn write(&mut self, kind: &'static str, subject: impl Into<String>, text: impl Into<String>) {
        self.written += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let (subject, text) = (subject.into(), text.into());
        self.entries.push_back(Entry { number: self.written, at: SystemTime::now(), kind, subject, text });
    }

    /// Entries with a higher number.
    pub fn after(&self, number: u64) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.number > number).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_go_first_and_numbers_go_on() {
        let mut journal = Journal::default();
        for number in 0..KEPT + 2 {
            journal.write("kernel", "", number.to_string());
        }
        let kept = journal.after(0);
        assert_eq!(kept.len(), KEPT);
        assert_eq!((kept[0].number, kept[0].text.as_str()), (3, "2"));
        assert_eq!(journal.after(KEPT as u64 + 1).len(), 1);
    }
}
