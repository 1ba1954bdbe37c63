//! When a delivery is tried again. PURE. Fast at first, because an ambulance waits for it: 0.3, 1, 2, 5, 10, 30 s,
//! 1, 5, 30 min, then every 30 min until three days have passed since the event.

use crate::time::{Millis, Timestamp};

const RETRY_AFTER: [Millis; 9] = [
    Millis(300),
    Millis::from_secs(1),
    Millis::from_secs(2),
    Millis::from_secs(5),
    Millis::from_secs(10),
    Millis::from_secs(30),
    Millis::from_secs(60),
    Millis::from_secs(5 * 60),
    Millis::from_secs(30 * 60),
];

/// A delivery is kept this long, then it is a dead letter: visible, never silently gone.
pub(super) const KEPT: Millis = Millis::from_secs(72 * 60 * 60);
/// Failures of one destination in a row that raise `destination.failing`.
pub(super) const ALARM_AFTER: u32 = 3;

/// A destination that answered 410 is asked again this often: whoever said so may have been wrong.
const GONE_AGAIN: Millis = Millis::from_secs(60);

/// What one attempt brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// 2xx. The module may have told its own incident id.
    Accepted { incident_id: Option<String> },
    /// 410: the module says that it takes nothing here any more. Only a person takes a destination out, so it is probed on.
    Gone,
    /// Anything else; `retry_after` when the module named a time (429, 503).
    Failed {
        reason: String,
        retry_after: Option<Millis>,
    },
}

/// When attempt number `attempts` (1 = the first has just failed) is followed by the next, or `None` when the
/// delivery has become a dead letter.
#[must_use]
pub(super) fn next_attempt(
    created: Timestamp,
    now: Timestamp,
    attempts: u32,
    retry_after: Option<Millis>,
) -> Option<Timestamp> {
    if now >= created + KEPT {
        return None;
    }
    let step = usize::try_from(attempts.saturating_sub(1))
        .unwrap_or(usize::MAX)
        .min(RETRY_AFTER.len() - 1);
    let own = RETRY_AFTER
        .get(step)
        .copied()
        .unwrap_or(Millis::from_secs(30 * 60));
    // A module may ask for more time, but not for more than our slowest step: somebody waits for the ambulance.
    let asked = retry_after.map_or(own, |asked| asked.clamp(own, Millis::from_secs(30 * 60)));
    Some(now + asked)
}

/// When a delivery that was answered 410 is tried again, or `None` when it has become a dead letter.
#[must_use]
pub(super) fn next_probe(created: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (now < created + KEPT).then(|| now + GONE_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_micros(1_000_000_000);

    #[test]
    fn a_delivery_is_tried_seven_times_in_the_first_minute() {
        let mut now = T0;
        let mut attempts = 1;
        while now < T0 + Millis::from_secs(60) {
            now = next_attempt(T0, now, attempts, None).expect("kept");
            attempts += 1;
        }
        assert_eq!(attempts, 8);
    }

    #[test]
    fn a_module_that_asks_for_time_gets_it_but_never_more_than_half_an_hour() {
        assert_eq!(
            next_attempt(T0, T0, 1, Some(Millis::from_secs(20))),
            Some(T0 + Millis::from_secs(20))
        );
        assert_eq!(
            next_attempt(T0, T0, 1, Some(Millis::from_secs(86_400))),
            Some(T0 + Millis::from_secs(1800))
        );
        assert_eq!(
            next_attempt(T0, T0, 6, Some(Millis(1))),
            Some(T0 + Millis::from_secs(30))
        );
    }

    #[test]
    fn a_module_that_says_it_is_gone_is_asked_every_minute_for_three_days() {
        assert_eq!(next_probe(T0, T0), Some(T0 + Millis::from_secs(60)));
        assert_eq!(next_probe(T0, T0 + KEPT), None);
    }

    #[test]
    fn after_three_days_it_is_a_dead_letter() {
        assert_eq!(next_attempt(T0, T0 + KEPT, 200, None), None);
    }
}
