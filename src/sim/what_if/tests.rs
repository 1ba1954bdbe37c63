//! The same question gives the same answer, more seats are never worse for long, and a recorded day lived again with its
//! own seats gives its own waits.

use std::path::Path;

use super::recorded::Log;
use super::run::{live, live_told};
use super::*;
use crate::switch::EventKind;

const GOAL: Goal = Goal {
    percent: 95,
    within: Millis::from_secs(10),
};

fn seats(from: u32, to: u32) -> Option<Seats> {
    Some(Seats(from..=to))
}

#[test]
fn same_question_gives_the_same_bytes() {
    let told = || {
        let answer = ask(&generated(7, 1, 300), seats(2, 4).as_ref(), GOAL);
        let both = [Language::Zh, Language::En];
        both.map(|language| (table(&answer, language), plot(&answer, language)))
    };
    let first = told();
    assert_eq!(first, told());
    assert_ne!(first[0], first[1]);
}

#[test]
fn without_a_number_it_ends_one_seat_behind_the_goal() {
    let answer = ask(&generated(1, 1, 383), None, GOAL);
    let enough = answer.enough().expect("some number is enough").seats;
    let tried: Vec<_> = answer.rows.iter().map(|row| row.seats).collect();
    assert_eq!(tried.last(), Some(&(enough + 1)), "{tried:?}");
    assert!((2..=8).contains(&enough), "{enough} for 383 calls a day");
    let first = &answer.rows[0];
    let last = &answer.rows[answer.rows.len() - 1];
    assert!(last.soon >= first.soon && last.occupied < first.occupied);
    assert!(last.p95 <= first.p95, "{first:?} {last:?}");
    let text = table(&answer, Language::En);
    assert!(
        text.contains(&format!("95 % within 10 s: {enough} seats")),
        "{text}"
    );
}

#[test]
fn far_too_few_seats_lose_callers_and_are_busy_all_the_time() {
    let answer = ask(&generated(3, 1, 3_000), seats(1, 1).as_ref(), GOAL);
    let row = &answer.rows[0];
    assert!(row.gave_up > 40.0 && row.occupied > 85.0, "{row:?}");
    assert_eq!(answer.enough(), None);
    let text = table(&answer, Language::Zh);
    assert!(text.contains("未达到"), "{text}");
}

#[test]
fn who_was_answered_does_not_ring_again() {
    let traffic = generated(5, 1, 200);
    let stretch = &traffic.stretches[0];
    let lived = live(&traffic.policy, stretch, 30);
    for (caller, fate) in stretch.callers.iter().zip(&lived.fates) {
        let again = matches!(caller.comes, Comes::Again { .. });
        let first_gave_up = match caller.comes {
            Comes::Again { after, .. } => lived.fates[after].gave_up.is_some(),
            Comes::At(_) => true,
        };
        assert!(!again || fate.came.is_none() || first_gave_up);
        assert!(fate.answered.is_none() || fate.gave_up.is_none());
    }
    let answered = lived.fates.iter().filter(|f| f.answered.is_some()).count();
    assert!(answered > 150, "{answered}");
}

#[test]
fn recorded_day_lived_again_with_its_own_seats_gives_its_own_waits() {
    let traffic = generated(11, 1, 500);
    let mut log = Log::default();
    let stretch = &traffic.stretches[0];
    let lived = live_told(&traffic.policy, stretch, 3, &mut |input, events| {
        log.take(input, events);
    });
    let again = log.traffic(Path::new("journal"), 1, 0).expect("its calls");
    let second = live(&again.policy, &again.stretches[0], 3);
    let fates = |lived: &run::Lived| -> std::collections::BTreeMap<_, _> {
        let came = |fate: &run::Fate| Some((fate.came?, fate.answered));
        lived.fates.iter().filter_map(came).collect()
    };
    let (first, second) = (fates(&lived), fates(&second));
    let differ: Vec<_> = first
        .iter()
        .filter(|(came, answered)| second.get(*came) != Some(*answered))
        .map(|(came, answered)| (came.rfc3339(), answered, second.get(came)))
        .collect();
    assert!(first.len() > 400, "{}", first.len());
    assert!(
        differ.len() * 100 <= first.len(),
        "{} of {} differ: {differ:?}",
        differ.len(),
        first.len()
    );
}

#[test]
fn growth_adds_calls_and_takes_calls_away() {
    let traffic = generated(2, 1, 300);
    let came = |growth| {
        let mut log = Log::default();
        live_told(
            &traffic.policy,
            &traffic.stretches[0],
            5,
            &mut |input, events| {
                log.take(input, events);
            },
        );
        let grown = log.traffic(Path::new("journal"), 1, growth).expect("calls");
        grown.stretches[0].callers.len()
    };
    let same = came(0);
    assert!((same * 140..same * 160).contains(&(came(50) * 100)));
    assert!((same * 70..same * 90).contains(&(came(-20) * 100)));
}

#[test]
fn log_without_calls_says_what_to_do() {
    let error = Log::default()
        .traffic(Path::new("/var/lib/x"), 1, 0)
        .expect_err("no calls");
    let text = error.to_string();
    assert!(
        text.contains("/var/lib/x") && text.contains("--journal"),
        "{text}"
    );
}

#[test]
fn numbers_of_seats_are_read_and_refused_with_a_reason() {
    assert_eq!("4".parse(), Ok(Seats(4..=4)));
    assert_eq!("3..9".parse(), Ok(Seats(3..=9)));
    assert_eq!(" 3 ..= 9".parse(), Ok(Seats(3..=9)));
    for (text, part) in [
        ("0", "nobody answers at 0 seats"),
        ("0..3", "nobody answers at 0 seats"),
        ("501", "1 to 500"),
        ("9..3", "write 3..9"),
        ("many", "write 4, or 3..9"),
        ("", "write 4"),
    ] {
        let said = text.parse::<Seats>().map_err(|error| error.to_string());
        assert!(
            said.as_ref().is_err_and(|s| s.contains(part)),
            "{text}: {said:?}"
        );
    }
}

#[test]
fn nobody_is_answered_twice_and_every_seat_stays_at_work() {
    let traffic = generated(9, 1, 400);
    let mut answers = std::collections::BTreeMap::new();
    live_told(
        &traffic.policy,
        &traffic.stretches[0],
        2,
        &mut |_, events| {
            for event in events {
                if let EventKind::SeatAnswered { .. } = &event.kind {
                    *answers.entry(event.call).or_insert(0) += 1;
                } else if let EventKind::SeatStateChanged { state, .. } = &event.kind {
                    assert!(state != "not_ready" && state != "unreachable", "{event:?}");
                }
            }
        },
    );
    assert!(answers.len() > 300 && answers.values().all(|n| *n == 1));
}
