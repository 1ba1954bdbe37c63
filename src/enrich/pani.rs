//! P-Access-Network-Info (RFC 7315 5.4, 3GPP TS 24.229 7.2A.4): the radio cell a mobile caller stands in. Pure.
//!
//! Owns: the cell identities of 3GPP accesses as their digits are laid out. Refuses to know where a cell is: that is a
//! carrier's secret, asked elsewhere. A header that is no 3GPP cell gives nothing; it never fails.
//!
//! ```text
//! E-UTRAN, UTRAN: utran-cell-id-3gpp = MCC 3 | MNC 2-3 | TAC or LAC 4 hex | cell 7 hex
//! NR:             utran-cell-id-3gpp = MCC 3 | MNC 2-3 | TAC 6 hex        | cell 9 hex
//! GERAN:          cgi-3gpp           = MCC 3 | MNC 2-3 | LAC 4 hex        | cell 4 hex
//! ```

use crate::switch::NetworkCell;

/// The cell of the first of `headers` that names one; one the network vouches for goes before one a phone claims.
#[must_use]
pub fn cell(headers: &[String]) -> Option<NetworkCell> {
    let mut cells: Vec<NetworkCell> = headers
        .iter()
        .flat_map(|header| split_outside_quotes(header, ','))
        .filter_map(parse)
        .collect();
    cells.sort_by_key(|cell| cell.trust != "network");
    cells.into_iter().next()
}

/// One header value.
fn parse(value: &str) -> Option<NetworkCell> {
    let mut parts = split_outside_quotes(value, ';').into_iter().map(str::trim);
    let access = parts.next()?;
    let mut id = None;
    let mut vouched = false;
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim().trim_matches('"').trim()),
            None => (part, ""),
        };
        let is_id = name.eq_ignore_ascii_case("utran-cell-id-3gpp")
            || name.eq_ignore_ascii_case("cgi-3gpp");
        if is_id && id.is_none() {
            id = Some(value);
        }
        vouched |= name.eq_ignore_ascii_case("network-provided");
    }
    let (area_digits, cell_digits) = layout(access)?;
    let id = id?;
    // Three digits of country, two or three of network: the length tells.
    let mnc_digits = id.len().checked_sub(3 + area_digits + cell_digits)?;
    if !(2..=3).contains(&mnc_digits) || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let (mcc, rest) = id.split_at_checked(3)?;
    let (mnc, rest) = rest.split_at_checked(mnc_digits)?;
    let (tac, cell_id) = rest.split_at_checked(area_digits)?;
    let decimal = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (decimal(mcc) && decimal(mnc)).then(|| NetworkCell {
        access: access.to_ascii_uppercase(),
        mcc: mcc.to_owned(),
        mnc: mnc.to_owned(),
        tac: tac.to_owned(),
        cell_id: cell_id.to_owned(),
        trust: String::from(if vouched { "network" } else { "user" }),
    })
}

/// Hex digits of area and cell.
fn layout(access: &str) -> Option<(usize, usize)> {
    let access = access.to_ascii_uppercase();
    if access.starts_with("3GPP-NR") {
        Some((6, 9))
    } else if access.starts_with("3GPP-E-UTRAN") || access.starts_with("3GPP-UTRAN") {
        Some((4, 7))
    } else if access.starts_with("3GPP-GERAN") {
        Some((4, 4))
    } else {
        None
    }
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(header: &str) -> Option<NetworkCell> {
        cell(&[header.to_owned()])
    }

    fn parts(cell: &NetworkCell) -> [&str; 6] {
        [
            &cell.access,
            &cell.mcc,
            &cell.mnc,
            &cell.tac,
            &cell.cell_id,
            &cell.trust,
        ]
        .map(|s| s.as_str())
    }

    #[test]
    fn the_cell_of_each_radio_access_is_read() {
        for (header, wanted) in [
            (
                "3GPP-E-UTRAN-TDD; utran-cell-id-3gpp=46000102D108F00D;network-provided",
                [
                    "3GPP-E-UTRAN-TDD",
                    "460",
                    "00",
                    "102D",
                    "108F00D",
                    "network",
                ],
            ),
            (
                "3GPP-NR-TDD;utran-cell-id-3gpp=4600000112207A123000",
                ["3GPP-NR-TDD", "460", "00", "001122", "07A123000", "user"],
            ),
            (
                "3gpp-e-utran-fdd; UTRAN-CELL-ID-3GPP=\"46001102D108F00D\"; sbc-domain=a.chinamobile.com;ue-ip=[2409::1];Network-Provided",
                [
                    "3GPP-E-UTRAN-FDD",
                    "460",
                    "01",
                    "102D",
                    "108F00D",
                    "network",
                ],
            ),
            (
                "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=310410102D108F00D",
                ["3GPP-E-UTRAN-FDD", "310", "410", "102D", "108F00D", "user"],
            ),
            (
                "3GPP-UTRAN-TDD;utran-cell-id-3gpp=46000102D108F00D",
                ["3GPP-UTRAN-TDD", "460", "00", "102D", "108F00D", "user"],
            ),
            (
                "3GPP-GERAN;cgi-3gpp=460001234ABCD",
                ["3GPP-GERAN", "460", "00", "1234", "ABCD", "user"],
            ),
        ] {
            let cell = one(header).unwrap_or_else(|| panic!("{header}"));
            assert_eq!(parts(&cell), wanted, "{header}");
        }
    }

    #[test]
    fn the_networks_word_goes_before_the_phones() {
        let phone = "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=46000AAAAAAAAAAA";
        let network = "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=46000BBBBBBBBBBB;network-provided";
        let both = cell(&[format!("{phone}, {network}")]).unwrap();
        assert_eq!(
            (both.tac.as_str(), both.trust.as_str()),
            ("BBBB", "network")
        );
        let both = cell(&[phone.to_owned(), network.to_owned()]).unwrap();
        assert_eq!(both.tac, "BBBB");
    }

    #[test]
    fn what_is_no_cell_gives_nothing() {
        for header in [
            "",
            "IEEE-802.11;i-wlan-node-id=001122334455",
            "3GPP-E-UTRAN-TDD",
            "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=",
            "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=4600",
            "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=46000102D108F00DFFFFFF",
            "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=ABC00102D108F00D",
            "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=46000急救D108F00D",
        ] {
            assert_eq!(one(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(header in ".{0,120}", tail in "[0-9A-Fa-f;=,\" ]{0,40}") {
            let _ = one(&header);
            let _ = one(&format!("3GPP-NR-TDD;utran-cell-id-3gpp={tail}"));
        }
    }
}
