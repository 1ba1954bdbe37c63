//! Groups in the configuration: the example of the documentation loads, and what could not be rung is refused.

use firstring::id::GroupId;

use crate::config::{GOOD, Site, find};

const DOCUMENT: &str = include_str!("../../docs/group-calls.md");

fn dials_out(more: &str) -> String {
    let trunk = GOOD.replace("profile = \"ct\"", "profile = \"ct\"\noutbound = 1");
    format!("{trunk}\n{more}")
}

#[test]
fn the_example_of_the_documentation_loads() {
    let block = DOCUMENT.split("```toml\n").nth(1).unwrap();
    let (config, _) = Site::new()
        .load(&dials_out(block.split("```").next().unwrap()), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let groups = &config.policy.groups;
    assert_eq!(groups.len(), 2);
    let stations = &groups[&GroupId::from("stations")];
    assert_eq!(stations[0], "075525120121", "as the carrier wants it");
    assert_eq!(groups[&GroupId::from("volunteers")].len(), 2);
}

#[test]
fn a_group_that_could_not_be_rung_is_refused_with_line_and_fix() {
    let site = Site::new();
    let numbers = "numbers = [\"13900139001\"]";
    let faults = site.faults(&format!("{GOOD}\n[group.a]\n{numbers}\n"));
    let none = find(&faults, "group.a");
    assert!(none.reason.contains("no trunk dials out"));
    let many: Vec<_> = (0..201).map(|n| format!("\"139000{n:05}\"")).collect();
    let many = format!("numbers = [{}]", many.join(", "));
    for (numbers, key, reason) in [
        ("", "group.a", "no number"),
        ("numbers = []", "group.a", "no number"),
        ("numbers = [\"x@y\"]", "group.a.numbers", "is no number"),
        (
            "numbers = [\"120\"]",
            "group.a.numbers",
            "come back to this centre",
        ),
        ("numbers = [\"801\"]", "group.a.numbers", "is a seat"),
        ("numbers = [\"110\", \"1-10\"]", "group.a.numbers", "twice"),
        (many.as_str(), "group.a", "201 numbers"),
        ("numbers = [\"110\"]\nname = 3", "group.a.name", ""),
    ] {
        let faults = site.faults(&dials_out(&format!("[group.a]\n{numbers}\n")));
        let fault = find(&faults, key);
        assert!(fault.reason.contains(reason), "{numbers}: {fault:?}");
        assert!(!fault.fix.is_empty(), "{fault:?}");
        assert!(fault.origin.to_string().starts_with("line "), "{fault:?}");
    }
}
