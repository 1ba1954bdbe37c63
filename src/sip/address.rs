//! Addresses, URIs and Via values as data, read leniently from bytes (RFC 3261 section 20 and 25, RFC 3966).
//!
//! Nothing here decides whether a call is taken: what cannot be read is `None`, and the reader goes on with less.
//! Display names in GB18030 or other encodings become lossy UTF-8; bytes that must be echoed are echoed from the
//! raw header, never from here.

use std::net::{IpAddr, SocketAddr};

/// One parameter: name in lower case, value unquoted.
pub type Param = (String, Option<String>);

/// A `From`, `To`, `Contact`, `Route` or identity value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Display name, unquoted.
    pub name: Option<String>,
    /// The URI as it stood.
    pub uri: String,
    /// Header parameters, outside the angle brackets.
    pub params: Vec<Param>,
}

impl Address {
    /// Reads one value. `None` for an unterminated quote or bracket, or without a URI.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (name, rest) = if value.first() == Some(&b'"') {
            let end = quote_end(value)?;
            let inner = value.get(1..end.checked_sub(1)?)?;
            (Some(unescape(inner)), value.get(end..)?.trim_ascii())
        } else {
            (None, value)
        };
        let (before, uri, tail) = match rest.iter().position(|b| *b == b'<') {
            Some(open) => {
                let inner = rest.get(open + 1..)?;
                let close = inner.iter().position(|b| *b == b'>')?;
                (
                    rest.get(..open)?,
                    inner.get(..close)?,
                    inner.get(close + 1..)?,
                )
            }
            None => {
                let end = rest.iter().position(|b| *b == b';').unwrap_or(rest.len());
                (&[][..], rest.get(..end)?, rest.get(end..)?)
            }
        };
        let before = String::from_utf8_lossy(before.trim_ascii()).into_owned();
        let uri = String::from_utf8_lossy(uri.trim_ascii()).into_owned();
        if uri.is_empty() || !uri.contains(':') {
            return None;
        }
        Some(Self {
            name: name.or(Some(before)).filter(|n| !n.is_empty()),
            uri,
            params: params(tail),
        })
    }

    /// The value of a header parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name).and_then(|v| v.as_deref())
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|t| !t.is_empty())
    }

    /// The address without header parameters and display name, as it goes into our own headers.
    #[must_use]
    pub fn bare(&self) -> String {
        format!("<{}>", self.uri.replace(['<', '>'], ""))
    }
}

/// The value of a parameter: `Some(None)` when it stands without one.
#[must_use]
pub fn find<'a>(params: &'a [Param], name: &str) -> Option<&'a Option<String>> {
    params
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v)
}

/// A URI taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// Lower case: `sip`, `sips`, `tel`, `urn`, ...
    pub scheme: String,
    /// User part, percent-decoded, with its parameters (`120;phone-context=+86755`). For `tel:` the whole number part.
    pub user: Option<String>,
    /// Host without brackets; empty for `tel:` and `urn:`.
    pub host: String,
    /// Port, if stated.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Vec<Param>,
}

impl Uri {
    /// Reads a URI. `None` without a scheme, or when a SIP URI has no host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme.is_empty()
            || !scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        {
            return None;
        }
        if scheme != "sip" && scheme != "sips" {
            let user = Some(percent_decode(rest));
            return Some(Self {
                scheme,
                user,
                ..Self::default()
            });
        }
        let rest = rest.split('?').next().unwrap_or(rest);
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user.split_once(':').map_or(user, |(u, _)| u)), rest),
            None => (None, rest),
        };
        let (hostport, tail) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = host_port(hostport)?;
        Some(Self {
            scheme,
            user: user.map(percent_decode),
            host,
            port,
            params: params(tail.as_bytes()),
        })
    }

    /// The value of a URI parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name).and_then(|v| v.as_deref())
    }

    /// The number or name: the user without its parameters and visual separators stay as they stood.
    #[must_use]
    pub fn number(&self) -> &str {
        let user = self.user.as_deref().unwrap_or("");
        user.split(';').next().unwrap_or(user)
    }

    /// Where to send to, when the host is an address and not a name (names are never resolved in the call path).
    #[must_use]
    pub fn socket(&self, default_port: u16) -> Option<SocketAddr> {
        let host = self.param("maddr").unwrap_or(&self.host);
        let ip: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
        Some(SocketAddr::new(ip, self.port.unwrap_or(default_port)))
    }
}

/// The topmost Via of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, ...
    pub transport: String,
    /// Host without brackets.
    pub host: String,
    /// Port, if stated.
    pub port: Option<u16>,
    /// Names the transaction when it starts with `z9hG4bK`.
    pub branch: Option<String>,
    /// RFC 3581: answers go to the source port.
    pub rport: bool,
}

