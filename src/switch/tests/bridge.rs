use super::*;
use crate::call::Invite;
use crate::id::DestinationId;

const CREW: &str = "13911112222";
const CALLER: &str = "13800138000";

fn module() -> Actor {
    Actor::Module(DestinationId::from("dispatch"))
}

/// A call of that number, had by seat 802 and over, for which the crew was named.
fn incident(rig: &mut Rig, number: &str) -> CallId {
    rig.registers("802");
    let mut arrival = rig.arrival("ct");
    arrival.caller = number.to_owned();
    arrival.anonymous = number.is_empty();
    let (call, caller) = rig.arrives_as(arrival);
    let leg = rig.rung_seat("802").unwrap();
    rig.picks_up(leg);
    rig.hangs_up(caller);
    rig.seals(call);
    // Until the seat's call work is over.
    rig.pass(20_000);
    let numbers = vec![String::from(CREW)];
    rig.command(module(), Command::NameCrew { call, numbers })
        .unwrap();
    rig.forget();
    call
}

fn asks(rig: &mut Rig, call: CallId, number: &str) -> Result<(CallId, LegId), CommandError> {
    let number = number.to_owned();
    match rig.command(module(), Command::Bridge { call, number })? {
        CommandReply::Call { call, leg } => Ok((call, leg)),
        other => panic!("bridge gave {other:?}"),
    }
}

fn invites(rig: &Rig) -> Vec<Invite> {
    let invite = |effect: &Effect| match effect {
        Effect::Leg {
            command: LegCommand::Invite(invite),
            ..
        } => Some((**invite).clone()),
        _ => None,
    };
    rig.effects.iter().filter_map(invite).collect()
}

fn dialled(invite: &Invite) -> &str {
    match &invite.target {
        Target::Number { number, .. } => number,
        Target::Seat { .. } => "a seat",
    }
}

/// The crew has picked up and the caller is being rung: call, crew's leg, caller's leg.
fn rung(rig: &mut Rig) -> (CallId, LegId, LegId) {
    let of = incident(rig, CALLER);
    let (call, crew) = asks(rig, of, CREW).unwrap();
    rig.rings(crew);
    rig.picks_up(crew);
    let (_, callee) = rig.rung_number().unwrap();
    assert_ne!(callee, crew);
    (call, crew, callee)
}

#[test]
fn a_crew_reaches_the_caller_of_its_incident_and_both_see_the_centres_number_only() {
    let mut rig = Rig::new();
    let of = incident(&mut rig, CALLER);
    let (call, crew) = asks(&mut rig, of, CREW).unwrap();
    assert_eq!(invites(&rig).len(), 1, "the caller waits for the crew");
    assert_eq!(rig.state(call), Some(CallState::Dialling));
    assert_eq!(rig.count("call.linked"), 2, "said on both");
    let records = |rig: &Rig| {
        let asked = |m: &MediaCommand| matches!(m, MediaCommand::Record { .. });
        rig.media().iter().filter(|m| asked(m)).count()
    };
    assert_eq!(records(&rig), 0);
    rig.rings(crew);
    rig.picks_up(crew);
    assert_eq!(records(&rig), 1, "from the first answer");
    let (_, callee) = rig.rung_number().unwrap();
    rig.rings(callee);
    assert_eq!(rig.said(crew), ["RingBack"]);
    rig.picks_up(callee);
    assert_eq!(rig.plays(crew), None);
    assert_eq!(rig.matrix(), Matrix::everyone(&[crew, callee]));
    assert_eq!(rig.state(call), Some(CallState::Talking));
    let rung = invites(&rig);
    assert_eq!(dialled(&rung[0]), CREW);
    assert_eq!(dialled(&rung[1]), CALLER);
    for invite in &rung {
        assert_eq!(invite.from_number, "120");
        assert_eq!(invite.from_name, None);
    }
    rig.hangs_up(crew);
    assert!(rig.released(callee).is_some());
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    rig.seals(call);
    assert_eq!(rig.state(call), None);
}

#[test]
fn a_crew_that_is_not_reached_ends_the_bridge_with_its_cause_and_nobody_rings_the_caller() {
    for cause in [Cause::Busy, Cause::Rejected, Cause::Unallocated] {
        let mut rig = Rig::new();
        let of = incident(&mut rig, CALLER);
        let (call, crew) = asks(&mut rig, of, CREW).unwrap();
        rig.fails(crew, cause);
        assert_eq!(invites(&rig).len(), 1);
        let ended = rig.event("call.ended");
        assert_eq!(ended["outcome"], "not_reached");
        assert_eq!(ended["cause"], serde_json::to_value(cause).unwrap());
        assert_eq!(rig.event("conference.party_failed")["role"], "crew");
        assert_eq!(rig.state(call), None, "nothing was recorded");
    }
    let mut rig = Rig::new();
    let of = incident(&mut rig, CALLER);
    let (_, crew) = asks(&mut rig, of, CREW).unwrap();
    rig.rings(crew);
    rig.pass(120_000);
    assert_eq!(rig.event("call.ended")["cause"], "no_answer");
    assert_eq!(rig.released(crew), Some(Cause::NoAnswer));
}

