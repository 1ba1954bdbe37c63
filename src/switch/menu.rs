//! A caller in a menu: keys and time-outs drive his walk, and every end of it is the queue, in the same Input.
//!
//! ```text
//! arrival -> answered, recorded, deadline armed -ACK or 300 ms-> prompts <-> key awaited
//!              caller leaves -> abandoned, stage menu      any end -> queue, greeting, offer
//! ```
//! `TimerKey::Menu` is armed from the first moment to the last (invariant 12); a restart settles the call like any other.

use super::timers::TimerKey;
use super::{EventKind, Sound, Switch};
use crate::call::{Arrival, InMenu, Ingress, KeyPath, KeyPress, MenuHearing, Phase, Unanswered};
use crate::id::{CallId, LegId, PlayId, PromptId, QueueId};
use crate::ivr::{Step, Walk, Way};
use crate::time::Millis;

/// The prompts of one node are shorter; media that reports no end by then is at fault.
const PROMPTS_SPAN_MAX: Millis = Millis::from_secs(30);

impl Switch {
    /// The menu that the dialled number, the trunk and the hour lead into. The emergency line has none.
    pub(super) fn way_into_menu(&self, arrival: &Arrival) -> Option<Way> {
        let Ingress::Trunk(trunk) = &arrival.ingress else {
            return None;
        };
        let area = self.policy.trunks.get(trunk).map(|t| &t.area_code);
        let area = area.unwrap_or(&self.policy.centre.area_code);
        self.policy
            .menus
            .way(trunk, &arrival.called, area, self.now)
    }

    /// Instead of the queue: the deadline is armed before anything is said.
    pub(super) fn enter_menu(&mut self, call: CallId, way: Way) {
        let menu = way.id;
        let (walk, step) = Walk::enter(way.menu, self.policy.menus.notice.clone());
        let prompts = match step {
            Step::Play(prompts) => prompts,
            // A tree that the check would have refused.
            Step::Await(_) | Step::Stay | Step::Leave { .. } => {
                return self.enter_queue(call, false);
            }
        };
        let (since, until) = (self.now, self.now + way.stay);
        if let Some(open) = self.call_mut(call) {
            open.language = walk.language().map(str::to_owned);
            open.phase = Phase::InMenu(Box::new(InMenu {
                menu: menu.clone(),
                walk,
                until,
                since,
                heard: MenuHearing::Nothing { prompts },
                key: None,
            }));
        }
        self.say(call, EventKind::MenuEntered { menu });
        self.arm_menu(call, PROMPTS_SPAN_MAX);
    }

    /// The 200 arrived: the first prompts, once.
    pub(super) fn begin_menu(&mut self, call: CallId) {
        let Some(menu) = self.call_mut(call).and_then(|c| c.in_menu_mut()) else {
            return;
        };
        if let MenuHearing::Nothing { prompts } = &mut menu.heard {
            let prompts = std::mem::take(prompts);
            self.play_menu(call, prompts);
        }
    }

    /// A key of any leg; a caller's may lead on in his menu.
    pub(super) fn digit(&mut self, call: CallId, leg: LegId, digit: char, path: KeyPath) {
        let at = self.now;
        let press = KeyPress { digit, path, at };
        if self.star_key(call, leg, press) {
            return;
        }
        self.say(call, EventKind::DigitReceived { leg, digit });
        if self.relief_digit(call, leg, digit) {
            return;
        }
        let Some(open) = self.call_mut(call).filter(|c| c.caller_leg == Some(leg)) else {
            return;
        };
        let Some(menu) = open.in_menu_mut() else {
            self.silent_digit(call, digit);
            return self.shelf_digit(call, digit);
        };
        if menu
            .key
            .take()
            .is_some_and(|before| press.is_echo_of(before))
        {
            return;
        }
        menu.key = Some(press);
        let (id, node) = (menu.menu.clone(), menu.walk.node().to_owned());
        let step = menu.walk.on_digit(digit);
        self.say(
            call,
            EventKind::MenuDigit {
                menu: id,
                node,
                digit,
            },
        );
        self.take_step(call, step);
    }