/// Splits `host:port`, `[v6]:port`; a bare IPv6 address is taken whole.
#[must_use]
pub fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        let port = rest.strip_prefix(':').map(str::parse).transpose().ok()?;
        return Some((host.to_owned(), port)).filter(|(h, _)| !h.is_empty());
    }
    match text.matches(':').count() {
        0 => Some((text.to_owned(), None)),
        1 => {
            let (host, port) = text.split_once(':')?;
            Some((host.to_owned(), Some(port.trim().parse().ok()?)))
        }
        _ => Some((text.to_owned(), None)),
    }
    .filter(|(host, _)| !host.is_empty())
}

/// A host as it stands in a URI or Via: IPv6 in brackets.
#[must_use]
pub fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Reads `;a=b;c;d="e"`.
#[must_use]
pub fn params(tail: &[u8]) -> Vec<Param> {
    split(tail, b';')
        .into_iter()
        .filter_map(|part| {
            let part = part.trim_ascii();
            let equals = part.iter().position(|b| *b == b'=');
            let (name, value) = match equals {
                Some(at) => (part.get(..at)?, Some(part.get(at + 1..)?.trim_ascii())),
                None => (part, None),
            };
            let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
            if name.is_empty() {
                return None;
            }
            Some((name, value.map(unquote)))
        })
        .collect()
}

/// Splits at `separator` outside quotes and angle brackets.
#[must_use]
pub fn split(value: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut angle, mut escaped) = (0, false, false, false);
    for (at, byte) in value.iter().copied().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if byte == b'"' {
            quoted = true;
        } else if byte == b'<' {
            angle = true;
        } else if byte == b'>' {
            angle = false;
        } else if byte == separator && !angle {
            parts.push(value.get(start..at).unwrap_or_default());
            start = at + 1;
        }
    }
    parts.push(value.get(start..).unwrap_or_default());
    parts
}

/// The index behind the quoted string that `value` starts with.
fn quote_end(value: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in value.iter().copied().enumerate().skip(1) {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            return Some(at + 1);
        }
    }
    None
}

fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A parameter value without its quotes.
#[must_use]
pub fn unquote(value: &[u8]) -> String {
    match value {
        [b'"', inner @ .., b'"'] => unescape(inner),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let hex = |b: &u8| {
            char::from(*b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0));
                rest = after;
            }
            _ => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_carriers_and_phones_are_read() {
        let a = Address::parse(
            b"\"\\\"Zhang\\\" San\" <sip:+8613812345678@ims.example;user=phone>;tag=ab1",
        )
        .unwrap();
        assert_eq!(a.name.as_deref(), Some("\"Zhang\" San"));
        assert_eq!(a.tag(), Some("ab1"));
        assert_eq!(Uri::parse(&a.uri).unwrap().number(), "+8613812345678");
        let a = Address::parse("张三 <tel:13812345678;phone-context=+86>".as_bytes()).unwrap();
        assert_eq!(a.name.as_deref(), Some("张三"));
        assert_eq!(Uri::parse(&a.uri).unwrap().number(), "13812345678");
        let a = Address::parse(b"\"\xd5\xc5\xc8\xfd\" <sip:1@h>;tag=x").unwrap();
        assert!(a.name.is_some());
        let a = Address::parse(b"sip:c@d.net;tag=1").unwrap();
        assert_eq!((a.uri.as_str(), a.tag()), ("sip:c@d.net", Some("1")));
        assert!(Address::parse(b"\"unterminated <sip:a@b>").is_none());
        assert!(Address::parse(b"<sip:a@b").is_none());
    }

    #[test]
    fn uris_of_every_kind_give_their_number() {
        for (text, number, host) in [
            ("sip:120@10.0.0.1:5060;user=phone", "120", "10.0.0.1"),
            ("sip:120;phone-context=+86755@h", "120", "h"),
            ("sip:%31%32%30@[2001:db8::1]:5080", "120", "2001:db8::1"),
            ("tel:120;phone-context=+86755", "120", ""),
            ("urn:service:sos.ambulance", "service:sos.ambulance", ""),
            ("sips:+86755120:pw@h.example", "+86755120", "h.example"),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!((uri.number(), uri.host.as_str()), (number, host), "{text}");
        }
        let uri = Uri::parse("sip:a@[2001:db8::1]:5080").unwrap();
        assert_eq!(uri.socket(5060), "[2001:db8::1]:5080".parse().ok());
    }
}
