//! Bodies of requests: finds the session description and the location documents in a body that may be
//! `multipart/mixed` of multiparts (RFC 2046, RFC 5621). Bounded in depth and parts; what is broken is left out.

use super::message::Headers;
use crate::limits::PIDF_BYTES_MAX;

/// Multipart levels that are followed.
const DEPTH_MAX: usize = 4;
/// Parts that are looked at, all levels together.
const PARTS_MAX: usize = 32;

/// What a body held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The first `application/sdp`.
    pub sdp: Option<String>,
    /// Every `application/pidf+xml`.
    pub pidf: Vec<String>,
    /// A part of a kind we do not know that its sender did not mark optional (RFC 3261 section 8.2.3).
    pub unknown: bool,
}

/// Looks through the body of a message.
#[must_use]
pub fn find(headers: &Headers, body: &[u8]) -> Found {
    let mut found = Found::default();
    if body.is_empty() {
        return found;
    }
    let kind = headers.text("Content-Type").unwrap_or_default();
    let optional = headers
        .text("Content-Disposition")
        .is_some_and(|d| d.to_ascii_lowercase().contains("handling=optional"));
    let mut left = PARTS_MAX;
    part(&kind, optional, body, 0, &mut left, &mut found);
    found
}

fn part(
    kind: &str,
    optional: bool,
    body: &[u8],
    depth: usize,
    left: &mut usize,
    found: &mut Found,
) {
    let Some(fewer) = left.checked_sub(1) else {
        return;
    };
    *left = fewer;
    let media_type = kind
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match media_type.as_str() {
        "application/sdp" => {
            found
                .sdp
                .get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
        }
        "application/pidf+xml" if body.len() <= PIDF_BYTES_MAX => {
            found.pidf.push(String::from_utf8_lossy(body).into_owned());
        }
        "application/pidf+xml" => {}
        multipart if multipart.starts_with("multipart/") => {
            if depth < DEPTH_MAX
                && let Some(boundary) = boundary(kind)
            {
                for (kind, optional, body) in parts(body, &boundary).into_iter().take(PARTS_MAX) {
                    part(&kind, optional, body, depth + 1, left, found);
                }
            }
        }
        // Some carriers leave the type out; a session description shows itself.
        "" if body.starts_with(b"v=0") => {
            found
                .sdp
                .get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
        }
        other => {
            let known = other.starts_with("text/")
                || other.starts_with("application/vnd.")
                || other == "application/isup";
            found.unknown |= depth == 0 && !optional && !known;
        }
    }
}

/// The `boundary` parameter.
fn boundary(kind: &str) -> Option<String> {
    let params = super::address::params(kind.split_once(';')?.1.as_bytes());
    let boundary = super::address::find(&params, "boundary")?.clone()?;
    (!boundary.is_empty() && boundary.len() <= 70).then_some(boundary)
}

/// Type, optional handling and content of each part.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<(String, bool, &'a [u8])> {
    let delimiter = format!("--{boundary}");
    let mut out = Vec::new();
    let mut rest = body;
    let Some(first) = position(rest, delimiter.as_bytes()) else {
        return out;
    };
    rest = rest.get(first + delimiter.len()..).unwrap_or_default();
    while out.len() < PARTS_MAX && !rest.starts_with(b"--") {
        let end = position(rest, delimiter.as_bytes()).unwrap_or(rest.len());
        let inner = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + delimiter.len()..).unwrap_or(b"--");
        let inner = skip_line(inner);
        let (head, content) = split_head(inner);
        let mut kind = String::from("text/plain");
        let mut optional = false;
        for line in String::from_utf8_lossy(head).lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("c") {
                kind = value.trim().to_owned();
            } else if name.eq_ignore_ascii_case("content-disposition") {
                optional = value.to_ascii_lowercase().contains("handling=optional");
            }
        }
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        out.push((
            kind,
            optional,
            content.strip_suffix(b"\r").unwrap_or(content),
        ));
    }
    out
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn skip_line(bytes: &[u8]) -> &[u8] {
    bytes
        .iter()
        .position(|b| *b == b'\n')
        .and_then(|at| bytes.get(at + 1..))
        .unwrap_or_default()
}

/// Headers and content of a part; a part that starts with an empty line has no headers.
fn split_head(part: &[u8]) -> (&[u8], &[u8]) {
    for gap in [&b"\r\n\r\n"[..], b"\n\n"] {
        if part.starts_with(gap.get(gap.len() / 2..).unwrap_or_default()) {
            return (&[], skip_line(part));
        }
        if let Some(at) = position(part, gap) {
            return (
                part.get(..at).unwrap_or_default(),
                part.get(at + gap.len()..).unwrap_or_default(),
            );
        }
    }
    (part, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, body: &str) -> Found {
        let mut headers = Headers::default();
        headers.push("Content-Type", kind);
        find(&headers, body.as_bytes())
    }

    #[test]
    fn session_and_location_are_found_in_nested_multiparts() {
        let inner = "--in\r\nContent-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n<presence/>\r\n--in--\r\n";
        let body = format!(
            "preamble\r\n--out\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 8\r\n\r\n--out\r\nContent-Type: multipart/mixed;boundary=\"in\"\r\n\r\n{inner}\r\n--out--\r\n"
        );
        let found = of("multipart/mixed; boundary=out", &body);
        assert_eq!(found.sdp.as_deref(), Some("v=0\r\nm=audio 1 RTP/AVP 8\r\n"));
        assert_eq!(found.pidf, ["<presence/>"]);
        assert!(!found.unknown);
    }

    #[test]
    fn a_thousand_parts_and_two_hundred_levels_end_quickly() {
        let many = "--b\r\nContent-Type: application/sdp\r\n\r\nx\r\n".repeat(1000);
        assert_eq!(
            of("multipart/mixed;boundary=b", &many).sdp.as_deref(),
            Some("x")
        );
        let mut deep = String::from("v=0");
        for n in 0..200 {
            deep = format!(
                "--b{n}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n{deep}\r\n--b{n}--",
                n - 1
            );
        }
        assert_eq!(of("multipart/mixed;boundary=b199", &deep).sdp, None);
        assert_eq!(of("multipart/mixed;boundary=b", "--b--"), Found::default());
        assert!(of("application/unknownformat", "?").unknown);
    }
}
