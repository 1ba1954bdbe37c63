//! How one kind of far side wants its SIP: number format, headers, codecs, timers. One TOML file each in
//! `sip-profiles/`, keys as the fields below, every key optional, unknown keys refused. Pure data and the few
//! functions that turn a number into what stands on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::media::session::Codec;
use crate::phone::{self, DialForm};

/// The profiles that come with Firstring, by name: the files of `sip-profiles/` as they were at build time.
pub const SHIPPED: [(&str, &str); 6] = [
    (
        "generic-ims",
        include_str!("../../sip-profiles/generic-ims.toml"),
    ),
    ("ct", include_str!("../../sip-profiles/ct.toml")),
    ("cmcc", include_str!("../../sip-profiles/cmcc.toml")),
    ("cucc", include_str!("../../sip-profiles/cucc.toml")),
    (
        "seat-softphone",
        include_str!("../../sip-profiles/seat-softphone.toml"),
    ),
    (
        "one-button-intercom",
        include_str!("../../sip-profiles/one-button-intercom.toml"),
    ),
];

/// Longest number that never gets a prefix: 110, 12345, 95598, seats.
const SHORT_CODE_DIGITS_MAX: usize = 6;

/// Wishes of a kind of far side (a carrier's network, a softphone, an intercom).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// For people.
    pub description: String,
    /// How a number of ours is written in outbound Request-URI, To, From and P-Asserted-Identity.
    pub number_format: NumberFormat,
    /// Area code with its 0 (`0755`) of numbers dialled without one; they stay as dialled when it is empty.
    pub area_code: String,
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
    /// Added to an INVITE whose phone may pick up by itself, because the person at it asked for the call.
    pub auto_answer: BTreeMap<String, String>,
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
    /// As `National`, mobiles with a 0 before them (`013812345678`): older exchanges, mobiles of other areas.
    NationalMobileZero,
    /// As `National`, numbers of our own area without area code: `12345678`.
    Local,
}

/// Scheme of a Request-URI.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// `sip:+8675512345678@host`.
    #[default]
    Sip,
    /// `tel:+8675512345678`.
    Tel,
}

/// A codec as written in a profile.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodecName {
    /// G.711 A-law.
    Pcma,
    /// G.711 mu-law.
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
            area_code: String::new(),
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
            auto_answer: BTreeMap::new(),
        }
    }
}

