//! The front before the parser crate, and the only file that names it: bytes in, [`Message`] out.
//!
//! A datagram or framed message that the parser refuses is mended where an emergency line must not be strict: bare
//! LF, a missing end of the headers, lines that are no header, a body shorter than announced, a doubled
//! `Content-Length`. What still cannot be read is answered 400 where an answer can be addressed, else dropped.
//! Sizes are capped before anything is copied (RFC 3261 sections 7 and 18.3, RFC 4475, RFC 5118).

use bytes::Bytes;
use sipx_sip::headers::{CSeq as WireCSeq, Via as WireVia};
use sipx_sip::{HeaderName, Limits, Message as WireMessage, TypedHeader, Version, parse_datagram};

use super::address::{Address, Via, host_port};
use super::message::{Essentials, Headers, Message, Method, Request, Response};
use crate::limits::{SIP_HEADERS_MAX, SIP_MESSAGE_BYTES_MAX};

/// Why bytes did not become a message.
#[derive(Clone, thiserror::Error)]
pub enum WireError {
    /// Only line ends: a keep-alive (RFC 5626).
    #[error("keep-alive")]
    KeepAlive,
    /// Not readable and not answerable: dropped, counted.
    #[error("dropped: {reason}")]
    Dropped { reason: &'static str },
    /// Answered with `status`; `request` holds what the answer echoes.
    #[error("refused with {status}: {reason}")]
    Refused {
        status: u16,
        reason: &'static str,
        request: Box<Request>,
    },
}

// A refused request carries numbers and names of people: only status and reason are printed.
impl std::fmt::Debug for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WireError({self})")
    }
}

const LIMITS: Limits = Limits {
    max_message_bytes: SIP_MESSAGE_BYTES_MAX + 1024,
    max_body_bytes: SIP_MESSAGE_BYTES_MAX,
    max_headers: SIP_HEADERS_MAX,
    max_header_bytes: 16 * 1024,
    max_folding_lines: 64,
};

/// Reads one datagram or framed message.
///
/// # Errors
/// [`WireError`]: nothing to do, dropped, or refused with a status.
pub fn parse(bytes: &[u8]) -> Result<Message, WireError> {
    let start = bytes
        .iter()
        .position(|b| !matches!(b, b'\r' | b'\n' | 0))
        .ok_or(WireError::KeepAlive)?;
    let bytes = bytes.get(start..).unwrap_or_default();
    if bytes.len() > SIP_MESSAGE_BYTES_MAX {
        return Err(WireError::Dropped {
            reason: "larger than a datagram can be",
        });
    }
    let first = parse_datagram(Bytes::copy_from_slice(bytes), &LIMITS);
    let parsed = match first {
        Ok(message) => message,
        Err(_) => {
            let mended = mend(bytes);
            match mended.map(|m| parse_datagram(Bytes::from(m), &LIMITS)) {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Err(salvage(bytes)),
            }
        }
    };
    convert(parsed)
}

/// Makes a whole message of one with small faults. `None` when the faults change its meaning.
fn mend(bytes: &[u8]) -> Option<Vec<u8>> {
    let (start, lines, rest) = lines(bytes);
    let mut out = Vec::with_capacity(bytes.len() + 64);
    out.extend_from_slice(start);
    out.extend_from_slice(b"\r\n");
    let mut lengths = Vec::new();
    for line in lines {
        let Some((name, value)) = field(&line) else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            lengths.push(value.to_vec());
            continue;
        }
        out.extend_from_slice(&line);
        out.extend_from_slice(b"\r\n");
    }
    let mut length = None;
    for text in &lengths {
        let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        let differs = length.is_some_and(|l| l != number);
        if differs && !start.starts_with(b"INVITE ") {
            return None;
        }
        length = length.max(Some(number));
    }
    let whole = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    let body = usize::try_from(length.unwrap_or(whole).min(whole)).unwrap_or(rest.len());
    out.extend_from_slice(format!("Content-Length: {body}\r\n\r\n").as_bytes());
    out.extend_from_slice(rest.get(..body).unwrap_or_default());
    Some(out)
}

