//! Menus in the configuration: the example of the documentation loads, and what would lose a caller is refused by line.

use firstring::config::{Fault, Origin};
use firstring::id::{MenuId, QueueId, TrunkId};
use firstring::ivr::{Goal, Hours};

use crate::config::{GOOD, Site, find};

const DOCUMENT: &str = include_str!("../../docs/menus.md");
/// A menu without a fault.
const MENU: &str = r#"called = ["88886666"]
queue = "120"
[nodes.main]
prompts = ["menu_main"]
keys = { 1 = "more", 2 = "queue:120" }
[nodes.more]
prompts = ["menu_more"]
keys = { "*" = "main" }
"#;

/// The `n`-th TOML block of the documentation.
fn example(n: usize) -> &'static str {
    let block = DOCUMENT.split("```toml\n").nth(n + 1).unwrap();
    block.split("```").next().unwrap()
}

fn site() -> Site {
    let site = Site::new();
    for id in [
        "zh-CN/menu_main",
        "zh-CN/menu_more",
        "zh-CN/menu_transport",
        "en/menu_main",
    ] {
        site.put(&format!("prompts/{id}.wav"), "");
    }
    site
}

fn with_dir(more: &str) -> String {
    format!("{GOOD}\n[ivr]\ndir = \"@/menus\"\n{more}")
}

fn refused(menu: &str, main: &str) -> Vec<Fault> {
    let site = site();
    site.put("menus/info.toml", menu);
    site.load(&with_dir(main), &[]).map(|_| ()).unwrap_err()
}

#[test]
fn the_example_of_the_documentation_loads() {
    let site = site();
    site.put("menus/info.toml", example(0));
    let (config, origins) = site
        .load(&with_dir(""), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(!origins.warnings.iter().any(|w| w.key.starts_with("menus")));
    let menus = &config.policy.menus;
    let tree = &menus.trees[&MenuId::from("info")];
    assert_eq!((tree.nodes.len(), tree.start.as_str()), (3, "main"));
    let main = &tree.nodes["main"];
    assert_eq!(main.keys[&'2'], Goal::Queue(QueueId::from("120")));
    assert_eq!(main.then, Goal::Queue(QueueId::from("120")));
    assert_eq!(
        tree.nodes["transport"].keys[&'*'],
        Goal::Node(String::from("main"))
    );
    assert_eq!(tree.nodes["english"].language.as_deref(), Some("en"));
    let entry = &menus.entries[0];
    assert_eq!(entry.called, ["88886666"]);
    assert_eq!(
        entry.hours,
        Some(Hours {
            from: 1080,
            to: 480
        })
    );
    assert_eq!((menus.notice.clone(), menus.on_emergency), (None, false));
    assert_eq!(menus.emergency, ["120"]);
}

#[test]
fn the_switches_of_the_documentation_load_as_written_and_switched_on() {
    let site = site();
    let text = format!("{GOOD}\n{}", example(1));
    site.load(&text, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    site.put("prompts/zh-CN/recorded_notice.wav", "");
    std::fs::create_dir_all(site.put("menus/x", "").parent().unwrap()).unwrap();
    let on = example(1).replace("\n#", "\n").replace("= false", "= true");
    let (config, _) = site
        .load(&format!("{GOOD}\n{on}"), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(config.policy.menus.notice.is_some() && config.policy.menus.on_emergency);
}

#[test]
fn a_menu_may_stand_in_the_main_file_and_answer_a_trunk() {
    let inline = MENU
        .replace("called = [\"88886666\"]", "[menus.info]\ntrunks = [\"ct\"]")
        .replace("[nodes", "[menus.info.nodes");
    let (config, _) = site()
        .load(&format!("{GOOD}\n{inline}"), &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(config.policy.menus.entries[0].trunks, [TrunkId::from("ct")]);
}

/// Each fault stands at its line of the menu's file, with what to do.
#[test]
fn what_would_lose_a_caller_is_refused_with_file_line_and_fix() {
    let cases = [
        (
            "queue = \"120\"\n",
            "",
            1,
            "menus.info.queue",
            "has no exit",
        ),
        (
            "\"queue:120\"",
            "\"queue:121\"",
            5,
            "menus.info.nodes.main.keys.2",
            "did you mean 120?",
        ),
        (
            "1 = \"more\"",
            "1 = \"mor\"",
            5,
            "menus.info.nodes.main.keys.1",
            "did you mean more?",
        ),
        (
            "\"menu_more\"",
            "\"menu_mroe\"",
            7,
            "menus.info.nodes.more.prompts",
            "menu_mroe.wav",
        ),
        (
            "keys = { \"*\" = \"main\" }",
            "then = \"more\"",
            8,
            "menus.info.nodes.more.then",
            "queue:NAME",
        ),
        (
            "[nodes.main]",
            "[nodes.mian]",
            1,
            "menus.info.start",
            "nodes.main",
        ),
        (
            "2 = \"queue",
            "22 = \"queue",
            5,
            "menus.info.nodes.main.keys.22",
            "0 to 9",
        ),
        (
            "prompts = [\"menu_main\"]\n",
            "",
            3,
            "menus.info.nodes.main.prompts",
            "menu_main",
        ),
        (
            "88886666",
            "0755120",
            1,
            "menus.info.called",
            "allow_menu_on_emergency = true",
        ),
        ("called", "trunks", 1, "menus.info.trunks", "trunks.NAME"),
        (
            "queue = \"120\"",
            "queue = \"120\"\nhours = \"8-18\"",
            3,
            "menus.info.hours",
            "18:00-08:00",
        ),
        (
            "queue = \"120\"",
            "queue = \"120\"\nqueues = 1",
            3,
            "menus.info.queues",
            "did you mean queue?",
        ),
        (
            "queue = \"120\"",
            "queue = = \"120\"",
            2,
            "",
            "correct the line",
        ),
    ];
    for (from, to, line, key, word) in cases {
        assert!(MENU.contains(from), "{from}");
        let faults = refused(&MENU.replacen(from, to, 1), "");
        let fault = find(&faults, key);
        let said = fault.to_string();
        assert_eq!(fault.origin, Origin::File { line }, "{said}");
        assert!(
            said.contains("menus/info.toml") && said.contains(word),
            "{said}"
        );
    }
}

#[test]
fn two_menus_for_the_same_calls_and_a_missing_notice_are_refused() {
    let site = site();
    site.put("menus/info.toml", MENU);
    site.put("menus/other.toml", MENU);
    let load = |more: &str| site.load(&with_dir(more), &[]).map(|_| ());
    let faults = load("").unwrap_err();
    assert!(find(&faults, "menus.other").reason.contains("menus.info"));
    site.put(
        "menus/other.toml",
        &format!("hours = \"18:00-08:00\"\n{MENU}"),
    );
    load("").unwrap_or_else(|faults| panic!("hours say more: {faults:#?}"));
    let faults = load("recorded_notice = true").unwrap_err();
    assert!(
        find(&faults, "ivr.recorded_notice")
            .fix
            .contains("recorded_notice.wav")
    );
}

#[test]
fn a_menu_on_an_emergency_number_is_accepted_when_the_centre_says_so() {
    let site = site();
    site.put("menus/info.toml", &MENU.replace("88886666", "120"));
    let text = with_dir("allow_menu_on_emergency = true");
    site.load(&text, &[])
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let pilot = with_dir("emergency_numbers = [\"120\", \"88886666\"]");
    site.put("menus/info.toml", MENU);
    let faults = site.load(&pilot, &[]).map(|_| ()).unwrap_err();
    find(&faults, "menus.info.called");
}
