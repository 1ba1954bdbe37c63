//! Far ends of dialogs and the network to them: it loses, delays, doubles and reorders. What a protocol repeats until
//! it is acknowledged arrives in the end and in order per dialog; a provisional response may be lost for good.

use super::check_relief::relief_of;
use super::world::{Happening, World};
use crate::call::{Cause, DialogState, Invite, KeyPath, LegCommand, LegEvent, Target};
use crate::id::{LegId, SeatId};
use crate::switch::{InputKind, MediaEvent};
use crate::time::{Millis, Timestamp};

/// A far end, as it is out there.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) end: End,
    pub(super) stage: Stage,
    /// The process that knew it was killed.
    pub(super) orphan: bool,
    /// The journal knows how to close it.
    pub(super) journaled: bool,
    /// Nothing of it that is repeated arrives before this.
    fifo: Timestamp,
}

/// Who is at the far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Caller { number: String },
    Phone { seat: SeatId },
    Third,
}

/// How far it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Early,
    Up,
    Over,
}

/// What a far end does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum FarAct {
    Trying,
    Ring,
    Announce,
    PickUp,
    /// BYE, or CANCEL of a caller whom nobody answered.
    HangUp,
    Fail(Cause),
    /// Its line breaks, and its protocol says so.
    Break,
    /// It is gone without a word; media hears nothing of it for a minute.
    Vanish,
    /// It says nothing for a minute but is there.
    Mute,
    Hold(bool),
    /// A key, by SIP INFO or RFC 4733.
    Press(char, KeyPath),
    /// Our 200 reached it: it acknowledges.
    Acknowledge,
    /// Our CANCEL, BYE or final response reached it.
    Released(Cause),
}

impl World {
    pub(super) fn open_dialog(&mut self, leg: LegId, end: End) {
        let fifo = self.now;
        self.dialogs.insert(
            leg,
            Dialog {
                end,
                stage: Stage::Early,
                orphan: false,
                journaled: false,
                fifo,
            },
        );
    }

    pub(super) fn plan_far(&mut self, after: Millis, leg: LegId, act: FarAct) {
        self.plan(after, Happening::Far { leg, act });
    }

    /// A far end acts, if its stage lets it.
    pub(super) fn far(&mut self, leg: LegId, act: FarAct) {
        let Some(dialog) = self.dialogs.get_mut(&leg) else {
            return;
        };
        let stage = dialog.stage;
        let caller = matches!(dialog.end, End::Caller { .. });
        match (stage, act) {
            (Stage::Early, FarAct::Trying) => self.loses(leg, progress(100, false)),
            (Stage::Early, FarAct::Ring) => self.loses(leg, progress(180, false)),
            (Stage::Early, FarAct::Announce) => self.repeats(leg, progress(183, true)),
            (Stage::Early, FarAct::PickUp) => {
                dialog.stage = Stage::Up;
                let phone = matches!(dialog.end, End::Phone { .. });
                self.repeats(leg, LegEvent::Answered);
                if phone {
                    self.plan_first_sound(leg);
                }
            }
            (Stage::Early, FarAct::Acknowledge) => {
                dialog.stage = Stage::Up;
                self.loses(leg, LegEvent::Confirmed);
            }
            (Stage::Early, FarAct::Fail(cause)) => {
                dialog.stage = Stage::Over;
                let status = Some(cause.sip_status());
                self.repeats(leg, LegEvent::Failed { cause, status });
            }
            (Stage::Early | Stage::Up, FarAct::HangUp) if caller || stage == Stage::Up => {
                dialog.stage = Stage::Over;
                let cause = if stage == Stage::Up {
                    Cause::Normal
                } else {
                    Cause::Cancelled
                };
                self.repeats(leg, ended(cause, true));
            }
            (Stage::Early | Stage::Up, FarAct::Break) => {
                dialog.stage = Stage::Over;
                self.repeats(leg, ended(Cause::Lost, false));
            }
            (Stage::Early | Stage::Up, FarAct::Vanish) => {
                dialog.stage = Stage::Over;
                self.falls_silent(leg);
            }
            (Stage::Early | Stage::Up, FarAct::Mute) => self.falls_silent(leg),
            (Stage::Up, FarAct::Hold(held)) => self.repeats(leg, LegEvent::FarHold { held }),
            (Stage::Early | Stage::Up, FarAct::Press(digit, path)) => {
                self.press(leg, digit, path);
            }
            (Stage::Early | Stage::Up, FarAct::Released(cause)) => {
                dialog.stage = Stage::Over;
                if !self.chance.percent(3) {
                    self.repeats(leg, ended(cause, false));
                }
            }
            (Stage::Early, FarAct::HangUp | FarAct::Hold(_))
            | (
                Stage::Up,
                FarAct::Trying
                | FarAct::Ring
                | FarAct::Announce
                | FarAct::PickUp
                | FarAct::Acknowledge
                | FarAct::Fail(_)
                | FarAct::HangUp,
            )
            | (Stage::Over, _) => {}
        }
    }

