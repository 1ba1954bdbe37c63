use super::*;
use crate::call::{GroupCall, GroupResult, GroupWish};
use crate::id::{GroupCallId, PromptId};

impl Rig {
    /// Legs that were rung to a number, oldest first.
    fn legs_to(&self, number: &str) -> Vec<LegId> {
        let rung = self.rung().into_iter();
        rung.filter_map(|(leg, target)| match target {
            Target::Number { number: to, .. } if to == number => Some(leg),
            _ => None,
        })
        .collect()
    }

    fn leg_to(&self, number: &str) -> LegId {
        let legs = self.legs_to(number);
        *legs.last().unwrap_or_else(|| panic!("{number} was rung"))
    }

    fn starts(&mut self, wish: GroupWish) -> GroupCallId {
        let wish = Box::new(wish);
        match self.command(supervisor(), Command::StartGroupCall { wish }) {
            Ok(CommandReply::GroupCall { group_call }) => group_call,
            other => panic!("{other:?}"),
        }
    }

    fn table(&self, id: GroupCallId) -> GroupCall {
        let view = self.switch.view();
        let found = view.group_calls.iter().find(|g| g.group_call == id);
        GroupCall::clone(found.expect("kept"))
    }

    fn result(&self, id: GroupCallId, number: &str) -> Option<GroupResult> {
        let table = self.table(id);
        let target = table.targets.iter().find(|t| t.number == number);
        target.expect("a target").result
    }

    /// Nothing of it is left over, each number has one result and one event that tells it.
    fn is_over(&self, id: GroupCallId) -> GroupCall {
        let table = self.table(id);
        assert!(table.ended_at.is_some(), "{table:?}");
        assert!(
            table.targets.iter().all(|t| t.result.is_some()),
            "{table:?}"
        );
        assert!(self.switch.group_calls.lines.is_empty());
        let told = self.count("group_call.acknowledged") + self.count("group_call.failed");
        assert_eq!(told, table.targets.len());
        assert_eq!(self.count("group_call.ended"), 1);
        let flaws = self.switch.unexpected().keys();
        assert_eq!(flaws.filter(|k| k.starts_with("flaw.")).count(), 0);
        table
    }
}

fn supervisor() -> Actor {
    Actor::Supervisor(SeatId::from("901"))
}

fn number(n: usize) -> String {
    format!("139000{n:05}")
}

fn wish(count: usize) -> GroupWish {
    GroupWish {
        numbers: (1..=count).map(number).collect(),
        group: None,
        prompt: PromptId::from(GROUP_ALERT),
        digit: '1',
        call: None,
        first_wins: false,
        retries: 0,
    }
}

/// One trunk with so many circuits, of which some are kept for callers.
fn rig_with(circuits: u16, kept: u16) -> Rig {
    let mut policy = policy();
    policy.trunks.remove(&TrunkId::from("cmcc"));
    let trunk = policy.trunks.get_mut(&TrunkId::from("ct")).unwrap();
    (trunk.circuits, trunk.circuits_kept) = (Some(circuits), kept);
    Rig::with(policy)
}

/// Eight pick up, four of them press the key; the others fail in every way.
fn mixed_fates(rig: &mut Rig) {
    let leg = |rig: &Rig, n| rig.leg_to(&number(n));
    for n in 1..=8 {
        let leg = leg(rig, n);
        rig.picks_up(leg);
        assert_eq!(rig.said(leg), ["group_alert"]);
    }
    // The first trunk cannot take it, then neither can the second.
    let first = leg(rig, 14);
    rig.fails(first, Cause::Unavailable);
    let second = leg(rig, 14);
    assert_ne!(first, second);
    rig.fails(second, Cause::Unavailable);
    for n in 1..=4 {
        let leg = leg(rig, n);
        rig.pass(1_000);
        rig.keys(leg, "1");
        assert_eq!(rig.said(leg), ["group_thanks"]);
        rig.prompt_ends(leg);
        assert_eq!(rig.released(leg), Some(Cause::Normal));
    }
    let (no, gone, broken) = (leg(rig, 5), leg(rig, 6), leg(rig, 7));
    rig.keys(no, "2");
    rig.prompt_ends(no);
    rig.hangs_up(gone);
    rig.is_lost(broken);
    let silent = leg(rig, 8);
    rig.prompt_ends(silent);
    let words = rig.said(silent);
    assert_eq!(words, ["Silence(50)", "group_alert"], "twice at most");
    rig.prompt_ends(silent);
    for (n, cause) in [
        (9, Cause::Busy),
        (10, Cause::Rejected),
        (11, Cause::NoAnswer),
        (13, Cause::Unallocated),
    ] {
        let leg = leg(rig, n);
        rig.fails(leg, cause);
    }
}

