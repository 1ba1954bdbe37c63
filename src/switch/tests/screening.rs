//! Marks, repeat callers and bursts: what they change, and that they never cost a caller the seat.

use super::*;
use crate::geo::{Datum, LatLon};
use crate::screen::Mark;

const NUMBER: &str = "13800138000";
const DAY_MS: u32 = 24 * 60 * 60 * 1000;

impl Rig {
    fn from(&mut self, number: &str) -> (CallId, LegId) {
        let mut arrival = self.arrival("ct");
        arrival.caller = number.to_owned();
        self.arrives_as(arrival)
    }

    fn proposes(&mut self, by: Actor, call: CallId) -> Result<MarkId, CommandError> {
        let reason = String::from("辱骂");
        match self.command(by, Command::ProposeVerdict { call, reason })? {
            CommandReply::Mark { mark } => Ok(mark),
            other => panic!("{other:?}"),
        }
    }

    /// A proposed mark whose call has ended.
    fn suspected(&mut self, number: &str) -> MarkId {
        let (call, caller) = self.from(number);
        let mark = self.proposes(supervisor(), call).expect("proposed");
        self.hangs_up(caller);
        self.seals(call);
        mark
    }

    fn confirms(&mut self, mark: MarkId) {
        self.command(supervisor(), Command::ConfirmVerdict { mark })
            .expect("confirmed");
    }

    /// A number under a confirmed verdict.
    fn marked(&mut self) -> MarkId {
        let mark = self.suspected(NUMBER);
        self.confirms(mark);
        mark
    }

    fn state_of_mark(&self, mark: MarkId) -> String {
        let view = self.switch.view();
        let found = view.marks.iter().find(|m| m.mark == mark).expect("a mark");
        found.state.clone()
    }

    fn folded(&self) -> Vec<Mark> {
        marks_of(&self.events)
    }
}

fn supervisor() -> Actor {
    Actor::Supervisor(SeatId::from("901"))
}

fn seat(id: &str) -> Actor {
    Actor::Seat(SeatId::from(id))
}

fn number(text: &str) -> crate::phone::Number {
    crate::phone::parse(text, "0755", false)
}

/// Whether an Input's effects ring a seat for the call.
fn rings_a_seat(effects: &[Effect], of: CallId) -> bool {
    effects.iter().any(|effect| match effect {
        Effect::Leg {
            command: LegCommand::Invite(invite),
            ..
        } => invite.call == of && matches!(invite.target, Target::Seat { .. }),
        _ => false,
    })
}

#[test]
fn a_confirmed_number_rings_a_free_seat_in_the_very_step_it_arrives_and_hears_the_education_prompt()
{
    let mut rig = Rig::new();
    let mark = rig.marked();
    rig.registers("801");
    rig.forget();
    let (call, caller) = rig.from(NUMBER);
    assert!(rings_a_seat(&rig.effects, call), "0 ms added");
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["Entry", "education"]);
    assert_eq!(rig.event("education.played")["mark"], mark.to_string());
    let leg = rig.rung_seat("801").expect("rung");
    rig.rings(leg);
    rig.picks_up(leg);
    assert_eq!(rig.plays(caller), None, "cut on answer");
    assert_eq!(rig.state(call), Some(CallState::Talking));
}

