//! Which waiting call is offered to which seat, and why: one pure choice over the whole list and all open seats.
//!
//! Eligibility before order: for each kind of need (queue, skills left) a seat is fit or [`Held`]. The first call that
//! has a fit seat gets it, so a call that nobody fits blocks nobody. Time and chance come in. WS/T 451 7.2.1.1-d.
//!
//! ```text
//! first pass   one seat per call: its affinity seat, else proven before unproven, idle before spare before wrap-up,
//!              dispatcher before supervisor, fewest skills, then by the queue's strategy
//! second pass  what is left rings too, for calls that ring all or have waited too long
//! ```

use serde::{Deserialize, Serialize};

use crate::id::{CallId, QueueId, SeatId};
use crate::time::Timestamp;

/// How one of several equally fit seats is chosen.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The seat that has been idle longest; equal ones by name.
    LongestIdle,
    /// 随机分配 (WS/T 451 7.2.1.1-d), drawn from the seeded source of the switch.
    Random,
    /// The seat that has answered fewest calls since it signed in.
    FewestCalls,
    /// The seat whose last offer is longest ago.
    RoundRobin,
    /// All fit seats at once; the first to answer wins.
    RingAll,
}

/// What a seat is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatRole {
    /// 调度员: takes calls.
    Dispatcher,
    /// 班长: takes calls when nobody else serves, or when a call has waited too long.
    Supervisor,
    /// 医生: takes calls of the queues named at the seat, no others.
    Doctor,
}

/// Why a seat that is free is not offered a call. Reasons of its duty are its state, told elsewhere.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It serves other queues.
    Queue,
    /// It lacks a skill that the queue still asks for.
    Skill,
    /// A supervisor is kept back while dispatchers serve and nobody has waited too long; a doctor takes only what is his.
    Role,
    /// Its phone has given no sign of life since the start; others come first.
    Proof,
    /// It made the call itself.
    OwnCall,
    /// Its phone is on the line for a star code that it dialled.
    Keying,
}

/// By which rule a seat was chosen.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Its line was lost in this call and is back.
    Back,
    /// It holds the caller's incident, or handled the caller before.
    Affinity,
    /// Nobody else was fit.
    OnlyFit,
    LongestIdle,
    Random,
    FewestCalls,
    RoundRobin,
    RingAll,
    /// A supervisor gave the call to it.
    Ordered,
    /// It rings beside another seat because the call has waited too long.
    Spare,
    /// A person said so: it takes a caller back from the shelf, or he is transferred to it.
    Asked,
    /// Free seats there are, and none is fit.
    NobodyFits,
}

/// Why a seat can be offered a call at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opening {
    /// Ready.
    Idle,
    /// It rings beside another seat for a call that does not need it.
    Spare,
    /// In after-call work, open because a call has waited too long.
    WrapUp,
}

/// A seat that can be offered a call.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub seat: &'a SeatId,
    pub opening: Opening,
    pub idle_since: Timestamp,
    /// Calls answered since it signed in.
    pub answered: u32,
    /// When it was offered a call last.
    pub offered_at: Option<Timestamp>,
    /// Its phone has given a sign of life.
    pub proven: bool,
    /// Its phone is on the line for a star code.
    pub keying: bool,
    pub role: SeatRole,
    /// Queues that it serves; empty: all.
    pub queues: &'a [QueueId],
    pub skills: &'a [String],
}

/// What a call asks of a seat. Calls of one queue and relax step share it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    pub queue: &'a QueueId,
    /// Skills still asked for.
    pub skills: &'a [String],
    /// The queue whose seats are fit too by now.
    pub fallback: Option<&'a QueueId>,
    pub strategy: Strategy,
}

/// A waiting call.
#[derive(Clone, Debug)]
pub struct Waiting<'a> {
    pub call: CallId,
    pub need: Need<'a>,
    /// The seat that made it.
    pub own: Option<&'a SeatId>,
    pub affinity: Option<&'a SeatId>,
    /// The seat whose line was lost in it, as long as that seat gets it back.
    pub back: Option<&'a SeatId>,
    /// A seat rings for it.
    pub offered: bool,
    /// Spare seats may ring beside.
    pub rings_all: bool,
}

