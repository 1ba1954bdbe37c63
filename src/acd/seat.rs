//! One seat: whether its phone is known, and what it is doing ([`Duty`]).
//!
//! Each step consumes the old duty and gives the next, or gives the old one back when it does not fit.

use serde::{Deserialize, Serialize};

use super::routing::Opening;
use crate::id::{CallId, LegId, PhoneId};
use crate::time::Timestamp;

/// Reason of a seat that let its phone ring out (未接).
pub const REASON_MISSED: &str = "未接";
/// Reason of a seat whose phone refused a call (拒接).
pub const REASON_REJECTED: &str = "拒接";
/// Reason of a seat that signed in and has not said that it is ready.
pub const REASON_SIGNED_IN: &str = "签入未示闲";

/// One configured seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub duty: Duty,
    /// When `duty` began, as people see it.
    pub since: Timestamp,
    /// The phone that it sits at; absent: nowhere.
    #[serde(default)]
    pub phone: Option<PhoneId>,
    /// Where that phone is registered.
    pub binding: Option<Binding>,
    /// Its phone has given a sign of life since the start.
    pub proven: bool,
    /// Calls answered since it signed in.
    pub answered: u32,
    /// When it was offered a call last.
    pub offered_at: Option<Timestamp>,
    /// Its phone is on the line with us for a star code that it dialled; it is rung for nothing until that is over.
    #[serde(default)]
    pub keying: Option<LegId>,
}

/// A registered phone (RFC 3261 section 10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The Contact URI.
    pub contact: String,
    /// When the registration runs out.
    pub until: Timestamp,
}

/// What a seat does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "duty", rename_all = "snake_case")]
pub enum Duty {
    /// No phone registered, or signed out by a key or a supervisor until the phone registers anew.
    SignedOut,
    /// 示忙, 离席, 未接...
    NotReady { reason: String },
    /// Takes the next call.
    Ready { idle_since: Timestamp },
    /// Chosen for a call; its phone has not rung yet.
    Reserved {
        call: CallId,
        leg: LegId,
        back: Back,
    },
    /// Its phone rings.
    Ringing {
        call: CallId,
        leg: LegId,
        back: Back,
    },
    /// Talks to a caller.
    Talking {
        call: CallId,
        leg: LegId,
        after: After,
    },
    /// After-call work (事后整理); `rests` after a fault of ours, then it is offered nothing until the end.
    WrapUp {
        call: CallId,
        until: Timestamp,
        rests: bool,
    },
    /// Hears a call, inaudibly.
    Listening {
        call: CallId,
        leg: LegId,
        back: Standby,
    },
    /// In a call that it dialled, or that a colleague dialled to it.
    Dialling {
        call: CallId,
        leg: LegId,
        back: Standby,
    },
    /// Its phone does not answer; what it was before.
    Unreachable { back: Standby },
}

/// What a talking seat does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "after", rename_all = "snake_case")]
pub enum After {
    WrapUp,
    /// It asked to be not ready while it talked.
    NotReady {
        reason: String,
    },
    /// It signed out while it talked.
    SignOut,
}

/// What a seat that is offered a call was before, and is again when it is not needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "back", rename_all = "snake_case")]
pub enum Back {
    Ready { idle_since: Timestamp },
    WrapUp { call: CallId, until: Timestamp },
}

impl Back {
    fn duty(self, now: Timestamp) -> Duty {
        match self {
            Self::Ready { idle_since } => Duty::Ready { idle_since },
            Self::WrapUp { call, until } if until > now => Duty::WrapUp {
                call,
                until,
                rests: false,
            },
            Self::WrapUp { until, .. } => Duty::Ready { idle_since: until },
        }
    }
}

/// What a seat is when it is in no call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standby", rename_all = "snake_case")]
pub enum Standby {
    Ready { idle_since: Timestamp },
    NotReady { reason: String },
}

