//! What screening said of a call.

use super::{CallRecord, Harassment, Moment, Screening};
use crate::id::MarkId;
use crate::switch::EventKind;

impl CallRecord {
    /// Takes in what the events of screening say; other events say nothing of it.
    pub(super) fn screened(&mut self, at: Moment, kind: &EventKind) {
        let screening = self.screening.get_or_insert_default();
        if let EventKind::CallerRepeated { calls, .. } = kind {
            screening.repeat_calls = Some(*calls);
        } else if let EventKind::RepeatUnanswered { unanswered, .. } = kind {
            screening.unanswered = Some(*unanswered);
        } else if let EventKind::HarassmentSuspected { mark } = kind {
            let harassment = screening.mark(mark.mark, "suspected");
            harassment.reason = Some(mark.proposal.reason.clone());
            harassment.score = Some(mark.proposal.score.points);
            harassment.expires_at = mark.until().map(Moment::from);
        } else if let EventKind::HarassmentConfirmed { mark, until, .. } = kind {
            screening.mark(*mark, "confirmed").expires_at = Some(Moment::from(*until));
        } else if let EventKind::HarassmentCleared { mark, .. } = kind {
            screening.mark(*mark, "cleared").expires_at = None;
        } else if let EventKind::EducationPlayed { mark } = kind {
            screening.mark(*mark, "confirmed");
            screening.education_at.get_or_insert(at);
        } else if let EventKind::IncidentNear { other, metres } = kind {
            screening.near_call = Some(*other);
            screening.near_m = Some(*metres);
        }
    }
}

impl Screening {
    /// The mark, at this level from now on.
    fn mark(&mut self, mark: MarkId, level: &str) -> &mut Harassment {
        let same = self.harassment.take().filter(|known| known.mark == mark);
        let mut harassment = same.unwrap_or_else(|| Harassment {
            mark,
            level: String::new(),
            reason: None,
            score: None,
            expires_at: None,
        });
        level.clone_into(&mut harassment.level);
        self.harassment.insert(harassment)
    }
}