    fn press(&mut self, leg: LegId, digit: char, path: KeyPath) {
        match path {
            KeyPath::Signalling => self.repeats(leg, LegEvent::Digit { digit }),
            KeyPath::Media => {
                let after = self.chance.span(5, 80);
                let duration_ms = 120;
                let event = MediaEvent::Digit { digit, duration_ms };
                self.reaches(after, InputKind::Media { leg, event });
            }
        }
    }

    /// A phone that was picked up is heard soon, late or never; now and then its line breaks first.
    fn plan_first_sound(&mut self, leg: LegId) {
        match self.chance.below(20) {
            0 => {
                let after = self.chance.span(10, 900);
                self.plan_far(after, leg, FarAct::Break);
            }
            1 => {}
            _ => {
                let after = self.chance.span(20, 1_500);
                let event = MediaEvent::RtpStarted;
                self.reaches(after, InputKind::Media { leg, event });
            }
        }
    }

    fn falls_silent(&mut self, leg: LegId) {
        let event = MediaEvent::RtpLost { lost: true };
        self.reaches(Millis::from_secs(60), InputKind::Media { leg, event });
    }

    /// Sent once: it may be lost, late or doubled.
    fn loses(&mut self, leg: LegId, event: LegEvent) {
        if self.is_lost() {
            return;
        }
        let after = self.chance.span(5, 80);
        self.double(leg, &event);
        self.plan(after, Happening::FromLeg { leg, event });
    }

    /// Repeated until acknowledged: late at worst, in order per dialog, perhaps doubled.
    pub(super) fn repeats(&mut self, leg: LegId, event: LegEvent) {
        let mut at = self.now + self.chance.span(5, 80);
        let mut again = Millis(500);
        while self.is_lost() && again.0 < 8000 {
            at = at + again;
            again = Millis(again.0 * 2);
        }
        if let Some(dialog) = self.dialogs.get_mut(&leg) {
            at = at.max(dialog.fifo);
            dialog.fifo = at;
        }
        self.double(leg, &event);
        self.plan_at(at, Happening::FromLeg { leg, event });
    }

    fn double(&mut self, leg: LegId, event: &LegEvent) {
        if self.is_doubled() {
            let after = self.chance.span(100, 1200);
            let event = event.clone();
            self.plan(after, Happening::FromLeg { leg, event });
        }
    }

    /// The shell runs what a leg is told.
    pub(super) fn run_command(&mut self, leg: LegId, command: &LegCommand) {
        let out = self.chance.span(5, 60);
        match command {
            LegCommand::EarlyMedia => {}
            LegCommand::Probe => {
                if self
                    .dialogs
                    .get(&leg)
                    .is_some_and(|d| d.stage == Stage::Over)
                {
                    let after = self.chance.span(1_500, 6_000);
                    let event = ended(Cause::Lost, false);
                    self.plan(after, Happening::FromLeg { leg, event });
                }
            }
            LegCommand::Answer => {
                let after = Millis(out.0 + 10 + self.chance.below(250));
                self.plan_far(after, leg, FarAct::Acknowledge);
                self.journal_dialog(leg);
            }
            LegCommand::Invite(invite) => self.invited(leg, invite),
            LegCommand::Release { cause } => {
                self.plan_far(out, leg, FarAct::Released(*cause));
            }
            LegCommand::ReleaseOrphan { cause, .. } => {
                if let Some(dialog) = self.dialogs.get_mut(&leg) {
                    // The new process closes it as its own.
                    dialog.orphan = false;
                    let redials = match &dialog.end {
                        End::Caller { number } if dialog.stage != Stage::Over => {
                            Some(number.clone())
                        }
                        End::Caller { .. } | End::Phone { .. } | End::Third => None,
                    };
                    if let Some(number) = redials {
                        self.redials(number);
                    }
                }
                self.plan_far(out, leg, FarAct::Released(*cause));
            }
        }
    }