#[test]
fn twenty_targets_are_rung_together_and_each_has_its_own_result() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    rig.forget();
    let id = rig.starts(GroupWish {
        call: Some(call),
        ..wish(20)
    });
    rig.pass(200);
    assert_eq!(rig.rung().len(), 20, "all of them within 200 ms");
    let leg = |rig: &Rig, n| rig.leg_to(&number(n));
    for n in 1..=12 {
        let leg = leg(&rig, n);
        rig.rings(leg);
    }
    assert_eq!(rig.count("group_call.ringing"), 12);
    mixed_fates(&mut rig);
    rig.pass(60_000);
    let table = rig.is_over(id);
    let results: Vec<_> = table.targets.iter().filter_map(|t| t.result).collect();
    let mut expected = vec![GroupResult::Acknowledged; 4];
    expected.extend([
        GroupResult::Declined,
        GroupResult::Left,
        GroupResult::Lost,
        GroupResult::NoKey,
        GroupResult::Busy,
        GroupResult::Rejected,
        GroupResult::NoAnswer,
        GroupResult::NoAnswer,
        GroupResult::Unallocated,
        GroupResult::Unreachable,
    ]);
    assert_eq!(results[..14], expected);
    // Silent trunks, both of them.
    assert_eq!(results[14..], [GroupResult::Unreachable; 6]);
    assert_eq!(table.ended_why.as_deref(), Some("complete"));
    assert_eq!(rig.count("group_call.answered"), 8);
    let own = rig.events.iter().filter(|e| e.call == Some(call));
    let told = own.filter(|e| name_of(&e.kind).starts_with("group_call."));
    assert!(told.count() > 40, "on the record of its call");
    assert_eq!(rig.state(call), Some(CallState::Talking), "undisturbed");
}

#[test]
fn acknowledgement_tells_how_long_it_took_and_a_number_rings_30_s_at_most() {
    let mut rig = Rig::new();
    let id = rig.starts(wish(2));
    let (a, b) = (rig.leg_to(&number(1)), rig.leg_to(&number(2)));
    rig.rings(b);
    rig.picks_up(a);
    rig.pass(2_500);
    rig.keys(a, "1");
    let told = rig.event("group_call.acknowledged");
    assert_eq!(
        (&told["number"], &told["after_ms"]),
        (&number(1).into(), &2_500.into())
    );
    rig.pass(27_200);
    assert_eq!(rig.released(b), None);
    rig.pass(200);
    assert_eq!(rig.released(b), Some(Cause::NoAnswer));
    // It was picked up just then.
    rig.picks_up(b);
    assert_eq!(rig.result(id, &number(2)), Some(GroupResult::NoAnswer));
    rig.is_over(id);
}

#[test]
fn who_says_nothing_has_15_s_after_the_first_time_and_media_that_reports_no_end_holds_nobody() {
    let mut rig = Rig::new();
    let id = rig.starts(wish(2));
    let (a, b) = (rig.leg_to(&number(1)), rig.leg_to(&number(2)));
    rig.picks_up(a);
    rig.picks_up(b);
    rig.pass(7_000);
    rig.prompt_ends(a);
    rig.pass(8_000);
    rig.prompt_ends(a);
    rig.pass(6_900);
    assert_eq!(rig.released(a), None);
    rig.pass(200);
    assert_eq!(rig.released(a), Some(Cause::Normal));
    assert_eq!(rig.result(id, &number(1)), Some(GroupResult::NoKey));
    assert_eq!(rig.released(b), None);
    rig.pass(38_000);
    assert_eq!(rig.result(id, &number(2)), Some(GroupResult::NoKey));
    rig.is_over(id);
}