    /// Media reports the end of a playback to a caller.
    pub(super) fn menu_played(&mut self, call: CallId, play: PlayId) {
        let Some(menu) = self.call_mut(call).and_then(|c| c.in_menu_mut()) else {
            return;
        };
        if menu.heard == (MenuHearing::Prompts { play }) {
            menu.heard = MenuHearing::Quiet;
            let step = menu.walk.on_played();
            self.take_step(call, step);
        }
    }

    /// No key in time, or the longest stay is over.
    pub(super) fn menu_due(&mut self, call: CallId) {
        let now = self.now;
        let Some(menu) = self.call_mut(call).and_then(|c| c.in_menu_mut()) else {
            return self.misfit("flaw.timer_menu_left");
        };
        let step = if now >= menu.until {
            menu.walk.time_up()
        } else {
            menu.walk.on_timeout()
        };
        self.take_step(call, step);
    }

    fn take_step(&mut self, call: CallId, step: Step) {
        if let Some(open) = self.call_mut(call)
            && let Phase::InMenu(menu) = &open.phase
        {
            open.language = menu.walk.language().map(str::to_owned);
        }
        match step {
            Step::Stay => {}
            Step::Play(prompts) => self.play_menu(call, prompts),
            Step::Await(key_wait) => self.arm_menu(call, key_wait),
            Step::Leave { queue, exit } => self.menu_to_queue(call, queue, exit.name()),
        }
    }

    fn play_menu(&mut self, call: CallId, prompts: Vec<PromptId>) {
        let Some(first) = prompts.first().cloned() else {
            return;
        };
        let sounds = prompts.into_iter().map(Sound::Prompt).collect();
        let Some(play) = self.play_to_caller(call, sounds, false) else {
            return;
        };
        if let Some(menu) = self.call_mut(call).and_then(|c| c.in_menu_mut()) {
            menu.heard = MenuHearing::Prompts { play };
        }
        self.arm_menu(call, PROMPTS_SPAN_MAX);
        let (prompt, position) = (first, None);
        self.say(call, EventKind::PromptStarted { prompt, position });
    }

    /// The next deadline: `span` from now, at the latest the end of the stay.
    fn arm_menu(&mut self, call: CallId, span: Millis) {
        let Some(until) = self
            .call_mut(call)
            .and_then(|c| c.in_menu_mut())
            .map(|m| m.until)
        else {
            return;
        };
        let at = (self.now + span.max(Millis(1))).min(until);
        self.timers.arm(TimerKey::Menu(call), at);
    }

    /// Into the queue, in the same step. The wait counts from the arrival.
    fn menu_to_queue(&mut self, call: CallId, queue: QueueId, reason: &str) {
        self.timers.disarm(&TimerKey::Menu(call));
        self.left_menu(call, reason, Some(queue.clone()));
        let now = self.now;
        let known = self.policy.queues.contains_key(&queue);
        if let Some(open) = self.call_mut(call) {
            if known {
                open.queue = queue;
            }
            open.phase = Phase::Unanswered(Unanswered::entered(now));
        }
        self.enter_queue(call, false);
        self.greet(call);
    }

    /// Says that the caller is out of his menu, when he was in one.
    pub(super) fn left_menu(&mut self, call: CallId, reason: &str, queue: Option<QueueId>) {
        let Some(menu) = self.call_mut(call).and_then(|c| c.in_menu_mut()) else {
            return;
        };
        let (id, node) = (menu.menu.clone(), menu.walk.node().to_owned());
        self.say(
            call,
            EventKind::MenuLeft {
                menu: id,
                node,
                reason: reason.to_owned(),
                queue,
            },
        );
    }
}
