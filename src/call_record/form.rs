//! What people wrote on a call: form, type, notes.

use serde::{Deserialize, Serialize};

use super::parts::{Civic, RecordedLocation};
use super::{CallRecord, Moment};
use crate::call::{Entry, Form, FormChange, FormField};
use crate::id::ComplaintId;
use crate::switch::{Actor, EventKind, Shape};

/// Changes and notes kept in one record; the oldest give way.
const CHANGES_MAX: usize = 100;
const NOTES_MAX: usize = 100;
const COMPLAINTS_MAX: usize = 20;

/// The patient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// GB/T 2261.1: 0, 1, 2, 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_years: Option<u8>,
}

/// Whom to speak to on the spot (联系人).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    pub by: Actor,
    pub at: Moment,
}

/// The rest of the form (受理单), and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedForm {
    pub revision: u32,
    /// Who changed it last.
    pub by: Actor,
    pub at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chief_complaint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub casualties: Option<u16>,
    /// 病发地点.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
    /// 接车地点.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup: Option<String>,
    /// Oldest first; with what stood there before, so that each earlier revision can be read.
    pub changes: Vec<FormRevision>,
}

/// One change of the form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormRevision {
    pub revision: u32,
    pub by: Actor,
    pub at: Moment,
    pub fields: Vec<FormField>,
    pub replaced: Form,
}

/// What the call was (来电类型).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedType {
    pub code: String,
    pub zh: String,
    pub en: String,
    pub by: Actor,
    pub at: Moment,
}

/// One note (备注).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedNote {
    pub at: Moment,
    pub by: Actor,
    pub text: String,
}

/// A major incident (突发事件) and what was done of its checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMajor {
    pub by: Actor,
    pub at: Moment,
    /// `casualties` or `marked`.
    pub reason: String,
    pub steps: Vec<RecordedStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedStep {
    pub code: String,
    pub zh: String,
    pub en: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
}

/// A complaint that speaks of this call (投诉).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedComplaint {
    pub id: ComplaintId,
    /// `open` or `closed`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    pub text: String,
    pub by: String,
    pub at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    /// It holds the record and its recordings (封存).
    pub hold: bool,
}

impl CallRecord {
    /// Takes in what people wrote; other events say nothing of it.
    pub(super) fn written(&mut self, at: Moment, kind: &EventKind) {
        if let EventKind::FormChanged {
            by,
            revision,
            change,
        } = kind
        {
            self.form_changed(at, by, *revision, change);
        } else if let EventKind::CallClassified { by, code, zh, en } = kind {
            self.call_type = Some(RecordedType {
                code: code.clone(),
                zh: zh.clone(),
                en: en.clone(),
                by: by.clone(),
                at,
            });
        } else if let EventKind::NoteAdded { by, text } = kind {
            let (by, text) = (by.clone(), text.clone());
            push(&mut self.notes, RecordedNote { at, by, text }, NOTES_MAX);
        } else if let EventKind::MajorIncident { by, reason, steps } = kind {
            self.major_incident = Some(RecordedMajor {
                by: by.clone(),
                at,
                reason: reason.clone(),
                steps: steps.iter().map(step_of).collect(),
            });
        } else if let EventKind::StepTicked { by, code, done } = kind {
            let steps = self.major_incident.iter_mut().flat_map(|m| &mut m.steps);
            for step in steps.filter(|step| step.code == *code) {
                (step.by, step.at) = (done.then(|| by.clone()), done.then_some(at));
            }
        } else {
            self.complained(at, kind);
        }
    }

    fn complained(&mut self, at: Moment, kind: &EventKind) {
        if let EventKind::ComplaintOpened { complaint } = kind {
            let one = RecordedComplaint {
                id: complaint.complaint,
                state: String::from("open"),
                person: complaint.person.clone(),
                number: complaint.number.clone(),
                text: complaint.text.clone(),
                by: complaint.by.clone(),
                at,
                outcome: None,
                closed_by: None,
                closed_at: None,
                hold: true,
            };
            push(&mut self.complaints, one, COMPLAINTS_MAX);
        } else if let EventKind::ComplaintClosed {
            complaint,
            by,
            outcome,
        } = kind
        {
            for one in self.complaints.iter_mut().filter(|c| c.id == *complaint) {
                "closed".clone_into(&mut one.state);
                one.outcome = Some(outcome.clone());
                (one.closed_by, one.closed_at) = (Some(by.clone()), Some(at));
            }
        } else if let EventKind::HoldLifted { complaint, .. } = kind {
            for one in self.complaints.iter_mut().filter(|c| c.id == *complaint) {
                one.hold = false;
            }
        }
        self.legal_hold = self.complaints.iter().any(|c| c.hold);
    }

