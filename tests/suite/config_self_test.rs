//! Self-tests in the configuration: the example of the documentation loads, and what could never be tested is refused.

use firstring::id::TrunkId;
use firstring::time::Millis;

use crate::config::{GOOD, Site, find};

fn trunk_with(lines: &str) -> String {
    GOOD.replace("profile = \"ct\"", &format!("profile = \"ct\"\n{lines}"))
}

#[test]
fn a_trunk_with_a_number_is_tested_after_the_quiet_times_that_are_written() {
    let lines = "outbound = 1\nself_test = \"0755-88886666\"";
    let section =
        "[self_test]\nday_minutes = 5\nnight_minutes = 0\nnight_hours = \"23:00-05:30\"\n";
    let (config, _) = Site::new()
        .load(&format!("{}\n{section}", trunk_with(lines)), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let rules = &config.policy.self_tests;
    let numbers: Vec<_> = rules.numbers.iter().collect();
    let (trunk, number) = (TrunkId::from("ct"), String::from("075588886666"));
    assert_eq!(numbers, [(&trunk, &number)], "as the carrier wants it");
    assert_eq!(
        (rules.day, rules.night),
        (Millis::from_secs(300), Millis(0))
    );
    assert_eq!(
        (rules.night_hours.from, rules.night_hours.to),
        (23 * 60, 5 * 60 + 30)
    );
    let (config, _) = Site::new()
        .load(GOOD, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(config.policy.self_tests.numbers.is_empty(), "off by itself");
}

#[test]
fn a_test_that_could_never_be_made_is_refused_with_a_fix() {
    let site = Site::new();
    let number = "self_test = \"075588886666\"";
    for (lines, section, key, reason) in [
        (
            "outbound = 1\nself_test = \"sip:x@y\"",
            "",
            "trunks.ct.self_test",
            "is no number",
        ),
        (
            "outbound = 1\nself_test = \"\"",
            "",
            "trunks.ct.self_test",
            "is no number",
        ),
        (number, "", "self_test", "no trunk dials out"),
        (
            "outbound = 1\nself_test = \"120\"\ncircuits = 4\ncircuits_kept = 3",
            "",
            "trunks.ct.self_test",
            "takes 2 circuits",
        ),
        (
            "outbound = 1",
            "[seats.robot]\npassword = \"a long password\"",
            "seats.robot",
            "answers self-tests",
        ),
        (
            "outbound = 1",
            "[self_test]\nday_minutes = 1441",
            "self_test.day_minutes",
            "1441",
        ),
        (
            "outbound = 1",
            "[self_test]\nnight_hours = \"25:00-06:00\"",
            "self_test.night_hours",
            "25:00",
        ),
        ("outbound = 1", "[self_test]\nday = 5", "self_test.day", ""),
    ] {
        let faults = site.faults(&format!("{}\n{section}\n", trunk_with(lines)));
        let fault = find(&faults, key);
        assert!(
            fault.reason.contains(reason),
            "{lines} {section}: {fault:?}"
        );
        assert!(!fault.fix.is_empty(), "{fault:?}");
    }
}