#[test]
fn a_proposal_is_a_label_without_effect_and_a_lifted_verdict_has_none_any_more() {
    let mut rig = Rig::new();
    let (call, caller) = rig.from(NUMBER);
    let mark = rig.proposes(supervisor(), call).expect("proposed");
    assert_eq!(
        rig.event("harassment.suspected")["mark"]["proposal"]["reason"],
        "辱骂"
    );
    rig.hangs_up(caller);
    let (next, leg) = rig.from(NUMBER);
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "greeting"], "only a label");
    let label = rig
        .switch
        .view()
        .calls
        .iter()
        .find(|c| c.call == next)
        .cloned();
    assert_eq!(
        label.and_then(|c| c.screen.mark).expect("a label").state,
        "proposed"
    );
    assert_eq!(rig.switch.behind(&number(NUMBER)), Millis(0));
    rig.confirms(mark);
    assert_eq!(rig.switch.behind(&number(NUMBER)), Millis::from_secs(10));
    assert_eq!(rig.switch.behind(&number("13800138001")), Millis(0));
    let lift = Command::LiftVerdict {
        mark,
        reason: String::new(),
    };
    rig.command(supervisor(), lift.clone()).expect("one key");
    assert_eq!(rig.switch.behind(&number(NUMBER)), Millis(0));
    let (_, leg) = rig.from(NUMBER);
    rig.acks(leg);
    assert_eq!(
        rig.said(leg),
        ["Entry", "greeting"],
        "at once without effect"
    );
    let again = rig.command(supervisor(), lift);
    assert!(
        matches!(again, Err(CommandError::WrongState { .. })),
        "{again:?}"
    );
}

#[test]
fn only_the_seat_of_the_call_proposes_and_only_a_supervisor_confirms_and_lifts() {
    let mut rig = Rig::new();
    let (call, caller, leg) = rig.talk("801");
    let refused = |result: Result<MarkId, CommandError>| {
        assert!(
            matches!(result, Err(CommandError::NotAllowed { .. })),
            "{result:?}"
        );
    };
    refused(rig.proposes(seat("802"), call));
    refused(rig.proposes(Actor::Module("dispatch".into()), call));
    rig.hangs_up(leg);
    rig.seals(call);
    // After the call, at the wrap-up: still the same seat's.
    refused(rig.proposes(seat("802"), call));
    let mark = rig.proposes(seat("801"), call).expect("its own call");
    let confirm = rig.command(seat("801"), Command::ConfirmVerdict { mark });
    assert!(
        matches!(confirm, Err(CommandError::NotAllowed { .. })),
        "{confirm:?}"
    );
    assert_eq!(rig.state_of_mark(mark), "proposed");
    let (reason, other) = (String::new(), MarkId(rig.id()));
    let unknown = rig.command(
        supervisor(),
        Command::LiftVerdict {
            mark: other,
            reason,
        },
    );
    assert!(
        matches!(unknown, Err(CommandError::Unknown { .. })),
        "{unknown:?}"
    );
    let twice = rig.proposes(supervisor(), call);
    assert!(
        matches!(twice, Err(CommandError::WrongState { .. })),
        "{twice:?}"
    );
    let nobody = CallId(rig.id());
    let unknown = rig.proposes(supervisor(), nobody);
    assert!(
        matches!(unknown, Err(CommandError::Unknown { .. })),
        "{unknown:?}"
    );
    let empty = Command::ProposeVerdict {
        call,
        reason: String::from(" "),
    };
    let bad = rig.command(supervisor(), empty);
    assert!(matches!(bad, Err(CommandError::BadField { .. })), "{bad:?}");
    assert!(
        rig.released(caller).is_some(),
        "the seat's own hang-up ended the talk, nothing else"
    );
}

#[test]
fn withheld_and_shared_numbers_are_nobody_and_cannot_be_marked() {
    let mut rig = Rig::new();
    let shared = rig.from("075588880000").0;
    let mut arrival = rig.arrival("ct");
    arrival.caller = NUMBER.to_owned();
    arrival.anonymous = true;
    let withheld = rig.arrives_as(arrival).0;
    let short = rig.from("110").0;
    for call in [shared, withheld, short] {
        let refused = rig.proposes(supervisor(), call);
        assert!(
            matches!(refused, Err(CommandError::BadField { .. })),
            "{refused:?}"
        );
    }
    let view = rig.switch.view();
    assert!(view.calls.iter().all(|c| !c.screen.markable));
}

#[test]
fn a_mark_on_a_number_is_not_a_mark_on_who_withholds_it() {
    let mut rig = Rig::new();
    rig.marked();
    let mut arrival = rig.arrival("ct");
    arrival.caller = NUMBER.to_owned();
    arrival.anonymous = true;
    let (_, leg) = rig.arrives_as(arrival);
    rig.acks(leg);
    assert_eq!(rig.said(leg), ["Entry", "greeting"]);
}