/// Start line, unfolded header lines and the rest of a message whose line ends may be anything.
fn lines(bytes: &[u8]) -> (&[u8], Vec<Vec<u8>>, &[u8]) {
    let mut rest = bytes;
    let mut start = None;
    let mut out: Vec<Vec<u8>> = Vec::new();
    while !rest.is_empty() && out.len() <= SIP_HEADERS_MAX {
        let end = rest.iter().position(|b| *b == b'\n');
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        rest = end.and_then(|e| rest.get(e + 1..)).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if start.is_none() {
            start = Some(line);
        } else if line.is_empty() {
            break;
        } else if matches!(line.first(), Some(b' ' | b'\t')) {
            if let Some(last) = out.last_mut() {
                last.push(b' ');
                last.extend_from_slice(line.trim_ascii());
            }
        } else {
            out.push(
                line.iter()
                    .map(|b| if *b == b'\r' { b' ' } else { *b })
                    .collect(),
            );
        }
    }
    (start.unwrap_or_default(), out, rest)
}

/// Name and value of a header line; `None` when it is none.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
    let good = !name.is_empty() && name.iter().all(token);
    good.then_some((name, line.get(colon + 1..)?.trim_ascii()))
}

/// A message that cannot be taken: enough of it to address a 400, if there is enough.
fn salvage(bytes: &[u8]) -> WireError {
    let (start, lines, _) = lines(bytes);
    let dropped = WireError::Dropped {
        reason: "unreadable and not answerable",
    };
    if start.starts_with(b"SIP/") || start.starts_with(b"ACK ") {
        return dropped;
    }
    let mut out = b"UNREADABLE sip:unreadable.invalid SIP/2.0\r\n".to_vec();
    let kept = [
        &b"via"[..],
        b"v",
        b"from",
        b"f",
        b"to",
        b"t",
        b"call-id",
        b"i",
        b"cseq",
    ];
    for line in lines {
        let keep =
            field(&line).is_some_and(|(n, _)| kept.contains(&n.to_ascii_lowercase().as_slice()));
        if keep {
            out.extend_from_slice(&line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    let Ok(WireMessage::Request(request)) = parse_datagram(Bytes::from(out), &LIMITS) else {
        return dropped;
    };
    let headers = headers(&request.headers);
    match essentials(&headers, true) {
        Ok(is) => refused(400, "not a readable SIP message", headers, is),
        Err(_) => incomplete(headers, "not a readable SIP message"),
    }
}

fn refused(status: u16, reason: &'static str, headers: Headers, is: Essentials) -> WireError {
    WireError::Refused {
        status,
        reason,
        request: Box::new(Request {
            method: is.cseq_method.clone(),
            uri: String::new(),
            headers,
            body: Vec::new(),
            is,
        }),
    }
}

/// The parser's message as ours, with what every message must carry checked.
fn convert(message: WireMessage) -> Result<Message, WireError> {
    match message {
        WireMessage::Request(request) => {
            let headers = headers(&request.headers);
            let method = Method::from_token(&request.method.to_string());
            let is = match essentials(&headers, false) {
                Ok(is) => is,
                Err(_) if method == Method::Ack => {
                    return Err(WireError::Dropped {
                        reason: "ACK without its headers",
                    });
                }
                Err(reason) => return Err(incomplete(headers, reason)),
            };
            let fault = if request.version != Version::Sip20 {
                Some((505, "not SIP/2.0"))
            } else if is.cseq_method != method {
                Some((400, "CSeq names another method"))
            } else if repeated(&headers) {
                Some((400, "a header that stands once was repeated"))
            } else {
                None
            };
            match fault {
                Some(_) if method == Method::Ack => Err(WireError::Dropped {
                    reason: "faulty ACK",
                }),
                Some((status, reason)) => Err(refused(status, reason, headers, is)),
                None => Ok(Message::Request(Box::new(Request {
                    method,
                    uri: String::from_utf8_lossy(&request.uri.to_bytes()).into_owned(),
                    headers,
                    body: request.body().to_vec(),
                    is,
                }))),
            }
        }
        WireMessage::Response(response) => {
            let headers = headers(&response.headers);
            let is = essentials(&headers, false).map_err(|reason| WireError::Dropped { reason })?;
            Ok(Message::Response(Box::new(Response {
                status: response.status.code(),
                headers,
                body: response.body().to_vec(),
                is,
            })))
        }
    }
}

/// A request without one of its headers: 400 when Via, CSeq and Call-ID say where to, else dropped.
fn incomplete(headers: Headers, reason: &'static str) -> WireError {
    let mut patched = Headers::default();
    for (name, value) in headers.iter() {
        let bad = (name == "From" || name == "To") && Address::parse(value).is_none();
        let bad = bad || (name == "CSeq" && WireCSeq::decode(value).is_err());
        if !bad {
            patched.push(name.to_owned(), value);
        }
    }
    for (name, value) in [
        ("From", "<sip:unreadable@unreadable.invalid>;tag=0"),
        ("To", "<sip:unreadable@unreadable.invalid>"),
        ("CSeq", "0 UNREADABLE"),
        ("Call-ID", "unreadable"),
    ] {
        if patched.first(name).is_none() {
            patched.push(name, value);
        }
    }
    match essentials(&patched, true) {
        Ok(is) => refused(400, reason, patched, is),
        Err(_) => WireError::Dropped { reason },
    }
}

fn repeated(headers: &Headers) -> bool {
    ["From", "To", "Call-ID", "CSeq", "Max-Forwards"]
        .iter()
        .any(|name| headers.all(name).count() > 1)
}

/// Header fields under their long names, unfolded.
fn headers(wire: &sipx_sip::Headers) -> Headers {
    let mut out = Headers::default();
    for header in wire.iter() {
        let name = String::from_utf8_lossy(header.name().canonical()).into_owned();
        out.push(name, header.value());
    }
    out
}

/// What every usable message carries.
fn essentials(headers: &Headers, is_lenient: bool) -> Result<Essentials, &'static str> {
    let via = headers
        .first("Via")
        .and_then(|v| via(v, is_lenient))
        .ok_or("no readable Via")?;
    let from = headers
        .first("From")
        .and_then(Address::parse)
        .ok_or("no readable From")?;
    let to = headers
        .first("To")
        .and_then(Address::parse)
        .ok_or("no readable To")?;
    let call_id = headers
        .text("Call-ID")
        .filter(|c| !c.is_empty())
        .ok_or("no Call-ID")?;
    let cseq = headers
        .first("CSeq")
        .and_then(|v| WireCSeq::decode(v).ok())
        .ok_or("no readable CSeq")?;
    Ok(Essentials {
        via,
        from,
        to,
        call_id,
        cseq: cseq.sequence,
        cseq_method: Method::from_token(&cseq.method.to_string()),
    })
}

/// The topmost Via of a header value. Leniently read it is good enough to say "400" to.
fn via(value: &[u8], is_lenient: bool) -> Option<Via> {
    let top = super::address::split(value, b',').into_iter().next()?;
    let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
    if let Ok(via) = WireVia::parse_one(top) {
        let (host, _) = host_port(&text(&via.host.to_bytes()))?;
        return Some(Via {
            transport: text(&via.transport).to_ascii_uppercase(),
            host,
            port: via.port,
            branch: via.branch().map(text).filter(|b| !b.is_empty()),
            rport: via.rport().is_some(),
        });
    }
    if !is_lenient {
        return None;
    }
    let params = super::address::params(top);
    let (protocol, sent_by) = params.first()?.0.split_once(' ')?;
    let (host, port) = host_port(sent_by)?;
    Some(Via {
        transport: protocol.rsplit('/').next()?.to_ascii_uppercase(),
        host,
        port,
        branch: super::address::find(&params, "branch").cloned().flatten(),
        rport: super::address::find(&params, "rport").is_some(),
    })
}

/// Whether one of our own branches stands among the Vias: the request went round in a circle.
#[must_use]
pub fn has_via_branch(headers: &Headers, is_ours: impl Fn(&str) -> bool) -> bool {
    headers.list("Via").into_iter().any(|value| {
        WireVia::parse_one(value)
            .ok()
            .and_then(|v| v.branch().map(|b| is_ours(&String::from_utf8_lossy(b))))
            .unwrap_or(false)
    })
}

/// The long name of a header, for profiles that name one.
#[must_use]
pub fn long_name(name: &str) -> String {
    let name = HeaderName::parse(&Bytes::copy_from_slice(name.as_bytes()));
    String::from_utf8_lossy(name.canonical()).into_owned()
}
