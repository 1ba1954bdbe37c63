//! From when until when a certificate is good: the one part of X.509 (RFC 5280, 4.1.2.5) that no crate here reads. Refuses to know whom it
//! names and who issued it; that is rustls's work.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since 1970.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: i64,
    pub(super) until: i64,
}

/// Of the first certificate in a PEM file.
pub(super) fn validity(path: &Path) -> Option<Validity> {
    let first = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
    of_der(&first)
}

/// Certificate -> tbsCertificate -> (version) serial, algorithm, issuer, validity.
fn of_der(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        (_, rest) = take_any(rest)?;
    }
    for _ in ["serial", "algorithm", "issuer"] {
        (_, rest) = take_any(rest)?;
    }
    let (dates, _) = take(rest, SEQUENCE)?;
    let (from, dates) = take_time(dates)?;
    let (until, _) = take_time(dates)?;
    Some(Validity { from, until })
}

fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    if bytes.first() != Some(&tag) {
        return None;
    }
    take_any(bytes)
}

/// The content of the first element, and what follows it.
fn take_any(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = bytes.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let count = length - 0x80;
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        length = digits
            .iter()
            .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        rest = after;
    }
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ` (to 2049) or `YYYYMMDDHHMMSSZ`.
fn take_time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let tag = *bytes.first()?;
    let (text, rest) = take_any(bytes)?;
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        UTC_TIME => {
            let century = if text < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some((zoned.timestamp().as_second(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn dates_of_both_forms_are_read() {
        let der = made((1999, 12, 31), (2051, 3, 1));
        let found = of_der(&der).unwrap();
        assert_eq!((found.from, found.until), (946_598_400, 2_561_241_600));
    }

    #[test]
    fn a_cut_or_changed_certificate_is_no_reason_to_panic() {
        let der = made((2026, 1, 1), (2027, 1, 1));
        for length in 0..der.len() {
            let _ = of_der(&der[..length]);
        }
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 0xFF;
            let _ = of_der(&changed);
        }
    }
}