#[test]
fn a_verdict_ends_after_thirty_days_and_a_proposal_that_nobody_looked_at_after_seven() {
    let mut rig = Rig::new();
    let confirmed = rig.marked();
    let proposed = rig.suspected("13900139000");
    rig.pass(7 * DAY_MS - 1000);
    assert_eq!(rig.state_of_mark(proposed), "proposed");
    rig.pass(2000);
    assert_eq!(rig.state_of_mark(proposed), "expired");
    assert_eq!(rig.state_of_mark(confirmed), "confirmed");
    rig.pass(23 * DAY_MS);
    assert_eq!(rig.state_of_mark(confirmed), "expired");
    assert_eq!(rig.switch.behind(&number(NUMBER)), Millis(0));
    assert_eq!(rig.count("harassment.cleared"), 2);
}

#[test]
fn verdicts_survive_a_restart_and_a_state_that_cannot_be_read() {
    let mut rig = Rig::new();
    let mark = rig.marked();
    rig.suspected("13900139000");
    let folded = rig.folded();
    assert_eq!(folded.len(), 2);
    let started = InputKind::Started {
        seed: 8,
        build: String::from("next"),
        policy: Box::new(policy()),
    };
    rig.input(started.clone());
    assert_eq!(rig.state_of_mark(mark), "confirmed");
    assert_eq!(rig.switch.behind(&number(NUMBER)), Millis::from_secs(10));
    // Another build: nothing but what the Events tell.
    let mut next = Rig::new();
    next.now = rig.now;
    next.input(started);
    next.input(InputKind::Remembered {
        marks: folded,
        complaints: Vec::new(),
    });
    assert_eq!(next.switch.behind(&number(NUMBER)), Millis::from_secs(10));
    assert_eq!(next.switch.view().marks.len(), 2);
    assert_eq!(next.switch.view().marks, rig.switch.view().marks);
    next.pass(30 * DAY_MS);
    assert_eq!(next.state_of_mark(mark), "expired", "its timer runs on");
}

#[test]
fn events_alone_tell_every_mark_as_it_stands() {
    let mut rig = Rig::new();
    let first = rig.marked();
    let reason = String::from("家属来电说明");
    rig.command(
        supervisor(),
        Command::LiftVerdict {
            mark: first,
            reason,
        },
    )
    .expect("lifted");
    rig.marked();
    rig.suspected("13900139000");
    rig.pass(8 * DAY_MS);
    let mut next = Rig::new();
    let marks = rig.folded();
    next.input(InputKind::Remembered {
        marks,
        complaints: Vec::new(),
    });
    let (live, told) = (rig.switch.view().marks, next.switch.view().marks);
    assert_eq!(live.len(), 3);
    assert_eq!(live, told);
}

#[test]
fn a_second_call_within_five_minutes_bears_a_badge_and_a_later_one_none() {
    let mut rig = Rig::new();
    let (_, _, leg) = {
        rig.registers("801");
        let (call, caller) = rig.from(NUMBER);
        let leg = rig.rung_seat("801").expect("rung");
        rig.picks_up(leg);
        (call, caller, leg)
    };
    rig.hangs_up(leg);
    rig.pass(200_000);
    let (call, caller) = rig.from(NUMBER);
    assert_eq!(rig.event("caller.repeated")["calls"], 2);
    let shown = |rig: &Rig, call: CallId| {
        let view = rig.switch.view();
        view.calls
            .iter()
            .find(|c| c.call == call)
            .map(|c| c.screen.clone())
            .unwrap()
    };
    assert!(shown(&rig, call).repeated);
    rig.hangs_up(caller);
    rig.pass(301_000);
    let (call, _) = rig.from(NUMBER);
    assert!(!shown(&rig, call).repeated);
    assert_eq!(rig.count("caller.repeated"), 1);
}

