//! As much of the protobuf text format as the conformance tests are written in.

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number, `true`, `inf`, or a name of an enum.
    Word(String),
    /// A text, its escapes undone.
    Text(Vec<u8>),
    /// Fields in braces.
    Message(Message),
}

/// Fields in the order they are written; a repeated one stands there repeatedly.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message(pub(crate) Vec<(String, Value)>);

impl Message {
    /// The message under a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Message> {
        self.all(name).next()
    }

    /// Each message under a name.
    pub(crate) fn all<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m Message> {
        self.0.iter().filter(move |(known, _)| known == name).filter_map(|(_, value)| match value {
            Value::Message(message) => Some(message),
            Value::Word(_) | Value::Text(_) => None,
        })
    }

    /// The text or word under a name; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        match found {
            Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Some(Value::Word(word)) => word.clone(),
            Some(Value::Message(_)) | None => String::new(),
        }
    }

    /// Whether there is a field of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// Reads a file.
pub(crate) fn read(text: &str) -> Message {
    let mut reader = Reader { rest: text };
    let message = reader.message();
    assert!(reader.rest.is_empty(), "not understood: {:.60}", reader.rest);
    message
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|one: char| one.is_whitespace() || ",;".contains(one));
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self) -> String {
        self.skip();
        let end = self
            .rest
            .find(|one: char| !(one.is_alphanumeric() || "_.-+/".contains(one)))
            .unwrap_or(self.rest.len());
        assert!(end > 0, "a word is missing: {:.60}", self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn message(&mut self) -> Message {
        let mut fields = Vec::new();
        loop {
            self.skip();
            if self.rest.is_empty() || self.rest.starts_with('}') {
                return Message(fields);
            }
            let name = if self.take('[') {
                let name = self.word();
                assert!(self.take(']'));
                name
            } else {
                self.word()
            };
            self.take(':');
            if self.take('[') {
                while !self.take(']') {
                    fields.push((name.clone(), self.value()));
                }
            } else {
                fields.push((name, self.value()));
            }
        }
    }

    fn value(&mut self) -> Value {
        if self.take('{') {
            let message = self.message();
            assert!(self.take('}'), "a brace is missing: {:.60}", self.rest);
            return Value::Message(message);
        }
        self.skip();
        if !self.rest.starts_with(['"', '\'']) {
            return Value::Word(self.word());
        }
        let mut text = Vec::new();
        while self.rest.starts_with(['"', '\'']) {
            self.string(&mut text);
            self.skip();
        }
        Value::Text(text)
    }

    fn string(&mut self, into: &mut Vec<u8>) {
        let quote = self.rest.as_bytes()[0];
        let bytes = self.rest.as_bytes();
        let mut at = 1;
        while bytes[at] != quote {
            if bytes[at] != b'\\' {
                into.push(bytes[at]);
                at += 1;
                continue;
            }
            let (length, meant) = escape(&self.rest[at + 1..]);
            into.extend(meant);
            at += 1 + length;
        }
        self.rest = &self.rest[at + 1..];
    }
}

/// How long an escape is behind its backslash, and what it means.
fn escape(text: &str) -> (usize, Vec<u8>) {
    let digits = |radix: u32, from: usize, most: usize| {
        let length = text[from..].chars().take(most).take_while(|one| one.is_digit(radix)).count();
        (from + length, u32::from_str_radix(&text[from..from + length], radix).expect("digits"))
    };
    let character = |(length, code): (usize, u32)| {
        (length, char::from_u32(code).expect("a character").to_string().into_bytes())
    };
    let byte = |(length, code): (usize, u32)| (length, vec![u8::try_from(code).expect("a byte")]);
    match text.as_bytes()[0] {
        b'n' => (1, b"\n".to_vec()),
        b'r' => (1, b"\r".to_vec()),
        b't' => (1, b"\t".to_vec()),
        b'a' => (1, vec![7]),
        b'b' => (1, vec![8]),
        b'f' => (1, vec![12]),
        b'v' => (1, vec![11]),
        b'x' | b'X' => byte(digits(16, 1, 2)),
        b'u' => character(digits(16, 1, 4)),
        b'U' => character(digits(16, 1, 8)),
        b'0'..=b'7' => byte(digits(8, 0, 3)),
        other => (1, vec![other]),
    }
}