/// One offer to be made, or the reason for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub call: CallId,
    pub seat: Option<SeatId>,
    pub rule: Rule,
    /// Open seats that were not fit, by name.
    pub held: Vec<(SeatId, Held)>,
}

/// What a decision is made from beside the waiting calls.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    /// By name.
    pub seats: Vec<Candidate<'a>>,
    /// Supervisors serve as dispatchers do.
    pub supervisors_open: bool,
}

/// What a kind of need makes of the seats.
struct Fits<'t> {
    need: Need<'t>,
    /// By place in the table.
    held: Vec<Option<Held>>,
    /// Places of fit seats that are still to be had.
    left: Vec<usize>,
    /// That nobody fits was said.
    said: bool,
}

/// The offers to make now, in order. That nobody fits is said once per kind of need. `waiting`, next first, is looked at
/// until the seats run out. `draw` is asked once per choice by [`Strategy::Random`].
pub fn choose<'t>(
    table: &Table<'t>,
    waiting: impl Iterator<Item = Waiting<'t>> + Clone,
    draw: &mut impl FnMut() -> u64,
) -> Vec<Choice> {
    let mut taken = vec![false; table.seats.len()];
    let mut kinds: Vec<Fits<'t>> = Vec::new();
    let mut choices = Vec::new();
    if table.seats.is_empty() {
        return choices;
    }
    for call in waiting.clone().filter(|w| !w.offered) {
        let fits = table.fits(&mut kinds, call.need);
        fits.forget(&taken);
        let choice = table.first_pass(&call, fits, draw);
        if let Some((_, place)) = choice {
            take(&mut taken, place);
        } else if std::mem::replace(&mut fits.said, true) {
            continue;
        }
        choices.push(table.say(&call, fits, choice, &taken));
        if taken.iter().all(|t| *t) {
            return choices;
        }
    }
    for call in waiting.filter(|w| w.rings_all || w.back.is_some()) {
        let fits = table.fits(&mut kinds, call.need);
        fits.forget(&taken);
        let rung = choices
            .iter()
            .any(|c| c.call == call.call && c.seat.is_some());
        for place in fits.left.clone() {
            let Some(seat) = table.seats.get(place) else {
                continue;
            };
            let back = call.back == Some(seat.seat);
            let spare = seat.opening != Opening::Spare && call.own != Some(seat.seat);
            if (rung || call.offered) && spare && (back || call.rings_all) {
                take(&mut taken, place);
                let rule = if back { Rule::Back } else { Rule::Spare };
                choices.push(table.say(&call, fits, Some((rule, place)), &taken));
            }
        }
        if taken.iter().all(|t| *t) {
            break;
        }
    }
    choices
}

fn take(taken: &mut [bool], place: usize) {
    if let Some(taken) = taken.get_mut(place) {
        *taken = true;
    }
}

impl Fits<'_> {
    fn forget(&mut self, taken: &[bool]) {
        self.left
            .retain(|place| !taken.get(*place).copied().unwrap_or(true));
    }
}

