//! Cuts a byte stream into SIP messages (RFC 3261 18.3) and keep-alives (RFC 5626 4.4.1). No IO, no clock.
//!
//! Reads no more than it needs: the empty line that ends the headers, and `Content-Length` (or `l`). A missing length
//! counts as 0; bare LF line ends are taken; two lengths that differ, or one that is no number, cannot be framed and
//! end the stream, for nobody knows where the next message begins. Nothing is allocated from a claimed length.

/// Something complete on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, headers and body.
    Message(Vec<u8>),
    /// `CRLF CRLF` between messages: to be answered by one CRLF.
    Ping,
}

/// Why the stream cannot be read any further.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Headers, or headers and claimed body, beyond the limit.
    #[error("a message of more than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// Content-Length is no number.
    #[error("Content-Length is not a number")]
    NoNumber,
    /// Two Content-Length headers that differ.
    #[error("two Content-Length headers: {first} and {second}")]
    TwoLengths {
        /// The upper one.
        first: usize,
        /// The lower one.
        second: usize,
    },
}

/// The reader of one stream.
#[derive(Debug)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Start of what is not yet given out.
    start: usize,
    /// Everything before is known to hold no end of headers.
    scanned: usize,
    /// End of the message whose headers are complete.
    end: Option<usize>,
    /// How much of `CRLF CRLF` was seen since the last message, 0-3.
    ping: u8,
    max: usize,
}

impl Framer {
    /// A reader of messages of at most `max` bytes.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            scanned: 0,
            end: None,
            ping: 0,
            max,
        }
    }

    /// Takes in what was read. Call [`Self::next_frame`] until it gives nothing before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.scanned = self.scanned.saturating_sub(self.start);
        self.end = self.end.map(|end| end.saturating_sub(self.start));
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a message has begun that is not complete.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.start < self.bytes.len()
    }

    /// The next complete message or keep-alive.
    ///
    /// # Errors
    /// [`FrameError`]: close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.end.is_none() {
            if self.skip_line_ends() {
                return Ok(Some(Frame::Ping));
            }
            let Some(body) = self.body_start() else {
                let too_long = self.bytes.len() - self.start > self.max;
                return if too_long {
                    Err(FrameError::TooLong { max: self.max })
                } else {
                    Ok(None)
                };
            };
            let head = self.bytes.get(self.start..body).unwrap_or_default();
            let end = body.saturating_add(content_length(head)?.unwrap_or(0));
            if end - self.start > self.max {
                return Err(FrameError::TooLong { max: self.max });
            }
            self.end = Some(end);
        }
        let message = self.end.and_then(|end| self.bytes.get(self.start..end));
        let Some(message) = message.map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.start += message.len();
        self.scanned = self.start;
        self.end = None;
        Ok(Some(Frame::Message(message)))
    }

    /// Skips line ends before a message; true when they made a ping.
    fn skip_line_ends(&mut self) -> bool {
        while let Some(byte) = self.bytes.get(self.start) {
            self.ping = match (byte, self.ping) {
                (b'\r', 0 | 2) | (b'\n', 1) => self.ping + 1,
                (b'\n', 3) => 4,
                (b'\r', _) => 1,
                (b'\n', _) => 0,
                _ => {
                    self.ping = 0;
                    break;
                }
            };
            self.start += 1;
            if self.ping == 4 {
                self.ping = 0;
                self.scanned = self.start;
                return true;
            }
        }
        self.scanned = self.scanned.max(self.start);
        false
    }

    /// Where the body begins: after the first empty line.
    fn body_start(&mut self) -> Option<usize> {
        let unseen = self.bytes.get(self.scanned..).unwrap_or_default();
        for (offset, _) in unseen.iter().enumerate().filter(|(_, b)| **b == b'\n') {
            let at = self.scanned + offset;
            let ahead = self.bytes.get(at + 1..).unwrap_or_default();
            match ahead {
                [b'\n', ..] => return Some(at + 2),
                [b'\r', b'\n', ..] => return Some(at + 3),
                // The line end that may follow is not here yet: look at this one again.
                [] | [b'\r'] => {
                    self.scanned = at;
                    return None;
                }
                [..] => {}
            }
        }
        self.scanned = self.bytes.len();
        None
    }
}

