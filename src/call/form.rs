//! 受理单: what people write down about a call (WS/T 451-2014 7.2.1.2-b). Every field may be missing; a change names the
//! fields that it sets and clears, so two people who write different fields spoil nothing for each other.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Major;
use crate::time::Timestamp;

/// Bytes of one field.
const FIELD_BYTES_MAX: usize = 512;
/// Years that a patient may have.
const AGE_YEARS_MAX: u8 = 130;
/// Digits of a contact's number.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 3..=20;

/// One entry of a list of the centre, of one or two levels, with its words as of the choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// Code of the first level.
    pub l1: String,
    /// Code of the second level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<String>,
    /// In words, filled in from the list: `创伤 / 交通伤`.
    #[serde(default)]
    pub zh: String,
    #[serde(default)]
    pub en: String,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident, $name:ident: $kind:ty;)+) => {
        /// The form. Unknown is absent.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Form {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)+
        }

        /// The name of one field.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FormField { $($(#[$doc])* $name),+ }

        impl FormField {
            /// All of them, as people ask them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($field)),+ }
            }
        }

        impl Form {
            fn has(&self, field: FormField) -> bool {
                match field { $(FormField::$name => self.$field.is_some()),+ }
            }

            fn same(&self, other: &Self, field: FormField) -> bool {
                match field { $(FormField::$name => self.$field == other.$field),+ }
            }

            fn put(&mut self, from: &Self, field: FormField) {
                match field { $(FormField::$name => self.$field.clone_from(&from.$field)),+ }
            }

            fn read(&mut self, field: FormField, value: Value) -> Result<(), serde_json::Error> {
                match field { $(FormField::$name => self.$field = serde_json::from_value(value)?),+ }
                Ok(())
            }
        }
    };
}

fields! {
    /// 病人姓名.
    patient_name, PatientName: String;
    /// 性别, GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 not stated.
    sex, Sex: u8;
    /// 年龄, years.
    age_years, AgeYears: u8;
    /// 人数: people who need help.
    casualties, Casualties: u16;
    /// 主诉.
    chief_complaint, ChiefComplaint: String;
    /// 呼救原因, of the centre's list.
    reason, Reason: Chosen;
    /// 呼救区域, of the centre's list.
    area, Area: Chosen;
    /// 病发地点.
    scene, Scene: String;
    /// 接车地点, when it is another place.
    pickup, Pickup: String;
    /// 联系人.
    contact_name, ContactName: String;
    /// 联系电话, when it is not the caller's number.
    contact_number, ContactNumber: String;
    /// What the contact is to the patient.
    contact_relation, ContactRelation: String;
}

impl Form {
    /// The fields that hold something.
    #[must_use]
    pub fn filled(&self) -> Vec<FormField> {
        let all = FormField::ALL.iter().copied();
        all.filter(|field| self.has(*field)).collect()
    }

    /// Takes a change in; gives what stood in its fields before.
    pub fn take(&mut self, change: &FormChange) -> Self {
        let mut replaced = Self::default();
        for field in change.fields() {
            replaced.put(self, field);
            self.put(&change.set, field);
        }
        replaced
    }
}

/// What somebody writes: fields with a value, and fields that hold nothing from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormChange {
    pub set: Form,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<FormField>,
}

impl FormChange {
    /// A JSON merge patch (RFC 7396): a value sets, null clears, what is absent stays.
    ///
    /// # Errors
    /// The field that is unknown or of the wrong kind, and why.
    pub fn from_patch(patch: Map<String, Value>) -> Result<Self, (String, String)> {
        let mut change = Self::default();
        for (name, value) in patch {
            let known = FormField::ALL.iter().find(|field| field.name() == name);
            let Some(field) = known.copied() else {
                let known: Vec<_> = FormField::ALL.iter().map(|field| field.name()).collect();
                return Err((name, format!("unknown; known: {}", known.join(", "))));
            };
            if value.is_null() {
                change.clear.push(field);
            } else if let Err(error) = change.set.read(field, value) {
                return Err((name, error.to_string()));
            }
        }
        Ok(change)
    }

