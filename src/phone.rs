//! China's number plan: one caller's number in raw, E.164 and display form. Pure; never refuses a number.
//!
//! Owns: what a carrier's From or P-Asserted-Identity text means (`tel:`/`sip:` remnants, `+86`, `0086`, `86`, trunk 0, IP
//! prefixes, numbers without an area code), which place an area code is, and how a number is dialled through a trunk.
//! Refuses to know: SIP, subscribers, whether a number exists. A text that fits nothing is [`NumberKind::Unknown`] with
//! its text as display; the call it came with goes on all the same.
//!
//! Sources: ITU-T E.164, RFC 3966 (`phone-context`), MIIT number plan (landline 010/02x + 8, 0xxx + 7-8; mobile
//! 1[3-9] + 9; machine-to-machine 1064x and 144x, 13 digits; services 95/96/400/800/1010; short codes).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Characters of a number shown to people; a longer text is cut.
const DISPLAY_CHARS_MAX: usize = 64;
/// Shared short codes that exist in every area: behind an area code they are one area's centre.
const AREA_SHORT_CODES: [&str; 6] = ["110", "119", "120", "122", "999", "12345"];
/// IP telephony prefixes that some switches leave in front of the caller's number.
const CALL_THROUGH_PREFIXES: [&str; 8] = [
    "17900", "17901", "17909", "17911", "17950", "17951", "12593", "10193",
];

/// A telephone number as it arrived and as people and systems want it. Shape: `caller.number` of `ecr/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// As the trunk sent it.
    pub raw: String,
    /// `+8613800138000`; absent when the plan cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e164: Option<String>,
    /// As people write it here: `13800138000`, `0755-88888888`, or the raw text.
    pub display: String,
    /// Withheld or unavailable.
    pub anonymous: bool,
    /// Whether we can ring back.
    pub callable: bool,
    /// What the plan says it is.
    pub kind: NumberKind,
}

/// What the number plan says a number is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberKind {
    Landline,
    Mobile,
    MachineToMachine,
    Service,
    Foreign,
    Unknown,
}

/// How a trunk wants a number dialled.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialForm {
    /// `+8613800138000`, `+8675588888888`.
    E164,
    /// `13800138000`, `075588888888`.
    National,
    /// As `National`, with a 0 before mobiles (other-area mobiles on older exchanges).
    NationalMobileZero,
    /// As `National`, own area's landlines without area code: `88888888`.
    Local,
}

impl Number {
    /// Digits to dial to reach this number through a trunk of `own_area_code` (`0755`). Absent when it cannot be rung.
    #[must_use]
    pub fn dial(&self, form: DialForm, own_area_code: &str) -> Option<String> {
        if !self.callable {
            return None;
        }
        let national: String = self.display.chars().filter(|c| *c != '-').collect();
        Some(match (form, self.kind) {
            (DialForm::E164, _) => self.e164.clone().unwrap_or(national),
            (_, NumberKind::Foreign) => national.replacen('+', "00", 1),
            (DialForm::NationalMobileZero, NumberKind::Mobile) => format!("0{national}"),
            (DialForm::Local, NumberKind::Landline | NumberKind::Service) => {
                let area = own_area(own_area_code).map_or_else(String::new, |a| format!("0{a}"));
                match self.display.strip_prefix(&format!("{area}-")) {
                    Some(local) if !area.is_empty() => local.to_owned(),
                    Some(_) | None => national,
                }
            }
            (
                DialForm::National | DialForm::NationalMobileZero | DialForm::Local,
                NumberKind::Landline
                | NumberKind::Mobile
                | NumberKind::MachineToMachine
                | NumberKind::Service
                | NumberKind::Unknown,
            ) => national,
        })
    }

    /// The number with its middle hidden, for logs below their level and for roles that may not see it: `138****8000`.
    #[must_use]
    pub fn masked(&self) -> String {
        mask(&self.display)
    }

    /// The city or cities of its area code, `深圳`; absent for mobiles and unknown codes.
    #[must_use]
    pub fn place(&self) -> Option<&'static str> {
        let (area, _) = self.display.split_once('-')?;
        place(area)
    }
}

/// Hides the middle of a number: the first three and last four characters stay when there are at least eight.
#[must_use]
pub fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (head, tail) = if chars.len() >= 8 { (3, 4) } else { (0, 1) };
    let hidden = chars.len().saturating_sub(head + tail);
    chars
        .iter()
        .take(head)
        .copied()
        .chain(std::iter::repeat_n('*', hidden))
        .chain(chars.iter().skip(head + hidden).copied())
        .collect()
}

