//! Why a call rang where it rang: the Events of routing and the seats' own states, told in sentences (zh, en). A fold;
//! nothing is computed a second time.

use std::collections::BTreeMap;

use crate::id::{CallId, SeatId};
use crate::switch::{Behind, Event, EventKind, Held, HeldSeat, Rule};
use crate::time::Timestamp;

/// One thing that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    pub at: Timestamp,
    pub what: What,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A seat was rung, by this rule.
    Rung { seat: SeatId, rule: Rule },
    /// Free seats there were, and none was fit.
    NobodyFits,
    /// No seat could be asked.
    NobodyFree,
    /// A need of its queue fell away by waiting.
    Relaxed { skill: String },
    /// A free seat was not rung.
    Held { seat: SeatId, reason: Held },
    /// A seat could not be rung: what it was doing, and its own reason.
    Off {
        seat: SeatId,
        state: String,
        reason: Option<String>,
    },
    /// A seat answered.
    Answered { seat: SeatId },
    /// It stands behind calls that came later.
    Behind { why: Behind },
    /// It comes from a crew that was sent for an incident; the seat that had that call is asked first.
    Crew { seat: Option<SeatId> },
    /// The seat is free and nobody waits.
    NobodyWaits,
}

/// Folds the Events of a centre into the reasons of one call.
#[derive(Debug)]
pub struct Why {
    call: CallId,
    seats: BTreeMap<SeatId, (String, Option<String>)>,
    /// The queue that it waits in.
    waits: Option<String>,
    /// What holds seats back from its kind of need, as said last.
    held: BTreeMap<String, Vec<HeldSeat>>,
    told: Vec<Because>,
    /// It entered the queue and no decision has been told yet.
    open_since: Option<Timestamp>,
}

impl Why {
    /// `seats`: what seats did before the first Event.
    #[must_use]
    pub fn new(
        call: CallId,
        seats: impl IntoIterator<Item = (SeatId, String, Option<String>)>,
    ) -> Self {
        Self {
            call,
            seats: seats.into_iter().map(|(id, s, r)| (id, (s, r))).collect(),
            waits: None,
            held: BTreeMap::new(),
            told: Vec::new(),
            open_since: None,
        }
    }

    /// Takes the next Event of the journal in, whichever call it is of.
    pub fn take(&mut self, event: &Event) {
        let own = event.call == Some(self.call);
        if self.open_since.is_some_and(|since| event.at > since) {
            self.nobody_was_asked();
        }
        if let EventKind::SeatStateChanged {
            seat,
            state,
            reason,
        } = &event.kind
        {
            let state = (state.clone(), reason.clone());
            self.seats.insert(seat.clone(), state);
        } else if let EventKind::OfferDecided { .. } = &event.kind {
            self.decided(event, own);
        } else if let EventKind::CrewCalled { seat, .. } = &event.kind
            && own
        {
            let seat = seat.clone();
            self.say(event.at, What::Crew { seat });
        } else if let EventKind::QueueEntered { queue, behind, .. } = &event.kind
            && own
        {
            if let Some(why) = *behind {
                self.say(event.at, What::Behind { why });
            }
            self.waits = Some(queue.to_string());
            self.open_since = Some(event.at);
        } else if let EventKind::QueueLeft { .. } = &event.kind
            && own
        {
            self.waits = None;
            self.open_since = None;
        } else if let EventKind::SeatAnswered { seat, .. } = &event.kind
            && own
        {
            let seat = seat.clone();
            self.say(event.at, What::Answered { seat });
        } else if let EventKind::CallJoined { seat, into, .. } = &event.kind
            && own
            && event.call != Some(*into)
        {
            let seat = seat.clone();
            self.say(event.at, What::Answered { seat });
        }
    }

    /// The reasons, in order of time.
    #[must_use]
    pub fn finish(mut self) -> Vec<Because> {
        self.nobody_was_asked();
        self.told
    }

