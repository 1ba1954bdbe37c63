//! The tables of docs/seat.md name every command that a person may give.

/// Commands of modules and of tests.
const NOT_OF_PEOPLE: [&str; 3] = ["Acknowledge", "Dispatch", "PlantPanic"];

/// Names of the variants of `enum Command`.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string("src/switch/input.rs").expect("the inputs");
    let (_, rest) = text
        .split_once("pub enum Command {")
        .expect("the enum of commands");
    let (body, _) = rest.split_once("\n}").expect("its end");
    let variant = |line: &str| {
        let name = line.strip_prefix("    ")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (name, rest) = name.split_at(end);
        let is_variant = name.starts_with(|c: char| c.is_ascii_uppercase());
        (is_variant && [" {", ",", "("].iter().any(|s| rest.starts_with(s)))
            .then(|| name.to_owned())
    };
    body.lines().filter_map(variant).collect()
}

#[test]
fn every_command_of_a_person_has_a_row_in_the_seat_guide() {
    let guide = std::fs::read_to_string("docs/seat.md").expect("the guide");
    let rows: Vec<_> = guide
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    let commands = commands();
    assert!(commands.len() > 30, "{commands:?}");
    for command in commands {
        let named = rows.iter().any(|row| row.contains(&format!("`{command}`")));
        let of_people = !NOT_OF_PEOPLE.contains(&command.as_str());
        assert_eq!(named, of_people, "{command} in docs/seat.md");
    }
}