/// Why a profile is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A fault of a file and its line, counted from 1.
    #[error("line {line}: {fault}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        fault: Box<ProfileError>,
    },
    /// No TOML, an unknown key, or a value of the wrong kind.
    #[error("{reason}")]
    Unreadable {
        /// In the words of the TOML reader.
        reason: String,
    },
    /// Not the shape of a Chinese area code.
    #[error(
        "area_code is {got:?}: use \"\" or an area code with its 0, such as \"010\" or \"0755\""
    )]
    AreaCode {
        /// As written.
        got: String,
    },
    /// No codec to offer.
    #[error("codecs is empty: name at least one of pcma, pcmu")]
    NoCodec,
    /// A packet time that no G.711 endpoint uses.
    #[error("ptime_ms is {got}: use 10, 20, 30, 40 or 60")]
    PacketTime {
        /// As written, in ms.
        got: u16,
    },
    /// Below RFC 4028's floor.
    #[error("session_expires_s is {got}: use 0 (off) or 90 to 86400")]
    SessionExpires {
        /// As written, in seconds.
        got: u32,
    },
    /// A header that would break the message.
    #[error("header {name}: names and values must be printable and on one line")]
    Header {
        /// The header's name.
        name: String,
    },
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
            auto_answer: BTreeMap::from([
                (
                    String::from("Alert-Info"),
                    String::from("<http://localhost>;info=alert-autoanswer;delay=0"),
                ),
                (
                    String::from("Call-Info"),
                    String::from("<sip:localhost>;answer-after=0"),
                ),
            ]),
            ..Self::default()
        }
    }

    /// Reads a profile file and checks it.
    ///
    /// # Errors
    /// [`ProfileError::Line`]: where the fault stands and what it is.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            ProfileError::Line {
                line: before.map_or(1, |before| before.matches('\n').count() + 1),
                fault: Box::new(ProfileError::Unreadable {
                    reason: error.message().replace('\n', "; "),
                }),
            }
        })?;
        profile.check().map_err(|fault| ProfileError::Line {
            line: line_of(text, fault.key()),
            fault: Box::new(fault),
        })?;
        Ok(profile)
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
        let code = self.area_code.strip_prefix('0').unwrap_or_default();
        let digits = code.bytes().all(|b| b.is_ascii_digit()) && !code.starts_with('0');
        let is_code = digits && (2..=3).contains(&code.len());
        if !self.area_code.is_empty() && !is_code {
            return Err(ProfileError::AreaCode {
                got: self.area_code.clone(),
            });
        }
        if self.session_expires_s != 0 && !(90..=86_400).contains(&self.session_expires_s) {
            return Err(ProfileError::SessionExpires {
                got: self.session_expires_s,
            });
        }
        for (name, value) in self.headers.iter().chain(&self.auto_answer) {
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

    /// `number` as this far side wants it, with the profile's own area code.
    #[must_use]
    pub fn number(&self, number: &str) -> String {
        self.outbound_number(number, &self.area_code)
    }

    /// `number` as this far side wants it, seen from `area_code` (`0755`, or empty). Short codes (110, 95598, 801) and
    /// whatever the number plan does not know are left as dialled.
    #[must_use]
    pub fn outbound_number(&self, number: &str, area_code: &str) -> String {
        let dialled = dialable(number);
        let form = match self.number_format {
            NumberFormat::AsDialled => return dialled,
            NumberFormat::PlusE164 | NumberFormat::E164 => DialForm::E164,
            NumberFormat::National => DialForm::National,
            NumberFormat::NationalMobileZero => DialForm::NationalMobileZero,
            NumberFormat::Local => DialForm::Local,
        };
        if dialled.len() <= SHORT_CODE_DIGITS_MAX {
            return dialled;
        }
        let Some(written) = phone::parse(number, area_code, false).dial(form, area_code) else {
            return dialled;
        };
        match self.number_format {
            NumberFormat::E164 => written.strip_prefix('+').unwrap_or(&written).to_owned(),
            NumberFormat::AsDialled
            | NumberFormat::PlusE164
            | NumberFormat::National
            | NumberFormat::NationalMobileZero
            | NumberFormat::Local => dialable(&written),
        }
    }
}

/// What of a text can be dialled.
fn dialable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#'))
        .collect()
}