    fn decided(&mut self, event: &Event, own: bool) {
        let EventKind::OfferDecided {
            rule,
            chosen,
            held,
            queue,
            relaxed,
            ..
        } = &event.kind
        else {
            return;
        };
        let queue = queue.to_string();
        self.held.insert(queue.clone(), held.clone());
        // What holds seats back from a call before it in the same queue holds them back from this one.
        if !own && (chosen.is_some() || self.waits.as_ref() != Some(&queue)) {
            return;
        }
        self.open_since = None;
        for skill in relaxed {
            let skill = skill.clone();
            self.say(event.at, What::Relaxed { skill });
        }
        self.say(
            event.at,
            match chosen {
                Some(seat) => What::Rung {
                    seat: seat.clone(),
                    rule: *rule,
                },
                None => What::NobodyFits,
            },
        );
        self.say_others(event.at, held, chosen.as_ref());
    }

    /// It waits, and no free seat was there to decide about, or what holds them was said before.
    fn nobody_was_asked(&mut self) {
        let Some(at) = self.open_since.take() else {
            return;
        };
        let held = self
            .waits
            .as_ref()
            .and_then(|queue| self.held.get(queue))
            .cloned()
            .unwrap_or_default();
        let free = |seat: &HeldSeat| self.seats.get(&seat.seat).is_some_and(|s| s.0 == "ready");
        let held: Vec<_> = held.into_iter().filter(free).collect();
        self.say(
            at,
            if held.is_empty() {
                What::NobodyFree
            } else {
                What::NobodyFits
            },
        );
        self.say_others(at, &held, None);
    }

    fn say_others(&mut self, at: Timestamp, held: &[HeldSeat], chosen: Option<&SeatId>) {
        for HeldSeat { seat, reason } in held {
            let (seat, reason) = (seat.clone(), *reason);
            self.say(at, What::Held { seat, reason });
        }
        let off: Vec<_> = self
            .seats
            .iter()
            .filter(|(seat, (state, _))| state != "ready" && Some(*seat) != chosen)
            .map(|(seat, (state, reason))| What::Off {
                seat: seat.clone(),
                state: state.clone(),
                reason: reason.clone(),
            })
            .collect();
        for what in off {
            self.say(at, what);
        }
    }

    fn say(&mut self, at: Timestamp, what: What) {
        self.told.push(Because { at, what });
    }
}

impl What {
    /// In Chinese.
    #[must_use]
    pub fn zh(&self) -> String {
        match self {
            Self::Rung { seat, rule } => format!("呼叫坐席 {seat}：{}", rule_words(*rule).0),
            Self::NobodyFits => String::from("有空闲坐席，但没有一个适合"),
            Self::NobodyFree => String::from("没有可呼叫的坐席"),
            Self::Relaxed { skill } => format!("等待已久，不再要求技能 {skill}"),
            Self::Held { seat, reason } => {
                format!("坐席 {seat} 空闲而未被呼叫：{}", held_words(*reason).0)
            }
            Self::Off {
                seat,
                state,
                reason,
            } => match reason {
                Some(reason) => format!("坐席 {seat} {}（{reason}）", state_words(state).0),
                None => format!("坐席 {seat} {}", state_words(state).0),
            },
            Self::Answered { seat } => format!("坐席 {seat} 摘机"),
            Self::Behind { why } => format!("排在后来的呼叫之后：{}", behind_words(*why).0),
            Self::Crew { seat: Some(seat) } => {
                format!("车组来电：优先分配给受理该事件的坐席 {seat}")
            }
            Self::Crew { seat: None } => String::from("车组来电：其事件没有坐席受理过"),
            Self::NobodyWaits => String::from("坐席空闲，没有呼叫在等待"),
        }
    }