/// The Content-Length among the header lines, unfolded.
fn content_length(head: &[u8]) -> Result<Option<usize>, FrameError> {
    let mut found: Option<usize> = None;
    let mut lines = head.split(|b| *b == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let mut parts = line.splitn(2, |b| *b == b':');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let folded = line.first().is_some_and(u8::is_ascii_whitespace);
        let wanted =
            name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l");
        let Some(mut value) = parts.next().map(<[u8]>::trim_ascii) else {
            continue;
        };
        if folded || !wanted {
            continue;
        }
        if value.is_empty() {
            let continued = lines
                .peek()
                .filter(|l| matches!(l.first(), Some(b' ' | b'\t')));
            value = continued.map_or(value, |l| l.trim_ascii());
        }
        let digits = std::str::from_utf8(value).ok();
        let digits = digits.filter(|v| v.len() <= 10 && v.bytes().all(|b| b.is_ascii_digit()));
        let length = digits
            .and_then(|v| v.parse().ok())
            .ok_or(FrameError::NoNumber)?;
        match found {
            Some(first) if first != length => {
                return Err(FrameError::TwoLengths {
                    first,
                    second: length,
                });
            }
            Some(_) | None => found = Some(length),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(chunks: &[&[u8]]) -> Result<Vec<Frame>, FrameError> {
        let mut framer = Framer::new(2000);
        let mut out = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next_frame()? {
                out.push(frame);
            }
        }
        Ok(out)
    }

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().to_vec())
    }

    const WITH_BODY: &str = "INVITE sip:120@a SIP/2.0\r\nCall-ID: 1\r\nl : 5\r\n\r\nv=0\r\n";
    const BARE_LF: &str = "OPTIONS sip:a SIP/2.0\nCall-ID: 2\nContent-Length: 0\n\n";
    const NO_LENGTH: &str = "BYE sip:a SIP/2.0\r\nCall-ID: 3\r\n\r\n";
    const FOLDED: &str =
        "BYE sip:a SIP/2.0\r\nSubject: x\r\n l: 9\r\nContent-Length:\r\n 2\r\n\r\nab";

    #[test]
    fn messages_are_cut_alike_however_the_bytes_arrive() {
        let stream = format!("\r\n{WITH_BODY}{BARE_LF}\r\n\r\n{NO_LENGTH}{FOLDED}\r\n");
        let wanted = vec![
            message(WITH_BODY),
            message(BARE_LF),
            Frame::Ping,
            message(NO_LENGTH),
            message(FOLDED),
        ];
        for size in [1, 2, 3, 7, 64, stream.len()] {
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            assert_eq!(frames(&chunks), Ok(wanted.clone()), "chunks of {size}");
        }
    }

    #[test]
    fn a_length_that_cannot_be_trusted_ends_the_stream() {
        let head = "BYE sip:a SIP/2.0\r\n";
        let of = |lines: &str| frames(&[format!("{head}{lines}\r\n\r\n").as_bytes()]);
        assert_eq!(
            of("l: 3\r\nContent-Length: 4"),
            Err(FrameError::TwoLengths {
                first: 3,
                second: 4
            })
        );
        for bad in ["-1", "0x10", "12a", "", "99999999999", "1,2"] {
            let got = of(&format!("Content-Length: {bad}"));
            assert_eq!(got, Err(FrameError::NoNumber), "{bad}");
        }
        assert_eq!(of("l: 4000000000"), Err(FrameError::TooLong { max: 2000 }));
        assert_eq!(of("l: 0\r\nContent-Length: 0").map(|f| f.len()), Ok(1));
    }

    #[test]
    fn headers_without_an_end_stop_at_the_limit() {
        let mut framer = Framer::new(2000);
        framer.push(b"INVITE sip:120@a SIP/2.0\r\n");
        let mut pushed = 0;
        let error = loop {
            framer.push(b"X: y\r\n");
            pushed += 6;
            match framer.next_frame() {
                Ok(None) => assert!(pushed < 2100, "no limit"),
                other => break other,
            }
        };
        assert_eq!(error, Err(FrameError::TooLong { max: 2000 }));
    }

    #[test]
    fn a_message_is_partial_until_its_last_byte() {
        let mut framer = Framer::new(2000);
        framer.push(b"\r\n");
        assert_eq!(framer.next_frame(), Ok(None));
        assert!(!framer.is_partial(), "a keep-alive begins no message");
        let (most, last) = WITH_BODY.as_bytes().split_at(WITH_BODY.len() - 1);
        framer.push(most);
        assert_eq!(framer.next_frame(), Ok(None));
        assert!(framer.is_partial());
        framer.push(last);
        assert_eq!(framer.next_frame(), Ok(Some(message(WITH_BODY))));
        assert!(!framer.is_partial());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_in_any_chunks_give_the_same_frames(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(String::from(WITH_BODY)), Just(String::from(BARE_LF)), Just(String::from("\r\n\r\n")),
                    Just(String::from("\r")), Just(String::from("\n")), "[ -~]{0,20}",
                ],
                0..12,
            ),
            size in 1_usize..40,
        ) {
            let stream = parts.concat();
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            prop_assert_eq!(frames(&chunks).ok(), frames(&[stream.as_bytes()]).ok());
        }
    }
}