/// The line of a key, counted from 1.
fn line_of(text: &str, key: &str) -> usize {
    let found = text.lines().position(|line| {
        let rest = line.trim_start().trim_start_matches('[').strip_prefix(key);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    found.map_or(1, |index| index + 1)
}

impl ProfileError {
    /// The key it is about.
    fn key(&self) -> &str {
        match self {
            Self::Line { fault, .. } => fault.key(),
            Self::Unreadable { .. } => "",
            Self::AreaCode { .. } => "area_code",
            Self::NoCodec => "codecs",
            Self::PacketTime { .. } => "ptime_ms",
            Self::SessionExpires { .. } => "session_expires_s",
            Self::Header { .. } => "headers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number_format: NumberFormat, number: &str) -> String {
        let profile = Profile {
            number_format,
            ..Profile::default()
        };
        profile.outbound_number(number, "0755")
    }

    #[test]
    fn numbers_are_written_as_the_carrier_wants_them() {
        use NumberFormat::{AsDialled, E164, Local, National, NationalMobileZero, PlusE164};
        for (format, number, wanted) in [
            (PlusE164, "13812345678", "+8613812345678"),
            (PlusE164, "075588345678", "+8675588345678"),
            (PlusE164, "88345678", "+8675588345678"),
            (PlusE164, "010-6234 5678", "+861062345678"),
            (PlusE164, "0085223456789", "+85223456789"),
            (National, "+8675588345678", "075588345678"),
            (National, "8613812345678", "13812345678"),
            (National, "+85223456789", "0085223456789"),
            (NationalMobileZero, "13812345678", "013812345678"),
            (NationalMobileZero, "+8675588345678", "075588345678"),
            (Local, "0755-88345678", "88345678"),
            (Local, "01062345678", "01062345678"),
            (Local, "013812345678", "13812345678"),
            (E164, "0755-8834 5678", "8675588345678"),
            (AsDialled, "0755-8834 5678", "075588345678"),
            (AsDialled, "9,013812345678", "9013812345678"),
        ] {
            assert_eq!(of(format, number), wanted, "{format:?} {number}");
        }
        for format in [
            AsDialled,
            PlusE164,
            E164,
            National,
            NationalMobileZero,
            Local,
        ] {
            for short in ["110", "119", "12345", "95598", "801", "*21#"] {
                assert_eq!(of(format, short), short, "{format:?}");
            }
        }
        let nowhere = Profile {
            number_format: PlusE164,
            ..Profile::default()
        };
        assert_eq!(nowhere.number("88345678"), "88345678");
    }

    #[test]
    fn every_shipped_profile_is_usable_and_explains_each_key_in_both_languages() {
        let toml = toml::Value::try_from(Profile::default()).expect("a table");
        let keys: Vec<&String> = toml.as_table().expect("a table").keys().collect();
        for (name, text) in SHIPPED {
            let profile = Profile::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!profile.description.is_empty(), "{name}");
            for key in &keys {
                let line = line_of(text, key);
                let (before, rest) = (line.checked_sub(2), text.lines().nth(line - 1));
                assert!(
                    rest.is_some_and(|l| l.contains(key.as_str())),
                    "{name}: {key}"
                );
                let comment = before.and_then(|n| text.lines().nth(n)).unwrap_or_default();
                let chinese = comment
                    .chars()
                    .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
                let english = comment.split_whitespace().filter(|w| w.is_ascii()).count() >= 3;
                assert!(
                    comment.starts_with('#') && chinese && english,
                    "{name}: {key} is not explained: {comment:?}"
                );
            }
        }
    }

    #[test]
    fn the_shipped_softphone_is_the_one_used_without_a_file() {
        let (_, text) = SHIPPED
            .iter()
            .find(|(name, _)| *name == "seat-softphone")
            .expect("shipped");
        let mut profile = Profile::parse(text).expect("usable");
        profile.description = Profile::softphone().description;
        assert_eq!(profile, Profile::softphone());
    }

    #[test]
    fn a_faulty_profile_is_refused_with_its_line() {
        for (text, wanted) in [
            (
                "ptime_ms = 20\ncodec = [\"pcma\"]\n",
                "line 2: unknown field `codec`",
            ),
            (
                "codecs = [\"pcma\", \"amr\"]\n",
                "line 1: unknown variant `amr`",
            ),
            ("\nuser_phone = 1\n", "line 2: invalid type"),
            ("\n\nptime_ms = 25\n", "line 3: ptime_ms is 25"),
            ("codecs = []\n", "line 1: codecs is empty"),
            (
                "#\nsession_expires_s = 30\n",
                "line 2: session_expires_s is 30",
            ),
            ("area_code = \"755\"\n", "line 1: area_code is \"755\""),
            (
                "ptime_ms = 20\n[headers]\nX-A = \"b\\r\\nEvil: y\"\n",
                "line 2: header X-A",
            ),
            ("codecs = [\n", "line "),
        ] {
            let error = Profile::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(wanted), "{text:?} gives {error:?}");
        }
        assert_eq!(Profile::parse(""), Ok(Profile::default()));
    }
}