impl From<Standby> for Duty {
    fn from(standby: Standby) -> Self {
        match standby {
            Standby::Ready { idle_since } => Self::Ready { idle_since },
            Standby::NotReady { reason } => Self::NotReady { reason },
        }
    }
}

/// A step that may not fit: the new duty, or the old one unchanged.
pub type Step = Result<Duty, Duty>;

impl Duty {
    /// The name people see in events.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::NotReady { .. } => "not_ready",
            Self::Ready { .. } => "ready",
            Self::Reserved { .. } => "reserved",
            Self::Ringing { .. } => "ringing",
            Self::Talking { .. } | Self::Dialling { .. } => "talking",
            Self::WrapUp { .. } => "wrap_up",
            Self::Listening { .. } => "listening",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// Why it is not ready.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NotReady { reason } => Some(reason),
            Self::SignedOut
            | Self::Ready { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Talking { .. }
            | Self::WrapUp { .. }
            | Self::Listening { .. }
            | Self::Dialling { .. }
            | Self::Unreachable { .. } => None,
        }
    }

    /// The call and leg its phone is in or rings for.
    #[must_use]
    pub const fn engaged(&self) -> Option<(CallId, LegId)> {
        match self {
            Self::Reserved { call, leg, .. }
            | Self::Ringing { call, leg, .. }
            | Self::Talking { call, leg, .. }
            | Self::Listening { call, leg, .. }
            | Self::Dialling { call, leg, .. } => Some((*call, *leg)),
            Self::SignedOut
            | Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::WrapUp { .. }
            | Self::Unreachable { .. } => None,
        }
    }

    /// Its phone is up in a call, or dials one: it is not moved, and the dialog's own probes watch it.
    #[must_use]
    pub const fn is_on_line(&self) -> bool {
        match self {
            Self::Talking { .. } | Self::Listening { .. } | Self::Dialling { .. } => true,
            Self::SignedOut
            | Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::WrapUp { .. }
            | Self::Unreachable { .. } => false,
        }
    }

    /// Signed in and at work: ready for a call or busy with one.
    #[must_use]
    pub const fn serves(&self) -> bool {
        match self {
            Self::Ready { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Talking { .. }
            | Self::WrapUp { .. }
            | Self::Listening { .. }
            | Self::Dialling { .. } => true,
            Self::SignedOut | Self::NotReady { .. } | Self::Unreachable { .. } => false,
        }
    }

    /// Its phone registered or answers again. Others than signed-out and unreachable seats go on as they are.
    pub fn phone_came(self, ready: bool, now: Timestamp) -> Step {
        let fresh = || {
            if ready {
                Self::Ready { idle_since: now }
            } else {
                Self::NotReady {
                    reason: REASON_SIGNED_IN.to_owned(),
                }
            }
        };
        match self {
            Self::SignedOut
            | Self::Unreachable {
                back: Standby::Ready { .. },
            } => Ok(fresh()),
            Self::Unreachable {
                back: Standby::NotReady { reason },
            } => Ok(Self::NotReady { reason }),
            other @ (Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Talking { .. }
            | Self::WrapUp { .. }
            | Self::Listening { .. }
            | Self::Dialling { .. }) => Err(other),
        }
    }

    /// Its phone signed out. A seat in a call keeps the call.
    pub fn phone_left(self) -> Step {
        match self {
            Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::WrapUp { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Unreachable { .. } => Ok(Self::SignedOut),
            other @ (Self::SignedOut
            | Self::Talking { .. }
            | Self::Listening { .. }
            | Self::Dialling { .. }) => Err(other),
        }
    }

    /// Its phone is dead.
    pub fn phone_died(self, now: Timestamp) -> Step {
        let ready = Standby::Ready { idle_since: now };
        match self {
            Self::Ready { .. }
            | Self::WrapUp { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. } => Ok(Self::Unreachable { back: ready }),
            Self::Talking { after, .. } => Ok(match after {
                After::WrapUp => Self::Unreachable { back: ready },
                After::NotReady { reason } => Self::Unreachable {
                    back: Standby::NotReady { reason },
                },
                After::SignOut => Self::SignedOut,
            }),
            Self::NotReady { reason } => Ok(Self::Unreachable {
                back: Standby::NotReady { reason },
            }),
            Self::Listening { back, .. } | Self::Dialling { back, .. } => {
                Ok(Self::Unreachable { back })
            }
            other @ (Self::SignedOut | Self::Unreachable { .. }) => Err(other),
        }
    }

    /// Chosen for a call.
    pub fn reserved(self, call: CallId, leg: LegId) -> Step {
        let back = match self {
            Self::Ready { idle_since } => Back::Ready { idle_since },
            Self::WrapUp {
                call,
                until,
                rests: false,
            } => Back::WrapUp { call, until },
            other @ (Self::SignedOut
            | Self::NotReady { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Talking { .. }
            | Self::WrapUp { rests: true, .. }
            | Self::Listening { .. }
            | Self::Dialling { .. }
            | Self::Unreachable { .. }) => return Err(other),
        };
        Ok(Self::Reserved { call, leg, back })
    }

    /// Its phone rings.
    pub fn rang(self) -> Step {
        let Self::Reserved { call, leg, back } = self else {
            return Err(self);
        };
        Ok(Self::Ringing { call, leg, back })
    }

    /// Its phone was picked up, or the call it listens to is its own now.
    pub fn picked_up(self) -> Step {
        let (call, leg, after) = match self {
            Self::Reserved { call, leg, .. } | Self::Ringing { call, leg, .. } => {
                (call, leg, After::WrapUp)
            }
            Self::Listening { call, leg, back } => match back {
                Standby::Ready { .. } => (call, leg, After::WrapUp),
                Standby::NotReady { reason } => (call, leg, After::NotReady { reason }),
            },
            other @ (Self::SignedOut
            | Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::Talking { .. }
            | Self::WrapUp { .. }
            | Self::Dialling { .. }
            | Self::Unreachable { .. }) => return Err(other),
        };
        Ok(Self::Talking { call, leg, after })
    }

    /// It is not needed for the call it rang for: what it was before, with its old idle time.
    pub fn freed(self, now: Timestamp) -> Step {
        let (Self::Reserved { back, .. } | Self::Ringing { back, .. }) = self else {
            return Err(self);
        };
        Ok(back.duty(now))
    }

    /// It let the call ring out or refused it.
    pub fn missed(self, reason: &str) -> Step {
        let (Self::Reserved { .. } | Self::Ringing { .. }) = self else {
            return Err(self);
        };
        Ok(Self::NotReady {
            reason: reason.to_owned(),
        })
    }

    /// We could not ring it by a fault of ours: back after a short rest, so that a fault never spins.
    pub fn rested(self, until: Timestamp) -> Step {
        let (Self::Reserved { call, .. } | Self::Ringing { call, .. }) = self else {
            return Err(self);
        };
        Ok(Self::WrapUp {
            call,
            until,
            rests: true,
        })
    }

    /// Its call is over. One that it made asks for no after-call work.
    pub fn hung_up(self, until: Timestamp) -> Step {
        if let Self::Dialling { back, .. } = self {
            return Ok(back.into());
        }
        let Self::Talking { call, after, .. } = self else {
            return Err(self);
        };
        Ok(match after {
            After::WrapUp => Self::WrapUp {
                call,
                until,
                rests: false,
            },
            After::NotReady { reason } => Self::NotReady { reason },
            After::SignOut => Self::SignedOut,
        })
    }

    /// 签出. A talking seat signs out after its call.
    pub fn signed_out(self) -> Step {
        match self {
            Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::WrapUp { .. }
            | Self::Unreachable { .. } => Ok(Self::SignedOut),
            Self::Talking { call, leg, after } if after != After::SignOut => Ok(Self::Talking {
                call,
                leg,
                after: After::SignOut,
            }),
            other @ (Self::SignedOut
            | Self::Talking { .. }
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Listening { .. }
            | Self::Dialling { .. }) => Err(other),
        }
    }

    /// Signs in again by a key, with a phone that is still registered.
    pub fn signed_in(self, now: Timestamp) -> Step {
        if self == Self::SignedOut {
            return Ok(Self::Ready { idle_since: now });
        }
        self.ready(now)
    }

    /// 示闲, or after-call work is over.
    pub fn ready(self, now: Timestamp) -> Step {
        match self {
            Self::NotReady { .. } | Self::WrapUp { .. } => Ok(Self::Ready { idle_since: now }),
            Self::Talking { call, leg, .. } => Ok(Self::Talking {
                call,
                leg,
                after: After::WrapUp,
            }),
            Self::Listening { call, leg, .. } => Ok(Self::Listening {
                call,
                leg,
                back: Standby::Ready { idle_since: now },
            }),
            ready @ Self::Ready { .. } => Ok(ready),
            other @ (Self::SignedOut
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Dialling { .. }
            | Self::Unreachable { .. }) => Err(other),
        }
    }

    /// 示忙. A talking seat becomes not ready after its call.
    pub fn not_ready(self, reason: &str) -> Step {
        let reason = reason.to_owned();
        match self {
            Self::NotReady { .. } | Self::Ready { .. } | Self::WrapUp { .. } => {
                Ok(Self::NotReady { reason })
            }
            Self::Talking { call, leg, .. } => Ok(Self::Talking {
                call,
                leg,
                after: After::NotReady { reason },
            }),
            Self::Listening { call, leg, .. } => Ok(Self::Listening {
                call,
                leg,
                back: Standby::NotReady { reason },
            }),
            other @ (Self::SignedOut
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Dialling { .. }
            | Self::Unreachable { .. }) => Err(other),
        }
    }

    /// Rung to listen to a call.
    pub fn listening(self, call: CallId, leg: LegId, now: Timestamp) -> Step {
        let back = self.standby(now)?;
        Ok(Self::Listening { call, leg, back })
    }

    /// Its listening leg is in that call from now on.
    pub fn hears(self, call: CallId) -> Step {
        let Self::Listening { leg, back, .. } = self else {
            return Err(self);
        };
        Ok(Self::Listening { call, leg, back })
    }

    /// Dials, or is called by a colleague.
    pub fn dialling(self, call: CallId, leg: LegId, now: Timestamp) -> Step {
        let back = self.standby(now)?;
        Ok(Self::Dialling { call, leg, back })
    }

    /// Listening or its own call is over.
    pub fn returned(self) -> Step {
        let (Self::Listening { back, .. } | Self::Dialling { back, .. }) = self else {
            return Err(self);
        };
        Ok(back.into())
    }

    fn standby(self, now: Timestamp) -> Result<Standby, Self> {
        match self {
            Self::Ready { idle_since } => Ok(Standby::Ready { idle_since }),
            Self::WrapUp { .. } => Ok(Standby::Ready { idle_since: now }),
            Self::NotReady { reason } => Ok(Standby::NotReady { reason }),
            other @ (Self::SignedOut
            | Self::Reserved { .. }
            | Self::Ringing { .. }
            | Self::Talking { .. }
            | Self::Listening { .. }
            | Self::Dialling { .. }
            | Self::Unreachable { .. }) => Err(other),
        }
    }

    /// After a restart: whatever it was in is gone.
    #[must_use]
    pub fn restarted(self, now: Timestamp) -> Self {
        match self {
            Self::Reserved { back, .. } | Self::Ringing { back, .. } => match back {
                Back::Ready { idle_since } => Self::Ready { idle_since },
                Back::WrapUp { .. } => Self::Ready { idle_since: now },
            },
            Self::Talking { after, .. } => match after {
                After::WrapUp => Self::Ready { idle_since: now },
                After::NotReady { reason } => Self::NotReady { reason },
                After::SignOut => Self::SignedOut,
            },
            Self::WrapUp { .. } => Self::Ready { idle_since: now },
            Self::Listening { back, .. } | Self::Dialling { back, .. } => back.into(),
            same @ (Self::SignedOut
            | Self::NotReady { .. }
            | Self::Ready { .. }
            | Self::Unreachable { .. }) => same,
        }
    }
}

impl Seat {
    /// A seat whose phone has not registered yet.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self {
            duty: Duty::SignedOut,
            since: now,
            phone: None,
            binding: None,
            proven: false,
            answered: 0,
            offered_at: None,
            keying: None,
        }
    }

    /// Whether it can be offered a call, and since when it is idle. `late`: a call has waited too long; `spare`: it
    /// rings for a call that does not need it.
    #[must_use]
    pub fn open(&self, late: bool, spare: impl Fn() -> bool) -> Option<(Opening, Timestamp)> {
        self.binding.as_ref()?;
        match &self.duty {
            Duty::Ready { idle_since } => Some((Opening::Idle, *idle_since)),
            Duty::WrapUp {
                until,
                rests: false,
                ..
            } if late => Some((Opening::WrapUp, *until)),
            Duty::Reserved { back, .. } | Duty::Ringing { back, .. } if spare() => {
                let (Back::Ready { idle_since: since } | Back::WrapUp { until: since, .. }) = back;
                Some((Opening::Spare, *since))
            }
            Duty::SignedOut
            | Duty::NotReady { .. }
            | Duty::Reserved { .. }
            | Duty::Ringing { .. }
            | Duty::Talking { .. }
            | Duty::WrapUp { .. }
            | Duty::Listening { .. }
            | Duty::Dialling { .. }
            | Duty::Unreachable { .. } => None,
        }
    }

    /// Its line is out of order: unreachable, or in a call without a registration.
    #[must_use]
    pub const fn out_of_order(&self) -> bool {
        match &self.duty {
            Duty::Unreachable { .. } => true,
            Duty::Talking { .. } | Duty::Listening { .. } | Duty::Dialling { .. } => {
                self.binding.is_none()
            }
            Duty::SignedOut
            | Duty::NotReady { .. }
            | Duty::Ready { .. }
            | Duty::Reserved { .. }
            | Duty::Ringing { .. }
            | Duty::WrapUp { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ids() -> (CallId, LegId) {
        (CallId(Uuid::from_u128(1)), LegId(Uuid::from_u128(2)))
    }
    fn at(n: i64) -> Timestamp {
        Timestamp::from_micros(n)
    }

    #[test]
    fn seat_of_a_gone_caller_keeps_its_old_idle_time() {
        let (call, leg) = ids();
        let ready = Duty::Ready { idle_since: at(3) };
        let ringing = ready
            .clone()
            .reserved(call, leg)
            .and_then(Duty::rang)
            .unwrap();
        assert_eq!(ringing.freed(at(9)), Ok(ready));
    }

    #[test]
    fn steps_that_do_not_fit_give_the_old_duty_back() {
        let (call, leg) = ids();
        let out = Duty::SignedOut;
        assert_eq!(out.clone().reserved(call, leg), Err(out.clone()));
        assert_eq!(out.clone().picked_up(), Err(out.clone()));
        assert_eq!(out.clone().ready(at(1)), Err(out.clone()));
        assert_eq!(out.clone().listening(call, leg, at(1)), Err(out));
    }

    #[test]
    fn seat_that_wants_to_leave_while_talking_leaves_after_the_call() {
        let (call, leg) = ids();
        let talking = Duty::Talking {
            call,
            leg,
            after: After::WrapUp,
        };
        let done = talking
            .not_ready("离席")
            .and_then(|d| d.hung_up(at(9)))
            .unwrap();
        assert_eq!(done.reason(), Some("离席"));
    }
}