#[test]
fn first_acceptor_stops_the_others_ringing_and_who_listens_is_told() {
    let mut rig = rig_with(5, 1);
    let id = rig.starts(GroupWish {
        first_wins: true,
        ..wish(6)
    });
    rig.pass(1_000);
    assert_eq!(
        rig.rung().len(),
        3,
        "one kept for callers, one left to seats"
    );
    let [first, listens, rings] = [1, 2, 3].map(|n| rig.leg_to(&number(n)));
    rig.picks_up(first);
    rig.picks_up(listens);
    rig.rings(rings);
    rig.keys(first, "1");
    assert_eq!(rig.released(rings), Some(Cause::AnsweredElsewhere));
    assert_eq!(rig.said(listens), ["group_taken"]);
    assert_eq!(rig.said(first), ["group_thanks"]);
    // His key comes too late.
    rig.keys(listens, "1");
    rig.prompt_ends(listens);
    rig.prompt_ends(first);
    rig.pass(2_000);
    assert_eq!(rig.rung().len(), 3, "nobody more is rung");
    let table = rig.is_over(id);
    assert_eq!(table.ended_why.as_deref(), Some("taken"));
    let taken = table.targets.iter().skip(1);
    assert!(taken.clone().all(|t| t.result == Some(GroupResult::Taken)));
}

#[test]
fn circuits_kept_for_callers_are_never_taken_and_the_others_wait_in_order() {
    let mut rig = rig_with(6, 3);
    rig.arrives();
    let id = rig.starts(wish(5));
    rig.pass(500);
    // Six, less three kept, one in use, one left to a seat that dials.
    assert_eq!(rig.rung().len(), 1);
    let a = rig.leg_to(&number(1));
    rig.fails(a, Cause::Busy);
    rig.pass(1_000);
    let b = rig.leg_to(&number(2));
    assert_eq!(rig.legs_to(&number(3)).len(), 0);
    rig.arrives();
    rig.arrives();
    rig.fails(b, Cause::Busy);
    rig.pass(5_000);
    assert_eq!(rig.rung().len(), 2, "callers came; nobody is rung");
    // Ten minutes later nobody is any more.
    rig.pass(600_000);
    let table = rig.is_over(id);
    let rest = table.targets.iter().skip(2);
    assert!(
        rest.clone()
            .all(|t| t.result == Some(GroupResult::NoCircuit))
    );
}

#[test]
fn only_sixty_are_on_the_line_at_once_and_none_is_rung_while_ports_are_scarce() {
    let mut rig = Rig::new();
    let id = rig.starts(wish(200));
    rig.pass(5_000);
    let rung = rig.rung().len();
    // Those whose trunk said nothing for 4 s are rung over the next one.
    let lines = rig.switch.group_calls.lines.len();
    assert_eq!(lines, 60, "{rung}");
    let alarm = |raised| InputKind::Alarm {
        code: AlarmCode::PortsLow,
        subject: String::from("media"),
        detail: String::from("few"),
        raised,
    };
    rig.input(alarm(true));
    for _ in 0..70 {
        rig.pass(1_000);
    }
    assert_eq!(rig.switch.group_calls.lines.len(), 0);
    let rung = rig.rung().len();
    rig.input(alarm(false));
    rig.pass(1_100);
    assert!(rig.rung().len() > rung);
    rig.pass(600_000);
    rig.is_over(id);
}

#[test]
fn inviting_goes_a_few_at_a_time_so_that_a_caller_is_offered_between() {
    let mut rig = Rig::new();
    rig.registers("801");
    rig.starts(wish(50));
    assert_eq!(rig.rung().len(), 5);
    rig.arrives();
    assert!(rig.rung_seat("801").is_some(), "at once");
    assert_eq!(rig.rung().len(), 6, "and before any more of the group");
    rig.pass(50);
    assert_eq!(rig.rung().len(), 11);
}

#[test]
fn cancelling_stops_ringing_tells_who_listens_and_leaves_what_is_known() {
    let mut rig = Rig::new();
    let id = rig.starts(wish(4));
    let [acked, listens, rings, busy] = [1, 2, 3, 4].map(|n| rig.leg_to(&number(n)));
    rig.picks_up(acked);
    rig.keys(acked, "1");
    rig.picks_up(listens);
    rig.rings(rings);
    rig.fails(busy, Cause::Busy);
    let cancel = Command::CancelGroupCall { group_call: id };
    let other = Actor::Seat(SeatId::from("801"));
    let refused = rig.command(other, cancel.clone());
    assert!(matches!(refused, Err(CommandError::NotAllowed { .. })));
    assert_eq!(
        rig.command(supervisor(), cancel.clone()),
        Ok(CommandReply::Done)
    );
    assert_eq!(rig.released(rings), Some(Cause::Withdrawn));
    assert_eq!(rig.said(listens), ["group_cancelled"]);
    rig.prompt_ends(listens);
    rig.prompt_ends(acked);
    let table = rig.is_over(id);
    let results: Vec<_> = table.targets.iter().filter_map(|t| t.result).collect();
    assert_eq!(
        results,
        [
            GroupResult::Acknowledged,
            GroupResult::Cancelled,
            GroupResult::Cancelled,
            GroupResult::Busy
        ]
    );
    assert_eq!(table.ended_why.as_deref(), Some("cancelled"));
    let again = rig.command(supervisor(), cancel);
    assert!(matches!(again, Err(CommandError::WrongState { .. })));
}