    /// In English.
    #[must_use]
    pub fn en(&self) -> String {
        match self {
            Self::Rung { seat, rule } => format!("seat {seat} was rung: {}", rule_words(*rule).1),
            Self::NobodyFits => String::from("free seats there were, and none was fit"),
            Self::NobodyFree => String::from("no seat could be rung"),
            Self::Relaxed { skill } => {
                format!("after the wait the skill {skill} was asked for no more")
            }
            Self::Held { seat, reason } => {
                let why = held_words(*reason).1;
                format!("seat {seat} was free and not rung: {why}")
            }
            Self::Off {
                seat,
                state,
                reason,
            } => match reason {
                Some(reason) => format!("seat {seat} {} ({reason})", state_words(state).1),
                None => format!("seat {seat} {}", state_words(state).1),
            },
            Self::Answered { seat } => format!("seat {seat} answered"),
            Self::Behind { why } => {
                format!("it stands behind later calls: {}", behind_words(*why).1)
            }
            Self::Crew { seat: Some(seat) } => {
                format!("a crew calls: seat {seat}, which had its incident, is asked first")
            }
            Self::Crew { seat: None } => {
                String::from("a crew calls, and no seat had the call of its incident")
            }
            Self::NobodyWaits => String::from("the seat is free and nobody waits"),
        }
    }
}

const fn behind_words(why: Behind) -> (&'static str, &'static str) {
    match why {
        Behind::Share => (
            "该号码短时间内多次呼入且无对应事件，后移 90 秒",
            "its number takes more than its share without an incident, 90 s",
        ),
        Behind::Verdict => (
            "该号码已确认骚扰，后移 10 秒",
            "its number is confirmed to harass, 10 s",
        ),
    }
}

const fn rule_words(rule: Rule) -> (&'static str, &'static str) {
    match rule {
        Rule::Back => (
            "其线路恢复，原通话先还给它",
            "its line is back, and so is its caller",
        ),
        Rule::Affinity => (
            "受理过该主叫，或持有其（车组的）事件",
            "it handled this caller before, or holds his or the crew's incident",
        ),
        Rule::OnlyFit => ("唯一适合的坐席", "nobody else was fit"),
        Rule::LongestIdle => ("空闲最久", "it had been idle longest"),
        Rule::Random => ("随机分配", "drawn at random"),
        Rule::FewestCalls => ("受理最少", "it had answered fewest calls"),
        Rule::RoundRobin => ("轮流分配", "it was its turn"),
        Rule::RingAll => ("全体振铃", "all seats ring"),
        Rule::Ordered => ("班长指派", "a supervisor gave the call to it"),
        Rule::Spare => (
            "等待过久，与其他坐席同时振铃",
            "it rings beside another seat",
        ),
        Rule::Asked => ("指定该坐席", "it was asked for by name"),
        Rule::NobodyFits => ("无适合坐席", "nobody was fit"),
    }
}

const fn held_words(reason: Held) -> (&'static str, &'static str) {
    match reason {
        Held::Queue => ("服务其他排队", "it serves other queues"),
        Held::Skill => ("缺少所需技能", "it lacks a skill that is asked for"),
        Held::Role => (
            "班长在有调度员当班时后备",
            "its role is kept back while dispatchers serve",
        ),
        Held::Proof => (
            "话机尚未证明可用，排在最后",
            "its phone has not proven itself; others came first",
        ),
        Held::OwnCall => ("本呼叫由其发起", "it made the call itself"),
        Held::Keying => ("话机正在拨星号码", "its phone was dialling a star code"),
    }
}

fn state_words(state: &str) -> (&'static str, &'static str) {
    match state {
        "signed_out" => ("未签入", "was signed out"),
        "not_ready" => ("示忙", "was not ready"),
        "unreachable" => ("话机无法接通", "had a phone that does not answer"),
        "wrap_up" => ("事后整理中", "was in after-call work"),
        "talking" => ("通话中", "was talking"),
        "listening" => ("监听中", "was listening to a call"),
        "reserved" | "ringing" => ("正在振铃", "was ringing for another call"),
        _ => ("不可用", "could not take a call"),
    }
}
