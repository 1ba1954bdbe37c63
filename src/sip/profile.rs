//! How one kind of far side wants its SIP: number format, headers, codecs, timers. One TOML file each in
//! `sip-profiles/`, keys as the fields below, every key optional, unknown keys refused. Pure data and the few
//! functions that turn a number into what stands on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::media::session::Codec;

/// Wishes of a kind of far side (a carrier's network, a softphone, an intercom).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// For people.
    pub description: String,
    /// How a number of ours is written in outbound Request-URI, To, From and P-Asserted-Identity.
    pub number_format: NumberFormat,
    /// Scheme of an outbound Request-URI and To.
    pub scheme: Scheme,
    /// Adds `;user=phone` to outbound SIP URIs that carry a number.
    pub user_phone: bool,
    /// Host in outbound From and P-Asserted-Identity; our advertised host when empty.
    pub from_host: String,
    /// Host in outbound Request-URI and To; the remote address when empty.
    pub to_host: String,
    /// Sends P-Asserted-Identity on outbound INVITEs.
    pub asserted_identity: bool,
    /// Codecs in order of preference: `pcma`, `pcmu`.
    pub codecs: Vec<CodecName>,
    /// Packet time we offer, ms: 10, 20, 30, 40 or 60.
    pub ptime_ms: u16,
    /// Offers and uses reliable provisional responses (RFC 3262). `Require: 100rel` is obeyed in any case.
    pub reliable_provisional: bool,
    /// Session-Expires of outbound INVITEs in seconds, at least 90 (RFC 4028); 0 = not offered.
    pub session_expires_s: u32,
    /// Requests inside a dialog go to the address its messages come from, whatever Contact says (NAT).
    pub symmetric: bool,
    /// Added to outbound INVITEs as they are.
    pub headers: BTreeMap<String, String>,
}

/// How a number is written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// As the seat dialled it.
    #[default]
    AsDialled,
    /// `+8675512345678`.
    PlusE164,
    /// `8675512345678`.
    E164,
    /// `075512345678`, mobiles bare.
    National,
}

/// Scheme of a Request-URI.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    #[default]
    Sip,
    Tel,
}

/// A codec as written in a profile.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodecName {
    Pcma,
    Pcmu,
}

impl From<CodecName> for Codec {
    fn from(name: CodecName) -> Self {
        match name {
            CodecName::Pcma => Self::Pcma,
            CodecName::Pcmu => Self::Pcmu,
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            description: String::new(),
            number_format: NumberFormat::AsDialled,
            scheme: Scheme::Sip,
            user_phone: false,
            from_host: String::new(),
            to_host: String::new(),
            asserted_identity: true,
            codecs: vec![CodecName::Pcma, CodecName::Pcmu],
            ptime_ms: 20,
            reliable_provisional: true,
            session_expires_s: 1800,
            symmetric: false,
            headers: BTreeMap::new(),
        }
    }
}

/// Why a profile is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No codec to offer.
    #[error("codecs is empty: name at least one of pcma, pcmu")]
    NoCodec,
    /// A packet time that no G.711 endpoint uses.
    #[error("ptime_ms is {got}: use 10, 20, 30, 40 or 60")]
    PacketTime { got: u16 },
    /// Below RFC 4028's floor.
    #[error("session_expires_s is {got}: use 0 (off) or 90 to 86400")]
    SessionExpires { got: u32 },
    /// A header that would break the message.
    #[error("header {name}: names and values must be printable and on one line")]
    Header { name: String },
}

impl Profile {
    /// A seat's softphone: behind NAT as a rule, plain numbers, ringing matters more than session timers.
    #[must_use]
    pub fn softphone() -> Self {
        Self {
            description: String::from("seat softphone"),
            asserted_identity: false,
            reliable_provisional: false,
            session_expires_s: 0,
            symmetric: true,
            ..Self::default()
        }
    }

    /// Checks what types alone cannot.
    ///
    /// # Errors
    /// [`ProfileError`] names the key, what it holds and what it may hold.
    pub fn check(&self) -> Result<(), ProfileError> {
        if self.codecs.is_empty() {
            return Err(ProfileError::NoCodec);
        }
        if ![10, 20, 30, 40, 60].contains(&self.ptime_ms) {
            return Err(ProfileError::PacketTime { got: self.ptime_ms });
        }
        if self.session_expires_s != 0 && !(90..=86_400).contains(&self.session_expires_s) {
            return Err(ProfileError::SessionExpires {
                got: self.session_expires_s,
            });
        }
        for (name, value) in &self.headers {
            let name_ok = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.!%*+`'~".contains(&b));
            if !name_ok || value.chars().any(char::is_control) {
                return Err(ProfileError::Header { name: name.clone() });
            }
        }
        Ok(())
    }

    /// `number` as this far side wants it. Numbers that are no full subscriber numbers (short codes, local
    /// numbers without an area code) are left as dialled.
    #[must_use]
    pub fn number(&self, number: &str) -> String {
        let dialled: String = number
            .chars()
            .filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#'))
            .collect();
        let Some(significant) = national_significant(&dialled) else {
            return dialled;
        };
        match self.number_format {
            NumberFormat::AsDialled => dialled,
            NumberFormat::PlusE164 => format!("+86{significant}"),
            NumberFormat::E164 => format!("86{significant}"),
            NumberFormat::National if is_mobile(significant) => significant.to_owned(),
            NumberFormat::National => format!("0{significant}"),
        }
    }
}

/// The national significant number of a Chinese subscriber number, if `dialled` is a whole one.
fn national_significant(dialled: &str) -> Option<&str> {
    let bare = dialled
        .strip_prefix("+86")
        .or_else(|| dialled.strip_prefix("0086"))
        .or_else(|| dialled.strip_prefix('0').filter(|n| !n.starts_with('0')))
        .or_else(|| dialled.strip_prefix("86").filter(|n| n.len() >= 10))
        .or_else(|| is_mobile(dialled).then_some(dialled))?;
    ((9..=11).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit())).then_some(bare)
}

fn is_mobile(number: &str) -> bool {
    number.len() == 11 && number.starts_with('1') && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_carrier_wants_them() {
        let of = |number_format, number: &str| {
            Profile {
                number_format,
                ..Profile::default()
            }
            .number(number)
        };
        assert_eq!(of(NumberFormat::PlusE164, "13812345678"), "+8613812345678");
        assert_eq!(of(NumberFormat::PlusE164, "075512345678"), "+8675512345678");
        assert_eq!(of(NumberFormat::National, "+8675512345678"), "075512345678");
        assert_eq!(of(NumberFormat::National, "8613812345678"), "13812345678");
        assert_eq!(of(NumberFormat::E164, "0755-1234 5678"), "8675512345678");
        for short in ["110", "95598", "82345678", "801"] {
            assert_eq!(of(NumberFormat::PlusE164, short), short);
        }
    }

    #[test]
    fn a_profile_with_a_line_break_in_a_header_is_refused() {
        let mut profile = Profile::default();
        assert_eq!(profile.check(), Ok(()));
        profile
            .headers
            .insert("X-Test".into(), "a\r\nEvil: yes".into());
        assert!(profile.check().is_err());
    }
}
