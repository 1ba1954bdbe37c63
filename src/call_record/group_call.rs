//! Group calls (群呼) about a call. The table is whole when one is over; until then it says who has acknowledged.

use serde::{Deserialize, Serialize};

use super::CallRecord;
use super::fold::masked;
use super::moment::Moment;
use crate::call::{GroupResult, GroupTarget};
use crate::id::{GroupCallId, GroupId, PromptId};
use crate::switch::{Actor, EventKind};

/// One group call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedGroupCall {
    pub id: GroupCallId,
    pub by: Actor,
    /// As the configuration names it; absent: a list of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// What they heard.
    pub prompt: PromptId,
    /// Who acknowledged first had it.
    pub first_wins: bool,
    pub started_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// `complete`, `taken`, `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_why: Option<String>,
    pub targets: Vec<RecordedTarget>,
}

/// One number of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTarget {
    /// With its middle digits hidden.
    pub number: String,
    /// Absent: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<GroupResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Moment>,
    /// When it had its result; of `acknowledged`, when the key came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
}

impl RecordedTarget {
    fn open(number: &str) -> Self {
        Self {
            number: masked(number),
            result: None,
            answered_at: None,
            ended_at: None,
        }
    }
}

impl From<&GroupTarget> for RecordedTarget {
    fn from(target: &GroupTarget) -> Self {
        Self {
            result: target.result,
            answered_at: target.answered_at.map(Moment::from),
            ended_at: target.ended_at.map(Moment::from),
            ..Self::open(&target.number)
        }
    }
}

impl CallRecord {
    pub(super) fn group_called(&mut self, at: Moment, kind: &EventKind) {
        if let EventKind::GroupCallStarted {
            group_call,
            wish,
            by,
        } = kind
        {
            self.group_calls.push(RecordedGroupCall {
                id: *group_call,
                by: by.clone(),
                group: wish.group.clone(),
                prompt: wish.prompt.clone(),
                first_wins: wish.first_wins,
                started_at: at,
                ended_at: None,
                ended_why: None,
                targets: wish
                    .numbers
                    .iter()
                    .map(|n| RecordedTarget::open(n))
                    .collect(),
            });
        } else if let EventKind::GroupAcknowledged {
            group_call, number, ..
        } = kind
        {
            let shown = masked(number);
            let open = |t: &&mut RecordedTarget| t.number == shown && t.result.is_none();
            let target = self.group_call(*group_call);
            if let Some(target) = target.and_then(|g| g.targets.iter_mut().find(open)) {
                target.result = Some(GroupResult::Acknowledged);
                target.ended_at = Some(at);
            }
        } else if let EventKind::GroupCallEnded {
            group_call,
            why,
            targets,
        } = kind
            && let Some(group) = self.group_call(*group_call)
        {
            group.ended_at = Some(at);
            group.ended_why = Some(why.clone());
            group.targets = targets.iter().map(RecordedTarget::from).collect();
        }
    }

    fn group_call(&mut self, id: GroupCallId) -> Option<&mut RecordedGroupCall> {
        self.group_calls.iter_mut().find(|known| known.id == id)
    }
}
