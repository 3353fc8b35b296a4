//! The output, which may be a pipe whose reader has gone: `recwarden test | head -1` is no failure.

use std::io::{self, Write};

/// What becomes of a command that nobody reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenUnread {
    /// It comes to its end all the same: its exit code tells something.
    GoOn,
    /// It ends: what it prints is all there is to it.
    End,
}

/// A stream that may lose its reader.
pub(super) struct Output<'o> {
    stream: &'o mut dyn Write,
    when_unread: WhenUnread,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Read,
    Unread,
}

impl<'o> Output<'o> {
    /// Over a stream.
    pub(super) fn new(stream: &'o mut dyn Write, when_unread: WhenUnread) -> Self {
        Self { stream, when_unread, state: State::Read }
    }

    /// Where the command goes on, what it says is let go from now on.
    fn settle<T>(&mut self, done: io::Result<T>, let_go: T) -> io::Result<T> {
        match done {
            Err(error)
                if error.kind() == io::ErrorKind::BrokenPipe && self.when_unread == WhenUnread::GoOn =>
            {
                self.state = State::Unread;
                Ok(let_go)
            }
            other => other,
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.state {
            State::Unread => Ok(bytes.len()),
            State::Read => {
                let written = self.stream.write(bytes);
                self.settle(written, bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.state {
            State::Unread => Ok(()),
            State::Read => {
                let flushed = self.stream.flush();
                self.settle(flushed, ())
            }
        }
    }
}
