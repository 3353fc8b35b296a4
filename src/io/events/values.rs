//! Cuts JSON values out of a text that holds some, one after the other or in an array, without keeping more
//! than one of them. Whether a value is sound is for the decoder to say.

use std::io::BufRead;

use super::{LONGEST_ENTRY, Stop};

/// What was cut.
pub(super) enum Cut<'b> {
    /// More of the present value.
    Bytes(&'b [u8]),
    /// The value that began on this line is complete.
    End(u64),
    /// The value that began on this line is longer than an entry may be; its bytes are to be dropped.
    TooLong(u64),
}

/// Where in the text it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two values.
    Between,
    /// In a value, in so many brackets.
    In { depth: usize },
    /// In a text of a value.
    Text { depth: usize },
    /// Behind a backslash in a text.
    Escape { depth: usize },
}

struct Cutter<'t> {
    tell: &'t mut dyn FnMut(Cut<'_>) -> Result<(), Stop>,
    state: State,
    line: u64,
    began: u64,
    length: usize,
}

/// Cuts the whole text.
pub(super) fn cut(
    text: &mut dyn BufRead,
    tell: &mut dyn FnMut(Cut<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut cutter = Cutter { tell, state: State::Between, line: 1, began: 1, length: 0 };
    loop {
        let chunk = text.fill_buf()?;
        if chunk.is_empty() {
            // What is cut off is told as it is, and is refused by the decoder.
            return if cutter.state == State::Between { Ok(()) } else { cutter.end() };
        }
        cutter.take(chunk)?;
        let taken = chunk.len();
        text.consume(taken);
    }
}

impl Cutter<'_> {
    fn take(&mut self, chunk: &[u8]) -> Result<(), Stop> {
        let mut start = 0;
        for (at, byte) in chunk.iter().copied().enumerate() {
            let before = self.state;
            let goes_on = self.step(byte);
            if before == State::Between && self.state != State::Between {
                (start, self.began, self.length) = (at, self.line, 0);
            }
            if before != State::Between && self.state == State::Between {
                let stop = if goes_on { at + 1 } else { at };
                self.bytes(chunk.get(start..stop).unwrap_or_default())?;
                self.end()?;
            }
            if byte == b'\n' {
                self.line += 1;
            }
        }
        if self.state == State::Between { Ok(()) } else { self.bytes(chunk.get(start..).unwrap_or_default()) }
    }

    /// Goes on by one byte; answers whether that belongs to the value that it ends.
    fn step(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            // The brackets of the outer array are like any other mark between two values.
            (State::Between, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' | 0xef | 0xbb | 0xbf) => {
                State::Between
            }
            (State::Between, b'{') => State::In { depth: 1 },
            (State::Between, b'"') => State::Text { depth: 0 },
            (State::Between, _) => State::In { depth: 0 },
            (State::In { depth }, b'"') => State::Text { depth },
            (State::In { depth }, b'{' | b'[') => State::In { depth: depth + 1 },
            (State::In { depth: 0 }, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}') => {
                self.state = State::Between;
                return false;
            }
            (State::In { depth: 1 }, b'}' | b']') => State::Between,
            (State::In { depth }, b'}' | b']') => State::In { depth: depth.saturating_sub(1) },
            (State::In { depth }, _) => State::In { depth },
            (State::Text { depth: 0 }, b'"') => State::Between,
            (State::Text { depth }, b'"') => State::In { depth },
            (State::Text { depth }, b'\\') => State::Escape { depth },
            (State::Text { depth } | State::Escape { depth }, _) => State::Text { depth },
        };
        true
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.length = self.length.saturating_add(bytes.len());
        if self.length > LONGEST_ENTRY { Ok(()) } else { (self.tell)(Cut::Bytes(bytes)) }
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.state = State::Between;
        let cut = if self.length > LONGEST_ENTRY { Cut::TooLong(self.began) } else { Cut::End(self.began) };
        (self.tell)(cut)
    }
}
