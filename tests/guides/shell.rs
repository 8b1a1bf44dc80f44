//! A shell that stays: what one command sets, the next one finds.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Ends what a command prints; no program prints it.
const END: &str = "\u{1}end-of-command";

/// A running `bash`.
pub(crate) struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    /// `command` is one that ends in `bash`, wherever it runs.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// What a command prints, on either stream, and its exit code.
    pub(crate) fn run(&mut self, command: &str) -> (String, i32) {
        writeln!(self.stdin, "{{ {command}\n}} 2>&1 </dev/null; printf '%s %s\\n' '{END}' $?").unwrap();
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the shell has ended; it printed {printed}");
            if let Some((rest, code)) = line.split_once(END) {
                printed.push_str(rest);
                return (printed, code.trim().parse().unwrap());
            }
            printed.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
