//! The checklist of a major incident.

use super::*;
use crate::call::FormChange;

fn seat(id: &str) -> Actor {
    Actor::Seat(SeatId::from(id))
}

fn tick(call: CallId, step: &str, done: bool) -> Command {
    let step = step.to_owned();
    Command::TickStep { call, step, done }
}

fn casualties(rig: &mut Rig, call: CallId, number: u16) {
    let mut change = FormChange::default();
    change.set.casualties = Some(number);
    let change = Box::new(change);
    let revision = None;
    let command = Command::FillForm {
        call,
        revision,
        change,
    };
    rig.command(seat("801"), command).unwrap();
}

#[test]
fn three_casualties_or_a_person_raise_the_checklist_once_and_at_once() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    casualties(&mut rig, call, 2);
    assert_eq!(rig.count("incident.major"), 0);
    casualties(&mut rig, call, 3);
    casualties(&mut rig, call, 5);
    assert_eq!(rig.count("incident.major"), 1);
    assert_eq!(rig.event("incident.major")["reason"], "casualties");
    let again = rig.command(seat("801"), Command::MarkMajor { call });
    assert!(matches!(again, Err(CommandError::WrongState { .. })));
    let (other, ..) = rig.talk("802");
    rig.command(seat("802"), Command::MarkMajor { call: other })
        .unwrap();
    assert_eq!(rig.event("incident.major")["reason"], "marked");
    let view = rig.switch.view();
    let steps = rig.switch.policy.forms.incident_steps.len();
    assert!(
        view.calls
            .iter()
            .all(|c| c.major == Some((0, u32::try_from(steps).unwrap())))
    );
}

#[test]
fn each_step_is_ticked_by_somebody_once_and_a_mistake_can_be_taken_back() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let early = rig.command(seat("801"), tick(call, "place", true));
    assert!(
        matches!(early, Err(CommandError::Unknown { .. })),
        "no checklist"
    );
    rig.command(seat("801"), Command::MarkMajor { call })
        .unwrap();
    let unknown = rig.command(seat("801"), tick(call, "nothing", true));
    assert!(matches!(unknown, Err(CommandError::Unknown { .. })));
    rig.command(seat("801"), tick(call, "place", true)).unwrap();
    let supervisor = Actor::Supervisor(SeatId::from("901"));
    let late = rig.command(supervisor.clone(), tick(call, "place", true));
    let Err(CommandError::WrongState { state, .. }) = late else {
        panic!("{late:?}");
    };
    assert!(state.starts_with("done by seat 801 at 20"), "{state}");
    rig.command(supervisor.clone(), tick(call, "place", false))
        .unwrap();
    rig.command(supervisor, tick(call, "danger", true)).unwrap();
    let view = rig.switch.view();
    let steps = &view.sheets[&call].major.as_ref().unwrap().steps;
    let done: Vec<_> = steps
        .iter()
        .filter_map(|s| Some((s.code.as_str(), s.by.as_deref()?)))
        .collect();
    assert_eq!(done, [("danger", "supervisor 901")]);
    assert_eq!(rig.count("incident.step"), 3);
}
