//! What a number's calls of the last day look like, as points and in words. A proposal for a person, nothing else.

use serde::{Deserialize, Serialize};

/// From here on a person is asked to look.
const PROPOSED_FROM: u8 = 60;
const POINTS_MAX: i32 = 100;

/// Calls of one number, counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Answered, and over within 10 s.
    pub short: u32,
    /// Answered, and no sound ever came.
    pub silent: u32,
    /// Left before anybody answered.
    pub abandoned: u32,
    /// Begun within the repeat window of the one before.
    pub repeated: u32,
    /// Between midnight and five in the morning.
    pub night: u32,
    /// Verdicts that had been confirmed and ran their time.
    pub verdicts: u32,
    /// Verdicts that were lifted.
    pub lifted: u32,
    /// Calls that an ambulance was sent for.
    pub helped: u32,
}

/// One thing that counts, with how often.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", content = "times", rename_all = "snake_case")]
pub enum Reason {
    Short(u32),
    Silent(u32),
    Abandoned(u32),
    Repeated(u32),
    Night(u32),
    Verdicts(u32),
    Lifted(u32),
    Helped(u32),
}

/// Points from 0 to 100, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub points: u8,
    pub reasons: Vec<Reason>,
}

impl Reason {
    fn times(self) -> u32 {
        match self {
            Self::Short(n)
            | Self::Silent(n)
            | Self::Abandoned(n)
            | Self::Repeated(n)
            | Self::Night(n)
            | Self::Verdicts(n)
            | Self::Lifted(n)
            | Self::Helped(n) => n,
        }
    }

    /// Points each, and the most that this reason can give or take. Somebody in need redials and gives up too, so
    /// what he does (abandoned, repeated, night) can never reach [`PROPOSED_FROM`] alone.
    const fn weight(self) -> (i32, i32) {
        match self {
            Self::Short(_) | Self::Silent(_) => (12, 36),
            Self::Abandoned(_) => (4, 16),
            Self::Repeated(_) => (4, 20),
            Self::Night(_) => (2, 10),
            Self::Verdicts(_) => (15, 30),
            Self::Lifted(_) => (-15, -30),
            Self::Helped(_) => (-50, -100),
        }
    }

    fn points(self) -> i32 {
        let (each, most) = self.weight();
        let sum = each.saturating_mul(i32::try_from(self.times()).unwrap_or(i32::MAX));
        if most < 0 {
            sum.max(most)
        } else {
            sum.min(most)
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn zh(self) -> String {
        match self {
            Self::Short(n) => format!("{n} 次接通后 10 秒内挂断"),
            Self::Silent(n) => format!("{n} 次接通后没有声音"),
            Self::Abandoned(n) => format!("{n} 次未接通就挂断"),
            Self::Repeated(n) => format!("{n} 次短时间内反复呼入"),
            Self::Night(n) => format!("{n} 次在零点至五点呼入"),
            Self::Verdicts(n) => format!("此前 {n} 次被确认为骚扰"),
            Self::Lifted(n) => format!("此前 {n} 次标记被解除"),
            Self::Helped(n) => format!("{n} 次呼入已派车，不计为骚扰"),
        }
    }

    /// In English.
    #[must_use]
    pub fn en(self) -> String {
        match self {
            Self::Short(n) => format!("{n} answered and over within 10 s"),
            Self::Silent(n) => format!("{n} answered without any sound"),
            Self::Abandoned(n) => format!("{n} given up before the answer"),
            Self::Repeated(n) => format!("{n} soon after the one before"),
            Self::Night(n) => format!("{n} between midnight and five"),
            Self::Verdicts(n) => format!("confirmed {n} times before"),
            Self::Lifted(n) => format!("a mark lifted {n} times before"),
            Self::Helped(n) => format!("{n} for which an ambulance was sent"),
        }
    }
}

impl Score {
    /// Adds up what was seen.
    #[must_use]
    pub fn of(seen: &Behaviour) -> Self {
        let all = [
            Reason::Short(seen.short),
            Reason::Silent(seen.silent),
            Reason::Abandoned(seen.abandoned),
            Reason::Repeated(seen.repeated),
            Reason::Night(seen.night),
            Reason::Verdicts(seen.verdicts),
            Reason::Lifted(seen.lifted),
            Reason::Helped(seen.helped),
        ];
        let reasons: Vec<_> = all.into_iter().filter(|r| r.times() > 0).collect();
        let sum: i32 = reasons.iter().map(|r| r.points()).sum();
        let points = u8::try_from(sum.clamp(0, POINTS_MAX)).unwrap_or(0);
        Self { points, reasons }
    }

    /// A person is asked to look at the number.
    #[must_use]
    pub const fn proposes(&self) -> bool {
        self.points >= PROPOSED_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_and_short_calls_are_proposed_and_the_words_say_why() {
        let score = Score::of(&Behaviour {
            short: 3,
            silent: 3,
            repeated: 4,
            ..Behaviour::default()
        });
        assert!(score.proposes(), "{score:?}");
        let zh: Vec<_> = score.reasons.iter().map(|r| r.zh()).collect();
        assert_eq!(
            zh,
            [
                "3 次接通后 10 秒内挂断",
                "3 次接通后没有声音",
                "4 次短时间内反复呼入"
            ]
        );
        assert_eq!(score.reasons[2].en(), "4 soon after the one before");
    }

    #[test]
    fn somebody_who_only_redials_and_gives_up_is_never_proposed() {
        let score = Score::of(&Behaviour {
            abandoned: 1000,
            repeated: 1000,
            night: 1000,
            ..Behaviour::default()
        });
        assert!(!score.proposes(), "{score:?}");
    }

    #[test]
    fn an_ambulance_sent_takes_the_points_away() {
        let seen = Behaviour {
            short: 5,
            silent: 5,
            repeated: 5,
            ..Behaviour::default()
        };
        assert!(Score::of(&seen).proposes());
        assert!(!Score::of(&Behaviour { helped: 1, ..seen }).proposes());
    }
}
