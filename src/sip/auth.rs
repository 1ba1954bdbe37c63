//! Digest authentication, server side (RFC 7616, RFC 8760): MD5 and SHA-256, `qop=auth`.
//!
//! Nonces carry their time and a keyed seal, so only the highest `nc` of those in use is remembered (bounded). An
//! unknown user is checked against a made-up secret: same work, same answer.
//!
//! What is offered is configuration, since phones exist (libre before 2.0) that give up on a challenge with an algorithm they
//! do not know, even beside one they do.

use std::collections::BTreeMap;

use md5::Md5;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::address;
use super::random::{Random, hex};
use crate::time::Timestamp;

/// A nonce is good for this long; after it a right answer gets `stale=true`.
const NONCE_SECS: i64 = 300;
/// Nonces whose count is remembered; the oldest is forgotten first and then counts as stale.
const NONCES_MAX: usize = 4096;

/// Algorithms offered, best first.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    Md5,
}

impl Algorithm {
    /// All that can be verified, best first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
        }
    }
}

/// What a credential header turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This user knows the secret.
    Known(String),
    /// Right answer to an old nonce: challenge again with `stale=true`.
    Stale,
    /// Wrong, or unreadable.
    Wrong,
}

/// Issues challenges and checks answers.
pub struct Digest {
    realm: String,
    offered: Vec<Algorithm>,
    /// Seals nonces; another secret than that of tags.
    seal: Random,
    /// Highest `nc` seen, by nonce; nonces sort by time.
    counts: BTreeMap<String, u32>,
}

impl Digest {
    /// For one realm; challenges name the algorithms of `offered`, answers may use any.
    #[must_use]
    pub fn new(realm: &str, seed: [u8; 32], offered: &[Algorithm]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"nonce");
        hash.update(seed);
        Self {
            realm: realm.to_owned(),
            offered: offered.to_vec(),
            seal: Random::new(hash.finalize().into()),
            counts: BTreeMap::new(),
        }
    }

    /// The values of `WWW-Authenticate` or `Proxy-Authenticate`, one per algorithm offered.
    #[must_use]
    pub fn challenge(&self, now: Timestamp, stale: bool) -> Vec<String> {
        let time = format!("{:016x}", now.as_micros());
        let nonce = format!("{time}{}", self.seal.seal(&time));
        let stale = if stale { ", stale=true" } else { "" };
        self.offered
            .iter()
            .map(|a| {
                format!(
                    "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                    self.realm,
                    a.name()
                )
            })
            .collect()
    }

    /// Checks the value of `Authorization` or `Proxy-Authorization` for a request of `method`. `secret_of` gives the
    /// secret of a user.
    pub fn verify(
        &mut self,
        now: Timestamp,
        value: &[u8],
        method: &str,
        secret_of: impl Fn(&str) -> Option<String>,
    ) -> Verdict {
        let Some(credentials) = Credentials::parse(value) else {
            return Verdict::Wrong;
        };
        let secret = secret_of(&credentials.username);
        let known = secret.is_some();
        let secret = secret.unwrap_or_else(|| self.seal.seal(&credentials.username));
        let expected = credentials.response_for(&secret, method);
        let equal: bool = expected
            .as_bytes()
            .ct_eq(credentials.response.to_ascii_lowercase().as_bytes())
            .into();
        if !(equal & known & (credentials.realm == self.realm)) {
            return Verdict::Wrong;
        }
        if self.is_fresh(now, &credentials) {
            Verdict::Known(credentials.username)
        } else {
            Verdict::Stale
        }
    }

    /// Whether the nonce is ours, young, and its count is new.
    fn is_fresh(&mut self, now: Timestamp, credentials: &Credentials) -> bool {
        let Some((time, seal)) = credentials.nonce.split_at_checked(16) else {
            return false;
        };
        let made = i64::from_str_radix(time, 16).unwrap_or(0);
        let age = now.as_micros().saturating_sub(made);
        let sealed: bool = self
            .seal
            .seal(time)
            .as_bytes()
            .ct_eq(seal.as_bytes())
            .into();
        if !sealed || !(0..=NONCE_SECS * 1_000_000).contains(&age) {
            return false;
        }
        let seen = self.counts.get(&credentials.nonce).copied();
        // Without qop there is no count: each nonce is good once.
        let count = credentials.nc.unwrap_or(1);
        if seen.is_some_and(|s| count <= s) {
            return false;
        }
        self.counts.insert(credentials.nonce.clone(), count);
        while self.counts.len() > NONCES_MAX {
            self.counts.pop_first();
        }
        true
    }
}

/// The parts of a credential header.
struct Credentials {
    username: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    cnonce: String,
    nc: Option<u32>,
    nc_text: String,
}

