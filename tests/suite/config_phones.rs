//! Phones that are no seat's own, and PINs: what `check` takes and what it refuses with place and fix.

use firstring::id::{PhoneId, SeatId};

use crate::config::{GOOD, Site, find};

/// A secret file of the site, readable by its owner only.
fn secret(site: &Site, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = site.put(&format!("secrets/{name}"), text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

const DESK: &str = "\n[phones.desk-1]\nsecret_file = \"@/secrets/desk-1\"\n";

#[test]
fn with_phones_a_seat_needs_no_secret_of_its_own_and_has_a_pin_from_file_or_environment() {
    let site = Site::new();
    secret(&site, "desk-1", "a-long-secret-of-the-desk");
    secret(&site, "pin-802", "4711\n");
    let text = format!("{GOOD}{DESK}[seats.802]\npin_file = \"@/secrets/pin-802\"\n");
    let (config, origins) = site
        .load(&text, &[("FIRSTRING__SEATS__801__PIN", "0815")])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let accounts: Vec<_> = config.sip.seats.iter().map(|a| a.seat.as_str()).collect();
    assert_eq!(accounts, ["801", "809", "desk-1"]);
    assert_eq!(config.policy.desks.phones, [PhoneId::from("desk-1")].into());
    let pins: Vec<_> = config
        .pins
        .iter()
        .map(|(s, p)| (s.as_str(), p.0.as_str()))
        .collect();
    assert_eq!(pins, [("801", "0815"), ("802", "4711")]);
    let with_pin: Vec<_> = ["801", "802"].map(SeatId::from).into();
    assert_eq!(config.policy.desks.pins, with_pin.into_iter().collect());
    assert!(config.policy.seats.contains_key(&SeatId::from("802")));
    let shown = format!("{origins}{config:?}");
    assert!(
        !shown.contains("4711") && !shown.contains("0815"),
        "{shown}"
    );
}

#[test]
fn without_phones_a_seat_needs_its_secret_and_no_seat_has_a_pin_by_itself() {
    let site = Site::new();
    let text = format!("{GOOD}[seats.802]\n");
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    find(&faults, "seats.802.secret_file");
    let (config, _) = site.load(GOOD, &[]).unwrap();
    assert!(config.pins.is_empty() && config.policy.desks.pins.is_empty());
}

#[test]
fn a_pin_that_is_none_a_phone_named_as_a_seat_and_a_pin_in_the_file_are_refused() {
    let site = Site::new();
    for pin in ["471", "4711a", "1111", "1234567890123", "四七一一"] {
        secret(&site, "pin-801", pin);
        let text = GOOD.replace(
            "[seats.809]",
            "pin_file = \"@/secrets/pin-801\"\n[seats.809]",
        );
        let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
        let fault = find(&faults, "seats.801.pin_file");
        assert!(fault.fix.contains("4 to 12 digits"), "{pin}: {fault}");
        assert!(!fault.to_string().contains(pin), "it is never shown");
    }
    let text = GOOD.replace("[seats.809]", "pin = \"4711\"\n[seats.809]");
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    let fault = find(&faults, "seats.801.pin");
    assert!(fault.fix.contains("pin_file"), "{fault}");
    secret(&site, "desk-1", "a-long-secret-of-the-desk");
    let text = format!("{GOOD}{}", DESK.replace("desk-1]", "801]"));
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    find(&faults, "phones.801");
}
