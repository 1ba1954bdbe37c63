//! What is remembered of one leg while this process runs, beside its [`Dialog`].

use std::time::Duration;

use super::{Due, Tell, Ua};
use crate::call::{Cause, LegEvent};
use crate::id::LegId;
use crate::media::session::{Direction, Session};
use crate::sip::dialog::{Dialog, State};
use crate::sip::message::Request;
use crate::sip::net::Flow;
use crate::sip::transaction::{ClientKey, ServerKey};
use crate::time::Timestamp;

/// The INVITE that opened an inbound leg.
pub(super) struct Opening {
    pub request: Request,
    pub key: ServerKey,
    pub flow: Flow,
}

/// A reliable 183 that waits for its PRACK.
pub(super) struct Reliable {
    pub bytes: Vec<u8>,
    pub rseq: u32,
    pub interval: Duration,
    pub until: Timestamp,
}

pub(super) struct Leg {
    pub id: LegId,
    pub dialog: Dialog,
    /// Inbound only.
    pub opening: Option<Opening>,
    pub invite_key: Option<String>,
    /// Answer to the offer of the INVITE, not yet sent in a 200.
    pub answer: Option<(String, Session)>,
    /// Our offer went out in a response; its answer comes in an ACK or PRACK.
    pub awaits_answer: bool,
    pub reliable: Option<Reliable>,
    /// The 200 waits for the PRACK of a 183 with media.
    pub answer_wanted: bool,
    /// The 183's session description was received reliably, so the 200 carries none.
    pub answer_delivered: bool,
    /// The transaction of an answered re-INVITE that waits for its ACK.
    pub reinvite: Option<ServerKey>,
    /// Our INVITE.
    pub client: Option<ClientKey>,
    /// Our ACK of the last 2xx and the way it took.
    pub ack: Option<(u32, Vec<u8>, Flow)>,
    /// RSeq of the last provisional response we acknowledged, by far tag.
    pub acknowledged: Option<(String, u32)>,
    pub refreshing: bool,
    pub held: bool,
    pub media_open: bool,
    /// The core was told the end; nothing more is told.
    pub silent: bool,
    /// To be forgotten now.
    pub gone: bool,
    last_told: serde_json::Value,
}

impl Leg {
    pub(super) fn new(id: LegId, dialog: Dialog) -> Self {
        Self {
            id,
            dialog,
            opening: None,
            invite_key: None,
            answer: None,
            awaits_answer: false,
            reliable: None,
            answer_wanted: false,
            answer_delivered: false,
            reinvite: None,
            client: None,
            ack: None,
            acknowledged: None,
            refreshing: false,
            held: false,
            media_open: true,
            silent: false,
            gone: false,
            last_told: serde_json::Value::Null,
        }
    }

    pub(super) fn dialog_key(&self) -> (String, String) {
        (self.dialog.call_id.clone(), self.dialog.local_tag.clone())
    }
}

impl Ua {
    /// News of a leg, unless its end was told already.
    pub(super) fn tell_leg(&mut self, leg: &Leg, event: LegEvent) {
        if !leg.silent {
            self.tell(Tell::Leg { leg: leg.id, event });
        }
    }

    /// Tells the dialog's state when it is another than last time.
    pub(super) fn tell_dialog(&mut self, leg: &mut Leg) {
        let state = leg.dialog.to_state();
        if state.0 != leg.last_told {
            leg.last_told = state.0.clone();
            self.tell_leg(leg, LegEvent::Dialog { state });
        }
    }

    /// The dialog is known to the core from elsewhere (its arrival).
    pub(super) fn dialog_told(leg: &mut Leg) {
        leg.last_told = leg.dialog.to_state().0;
    }

    /// Ends a leg for the core and for media. The dialog may still have to be closed towards the far side.
    pub(super) fn end(&mut self, leg: &mut Leg, event: LegEvent) {
        self.tell_leg(leg, event);
        leg.silent = true;
        self.close_media(leg);
        self.wheel.clear(&Due::Session(leg.id));
        self.wheel.clear(&Due::Reliable(leg.id));
        self.wheel.clear(&Due::Trying(leg.id));
    }

    /// The far side, or the network, ended it.
    pub(super) fn ended(&mut self, leg: &mut Leg, cause: Cause, by_far_side: bool) {
        self.end(leg, LegEvent::Ended { cause, by_far_side });
        leg.dialog.state = State::Ended;
        leg.gone = true;
    }

    pub(super) fn close_media(&mut self, leg: &mut Leg) {
        if std::mem::take(&mut leg.media_open) {
            self.gate.close(leg.id);
        }
    }

    /// Hands the far side's half to media and tells a hold.
    pub(super) fn connect(&mut self, leg: &mut Leg, session: Session) {
        let held = session.direction != Direction::SendRecv;
        if leg.media_open {
            self.gate.connect(leg.id, session);
        }
        let answered = matches!(leg.dialog.state, State::Established(_));
        if held != leg.held && answered {
            leg.held = held;
            self.tell_leg(leg, LegEvent::FarHold { held });
        }
    }

    /// Removes every trace of a leg from the tables.
    pub(super) fn forget(&mut self, mut leg: Leg) {
        self.close_media(&mut leg);
        self.by_dialog.remove(&leg.dialog_key());
        if let Some(opening) = &leg.opening {
            self.by_server.remove(&opening.key);
        }
        if let Some(client) = &leg.client {
            self.by_client.remove(client);
        }
        if let Some(key) = leg.invite_key.take() {
            self.open_keys.remove(&key);
            self.finished.push_back(key);
            if self.finished.len() > super::FINISHED_MAX {
                self.finished.pop_front();
            }
        }
        for due in [
            Due::Session(leg.id),
            Due::Reliable(leg.id),
            Due::Trying(leg.id),
            Due::Forget(leg.id),
        ] {
            self.wheel.clear(&due);
        }
    }
}