impl<'t> Table<'t> {
    fn fits<'k>(&self, kinds: &'k mut Vec<Fits<'t>>, need: Need<'t>) -> &'k mut Fits<'t> {
        let at = kinds.iter().position(|k| k.need == need);
        let at = at.unwrap_or_else(|| {
            let held: Vec<_> = self.seats.iter().map(|s| self.held(s, need)).collect();
            let left = (0..).zip(&held).filter(|(_, h)| h.is_none());
            let left = left.map(|(place, _)| place).collect();
            kinds.push(Fits {
                need,
                held,
                left,
                said: false,
            });
            kinds.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut kinds[at]
    }

    fn held(&self, seat: &Candidate<'_>, need: Need<'_>) -> Option<Held> {
        let serves = |queue| seat.queues.contains(queue);
        let named = serves(need.queue) || need.fallback.is_some_and(serves);
        let role = match seat.role {
            SeatRole::Dispatcher => true,
            SeatRole::Supervisor => self.supervisors_open,
            SeatRole::Doctor => named,
        };
        if seat.keying {
            Some(Held::Keying)
        } else if !named && !seat.queues.is_empty() {
            Some(Held::Queue)
        } else if !need.skills.iter().all(|skill| seat.skills.contains(skill)) {
            Some(Held::Skill)
        } else if !role {
            Some(Held::Role)
        } else {
            None
        }
    }

    fn first_pass(
        &self,
        call: &Waiting<'_>,
        fits: &Fits<'_>,
        draw: &mut impl FnMut() -> u64,
    ) -> Option<(Rule, usize)> {
        let fit: Vec<(usize, &Candidate<'_>)> = fits
            .left
            .iter()
            .filter_map(|place| Some((*place, self.seats.get(*place)?)))
            .filter(|(_, seat)| call.own != Some(seat.seat))
            .collect();
        for (own, rule) in [(call.back, Rule::Back), (call.affinity, Rule::Affinity)] {
            let mut fit = fit.iter().filter(|(_, s)| s.opening != Opening::Spare);
            if let Some((place, _)) = fit.find(|(_, s)| own == Some(s.seat)) {
                return Some((rule, *place));
            }
        }
        let best = fit.iter().map(|(_, s)| class(s)).min()?;
        let equal: Vec<_> = fit.iter().filter(|(_, s)| class(s) == best).collect();
        let chosen = match call.need.strategy {
            Strategy::Random => {
                let count = u64::try_from(equal.len()).unwrap_or(1);
                let at = usize::try_from(draw() % count).unwrap_or(0);
                equal.get(at)
            }
            Strategy::LongestIdle | Strategy::RingAll => {
                equal.iter().min_by_key(|(_, s)| s.idle_since)
            }
            Strategy::FewestCalls => equal.iter().min_by_key(|(_, s)| (s.answered, s.idle_since)),
            Strategy::RoundRobin => equal
                .iter()
                .min_by_key(|(_, s)| (s.offered_at, s.idle_since)),
        }?;
        let rule = if fit.len() == 1 {
            Rule::OnlyFit
        } else {
            call.need.strategy.into()
        };
        Some((rule, chosen.0))
    }

    fn say(
        &self,
        call: &Waiting<'_>,
        fits: &Fits<'_>,
        choice: Option<(Rule, usize)>,
        taken: &[bool],
    ) -> Choice {
        let place = choice.map(|(_, place)| place);
        let chosen = place.and_then(|place| self.seats.get(place));
        let unproven = |seat: &Candidate<'_>| !seat.proven && chosen.is_some_and(|c| c.proven);
        let held = self
            .seats
            .iter()
            .zip(&fits.held)
            .zip(taken)
            .filter(|(_, taken)| !**taken)
            .filter_map(|((seat, held), _)| {
                let own = (call.own == Some(seat.seat)).then_some(Held::OwnCall);
                let proof = unproven(seat).then_some(Held::Proof);
                Some((seat.seat.clone(), own.or(*held).or(proof)?))
            })
            .collect();
        Choice {
            call: call.call,
            seat: chosen.map(|s| s.seat.clone()),
            rule: choice.map_or(Rule::NobodyFits, |(rule, _)| rule),
            held,
        }
    }
}

/// Smaller is better; the strategy decides among equals.
fn class(seat: &Candidate<'_>) -> (bool, Opening, SeatRole, usize) {
    (!seat.proven, seat.opening, seat.role, seat.skills.len())
}

impl From<Strategy> for Rule {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::LongestIdle => Self::LongestIdle,
            Strategy::Random => Self::Random,
            Strategy::FewestCalls => Self::FewestCalls,
            Strategy::RoundRobin => Self::RoundRobin,
            Strategy::RingAll => Self::RingAll,
        }
    }
}