    /// The fields that it speaks of.
    #[must_use]
    pub fn fields(&self) -> Vec<FormField> {
        let all = FormField::ALL.iter().copied();
        all.filter(|field| self.set.has(*field) || self.clear.contains(field))
            .collect()
    }

    /// Without what `form` says already.
    #[must_use]
    pub fn against(&self, form: &Form) -> Self {
        let mut rest = Self::default();
        for field in self.fields() {
            if self.set.same(form, field) {
                continue;
            }
            if self.set.has(field) {
                rest.set.put(&self.set, field);
            } else {
                rest.clear.push(field);
            }
        }
        rest
    }

    /// True: it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// Checks every field and puts in the words of the lists.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub fn check(&mut self, lists: &Lists) -> Result<(), (FormField, String)> {
        let set = &mut self.set;
        for (field, text) in [
            (FormField::PatientName, &set.patient_name),
            (FormField::ChiefComplaint, &set.chief_complaint),
            (FormField::Scene, &set.scene),
            (FormField::Pickup, &set.pickup),
            (FormField::ContactName, &set.contact_name),
            (FormField::ContactRelation, &set.contact_relation),
        ] {
            let wrong = |t: &String| t.trim().is_empty() || t.len() > FIELD_BYTES_MAX;
            if text.as_ref().is_some_and(wrong) {
                let why = format!("must be 1 to {FIELD_BYTES_MAX} bytes of text; null clears it");
                return Err((field, why));
            }
        }
        if set.sex.is_some_and(|sex| ![0, 1, 2, 9].contains(&sex)) {
            let why = "must be 0 unknown, 1 male, 2 female or 9 not stated (GB/T 2261.1)";
            return Err((FormField::Sex, String::from(why)));
        }
        if set.age_years.is_some_and(|age| age > AGE_YEARS_MAX) {
            let why = format!("must be 0 to {AGE_YEARS_MAX} years");
            return Err((FormField::AgeYears, why));
        }
        if set.casualties == Some(0) {
            let why = String::from("must be 1 or more; null clears it");
            return Err((FormField::Casualties, why));
        }
        if set.contact_number.as_ref().is_some_and(|n| !is_number(n)) {
            let why = "must be 3 to 20 digits, with + - and spaces between";
            return Err((FormField::ContactNumber, String::from(why)));
        }
        let pick = |list: &[Entry], chosen: &mut Option<Chosen>, what: &str| match chosen {
            Some(chosen) => choose(list, chosen, what),
            None => Ok(()),
        };
        pick(&lists.reasons, &mut set.reason, "reasons").map_err(|why| (FormField::Reason, why))?;
        pick(&lists.areas, &mut set.area, "areas").map_err(|why| (FormField::Area, why))
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    NUMBER_DIGITS.contains(&digits)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+- ".contains(&b))
}

fn choose(list: &[Entry], chosen: &mut Chosen, what: &str) -> Result<(), String> {
    let word = |code: &str, under: Option<&str>| {
        let found = list.iter().find(|entry| match under {
            Some(l1) => entry.l1 == l1 && entry.l2.as_deref() == Some(code),
            None => entry.l1 == code && entry.l2.is_none(),
        });
        found.ok_or_else(|| format!("{code} is not in the list; [forms] {what} holds it"))
    };
    let first = word(&chosen.l1, None)?;
    (chosen.zh, chosen.en) = (first.zh.clone(), first.en.clone());
    if let Some(l2) = &chosen.l2 {
        let second = word(l2, Some(&chosen.l1))?;
        chosen.zh = format!("{} / {}", first.zh, second.zh);
        chosen.en = format!("{} / {}", first.en, second.en);
    }
    Ok(())
}

/// One line of a list: `trauma/traffic | 交通伤 | Traffic accident`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry {
    pub l1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<String>,
    pub zh: String,
    pub en: String,
}

