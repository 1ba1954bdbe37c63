//! The form, the type and notes of a call: who may write, what counts, what is kept.

use super::*;
use crate::call::{FormChange, FormField};
use crate::id::DestinationId;

fn seat(id: &str) -> Actor {
    Actor::Seat(SeatId::from(id))
}

fn fill(call: CallId, revision: Option<u32>, patch: &str) -> Command {
    let change = FormChange::from_patch(serde_json::from_str(patch).unwrap()).unwrap();
    let change = Box::new(change);
    Command::FillForm {
        call,
        revision,
        change,
    }
}

impl Rig {
    fn fills(&mut self, by: &str, call: CallId, patch: &str) -> Result<u32, CommandError> {
        match self.command(seat(by), fill(call, None, patch))? {
            CommandReply::Form { revision } => Ok(revision),
            other => panic!("{other:?}"),
        }
    }

    fn sheet(&self, call: CallId) -> crate::call::Sheet {
        let view = self.switch.view();
        let sheet = view.sheets.get(&call);
        sheet.map(|sheet| (**sheet).clone()).unwrap_or_default()
    }

    /// The call is over and settled.
    fn over(&mut self, call: CallId) {
        self.command(seat("801"), Command::HangUp { call }).unwrap();
        self.pass(61_000);
        assert!(self.switch.calls.is_empty(), "settled");
    }
}

#[test]
fn each_change_of_the_form_is_a_revision_with_author_and_time() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let first = r#"{"patient_name":"王某","sex":1,"reason":{"l1":"trauma","l2":"traffic"}}"#;
    assert_eq!(rig.fills("801", call, first), Ok(1));
    assert_eq!(
        rig.fills("801", call, r#"{"sex":2,"scene":"深南大道"}"#),
        Ok(2)
    );
    let sheet = rig.sheet(call);
    assert_eq!((sheet.revision, sheet.form.sex), (2, Some(2)));
    assert_eq!(sheet.form.patient_name.as_deref(), Some("王某"));
    assert_eq!(sheet.form.reason.unwrap().zh, "创伤 / 交通伤");
    assert_eq!(sheet.changed, [FormField::Sex, FormField::Scene]);
    assert_eq!(sheet.changed_by.as_deref(), Some("seat 801"));
    assert_eq!(sheet.changed_at, Some(rig.now));
    let said = rig.event("form.changed");
    assert_eq!(
        (&said["revision"], &said["by"]["seat"]),
        (&2.into(), &"801".into())
    );
    let view = rig.switch.view();
    assert_eq!(view.calls[0].form_revision, 2);
}

#[test]
fn same_words_again_are_no_new_revision() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    assert_eq!(rig.fills("801", call, r#"{"casualties":3}"#), Ok(1));
    assert_eq!(
        rig.fills("801", call, r#"{"casualties":3,"pickup":null}"#),
        Ok(1)
    );
    assert_eq!(rig.count("form.changed"), 1);
}

#[test]
fn who_read_an_older_revision_is_told_who_wrote_what_and_changes_nothing() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    rig.fills("801", call, r#"{"scene":"南门"}"#).unwrap();
    let supervisor = Actor::Supervisor(SeatId::from("901"));
    let late = rig.command(
        supervisor.clone(),
        fill(call, Some(0), r#"{"scene":"北门"}"#),
    );
    let Err(CommandError::WrongState { state, hint, .. }) = late else {
        panic!("{late:?}");
    };
    assert_eq!(state, "at revision 1");
    assert!(hint.starts_with("seat 801 wrote scene at 20"), "{hint}");
    assert_eq!(rig.sheet(call).form.scene.as_deref(), Some("南门"));
    let right = rig.command(supervisor, fill(call, Some(1), r#"{"scene":"北门"}"#));
    assert_eq!(right, Ok(CommandReply::Form { revision: 2 }));
}

#[test]
fn only_the_own_seat_a_supervisor_or_a_module_writes_on_an_open_call_and_any_seat_on_an_ended_one()
{
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let note = || Command::AddNote {
        call,
        text: String::from("门口有人接"),
    };
    let reply = rig.command(seat("802"), note());
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    let reply = rig.fills("802", call, r#"{"sex":1}"#);
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    let module = Actor::Module(DestinationId::from("emr"));
    for by in [seat("801"), Actor::Supervisor(SeatId::from("901")), module] {
        assert_eq!(rig.command(by, note()), Ok(CommandReply::Done));
    }
    let reply = rig.command(Actor::Engine, note());
    assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    rig.over(call);
    assert_eq!(rig.command(seat("802"), note()), Ok(CommandReply::Done));
    assert_eq!(rig.sheet(call).notes.len(), 4);
}

#[test]
fn form_is_written_on_after_the_end_and_its_revision_outlives_its_text() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    rig.fills("801", call, r#"{"patient_name":"王某"}"#)
        .unwrap();
    rig.over(call);
    assert_eq!(rig.fills("802", call, r#"{"age_years":61}"#), Ok(2));
    for _ in 0..crate::limits::SHEETS_KEPT {
        let id = CallId(rig.id());
        rig.switch.sheets.settled(id);
    }
    assert_eq!(
        rig.sheet(call),
        crate::call::Sheet::default(),
        "no room for its text"
    );
    assert_eq!(rig.switch.sheets.revision(call), 2);
    let late = rig.command(seat("802"), fill(call, Some(1), r#"{"age_years":62}"#));
    assert!(matches!(late, Err(CommandError::WrongState { .. })));
    assert_eq!(rig.fills("802", call, r#"{"age_years":null}"#), Ok(3));
    let unknown = CallId(rig.id());
    let reply = rig.fills("802", unknown, r#"{"age_years":62}"#);
    assert!(matches!(reply, Err(CommandError::Unknown { .. })));
}

#[test]
fn wrong_field_is_refused_by_name_and_changes_nothing() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    let hash = rig.switch.state_hash();
    for (patch, field) in [
        (r#"{"scene":"南门","sex":3}"#, "sex"),
        (r#"{"reason":{"l1":"nothing"}}"#, "reason"),
        (r#"{"contact_number":"one"}"#, "contact_number"),
    ] {
        let reply = rig.fills("801", call, patch);
        let Err(CommandError::BadField { field: named, .. }) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(named, field);
    }
    let code = String::from("nothing");
    let reply = rig.command(seat("801"), Command::Classify { call, code });
    assert!(matches!(reply, Err(CommandError::BadField { .. })));
    let text = "长".repeat(700);
    let reply = rig.command(seat("801"), Command::AddNote { call, text });
    assert!(matches!(reply, Err(CommandError::BadField { .. })));
    assert_eq!(rig.switch.state_hash(), hash);
}

#[test]
fn last_word_on_the_type_counts_and_each_is_said() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    for code in ["emergency", "urge", "urge"] {
        let code = String::from(code);
        let reply = rig.command(seat("801"), Command::Classify { call, code });
        assert_eq!(reply, Ok(CommandReply::Done));
    }
    assert_eq!(rig.count("call.classified"), 2);
    let told = rig.switch.view().calls[0].call_type.clone().unwrap();
    assert_eq!((told.code.as_str(), told.zh.as_str()), ("urge", "催车"));
}

#[test]
fn sheets_survive_a_restart_of_the_process() {
    let mut rig = Rig::new();
    let (call, ..) = rig.talk("801");
    rig.fills("801", call, r#"{"scene":"南门"}"#).unwrap();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.sheet(call).form.scene.as_deref(), Some("南门"));
    assert_eq!(rig.fills("802", call, r#"{"scene":"北门"}"#), Ok(2));
}