/// The city or cities that use `area_code` (with trunk 0: `0755`).
#[must_use]
pub fn place(area_code: &str) -> Option<&'static str> {
    static PLACES: OnceLock<BTreeMap<&'static str, &'static str>> = OnceLock::new();
    PLACES
        .get_or_init(|| {
            include_str!("../schema/data/area-codes.tsv")
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once('\t'))
                .collect()
        })
        .get(area_code)
        .copied()
}

/// Reads a calling or called number. `area_code` is the trunk's own (`0755`), for numbers that came without one;
/// `anonymous` is what the trunk said (`Privacy: id`, `anonymous@...`). Total: any text gives a [`Number`].
#[must_use]
pub fn parse(raw: &str, area_code: &str, anonymous: bool) -> Number {
    let (user, context) = user_part(raw);
    let compact = compact(&user);
    let withheld = is_withheld(&compact);
    let area = context.or_else(|| own_area(area_code));
    let found = if withheld {
        None
    } else {
        plan(&compact, area.as_deref())
    };
    match found {
        Some(found) => Number {
            raw: raw.to_owned(),
            e164: found.e164,
            display: found.display,
            anonymous,
            callable: true,
            kind: found.kind,
        },
        None => Number {
            raw: raw.to_owned(),
            e164: None,
            display: if withheld {
                String::new()
            } else {
                shown(&user)
            },
            anonymous: anonymous || withheld,
            callable: !withheld && is_worth_ringing(&compact),
            kind: NumberKind::Unknown,
        },
    }
}

struct Found {
    kind: NumberKind,
    e164: Option<String>,
    display: String,
}

impl Found {
    fn national(kind: NumberKind, digits: &str) -> Self {
        Self {
            kind,
            e164: Some(format!("+86{digits}")),
            display: digits.to_owned(),
        }
    }

    fn of_area(kind: NumberKind, area: &str, local: &str) -> Self {
        Self {
            kind,
            e164: Some(format!("+86{area}{local}")),
            display: format!("0{area}-{local}"),
        }
    }
}

/// The user part of what may be a name-addr, `sip:` or `tel:` URI, and the area of its `phone-context` if it has one.
fn user_part(raw: &str) -> (String, Option<String>) {
    let text = raw.trim();
    let text = match text.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(inside, _)| inside),
        None => text,
    };
    let text = ["sips:", "sip:", "tel:"]
        .iter()
        .find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme)
                .then(|| text.get(scheme.len()..))?
        })
        .unwrap_or(text);
    let context = text
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("phone-context"))
        .and_then(|(_, value)| value.trim().strip_prefix("+86").and_then(own_area));
    let user = text.split(['@', ';']).next().unwrap_or(text);
    (user.replace("%2B", "+").replace("%2b", "+"), context)
}

/// Without separators that people or devices put in, full-width digits made plain.
fn compact(user: &str) -> String {
    user.chars()
        .filter(|c| !matches!(c, '-' | '.' | '(' | ')' | '"' | '/') && !c.is_whitespace())
        .map(|c| match c {
            '\u{FF10}'..='\u{FF19}' => u32::from(c)
                .checked_sub(0xFF10)
                .and_then(|digit| char::from_digit(digit, 10))
                .unwrap_or(c),
            '\u{FF0B}' => '+',
            other => other,
        })
        .collect()
}

fn is_withheld(compact: &str) -> bool {
    compact.is_empty()
        || [
            "anonymous",
            "unavailable",
            "unknown",
            "restricted",
            "private",
            "withheld",
            "null",
        ]
        .iter()
        .any(|word| compact.eq_ignore_ascii_case(word))
}

/// A text fit for people: no control characters, not endless.
fn shown(user: &str) -> String {
    user.chars()
        .filter(|c| !c.is_control())
        .take(DISPLAY_CHARS_MAX)
        .collect()
}

/// Digits that fit no plan may still be dialled, but not equipment identities (IMEI, IMSI: 14 digits and more, what a
/// phone without a card sends) and not zeros.
fn is_worth_ringing(compact: &str) -> bool {
    (3..14).contains(&compact.len())
        && compact.bytes().all(|b| b.is_ascii_digit())
        && compact.bytes().any(|b| b != b'0')
}

/// `0755`, `755` -> `755`; absent when it cannot be an area code.
fn own_area(code: &str) -> Option<String> {
    let digits = code.trim().trim_start_matches('0');
    let numeric = digits.bytes().all(|b| b.is_ascii_digit());
    let whole = split_area(digits).is_some_and(|(_, rest)| rest.is_empty());
    (numeric && whole).then(|| digits.to_owned())
}