#[test]
fn restart_marks_who_was_on_the_line_and_rings_on_for_who_was_not() {
    let mut rig = rig_with(4, 1);
    let id = rig.starts(wish(4));
    rig.pass(500);
    let [rings, listens] = [1, 2].map(|n| rig.leg_to(&number(n)));
    let dialog = DialogState(serde_json::json!({"leg": "x"}));
    rig.leg(
        rings,
        LegEvent::Dialog {
            state: dialog.clone(),
        },
    );
    rig.leg(listens, LegEvent::Dialog { state: dialog });
    rig.picks_up(listens);
    let saved = rig.switch.snapshot().unwrap();
    rig.switch = Switch::restore(&saved).unwrap();
    let policy = rig.switch.policy.clone();
    rig.effects.clear();
    rig.now = rig.now + Millis(3_000);
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy),
    });
    let closed = rig.effects.iter().filter(|effect| {
        let Effect::Leg { leg, command } = effect else {
            return false;
        };
        [rings, listens].contains(leg) && matches!(command, LegCommand::ReleaseOrphan { .. })
    });
    assert_eq!(closed.count(), 2, "their dialogs are closed");
    let (a, b) = (rig.result(id, &number(1)), rig.result(id, &number(2)));
    assert_eq!([a, b], [Some(GroupResult::Restarted); 2]);
    // Late words of the old dialogs change nothing.
    rig.keys(listens, "1");
    rig.hangs_up(rings);
    rig.hangs_up(listens);
    rig.pass(1_000);
    let third = rig.leg_to(&number(3));
    rig.picks_up(third);
    rig.keys(third, "1");
    rig.prompt_ends(third);
    let fourth = rig.leg_to(&number(4));
    rig.fails(fourth, Cause::Busy);
    rig.is_over(id);
}

#[test]
fn hours_after_a_restart_nobody_is_rung_any_more() {
    let mut rig = rig_with(2, 1);
    rig.arrives();
    let id = rig.starts(wish(3));
    rig.pass(500);
    let policy = rig.switch.policy.clone();
    rig.effects.clear();
    rig.now = rig.now + Millis(3_600_000);
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy),
    });
    let rung = rig.effects.iter().any(|effect| {
        matches!(
            effect,
            Effect::Leg {
                command: LegCommand::Invite(_),
                ..
            }
        )
    });
    assert!(!rung, "{:?}", rig.effects);
    rig.is_over(id);
}

#[test]
fn doubled_and_late_messages_change_no_result() {
    let mut rig = Rig::new();
    let id = rig.starts(wish(2));
    let (a, b) = (rig.leg_to(&number(1)), rig.leg_to(&number(2)));
    // A key before the answer is none.
    rig.keys(a, "1");
    assert_eq!(rig.count("group_call.acknowledged"), 0);
    rig.picks_up(a);
    rig.picks_up(a);
    let (first, _) = rig.plays(a).unwrap();
    let ended = |play| InputKind::Media {
        leg: a,
        event: MediaEvent::PlayEnded { play },
    };
    rig.input(ended(first));
    rig.input(ended(first));
    assert_eq!(rig.said(a), ["Silence(50)", "group_alert"]);
    // The same key by both ways.
    rig.keys(a, "1");
    rig.leg(a, LegEvent::Digit { digit: '1' });
    rig.keys(a, "2");
    assert_eq!(rig.count("group_call.acknowledged"), 1);
    rig.input(ended(first));
    rig.hangs_up(a);
    rig.hangs_up(a);
    rig.fails(b, Cause::Busy);
    rig.fails(b, Cause::Busy);
    let table = rig.is_over(id);
    assert_eq!(table.targets[0].result, Some(GroupResult::Acknowledged));
}