#[test]
fn a_caller_who_is_not_reached_is_told_to_the_crew_by_a_tone_and_the_bridge_ends() {
    let mut rig = Rig::new();
    let (_, crew, callee) = rung(&mut rig);
    rig.rings(callee);
    rig.fails(callee, Cause::Busy);
    assert_eq!(rig.said(crew), ["Busy"; 4]);
    assert_eq!(rig.count("call.ended"), 0);
    rig.prompt_ends(crew);
    assert_eq!(rig.event("call.ended")["cause"], "busy");
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
    assert!(rig.released(crew).is_some());

    let mut rig = Rig::new();
    let (_, crew, callee) = rung(&mut rig);
    rig.rings(callee);
    rig.pass(120_000);
    assert_eq!(
        rig.event("call.ended")["cause"],
        "no_answer",
        "no tone ended"
    );
    assert!(rig.released(callee).is_some() && rig.released(crew).is_some());
}

#[test]
fn a_crew_that_hangs_up_while_the_caller_rings_leaves_no_leg_over() {
    let mut rig = Rig::new();
    let (_, crew, callee) = rung(&mut rig);
    rig.rings(callee);
    rig.hangs_up(crew);
    assert!(rig.released(callee).is_some());
    assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
}

#[test]
fn a_caller_who_hangs_up_ends_the_bridge_for_the_crew() {
    let mut rig = Rig::new();
    let (_, crew, callee) = rung(&mut rig);
    rig.picks_up(callee);
    rig.hangs_up(callee);
    assert!(rig.released(crew).is_some());
    assert_eq!(rig.event("call.ended")["outcome"], "answered");
    assert!(rig.switch.view().call_backs.is_empty());
}

#[test]
fn a_supervisor_who_takes_a_bridge_over_has_handled_no_callers_call() {
    let mut rig = Rig::new();
    let (call, _, callee) = rung(&mut rig);
    rig.picks_up(callee);
    let handled = rig.switch.view().counters.centre.handled;
    rig.registers("901");
    let seat = SeatId::from("901");
    let orders = |rig: &mut Rig, mode| {
        let (by, seat) = (Actor::Supervisor(seat.clone()), seat.clone());
        rig.command(by, Command::Listen { call, seat, mode })
    };
    let Ok(CommandReply::Leg { leg }) = orders(&mut rig, Mode::Listen) else {
        panic!("refused");
    };
    rig.picks_up(leg);
    orders(&mut rig, Mode::TakeOver).unwrap();
    assert_eq!(rig.seat("901").0, SeatState::Talking);
    assert_eq!(rig.switch.view().counters.centre.handled, handled);
}

#[test]
fn a_party_taken_back_while_it_rings_ends_the_bridge() {
    for of_caller in [false, true] {
        let mut rig = Rig::new();
        let of = incident(&mut rig, CALLER);
        let (call, crew) = asks(&mut rig, of, CREW).unwrap();
        let mut leg = crew;
        if of_caller {
            rig.picks_up(crew);
            leg = rig.rung_number().unwrap().1;
        }
        let by = Actor::Supervisor(SeatId::from("901"));
        rig.command(by, Command::RemoveParty { call, leg }).unwrap();
        assert_eq!(rig.event("call.ended")["outcome"], "not_reached");
        assert!(rig.released(crew).is_some());
    }
}

#[test]
fn another_trunk_is_tried_for_the_crew_before_it_ends() {
    let mut rig = Rig::new();
    let of = incident(&mut rig, CALLER);
    let (_, crew) = asks(&mut rig, of, CREW).unwrap();
    rig.fails(crew, Cause::Unavailable);
    let (trunk, second) = rig.rung_number().unwrap();
    assert_eq!((trunk.as_str(), rig.count("call.ended")), ("cmcc", 0));
    rig.picks_up(second);
    assert_eq!(dialled(&invites(&rig)[2]), CALLER);
}

#[test]
fn who_withheld_his_number_is_never_rung_and_strangers_get_no_bridge() {
    let mut rig = Rig::new();
    let withheld = incident(&mut rig, "");
    let refused = asks(&mut rig, withheld, CREW).unwrap_err();
    assert!(refused.to_string().contains("withheld"), "{refused}");
    assert!(matches!(refused, CommandError::BadField { .. }));
    let of = incident(&mut rig, CALLER);
    let refused = asks(&mut rig, of, "13900009999").unwrap_err();
    assert!(matches!(refused, CommandError::BadField { .. }));
    let (other, _, _) = rig.talk("802");
    let refused = asks(&mut rig, other, CREW).unwrap_err();
    assert!(matches!(refused, CommandError::BadField { .. }), "no crew");
    let nobody = CallId(rig.id());
    let refused = asks(&mut rig, nobody, CREW).unwrap_err();
    assert!(matches!(refused, CommandError::Unknown { .. }));
    assert_eq!(rig.count("call.bridged"), 0);
    asks(&mut rig, of, CREW).unwrap();
    let refused = asks(&mut rig, of, CREW).unwrap_err();
    assert!(refused.to_string().contains("already"), "{refused}");
}

#[test]
fn circuits_kept_for_callers_are_not_a_bridges() {
    let mut kept = policy();
    kept.trunks.retain(|_, trunk| trunk.outbound != Some(2));
    for trunk in kept.trunks.values_mut() {
        (trunk.circuits, trunk.circuits_kept) = (Some(2), 2);
    }
    let mut rig = Rig::with(kept);
    let of = incident(&mut rig, CALLER);
    let refused = asks(&mut rig, of, CREW).unwrap_err();
    assert!(
        matches!(refused, CommandError::WrongState { .. }),
        "{refused}"
    );
}

#[test]
fn a_restart_ends_a_bridge_without_a_call_back() {
    let mut rig = Rig::new();
    let (_, _, callee) = rung(&mut rig);
    rig.picks_up(callee);
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.event("call.ended")["cause"], "restarted");
    assert!(rig.switch.view().call_backs.is_empty());
}
