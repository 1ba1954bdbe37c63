//! SIP messages as data: [`Request`] and [`Response`] as received, [`Draft`] as sent (RFC 3261 section 7).
//!
//! Header values are kept as bytes, unfolded, under their canonical long name, so that Via, From, To and Call-ID
//! are echoed exactly as they came whatever their character set. Reading bytes is [`super::wire`]'s.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::{self, Address, Via};

/// A request method. Case matters (RFC 3261 section 7.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Info,
    Prack,
    Update,
    Subscribe,
    Notify,
    Refer,
    Message,
    Publish,
    /// Any other token.
    Other(String),
}

/// The methods we serve, as they stand in `Allow`.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REGISTER";

impl Method {
    /// From its token.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        match token {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "REGISTER" => Self::Register,
            "OPTIONS" => Self::Options,
            "INFO" => Self::Info,
            "PRACK" => Self::Prack,
            "UPDATE" => Self::Update,
            "SUBSCRIBE" => Self::Subscribe,
            "NOTIFY" => Self::Notify,
            "REFER" => Self::Refer,
            "MESSAGE" => Self::Message,
            "PUBLISH" => Self::Publish,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Its token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Prack => "PRACK",
            Self::Update => "UPDATE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(token) => token,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Header fields in order, names in their canonical long form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Vec<u8>)>);

impl Headers {
    /// Appends a field. Control characters in the value become spaces: nothing a caller sends can start a line.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl AsRef<[u8]>) {
        let clean = |b: &u8| if *b < 0x20 || *b == 0x7f { b' ' } else { *b };
        self.0
            .push((name.into(), value.as_ref().iter().map(clean).collect()));
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_slice()))
    }

    /// The values of all fields of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    /// The first value of that name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    /// The first value of that name as lossy text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name)
            .map(|v| String::from_utf8_lossy(v).trim().to_owned())
    }

    /// The comma-separated values of all fields of that name.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&[u8]> {
        self.iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .flat_map(|(_, v)| address::split(v, b','))
            .map(<[u8]>::trim_ascii)
            .filter(|v| !v.is_empty())
            .collect()
    }

    /// Whether a token stands in a list header such as `Supported`.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name)
            .iter()
            .any(|v| v.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The addresses of a list header; what cannot be read is left out.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<Address> {
        self.list(name)
            .into_iter()
            .filter_map(Address::parse)
            .collect()
    }

    /// A header that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        let text = self.text(name)?;
        let digits = text.split([';', ' ']).next().unwrap_or("");
        digits.parse().ok()
    }

    fn replace_first(&mut self, name: &str, value: Vec<u8>) {
        if let Some(field) = self
            .0
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
        {
            field.1 = value;
        }
    }
}

/// What every usable message carries (RFC 3261 section 8.1.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Essentials {
    pub via: Via,
    pub from: Address,
    pub to: Address,
    pub call_id: String,
    pub cseq: u32,
    pub cseq_method: Method,
}

/// A request as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Request-URI as it stood.
    pub uri: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub is: Essentials,
}

/// A response as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub is: Essentials,
}

/// A message as it came.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    Request(Box<Request>),
    Response(Box<Response>),
}

impl Request {
    /// Identity of an INVITE over retransmissions, forks and restarts: Call-ID, From tag, CSeq (RFC 3261 8.2.2.2).
    #[must_use]
    pub fn key(&self) -> String {
        let tag = self.is.from.tag().unwrap_or("");
        format!("{};{};{}", self.is.call_id, tag, self.is.cseq)
    }

    /// Notes in the topmost Via where the request really came from (RFC 3261 18.2.1, RFC 3581).
    pub fn stamp_via(&mut self, peer: SocketAddr) {
        let Some(value) = self.headers.first("Via") else {
            return;
        };
        let hops = address::split(value, b',');
        let Some((top, rest)) = hops.split_first() else {
            return;
        };
        let ip = peer.ip().to_canonical();
        let differs = self.is.via.host.parse::<IpAddr>().ok() != Some(ip);
        let mut parts = Vec::new();
        for part in address::split(top, b';') {
            let name: Vec<u8> = part
                .split(|b| *b == b'=')
                .next()
                .unwrap_or(part)
                .trim_ascii()
                .to_ascii_lowercase();
            match name.as_slice() {
                b"rport" => parts.push(format!("rport={}", peer.port()).into_bytes()),
                b"received" => {}
                _ => parts.push(part.to_vec()),
            }
        }
        if differs || self.is.via.rport {
            parts.push(format!("received={ip}").into_bytes());
        }
        let mut stamped = parts.join(&b';');
        for hop in rest {
            stamped.push(b',');
            stamped.extend_from_slice(hop);
        }
        self.headers.replace_first("Via", stamped);
    }

    /// Where the response goes: on UDP the source port with `rport`, else the port of the Via, which is also where a
    /// new connection would go (RFC 3261 18.2.2).
    #[must_use]
    pub fn reply_to(&self, peer: SocketAddr, is_udp: bool) -> SocketAddr {
        if self.is.via.rport && is_udp {
            return peer;
        }
        let default = if self.is.via.transport == "TLS" {
            5061
        } else {
            5060
        };
        SocketAddr::new(peer.ip(), self.is.via.port.unwrap_or(default))
    }
}

/// A message to be sent. `Content-Length` is added when it becomes bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    start: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Draft {
    /// A request without headers.
    #[must_use]
    pub fn request(method: &Method, uri: &str) -> Self {
        let uri: String = uri
            .chars()
            .filter(|c| !c.is_control() && *c != ' ')
            .collect();
        Self {
            start: format!("{method} {uri} SIP/2.0"),
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// A response to `request` with the headers that must be echoed. `tag` is our To tag, for all but 100.
    #[must_use]
    pub fn response(request: &Request, status: u16, tag: Option<&str>) -> Self {
        let mut headers = Headers::default();
        for (name, value) in request.headers.iter() {
            let echoed = ["Via", "From", "Call-ID", "CSeq"].contains(&name)
                || (name == "Timestamp" && status == 100)
                || (name == "Record-Route" && (101..300).contains(&status));
            if echoed {
                headers.push(name.to_owned(), value);
            } else if name == "To" {
                let mut to = value.to_vec();
                if let (Some(tag), None) = (tag, request.is.to.tag()) {
                    to.extend_from_slice(format!(";tag={tag}").as_bytes());
                }
                headers.push("To", to);
            }
        }
        Self {
            start: format!("SIP/2.0 {status} {}", reason(status)),
            headers,
            body: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .0
            .retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// Adds a body.
    #[must_use]
    pub fn with_body(mut self, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.headers.push("Content-Type", kind);
        self.body = body.into();
        self
    }

    /// What goes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.body.len());
        out.extend_from_slice(self.start.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in self.headers.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// Reason phrases of the statuses we send (RFC 3261 section 21 and others).
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        _ => "Unknown",
    }
}
