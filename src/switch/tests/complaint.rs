//! Complaints and the hold of their calls.

use super::*;
use crate::id::ComplaintId;

fn seat(id: &str) -> Actor {
    Actor::Seat(SeatId::from(id))
}

fn supervisor() -> Actor {
    Actor::Supervisor(SeatId::from("901"))
}

impl Rig {
    fn complains(&mut self, call: CallId, about: Vec<CallId>) -> Result<ComplaintId, CommandError> {
        let grievance = Box::new(Grievance {
            call,
            about,
            person: Some(String::from("李某")),
            number: None,
            text: String::from("车来得太晚"),
        });
        match self.command(seat("801"), Command::OpenComplaint { grievance })? {
            CommandReply::Complaint { complaint } => Ok(complaint),
            other => panic!("{other:?}"),
        }
    }

    fn complaint(&self, id: ComplaintId) -> crate::call::Complaint {
        let view = self.switch.view();
        let found = view.complaints.iter().find(|one| one.complaint == id);
        (**found.expect("listed")).clone()
    }
}

fn close(complaint: ComplaintId) -> Command {
    let outcome = String::from("已向家属解释");
    Command::CloseComplaint { complaint, outcome }
}

#[test]
fn complaint_holds_its_calls_until_a_supervisor_closes_it_and_lifts_the_hold() {
    let mut rig = Rig::new();
    let (first, ..) = rig.talk("801");
    rig.command(seat("801"), Command::HangUp { call: first })
        .unwrap();
    rig.pass(61_000);
    let (call, ..) = rig.talk("801");
    let older = CallId(rig.id());
    let id = rig.complains(call, vec![first, older]).unwrap();
    assert_eq!(
        rig.count("complaint.opened"),
        2,
        "on each call that is remembered"
    );
    assert_eq!(rig.switch.view().open_items().complaints, [id]);
    let lift = rig.command(supervisor(), Command::LiftHold { complaint: id });
    assert!(
        matches!(lift, Err(CommandError::WrongState { .. })),
        "still open"
    );
    let by_seat = rig.command(seat("801"), close(id));
    assert!(matches!(by_seat, Err(CommandError::NotAllowed { .. })));
    rig.command(supervisor(), close(id)).unwrap();
    let again = rig.command(supervisor(), close(id));
    assert!(matches!(again, Err(CommandError::WrongState { .. })));
    assert!(rig.complaint(id).held, "closing lifts nothing");
    rig.command(supervisor(), Command::LiftHold { complaint: id })
        .unwrap();
    let told = rig.complaint(id);
    assert!(!told.held && told.closed.unwrap().by == "supervisor 901");
    assert!(rig.switch.view().open_items().complaints.is_empty());
    assert_eq!(rig.count("complaint.hold_lifted"), 2);
}

#[test]
fn complaints_are_folded_from_events_when_the_old_state_cannot_be_read() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let (closed, open) = (
        rig.complains(call, Vec::new()).unwrap(),
        rig.complains(call, Vec::new()).unwrap(),
    );
    rig.command(supervisor(), close(closed)).unwrap();
    let complaints = complaints_of(&rig.events);
    let mut next = Rig::new();
    let marks = Vec::new();
    next.input(InputKind::Remembered { marks, complaints });
    for id in [closed, open] {
        assert_eq!(next.complaint(id), rig.complaint(id));
    }
    // Its call is unknown now; the complaint can be closed all the same.
    next.command(supervisor(), close(open)).unwrap();
    assert_eq!(next.count("complaint.closed"), 1);
}

#[test]
fn a_full_list_lets_closed_complaints_without_a_hold_go_and_no_other() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let first = rig.complains(call, Vec::new()).unwrap();
    for _ in 1..crate::limits::COMPLAINTS_MAX {
        rig.complains(call, Vec::new()).unwrap();
    }
    let full = rig.complains(call, Vec::new());
    assert!(matches!(full, Err(CommandError::WrongState { .. })));
    rig.command(supervisor(), close(first)).unwrap();
    assert!(rig.complains(call, Vec::new()).is_err(), "held");
    rig.command(supervisor(), Command::LiftHold { complaint: first })
        .unwrap();
    rig.complains(call, Vec::new()).unwrap();
}