#[test]
fn two_unanswered_calls_within_five_minutes_put_the_call_back_on_top() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        // Somebody who has tried more often, but not so soon again.
        let (_, caller) = rig.from("13900139000");
        rig.hangs_up(caller);
        rig.pass(301_000);
    }
    assert_eq!(rig.count("alert.repeat_unanswered"), 0);
    let (_, caller) = rig.from(NUMBER);
    rig.hangs_up(caller);
    rig.pass(60_000);
    let (_, caller) = rig.from(NUMBER);
    rig.hangs_up(caller);
    let told = rig.event("alert.repeat_unanswered");
    assert_eq!(told["unanswered"], 2);
    let view = rig.switch.view();
    let first = &view.call_backs[0];
    assert!(
        first.urgent && first.number == NUMBER,
        "{:?}",
        view.call_backs
    );
    assert_eq!(told["call_back"], first.call_back.to_string());
    assert!(!view.call_backs[1].urgent && view.call_backs[1].calls == 3);
}

#[test]
fn the_score_explains_short_and_silent_calls_and_stays_a_proposal() {
    let mut rig = Rig::new();
    rig.registers("801");
    for _ in 0..4 {
        let (call, caller) = rig.from(NUMBER);
        let leg = rig.rung_seat("801").expect("rung");
        rig.picks_up(leg);
        rig.pass(2_000);
        rig.hangs_up(caller);
        rig.seals(call);
        rig.pass(20_000);
    }
    let (call, caller) = rig.from(NUMBER);
    let view = rig.switch.view();
    let screen = &view.calls.iter().find(|c| c.call == call).unwrap().screen;
    let score = screen.score.as_ref().expect("a score");
    assert!(score.proposes, "{score:?}");
    assert!(
        score.zh.contains(&String::from("4 次接通后没有声音")),
        "{score:?}"
    );
    assert!(
        score
            .en
            .contains(&String::from("4 answered and over within 10 s")),
        "{score:?}"
    );
    assert_eq!(screen.mark, None, "no number is marked by a machine");
    assert_eq!(rig.switch.behind(&number(NUMBER)), Millis(0));
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
}

#[test]
fn sound_from_the_caller_and_an_ambulance_count_against_harassment() {
    let mut rig = Rig::new();
    rig.registers("801");
    let (call, caller) = rig.from(NUMBER);
    let event = MediaEvent::RtpStarted;
    rig.input(InputKind::Media { leg: caller, event });
    let leg = rig.rung_seat("801").expect("rung");
    rig.picks_up(leg);
    rig.hangs_up(caller);
    rig.seals(call);
    let report = DispatchReport::OrderIssued {
        order_id: String::from("1"),
        station: None,
        vehicle: String::from("A1"),
    };
    rig.command(
        Actor::Module("dispatch".into()),
        Command::Dispatch { call, report },
    )
    .expect("taken");
    let (call, _) = rig.from(NUMBER);
    let view = rig.switch.view();
    let screen = &view.calls.iter().find(|c| c.call == call).unwrap().screen;
    assert_eq!(screen.score, None, "helped outweighs one short call");
}

#[test]
fn twenty_calls_of_one_trunk_within_a_minute_are_a_burst_that_holds_nobody_up() {
    let mut rig = Rig::new();
    rig.registers("801");
    let mut calls = Vec::new();
    for n in 0..20 {
        assert!(!rig.has_alarm(AlarmCode::Burst, "trunk ct"), "{n}");
        calls.push(rig.arrives());
        rig.pass(1_000);
    }
    assert!(rig.has_alarm(AlarmCode::Burst, "trunk ct"));
    let answered = |rig: &Rig, leg: LegId| {
        rig.effects.iter().any(
            |e| matches!(e, Effect::Leg { leg: of, command: LegCommand::Answer } if *of == leg),
        )
    };
    assert!(
        calls.iter().all(|(_, leg)| answered(&rig, *leg)),
        "all are answered"
    );
    // Whose place is unknown stands first in the hint.
    let (placed, other) = (calls[3].0, calls[4].0);
    rig.found_at(placed, 22.5431);
    rig.found_at(other, 22.5440);
    let view = rig.switch.view();
    let burst = &view.bursts[0];
    let from = burst.calls.len() - 2;
    assert_eq!(burst.calls[from..], [placed, other], "{burst:?}");
    let near = rig.event("incident.near");
    assert_eq!(near["other"], placed.to_string());
    assert_eq!(near["metres"], 100);
    rig.pass(301_000);
    assert!(!rig.has_alarm(AlarmCode::Burst, "trunk ct"));
}