impl Credentials {
    fn parse(value: &[u8]) -> Option<Self> {
        let rest = value.trim_ascii();
        let (scheme, rest) = rest.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"Digest ") {
            return None;
        }
        let params: Vec<_> = address::split(rest, b',')
            .into_iter()
            .flat_map(address::params)
            .collect();
        let get = |name: &str| address::find(&params, name).cloned().flatten();
        let algorithm = match get("algorithm").map(|a| a.to_ascii_uppercase()).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop = get("qop").map(|q| q.to_ascii_lowercase());
        let nc_text = get("nc").unwrap_or_default();
        let nc = match qop.as_deref() {
            None => None,
            Some("auth") => Some(u32::from_str_radix(&nc_text, 16).ok()?),
            Some(_) => return None,
        };
        Some(Self {
            username: get("username")?,
            realm: get("realm")?,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?,
            algorithm,
            cnonce: get("cnonce").unwrap_or_default(),
            nc,
            nc_text,
        })
    }

    /// RFC 7616 3.4.1; without qop the form of RFC 2069.
    fn response_for(&self, secret: &str, method: &str) -> String {
        let h = |text: String| self.algorithm.hash(&text);
        let a1 = h(format!("{}:{}:{secret}", self.username, self.realm));
        let a2 = h(format!("{method}:{}", self.uri));
        if self.nc.is_some() {
            h(format!(
                "{a1}:{}:{}:{}:auth:{a2}",
                self.nonce, self.nc_text, self.cnonce
            ))
        } else {
            h(format!("{a1}:{}:{a2}", self.nonce))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 section 3.9.1, user Mufasa, secret "Circle of Life".
    #[test]
    fn the_answers_of_rfc_7616_are_computed() {
        let of = |algorithm: &str, response: &str| {
            let value = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\""
            );
            let credentials = Credentials::parse(value.as_bytes()).unwrap();
            assert_eq!(credentials.response_for("Circle of Life", "GET"), response);
        };
        of("MD5", "8ca523f5e9506fed4657c9700eebdbec");
        of(
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        );
    }

    fn answer(challenge: &str, user: &str, secret: &str, nc: u32) -> Vec<u8> {
        let params: Vec<_> =
            address::split(challenge.strip_prefix("Digest ").unwrap().as_bytes(), b',')
                .into_iter()
                .flat_map(address::params)
                .collect();
        let get = |n: &str| address::find(&params, n).cloned().flatten().unwrap();
        let mut c = Credentials {
            username: user.into(),
            realm: get("realm"),
            nonce: get("nonce"),
            uri: "sip:h".into(),
            response: String::new(),
            algorithm: if get("algorithm") == "MD5" {
                Algorithm::Md5
            } else {
                Algorithm::Sha256
            },
            cnonce: "c".into(),
            nc: Some(nc),
            nc_text: format!("{nc:08x}"),
        };
        c.response = c.response_for(secret, "REGISTER");
        format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"sip:h\", algorithm={}, qop=auth, nc={}, cnonce=\"c\", response=\"{}\"",
            c.username, c.realm, c.nonce, c.algorithm.name(), c.nc_text, c.response
        )
        .into_bytes()
    }

    #[test]
    fn a_nonce_is_good_once_per_count_and_for_five_minutes() {
        let mut digest = Digest::new("120", [7; 32], &Algorithm::ALL);
        let secret = |user: &str| (user == "801").then(|| String::from("s"));
        let now = Timestamp::from_micros(1_763_778_000_000_000);
        for challenge in digest.challenge(now, false) {
            assert_eq!(
                digest.verify(now, &answer(&challenge, "802", "s", 9), "REGISTER", secret),
                Verdict::Wrong
            );
            assert_eq!(
                digest.verify(
                    now,
                    &answer(&challenge, "801", "wrong", 9),
                    "REGISTER",
                    secret
                ),
                Verdict::Wrong
            );
        }
        let challenge = &digest.challenge(now, false)[0];
        let good = answer(challenge, "801", "s", 1);
        assert_eq!(
            digest.verify(now, &good, "REGISTER", secret),
            Verdict::Known("801".into())
        );
        assert_eq!(
            digest.verify(now, &good, "REGISTER", secret),
            Verdict::Stale
        );
        assert_eq!(
            digest.verify(now, &answer(challenge, "801", "s", 2), "REGISTER", secret),
            Verdict::Known("801".into())
        );
        let later = Timestamp::from_micros(now.as_micros() + 301_000_000);
        assert_eq!(
            digest.verify(later, &answer(challenge, "801", "s", 3), "REGISTER", secret),
            Verdict::Stale
        );
        assert_eq!(
            digest.verify(now, b"Basic abc", "REGISTER", secret),
            Verdict::Wrong
        );
        assert_eq!(
            digest.verify(now, b"Digest", "REGISTER", secret),
            Verdict::Wrong
        );
    }
}