    fn invited(&mut self, leg: LegId, invite: &Invite) {
        let end = match &invite.target {
            Target::Seat { seat, .. } => End::Phone { seat: seat.clone() },
            Target::Number { .. } => End::Third,
        };
        let asked = match &invite.target {
            Target::Number { number, .. } => relief_of(&self.policy, number).is_some(),
            Target::Seat { .. } => false,
        };
        self.open_dialog(leg, end.clone());
        self.journal_dialog(leg);
        match end {
            End::Phone { seat } => self.phone_reacts(leg, &seat),
            End::Third | End::Caller { .. } => {
                self.third_reacts(leg);
                if asked {
                    self.asked_reacts(leg);
                }
                self.target_reacts(leg, invite);
            }
        }
    }

    /// The protocol shell journals the dialog as soon as there is one.
    fn journal_dialog(&mut self, leg: LegId) {
        let state = DialogState(serde_json::json!({ "leg": leg }));
        let kind = InputKind::Leg {
            leg,
            event: LegEvent::Dialog { state },
        };
        self.plan(Millis(0), Happening::Reaches(Box::new(kind)));
    }

    fn phone_reacts(&mut self, leg: LegId, seat: &SeatId) {
        if self.is_dead(seat) {
            let gives_up = Millis::from_secs(32);
            return self.plan_far(gives_up, leg, FarAct::Fail(Cause::Unreachable));
        }
        let rings = self.chance.span(40, 400);
        let picks_up = self.chance.span(800, 7000);
        let early = self.chance.span(300, 3000);
        let manner = self.chance.below(100);
        if (4..92).contains(&manner) {
            self.plan_far(Millis(rings.0 / 2), leg, FarAct::Trying);
            self.plan_far(rings, leg, FarAct::Ring);
        }
        match manner {
            // Answers without ringing.
            0..4 => self.plan_far(early, leg, FarAct::PickUp),
            4..74 => self.plan_far(picks_up, leg, FarAct::PickUp),
            // Around the moment at which its time is over.
            74..80 => {
                let after = self.chance.span(7_850, 8_100);
                self.plan_far(after, leg, FarAct::PickUp);
            }
            // Rings out.
            80..86 => {}
            86..92 => {
                let causes = [Cause::Busy, Cause::NoAnswer, Cause::Rejected];
                let cause = self.chance.pick(&causes).copied().unwrap_or(Cause::Busy);
                self.plan_far(early, leg, FarAct::Fail(cause));
            }
            92..94 => self.plan_far(Millis(1), leg, FarAct::Fail(Cause::Capacity)),
            94..96 => self.plan_far(early, leg, FarAct::Fail(Cause::Unavailable)),
            96..97 => self.plan_far(early, leg, FarAct::Fail(Cause::MediaRefused)),
            // A dead phone: the transaction gives up long after us.
            97.. => {
                let gives_up = Millis::from_secs(32);
                self.plan_far(gives_up, leg, FarAct::Fail(Cause::Unreachable));
            }
        }
    }

    /// They press a key, the wrong one, or none; sometimes before they picked up.
    fn asked_reacts(&mut self, leg: LegId) {
        let key = match self.chance.below(10) {
            0..4 => '1',
            4..6 => '2',
            _ => return,
        };
        let after = self.chance.span(2_000, 40_000);
        self.plan_far(after, leg, FarAct::Press(key, KeyPath::Media));
    }

    fn third_reacts(&mut self, leg: LegId) {
        let rings = self.chance.span(200, 1500);
        let later = self.chance.span(2_000, 15_000);
        match self.chance.below(100) {
            0..45 => {
                self.plan_far(rings, leg, FarAct::Ring);
                self.plan_far(later, leg, FarAct::PickUp);
            }
            45..60 => {
                self.plan_far(rings, leg, FarAct::Announce);
                self.plan_far(later, leg, FarAct::PickUp);
            }
            60..68 => {
                self.plan_far(rings, leg, FarAct::Announce);
                self.plan_far(later, leg, FarAct::Fail(Cause::Busy));
            }
            68..78 => self.plan_far(rings, leg, FarAct::Fail(Cause::Busy)),
            78..84 => self.plan_far(rings, leg, FarAct::Fail(Cause::Unavailable)),
            84..88 => self.plan_far(rings, leg, FarAct::Fail(Cause::Unallocated)),
            // Rings for ever.
            88..92 => self.plan_far(rings, leg, FarAct::Ring),
            // Silent trunk.
            92.. => {}
        }
    }
}

const fn progress(status: u16, early_media: bool) -> LegEvent {
    LegEvent::Progress {
        status,
        early_media,
    }
}

const fn ended(cause: Cause, by_far_side: bool) -> LegEvent {
    LegEvent::Ended { cause, by_far_side }
}