impl std::str::FromStr for Entry {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let parts: Vec<_> = line.split('|').map(str::trim).collect();
        let [code, zh, en] = parts.as_slice() else {
            return Err(String::from("is not `code | 中文 | English`"));
        };
        if zh.is_empty() || en.is_empty() || zh.len().max(en.len()) > 64 {
            return Err(String::from(
                "needs a Chinese and an English word, each up to 64 bytes",
            ));
        }
        let (l1, l2) = match code.split_once('/') {
            Some((l1, l2)) => (l1, Some(l2)),
            None => (*code, None),
        };
        let fits = |code: &str| {
            (1..=32).contains(&code.len())
                && code
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if !fits(l1) || l2.is_some_and(|l2| !fits(l2)) {
            return Err(format!(
                "{code} is no usable code (1 to 32 letters, digits, '_', '-', '.'; level/level)"
            ));
        }
        Ok(Self {
            l1: l1.to_owned(),
            l2: l2.map(str::to_owned),
            zh: (*zh).to_owned(),
            en: (*en).to_owned(),
        })
    }
}

/// The lists that a centre chooses from, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Lists {
    /// 呼救原因, two levels.
    pub reasons: Vec<Entry>,
    /// 呼救区域, two levels.
    pub areas: Vec<Entry>,
    /// 来电类型, one level.
    pub call_types: Vec<Entry>,
    /// 突发事件流程: the steps of a major incident, in order, one level.
    pub incident_steps: Vec<Entry>,
}

impl Default for Lists {
    fn default() -> Self {
        let read = |text: &str| text.lines().filter_map(|line| line.parse().ok()).collect();
        Self {
            reasons: read(REASONS),
            areas: Vec::new(),
            call_types: read(CALL_TYPES),
            incident_steps: read(INCIDENT_STEPS),
        }
    }
}

/// What the call was (来电类型), by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallType {
    pub code: String,
    pub zh: String,
    pub en: String,
    pub by: String,
    pub at: Timestamp,
}

/// One note: never changed, never taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Note {
    pub text: String,
    pub by: String,
    pub at: Timestamp,
}

/// All that people wrote on one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sheet {
    /// Of the form: grows with each change; 0 when nobody has written.
    pub revision: u32,
    pub form: Form,
    /// Who changed the form last, which fields, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub changed: Vec<FormField>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_type: Option<CallType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// 突发事件, with its checklist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<Major>,
}

/// What the domain's record names; a centre may write its own.
const CALL_TYPES: &str = "\
emergency | 急救 | Emergency
transfer | 转院转运 | Transfer
linkage | 联动 | From 110/119/122
duplicate | 同一事件 | Same incident
urge | 催车 | Urging
cancel_request | 取消用车 | Cancels the vehicle
reinforcement | 增援 | Reinforcement
enquiry | 咨询 | Enquiry
complaint | 投诉 | Complaint
follow_up | 回访 | Follow-up
work | 工作电话 | Work call
silent | 无声 | Silent
misdial | 误拨 | Misdial
harassment | 骚扰 | Harassment
test | 测试 | Test
other | 其他 | Other";

const INCIDENT_STEPS: &str = "\
place | 核实地点与标志物 | Place and landmarks confirmed
kind | 事件类型与原因 | Kind and cause
casualties | 伤亡人数与伤情 | Casualties and their state
danger | 现场危险 (火、毒、电、塌) | Dangers on the spot
access | 到达路线与集结点 | Way in and meeting point
supervisor | 报告班长 | Supervisor told
authority | 报告值班领导与卫生行政部门 | Duty officer and authority told
partners | 通知 110、119、122 | 110, 119, 122 told
vehicles | 派出多车与指挥车 | Vehicles and a leader sent
hospitals | 通知收治医院 | Hospitals told
update | 续报与回拨 | Update and call back";

