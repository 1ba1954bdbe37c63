//! People outside in the configuration: the example of the documentation loads, and what would ring nobody is refused.

use firstring::switch::ReliefKind;

use crate::config::{GOOD, Site, find};

const DOCUMENT: &str = include_str!("../../docs/relief.md");

fn dials_out(more: &str) -> String {
    let trunk = GOOD.replace("profile = \"ct\"", "profile = \"ct\"\noutbound = 1");
    format!("{trunk}\n{more}")
}

#[test]
fn the_example_of_the_documentation_loads_in_the_order_of_the_names() {
    let block = DOCUMENT.split("```toml\n").nth(1).unwrap();
    let (config, _) = Site::new()
        .load(&dials_out(block.split("```").next().unwrap()), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let all = &config.policy.relief;
    let of = |n: usize| (all[n].id.as_str(), all[n].kind, all[n].after.0);
    assert_eq!(of(0), ("mobile", ReliefKind::Group, 0));
    assert_eq!(of(1), ("nanshan", ReliefKind::Peer, 30_000));
    assert_eq!(all[1].numbers, ["075525120120"], "as the carrier wants it");
    assert_eq!(all[0].numbers.len(), 2);
}

#[test]
fn people_whom_nobody_could_ring_are_refused_with_a_fix() {
    let site = Site::new();
    let faults = site.faults(&format!(
        "{GOOD}\n[relief.a]\nnumbers = [\"13900139001\"]\n"
    ));
    assert!(
        find(&faults, "relief.a")
            .reason
            .contains("no trunk dials out")
    );
    for (numbers, key, reason) in [
        ("", "relief.a", "no number"),
        ("numbers = []", "relief.a", "no number"),
        (
            "numbers = [\"sip:x@y\"]",
            "relief.a.numbers",
            "is no number",
        ),
        (
            "numbers = [\"120\"]",
            "relief.a.numbers",
            "come back to this centre",
        ),
        ("numbers = [\"110\", \"110\"]", "relief.a.numbers", "twice"),
        (
            "numbers = [\"110\"]\nkind = \"firend\"",
            "relief.a.kind",
            "firend",
        ),
        (
            "numbers = [\"110\"]\nafter_s = 601",
            "relief.a.after_s",
            "601",
        ),
        ("numbers = [\"110\"]\nafter = 3", "relief.a.after", ""),
    ] {
        let faults = site.faults(&dials_out(&format!("[relief.a]\n{numbers}\n")));
        let fault = find(&faults, key);
        assert!(fault.reason.contains(reason), "{numbers}: {fault:?}");
        assert!(!fault.fix.is_empty(), "{fault:?}");
    }
}
