//! How long a call was handled, and what was told of it.

use serde::{Deserialize, Serialize};

use super::{CallRecord, Moment};
use crate::switch::{Actor, EventKind};

/// Prompts and medical advice of the talk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// 受理时间超长提示, one entry per step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceeded: Vec<Exceeded>,
    /// 医学指导.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<Advice>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    pub level: u8,
    pub at: Moment,
    pub handled_ms: u64,
}

/// Medical advice over the telephone, from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    pub by: Actor,
    pub start: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
}

/// Spans of advice kept in one record.
const ADVICE_MAX: usize = 100;

impl CallRecord {
    /// Takes in what was told of the handling; other events say nothing of it.
    pub(super) fn handled(&mut self, at: Moment, kind: &EventKind) {
        let handling = self.handling.get_or_insert_default();
        if let EventKind::HandlingExceeded { level, handled_ms } = kind {
            handling.exceeded.push(Exceeded {
                level: *level,
                at,
                handled_ms: *handled_ms,
            });
        } else if let EventKind::AdviceGiven { by, on } = kind {
            if let Some(last) = handling.advice.last_mut().filter(|a| a.end.is_none()) {
                last.end = Some(at);
            } else if *on && handling.advice.len() < ADVICE_MAX {
                let (by, start, end) = (by.clone(), at, None);
                handling.advice.push(Advice { by, start, end });
            }
        }
    }
}