impl Rig {
    fn found_at(&mut self, call: CallId, lat: f64) {
        let location = Location {
            source: LocationSource::Pidf,
            datum: Datum::Wgs84,
            point: LatLon::new(lat, 114.0579),
            shape: Shape::Point,
            radius_m: None,
            confidence_pct: None,
            civic: None,
            measured_at: None,
        };
        let finding = Box::new(Finding::Location(location));
        self.input(InputKind::Found { call, finding });
    }
}

#[test]
fn six_callers_in_one_cell_are_a_burst_of_that_cell() {
    let mut rig = Rig::new();
    for _ in 0..6 {
        let (call, _) = rig.arrives();
        let cell = NetworkCell {
            access: String::from("3GPP-E-UTRAN-FDD"),
            mcc: String::from("460"),
            mnc: String::from("00"),
            tac: String::from("102D"),
            cell_id: String::from("108F00D"),
            trust: String::from("network"),
        };
        let finding = Box::new(Finding::Network(cell));
        rig.input(InputKind::Found { call, finding });
    }
    assert!(rig.has_alarm(AlarmCode::Burst, "cell 460-00-102D-108F00D"));
    assert!(!rig.has_alarm(AlarmCode::Burst, "trunk ct"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 48, ..Default::default() })]

    /// Whatever the marks, the score, the flood or the bounds: an INVITE on a trusted trunk is answered in its own step
    /// and, once seats serve, reaches one.
    #[test]
    fn whatever_the_marks_scores_floods_and_bounds_every_invite_is_answered_and_reaches_a_seat(
        callers in proptest::collection::vec((0..6_u8, 0..3_u8, 0..20_u16), 1..40),
        (repeat_calls, burst, window) in (0..4_u32, 0..8_u32, 0..400_000_u32),
    ) {
        let mut policy = policy();
        policy.screening = crate::screen::Bounds {
            repeat_window: Millis(window),
            repeat_calls,
            burst_trunk_calls: burst,
            burst_area_calls: burst,
            burst_window: Millis(window),
        };
        let mut rig = Rig::with(policy);
        let mut calls = Vec::new();
        for (who, verdict, pause) in callers {
            let (call, leg) = rig.from(&format!("1380013800{who}"));
            let answers = rig.effects.iter().any(|e| matches!(
                e, Effect::Leg { leg: of, command: LegCommand::Answer } if *of == leg));
            proptest::prop_assert!(answers, "answered in its own step");
            if verdict > 0 && let Ok(mark) = rig.proposes(supervisor(), call) && verdict > 1 {
                rig.confirms(mark);
            }
            calls.push((call, leg));
            rig.pass(u32::from(pause) * 100);
        }
        for (_, leg) in &calls {
            proptest::prop_assert_eq!(rig.released(*leg), None);
        }
        rig.registers("801");
        for _ in 0..calls.len() {
            let waits = rig.switch.view().calls.iter().find(|c| c.state == CallState::Offered).map(|c| c.call);
            let Some(call) = waits else { break };
            let leg = rig.rung_seat("801").expect("rung");
            rig.picks_up(leg);
            proptest::prop_assert_eq!(rig.state(call), Some(CallState::Talking));
            rig.hangs_up(leg);
            // While somebody has waited too long it is rung again at once.
            if rig.seat("801").0 == SeatState::WrapUp {
                rig.command(supervisor(), Command::SeatReady { seat: SeatId::from("801") }).expect("ready");
            }
        }
        let answered = calls.iter().filter(|(call, _)| {
            rig.events.iter().any(|e| e.call == Some(*call) && matches!(e.kind, EventKind::SeatAnswered { .. }))
        });
        proptest::prop_assert_eq!(answered.count(), calls.len(), "everybody reaches a seat");
    }
}