fn plan(text: &str, own_area: Option<&str>) -> Option<Found> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if text.starts_with('+') {
        return match digits.strip_prefix("86") {
            Some(rest) => national(rest.trim_start_matches('0')),
            None => foreign(digits),
        };
    }
    if let Some(rest) = digits.strip_prefix("00") {
        return match rest.strip_prefix("86") {
            Some(rest) => national(rest.trim_start_matches('0')),
            None => foreign(rest),
        };
    }
    if let Some(rest) = digits.strip_prefix('0') {
        return behind_trunk_zero(rest);
    }
    bare(digits, own_area)
}

/// What stands behind `+86`.
fn national(digits: &str) -> Option<Found> {
    let area_centre = landline(digits).filter(|found| found.kind == NumberKind::Service);
    mobile(digits)
        .or_else(|| machine(digits))
        .or(area_centre)
        .or_else(|| service(digits))
        .or_else(|| landline(digits))
}

/// What stands behind the trunk prefix 0: another area's landline, a mobile, or a mobile behind an area code.
fn behind_trunk_zero(digits: &str) -> Option<Found> {
    mobile(digits).or_else(|| landline(digits)).or_else(|| {
        let (_, local) = split_area(digits)?;
        mobile(local)
    })
}

/// What stands without any prefix.
fn bare(digits: &str, own_area: Option<&str>) -> Option<Found> {
    let prefixed = || {
        let rest = digits.strip_prefix("86")?;
        (rest.len() >= 9).then(|| national(rest))?
    };
    let called_through = || {
        let rest = CALL_THROUGH_PREFIXES
            .iter()
            .find_map(|prefix| digits.strip_prefix(prefix))?;
        match rest.strip_prefix('0') {
            Some(rest) => behind_trunk_zero(rest),
            None => mobile(rest),
        }
    };
    mobile(digits)
        .or_else(|| machine(digits))
        .or_else(called_through)
        .or_else(|| service(digits))
        .or_else(prefixed)
        .or_else(|| known_landline(digits))
        .or_else(|| local(digits, own_area))
}

/// 1[3-9] and nine more digits.
fn mobile(digits: &str) -> Option<Found> {
    let mut bytes = digits.bytes();
    let fits = digits.len() == 11
        && bytes.next() == Some(b'1')
        && matches!(bytes.next(), Some(b'3'..=b'9'));
    fits.then(|| Found::national(NumberKind::Mobile, digits))
}

/// Thirteen digits of the machine-to-machine ranges.
fn machine(digits: &str) -> Option<Found> {
    let fits = digits.len() == 13 && (digits.starts_with("1064") || digits.starts_with("144"));
    fits.then(|| Found::national(NumberKind::MachineToMachine, digits))
}

/// Short codes and nation-wide service numbers. One that reads as some area's 110 behind `+86` has no E.164 form.
fn service(digits: &str) -> Option<Found> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| digits.starts_with(prefix));
    let fits = match digits.len() {
        3 => starts(&["1", "999"]),
        5..=6 => starts(&["10", "11", "12", "95", "96"]),
        7..=8 => starts(&["95", "96", "1010"]),
        10 => starts(&["400", "800", "950"]),
        9 => starts(&["950"]),
        11..=20 => starts(&["950", "106"]),
        _ => false,
    };
    let has_e164 = digits.len() > 3 && landline(digits).is_none();
    fits.then(|| Found {
        kind: NumberKind::Service,
        e164: has_e164.then(|| format!("+86{digits}")),
        display: digits.to_owned(),
    })
}

/// Area code and the rest, by the shape of the plan: 10 and 2x are two digits, 3xx-9xx three, three services aside.
fn split_area(digits: &str) -> Option<(&str, &str)> {
    if ["400", "800", "950"]
        .iter()
        .any(|service| digits.starts_with(service))
    {
        return None;
    }
    let length = match digits.bytes().next()? {
        b'1' if digits.starts_with("10") => 2,
        b'2' => 2,
        b'3'..=b'9' => 3,
        _ => return None,
    };
    digits.split_at_checked(length)
}

fn landline(digits: &str) -> Option<Found> {
    let (area, local) = split_area(digits)?;
    if is_local(local) {
        Some(Found::of_area(NumberKind::Landline, area, local))
    } else if AREA_SHORT_CODES.contains(&local) {
        Some(Found::of_area(NumberKind::Service, area, local))
    } else {
        None
    }
}