#[test]
fn retries_ring_again_whom_another_try_may_reach_and_nobody_else() {
    let mut rig = Rig::new();
    let id = rig.starts(GroupWish {
        retries: 1,
        ..wish(3)
    });
    let [busy, none, left] = [1, 2, 3].map(|n| rig.leg_to(&number(n)));
    rig.fails(busy, Cause::Busy);
    assert_eq!(rig.event("group_call.retried")["why"], "busy");
    rig.fails(none, Cause::Unallocated);
    rig.picks_up(left);
    rig.hangs_up(left);
    rig.pass(29_900);
    assert_eq!(rig.rung().len(), 3);
    rig.pass(200);
    let again = rig.leg_to(&number(1));
    rig.fails(again, Cause::Busy);
    let table = rig.is_over(id);
    assert_eq!(table.targets[0].attempts, 2);
    assert_eq!(table.targets[0].result, Some(GroupResult::Busy));
}

#[test]
fn without_a_port_of_ours_a_number_waits_and_is_rung_later() {
    let mut rig = Rig::new();
    let id = rig.starts(wish(1));
    let leg = rig.leg_to(&number(1));
    rig.fails(leg, Cause::Capacity);
    assert_eq!(rig.result(id, &number(1)), None);
    rig.pass(2_100);
    assert_eq!(rig.rung().len(), 2);
    let leg = rig.leg_to(&number(1));
    rig.picks_up(leg);
    rig.keys(leg, "1");
    rig.prompt_ends(leg);
    assert_eq!(rig.is_over(id).targets[0].attempts, 1);
}

#[test]
fn a_wish_that_cannot_be_done_is_refused_with_every_bad_number_named() {
    let mut rig = Rig::new();
    let mut bad = |wish: GroupWish| {
        let wish = Box::new(wish);
        let refused = rig.command(supervisor(), Command::StartGroupCall { wish });
        refused.expect_err("refused").to_string()
    };
    let numbers = ["13900139001", "x1", "120", "801", "139-0013 9001", "*10"];
    let text = bad(GroupWish {
        numbers: numbers.map(str::to_owned).to_vec(),
        ..wish(0)
    });
    for named in [
        "\"x1\" is no number",
        "\"120\" is this centre's own",
        "\"801\" is a seat",
        "\"139-0013 9001\" is there twice",
        "\"*10\" is no number",
    ] {
        assert!(text.contains(named), "{named}: {text}");
    }
    assert!(bad(wish(201)).contains("1 to 200"));
    assert!(bad(wish(0)).contains("1 to 200"));
    let group = Some(crate::id::GroupId::from("nobody"));
    let unknown = bad(GroupWish { group, ..wish(0) });
    assert_eq!(unknown, "no group nobody");
    let digit = 'x';
    assert!(bad(GroupWish { digit, ..wish(1) }).contains("digit"));
    let prompt = PromptId::from("../x");
    assert!(bad(GroupWish { prompt, ..wish(1) }).contains("prompt"));
    let call = Some(CallId(Uuid::from_u128(99)));
    assert!(bad(GroupWish { call, ..wish(1) }).contains("no call"));
    let retries = 4;
    assert!(bad(GroupWish { retries, ..wish(1) }).contains("retries"));
    assert_eq!(rig.rung().len(), 0);
}

#[test]
fn configured_group_is_rung_by_its_name_and_eight_go_on_at_once() {
    let mut policy = policy();
    let name = crate::id::GroupId::from("volunteers");
    policy.groups = std::sync::Arc::new([(name.clone(), vec![number(1), number(2)])].into());
    let mut rig = Rig::with(policy);
    let named = || GroupWish {
        group: Some(name.clone()),
        ..wish(0)
    };
    let id = rig.starts(named());
    assert_eq!(rig.rung().len(), 2);
    assert_eq!(rig.table(id).group, Some(name.clone()));
    assert_eq!(
        rig.event("group_call.started")["wish"]["numbers"][1],
        number(2)
    );
    for _ in 0..7 {
        rig.starts(named());
    }
    let wish = Box::new(named());
    let ninth = rig.command(supervisor(), Command::StartGroupCall { wish });
    assert!(matches!(ninth, Err(CommandError::WrongState { .. })));
}
