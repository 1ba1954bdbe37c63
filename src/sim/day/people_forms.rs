//! What people write of a call, open or past: form, type, notes, checklist, complaint, handover.

use super::world::World;
use crate::call::FormChange;
use crate::id::{CallId, ComplaintId, DestinationId, SeatId};
use crate::switch::{Actor, Command, DispatchReport, Grievance};

/// What people write on a form; the last is refused.
const PATCHES: [&str; 6] = [
    r#"{"patient_name":"王某","sex":1,"age_years":61}"#,
    r#"{"scene":"深南大道","pickup":"北门"}"#,
    r#"{"pickup":null,"sex":2}"#,
    r#"{"reason":{"l1":"trauma","l2":"traffic"},"casualties":3}"#,
    r#"{"contact_number":"0755-88886666"}"#,
    r#"{"age_years":131}"#,
];
impl World {
    /// The seat fills the form in, or leaves it; others write too, some for a revision that is no more.
    pub(super) fn writes(&mut self, call: CallId, by: &Actor) {
        if self.chance.percent(50) {
            return;
        }
        for _ in 0..1 + self.chance.below(4) {
            let by = match self.chance.below(6) {
                0 => self.any_supervisor(),
                1 => Actor::Seat(SeatId::from("800")),
                2 => Actor::Module(DestinationId::from("emr")),
                _ => by.clone(),
            };
            let patch = self.chance.pick(&PATCHES).copied().unwrap_or("{}");
            let patch = serde_json::from_str(patch).unwrap_or_default();
            let change = Box::new(FormChange::from_patch(patch).unwrap_or_default());
            let read = self.chance.percent(30);
            let revision = read.then(|| self.chance.below(3));
            let after = self.chance.tail(60_000);
            let command = match self.chance.below(13) {
                0 => Command::Classify {
                    call,
                    code: String::from("urge"),
                },
                1 => Command::AddNote {
                    call,
                    text: String::from("家属在路口"),
                },
                2 => Command::TickStep {
                    call,
                    step: String::from("place"),
                    done: self.chance.percent(80),
                },
                3 => Command::OpenComplaint {
                    grievance: Box::new(Grievance {
                        call,
                        about: Vec::new(),
                        person: None,
                        number: None,
                        text: String::from("车来得太晚"),
                    }),
                },
                5 => Command::GiveAdvice {
                    call,
                    on: self.chance.percent(60),
                },
                6 => Command::Dispatch {
                    call,
                    report: DispatchReport::OrderIssued {
                        order_id: String::from("1"),
                        station: None,
                        vehicle: String::from("V1"),
                    },
                },
                4 => Command::HandOver {
                    to: SeatId::from("801"),
                    note: String::new(),
                },
                _ => Command::FillForm {
                    call,
                    revision,
                    change,
                },
            };
            self.commands(after, by, command);
        }
    }

    /// Some close it and lift its hold, in the right order or not.
    pub(super) fn settles_complaint(&mut self, complaint: ComplaintId) {
        for command in [
            Command::CloseComplaint {
                complaint,
                outcome: String::from("已解释"),
            },
            Command::LiftHold { complaint },
        ] {
            if self.chance.percent(60) {
                let after = self.chance.tail(120_000);
                let by = self.any_supervisor();
                self.commands(after, by, command);
            }
        }
    }
}