const REASONS: &str = "\
illness | 急病 | Illness
illness/cardiac | 胸痛心悸 | Chest pain, palpitation
illness/arrest | 心跳呼吸停止 | Cardiac arrest
illness/breathing | 呼吸困难 | Breathing difficulty
illness/stroke | 疑似卒中 | Stroke suspected
illness/unconscious | 意识障碍 | Unconscious
illness/seizure | 抽搐 | Seizure
illness/abdomen | 腹痛 | Abdominal pain
illness/bleeding | 出血 | Bleeding
illness/fever | 发热 | Fever
illness/other | 其他急病 | Other illness
trauma | 创伤 | Trauma
trauma/traffic | 交通伤 | Traffic accident
trauma/fall | 跌倒坠落 | Fall
trauma/work | 工伤 | Work accident
trauma/violence | 打架刀伤 | Violence
trauma/burn | 烧烫伤 | Burn, scald
trauma/animal | 动物咬伤 | Animal bite
trauma/other | 其他创伤 | Other trauma
poisoning | 中毒 | Poisoning
poisoning/gas | 燃气中毒 | Gas
poisoning/drug | 药物中毒 | Drugs
poisoning/alcohol | 酒精中毒 | Alcohol
poisoning/pesticide | 农药中毒 | Pesticide
poisoning/food | 食物中毒 | Food
environment | 理化因素 | Environment
environment/drowning | 溺水 | Drowning
environment/electric | 触电 | Electric shock
environment/heat | 中暑 | Heat stroke
environment/choking | 异物窒息 | Choking
obstetric | 妇产 | Obstetric
obstetric/labour | 临产 | Labour
obstetric/bleeding | 产科出血 | Obstetric bleeding
obstetric/other | 其他妇产 | Other obstetric
paediatric | 儿科 | Paediatric
psychiatric | 精神 | Psychiatric
transport | 转运 | Transport
transport/hospital | 转院 | To another hospital
transport/home | 回家 | Home
incident | 突发事件 | Major incident
incident/fire | 火灾爆炸 | Fire, explosion
incident/collapse | 坍塌 | Collapse
incident/disaster | 自然灾害 | Natural disaster
incident/health | 公共卫生事件 | Public health
other | 其他 | Other";

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str) -> Result<FormChange, (String, String)> {
        FormChange::from_patch(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn built_in_lists_are_read_whole_and_each_second_level_has_its_first() {
        let lists = Lists::default();
        assert_eq!(lists.call_types.len(), CALL_TYPES.lines().count());
        assert_eq!(lists.reasons.len(), REASONS.lines().count());
        for entry in &lists.reasons {
            assert!(
                lists
                    .reasons
                    .iter()
                    .any(|first| first.l2.is_none() && first.l1 == entry.l1)
            );
        }
    }

    #[test]
    fn value_sets_null_clears_and_what_is_absent_stays() {
        let mut form = Form::default();
        form.take(&patch(r#"{"patient_name":"王某","age_years":61,"scene":"深南大道"}"#).unwrap());
        let change = patch(r#"{"age_years":62,"scene":null}"#).unwrap();
        let replaced = form.take(&change);
        assert_eq!((form.age_years, form.scene.as_deref()), (Some(62), None));
        assert_eq!(form.patient_name.as_deref(), Some("王某"));
        assert_eq!(
            (replaced.age_years, replaced.scene.as_deref()),
            (Some(61), Some("深南大道"))
        );
        assert!(change.against(&form).is_empty(), "said already");
    }

    #[test]
    fn wrong_field_is_named() {
        assert_eq!(patch(r#"{"colour":"red"}"#).unwrap_err().0, "colour");
        assert_eq!(patch(r#"{"age_years":"old"}"#).unwrap_err().0, "age_years");
        let lists = Lists::default();
        for (text, field) in [
            (r#"{"scene":"  "}"#, FormField::Scene),
            (r#"{"sex":3}"#, FormField::Sex),
            (r#"{"age_years":131}"#, FormField::AgeYears),
            (r#"{"casualties":0}"#, FormField::Casualties),
            (r#"{"contact_number":"12"}"#, FormField::ContactNumber),
            (
                r#"{"contact_number":"138 0013 8000 ext"}"#,
                FormField::ContactNumber,
            ),
            (
                r#"{"reason":{"l1":"trauma","l2":"cardiac"}}"#,
                FormField::Reason,
            ),
            (r#"{"area":{"l1":"440304"}}"#, FormField::Area),
        ] {
            assert_eq!(patch(text).unwrap().check(&lists).unwrap_err().0, field);
        }
    }

    #[test]
    fn chosen_entry_bears_the_words_of_the_list_whatever_was_sent() {
        let mut change =
            patch(r#"{"reason":{"l1":"trauma","l2":"traffic","zh":"x","en":"y"}}"#).unwrap();
        change.check(&Lists::default()).unwrap();
        let reason = change.set.reason.unwrap();
        assert_eq!(
            (reason.zh.as_str(), reason.en.as_str()),
            ("创伤 / 交通伤", "Trauma / Traffic accident")
        );
    }
}