    fn form_changed(&mut self, at: Moment, by: &Actor, revision: u32, change: &FormChange) {
        let mut form = self.as_form();
        let replaced = form.take(change);
        let fields = change.fields();
        let touched = |names: &[FormField]| fields.iter().any(|field| names.contains(field));
        let person = Person {
            name: form.patient_name,
            sex: form.sex,
            age_years: form.age_years,
        };
        self.person = (person != Person::default()).then_some(person);
        if touched(&[
            FormField::ContactName,
            FormField::ContactNumber,
            FormField::ContactRelation,
        ]) {
            let (name, number, relation) = (
                form.contact_name,
                form.contact_number,
                form.contact_relation,
            );
            let known = name.is_some() || number.is_some() || relation.is_some();
            self.contact = known.then(|| Contact {
                name,
                number,
                relation,
                by: by.clone(),
                at,
            });
        }
        (self.reason, self.area) = (form.reason, form.area);
        for (field, kind, text) in [
            (FormField::Scene, "scene", &form.scene),
            (FormField::Pickup, "pickup", &form.pickup),
        ] {
            if touched(&[field]) {
                self.place_told(at, kind, text.as_deref());
            }
        }
        let mut changes = self.form.take().map(|f| f.changes).unwrap_or_default();
        let one = FormRevision {
            revision,
            by: by.clone(),
            at,
            fields,
            replaced,
        };
        push(&mut changes, one, CHANGES_MAX);
        self.form = Some(RecordedForm {
            revision,
            by: by.clone(),
            at,
            chief_complaint: form.chief_complaint,
            casualties: form.casualties,
            scene: form.scene,
            pickup: form.pickup,
            changes,
        });
    }

    /// The form as it stands in the record.
    #[must_use]
    pub fn as_form(&self) -> Form {
        let person = self.person.clone().unwrap_or_default();
        let contact = self.contact.as_ref();
        let form = self.form.as_ref();
        Form {
            patient_name: person.name,
            sex: person.sex,
            age_years: person.age_years,
            casualties: form.and_then(|f| f.casualties),
            chief_complaint: form.and_then(|f| f.chief_complaint.clone()),
            reason: self.reason.clone(),
            area: self.area.clone(),
            scene: form.and_then(|f| f.scene.clone()),
            pickup: form.and_then(|f| f.pickup.clone()),
            contact_name: contact.and_then(|c| c.name.clone()),
            contact_number: contact.and_then(|c| c.number.clone()),
            contact_relation: contact.and_then(|c| c.relation.clone()),
        }
    }

    /// 病发地点 and 接车地点 stand among the locations too, once each.
    fn place_told(&mut self, at: Moment, kind: &str, text: Option<&str>) {
        let told = |l: &RecordedLocation| l.id == kind;
        let Some(text) = text else {
            return self.locations.retain(|l| !told(l));
        };
        let civic = Some(Civic {
            detail: text.to_owned(),
        });
        if let Some(known) = self.locations.iter_mut().find(|l| told(l)) {
            (known.civic, known.received_at) = (civic, at);
            return;
        }
        self.locations.push(RecordedLocation {
            id: kind.to_owned(),
            kind: kind.to_owned(),
            lat: None,
            lon: None,
            crs: None,
            crs_source: None,
            original: None,
            shape: Shape::Civic,
            radius_m: None,
            confidence_pct: None,
            civic,
            source: String::from("seat"),
            at: None,
            received_at: at,
        });
    }
}

fn step_of(entry: &Entry) -> RecordedStep {
    RecordedStep {
        code: entry.l1.clone(),
        zh: entry.zh.clone(),
        en: entry.en.clone(),
        by: None,
        at: None,
    }
}

fn push<T>(list: &mut Vec<T>, one: T, max: usize) {
    if list.len() >= max {
        list.remove(0);
    }
    list.push(one);
}