/// A landline whose trunk 0 was dropped: only when its area code is a known one.
fn known_landline(digits: &str) -> Option<Found> {
    let (area, local) = split_area(digits)?;
    place(&format!("0{area}"))?;
    is_local(local).then(|| Found::of_area(NumberKind::Landline, area, local))
}

/// A local number of the trunk's own area. Without a known area it stays as it came.
fn local(digits: &str, own_area: Option<&str>) -> Option<Found> {
    if !is_local(digits) {
        return None;
    }
    Some(match own_area {
        Some(area) => Found::of_area(NumberKind::Landline, area, digits),
        None => Found {
            kind: NumberKind::Landline,
            e164: None,
            display: digits.to_owned(),
        },
    })
}

/// Seven or eight digits, the first 2-9 (1 and 0 start codes).
fn is_local(digits: &str) -> bool {
    (7..=8).contains(&digits.len()) && matches!(digits.bytes().next(), Some(b'2'..=b'9'))
}

/// E.164: 7-15 digits, no leading zero.
fn foreign(digits: &str) -> Option<Found> {
    let fits = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    fits.then(|| Found {
        kind: NumberKind::Foreign,
        e164: Some(format!("+{digits}")),
        display: format!("+{digits}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumberKind::Landline;
    use proptest::prelude::*;

    /// raw | kind | E.164 | display, on a trunk of area 0755
    const TABLE: &str = r#"
13800138000 | Mobile | +8613800138000 | 13800138000
013800138000 | Mobile | +8613800138000 | 13800138000
8613800138000 | Mobile | +8613800138000 | 13800138000
+8613800138000 | Mobile | +8613800138000 | 13800138000
008613800138000 | Mobile | +8613800138000 | 13800138000
+86 138-0013-8000 | Mobile | +8613800138000 | 13800138000
+86013800138000 | Mobile | +8613800138000 | 13800138000
075513800138000 | Mobile | +8613800138000 | 13800138000
1790913800138000 | Mobile | +8613800138000 | 13800138000
sip:+8613800138000@ims.mnc000.mcc460.3gppnetwork.org;user=phone | Mobile | +8613800138000 | 13800138000
"Wang" <tel:+86-138-0013-8000>;tag=1 | Mobile | +8613800138000 | 13800138000
tel:%2B8619912345678 | Mobile | +8619912345678 | 19912345678
１３８００１３８０００ | Mobile | +8613800138000 | 13800138000
88888888 | Landline | +8675588888888 | 0755-88888888
2345678 | Landline | +867552345678 | 0755-2345678
075588888888 | Landline | +8675588888888 | 0755-88888888
(0755) 8888-8888 | Landline | +8675588888888 | 0755-88888888
75588888888 | Landline | +8675588888888 | 0755-88888888
8675588888888 | Landline | +8675588888888 | 0755-88888888
+86075588888888 | Landline | +8675588888888 | 0755-88888888
01062345678 | Landline | +861062345678 | 010-62345678
1062345678 | Landline | +861062345678 | 010-62345678
02087654321 | Landline | +862087654321 | 020-87654321
05921234567 | Unknown | - | 05921234567
05922234567 | Landline | +865922234567 | 0592-2234567
tel:88888888;phone-context=+8620 | Landline | +862088888888 | 020-88888888
1064712345678 | MachineToMachine | +861064712345678 | 1064712345678
861440012345678 | MachineToMachine | +861440012345678 | 1440012345678
110 | Service | - | 110
0755110 | Service | +86755110 | 0755-110
+86755120 | Service | +86755120 | 0755-120
tel:120;phone-context=+86755 | Service | - | 120
+8610120 | Service | +8610120 | 010-120
10086 | Service | +8610086 | 10086
+8695588 | Service | +8695588 | 95588
95588 | Service | +8695588 | 95588
9512345 | Service | +869512345 | 9512345
4001234567 | Service | +864001234567 | 4001234567
10101234 | Service | +8610101234 | 10101234
12345 | Service | +8612345 | 12345
+85223456789 | Foreign | +85223456789 | +85223456789
0014155550123 | Foreign | +14155550123 | +14155550123
861234567890123 | Unknown | - | 861234567890123
460001234567890 | Unknown | - | 460001234567890
00000000 | Unknown | - | 00000000
12 | Unknown | - | 12
alice | Unknown | - | alice
sip:alice@example.com | Unknown | - | alice
+ | Unknown | - | +
+0123 | Unknown | - | +0123
"#;

    #[test]
    fn the_number_plan_reads_what_carriers_send() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            let columns: Vec<&str> = line.split(" | ").collect();
            let [raw, kind, e164, display] = columns[..] else {
                panic!("four columns: {line}")
            };
            let number = parse(raw, "0755", false);
            assert_eq!(format!("{:?}", number.kind), kind, "{line}");
            assert_eq!(number.e164.as_deref().unwrap_or("-"), e164, "{line}");
            assert_eq!(number.display, display, "{line}");
            assert_eq!(number.raw, raw);
            assert!(!number.anonymous, "{line}");
        }
    }

    #[test]
    fn a_withheld_number_is_anonymous_and_cannot_be_rung() {
        for raw in [
            "",
            "anonymous",
            "sip:Anonymous@anonymous.invalid",
            "unavailable",
            " <sip:@x> ",
        ] {
            let number = parse(raw, "0755", false);
            assert!(number.anonymous && !number.callable, "{raw}");
            assert_eq!((number.e164, number.display.as_str()), (None, ""), "{raw}");
        }
        let shown_to_us = parse("13800138000", "0755", true);
        assert!(shown_to_us.anonymous && shown_to_us.callable);
    }

    #[test]
    fn a_phone_without_a_card_cannot_be_rung_back() {
        assert!(!parse("861234567890123", "0755", false).callable);
        assert!(!parse("alice", "0755", false).callable);
        assert!(parse("654321", "0755", false).callable, "worth a try");
    }

    #[test]
    fn a_local_number_without_a_known_area_keeps_its_digits() {
        let number = parse("88888888", "", false);
        assert_eq!((number.kind, number.e164), (Landline, None));
        assert_eq!(number.display, "88888888");
    }

    #[test]
    fn an_area_code_names_its_place() {
        assert_eq!(parse("075588888888", "010", false).place(), Some("深圳"));
        assert_eq!(parse("010110", "0755", false).place(), Some("北京"));
        assert_eq!(parse("13800138000", "0755", false).place(), None);
        assert_eq!(place("0731"), Some("长沙/株洲/湘潭"));
        assert_eq!(place("0000"), None);
    }

    #[test]
    fn a_trunk_is_given_the_form_it_wants() {
        let mobile = parse("+8613800138000", "0755", false);
        let own = parse("88888888", "0755", false);
        let other = parse("01062345678", "0755", false);
        let police = parse("0755110", "0755", false);
        let abroad = parse("+85223456789", "0755", false);
        let dial = |number: &Number, form| number.dial(form, "0755").unwrap();
        assert_eq!(dial(&mobile, DialForm::E164), "+8613800138000");
        assert_eq!(dial(&mobile, DialForm::National), "13800138000");
        assert_eq!(dial(&mobile, DialForm::NationalMobileZero), "013800138000");
        assert_eq!(dial(&own, DialForm::E164), "+8675588888888");
        assert_eq!(dial(&own, DialForm::National), "075588888888");
        assert_eq!(dial(&own, DialForm::Local), "88888888");
        assert_eq!(dial(&other, DialForm::Local), "01062345678");
        assert_eq!(dial(&police, DialForm::Local), "110");
        assert_eq!(dial(&abroad, DialForm::National), "0085223456789");
        assert_eq!(
            parse("anonymous", "0755", false).dial(DialForm::E164, "0755"),
            None
        );
    }

    #[test]
    fn a_masked_number_hides_its_middle() {
        assert_eq!(mask("13800138000"), "138****8000");
        assert_eq!(mask("110"), "**0");
        assert_eq!(mask(""), "");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_number(raw in ".{0,80}", area in ".{0,6}", anonymous: bool) {
            let number = parse(&raw, &area, anonymous);
            prop_assert_eq!(&number.raw, &raw);
            prop_assert!(number.display.chars().count() <= 80);
            prop_assert!(number.e164.iter().all(|e| e.starts_with('+') && e.len() <= 23));
            let _ = (number.masked(), number.place(), number.dial(DialForm::Local, &area));
        }

        #[test]
        fn reading_the_e164_form_again_changes_nothing(digits in "[+]?[0-9]{1,16}", area in "0[1-9][0-9]{1,2}") {
            let number = parse(&digits, &area, false);
            if let Some(e164) = number.e164 {
                let again = parse(&e164, &area, false);
                prop_assert_eq!(again.e164.as_deref(), Some(e164.as_str()));
                prop_assert_eq!(again.kind, number.kind);
                prop_assert_eq!(again.display, number.display);
            }
        }
    }
}
