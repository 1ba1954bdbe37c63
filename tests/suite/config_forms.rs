//! What a form may choose from: a centre's own lists, in the configuration or in a file beside it.

use firstring::config::{Origin, Severity};

use crate::config::{GOOD, Site, find};

#[test]
fn centre_writes_its_own_lists_and_keeps_the_built_in_ones_that_it_does_not_write() {
    let text = format!(
        "{GOOD}\n[forms]\nareas = [\n\"440304 | 福田区 | Futian\",\n\"440304/001 | 园岭街道 | Yuanling\",\n]\n"
    );
    let (config, _) = Site::new()
        .load(&text, &[])
        .unwrap_or_else(|f| panic!("{f:#?}"));
    let lists = &config.policy.forms;
    let told: Vec<_> = lists
        .areas
        .iter()
        .map(|e| (e.l1.as_str(), e.l2.as_deref(), e.zh.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("440304", None, "福田区"),
            ("440304", Some("001"), "园岭街道")
        ]
    );
    assert!(lists.reasons.iter().any(|e| e.l1 == "trauma"), "built in");
}

#[test]
fn lists_may_stand_in_a_file_and_each_wrong_line_is_told_with_its_place_and_fix() {
    let site = Site::new();
    site.put(
        "lists.toml",
        "reasons = [\n\"trauma | 创伤 | Trauma\",\n\"trauma | 外伤 | Injury\",\n\"illness/heart | 心脏 | Heart\",\n\"fall: 跌倒\",\n\"坠落 | 坠落 | Fall\",\n]\ncall_types = [\n\"urge/again | 催车 | Urging\",\n]\ncolours = []\n",
    );
    let text = format!("{GOOD}\n[forms]\nfile = \"@/lists.toml\"\n");
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    let told: Vec<_> = faults
        .iter()
        .filter(|fault| fault.severity == Severity::Error)
        .map(|fault| {
            assert!(fault.file.ends_with("lists.toml"), "{fault}");
            assert!(!fault.fix.is_empty());
            let Origin::File { line } = fault.origin else {
                panic!("{fault}");
            };
            (line, fault.reason.as_str())
        })
        .collect();
    let expected = [
        (3, "trauma stands twice"),
        (4, "illness/heart stands below nothing"),
        (5, "is not `code | 中文 | English`"),
        (6, "no usable code"),
        (9, "has two levels; this list has one"),
        (11, "is not a key that firstring knows"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((line, reason), (at, words)) in told.iter().zip(expected) {
        assert_eq!(*line, at, "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_missing_file_and_lists_in_two_places_are_refused() {
    let site = Site::new();
    let text = format!("{GOOD}\n[forms]\nfile = \"@/nowhere.toml\"\nareas = []\n");
    let faults = site.load(&text, &[]).map(|_| ()).unwrap_err();
    let fault = find(&faults, "forms.file");
    assert!(
        fault.reason.contains("and so is a list beside it"),
        "{fault}"
    );
    assert!(
        faults.iter().any(|f| f.reason.contains("cannot be read")),
        "{faults:#?}"
    );
}
