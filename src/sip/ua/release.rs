//! Ending a leg: a refusal, CANCEL or BYE, whichever its state asks for; and closing dialogs of an earlier process.

use super::leg::Leg;
use super::{Due, Output, Purpose, Ua};
use crate::call::{Cause, DialogState, LegEvent};
use crate::id::LegId;
use crate::sip::dialog::{Dialog, State};
use crate::sip::message::{Method, Response};
use crate::sip::net::Flow;
use crate::sip::transaction::{ClientKey, TIMEOUT};
use crate::time::Timestamp;

impl Ua {
    /// `LegCommand::Release`: the core hears the end at once, the far side is told behind it.
    pub(super) fn release(&mut self, now: Timestamp, leg: &mut Leg, cause: Cause) {
        if leg.silent {
            return;
        }
        match leg.dialog.state.clone() {
            State::Arriving(_) => {
                self.refuse(now, leg, cause.sip_status());
                self.ended(leg, cause, false);
            }
            State::Calling(calling) => {
                if let State::Calling(own) = &mut leg.dialog.state {
                    own.elsewhere = cause == Cause::AnsweredElsewhere;
                }
                self.end(
                    leg,
                    LegEvent::Ended {
                        cause,
                        by_far_side: false,
                    },
                );
                if calling.heard {
                    self.send_cancel(now, leg);
                }
                if let State::Calling(calling) = &mut leg.dialog.state {
                    calling.cancelled = true;
                }
                if let Some(client) = &leg.client {
                    self.tx.shorten(now, client);
                }
            }
            State::Established(established) => {
                self.end(
                    leg,
                    LegEvent::Ended {
                        cause,
                        by_far_side: false,
                    },
                );
                let waits = !established.confirmed && leg.opening.is_some();
                if waits {
                    // RFC 3261 15: the callee hangs up only after the ACK, or after its 200 timed out.
                    self.wheel.set(Due::Forget(leg.id), now + TIMEOUT);
                } else {
                    self.bye(now, leg, cause);
                }
            }
            State::Ended => leg.gone = true,
        }
    }

    /// A released leg waited its time for the ACK.
    pub(super) fn acked_or_not(&mut self, now: Timestamp, id: LegId) {
        self.with_leg(id, |ua, leg| ua.bye(now, leg, Cause::Normal));
    }

    /// Hangs up and forgets the leg.
    pub(super) fn bye(&mut self, now: Timestamp, leg: &mut Leg, cause: Cause) {
        let mut dialog = leg.dialog.clone();
        self.send_bye(now, &mut dialog, cause);
        leg.dialog.state = State::Ended;
        self.close_media(leg);
        leg.silent = true;
        leg.gone = true;
        if let Some(opening) = &leg.opening {
            self.tx.stop_repeating(&opening.key);
        }
    }

    pub(super) fn send_bye(&mut self, now: Timestamp, dialog: &mut Dialog, cause: Cause) {
        let branch = self.random.branch();
        let listener = self.listener(dialog.flow.listener);
        let draft = dialog
            .request(&Method::Bye, &listener, &branch)
            .with("Reason", format!("Q.850;cause={}", cause.q850()));
        let key = ClientKey {
            branch,
            method: Method::Bye,
        };
        self.ask(now, key, Purpose::Closing, &draft, None, dialog.next_hop());
    }

    /// CANCEL of our INVITE, on the way the INVITE took.
    pub(super) fn send_cancel(&mut self, now: Timestamp, leg: &mut Leg) {
        let State::Calling(calling) = &mut leg.dialog.state else {
            return;
        };
        calling.cancelled = true;
        let calling = calling.clone();
        let listener = self.listener(leg.dialog.flow.listener);
        let draft = leg.dialog.cancel(&calling, &listener);
        let key = ClientKey {
            branch: calling.branch,
            method: Method::Cancel,
        };
        self.ask(now, key, Purpose::Closing, &draft, None, leg.dialog.flow);
    }

    pub(super) fn tx_send_once(&mut self, bytes: Vec<u8>, way: Flow) {
        self.out.push_back(Output::Send(way.outgoing(bytes)));
    }

    /// `LegCommand::ReleaseOrphan`: an answered dialog gets its BYE, an unanswered INVITE of ours its CANCEL (and,
    /// should it be answered meanwhile, ACK and BYE). An unanswered INVITE of the far side has no transaction any
    /// more: its own repetition arrives as a new INVITE with the old key.
    pub(super) fn release_orphan(
        &mut self,
        now: Timestamp,
        id: LegId,
        state: &DialogState,
        cause: Cause,
    ) {
        if self.legs.contains_key(&id) {
            self.with_leg(id, |ua, leg| ua.release(now, leg, cause));
            return;
        }
        let event = LegEvent::Ended {
            cause,
            by_far_side: false,
        };
        match Dialog::from_state(state) {
            Ok(mut dialog) => match dialog.state.clone() {
                State::Established(_) => self.send_bye(now, &mut dialog, cause),
                State::Calling(calling) => {
                    let listener = self.listener(dialog.flow.listener);
                    let key = ClientKey {
                        branch: calling.branch.clone(),
                        method: Method::Invite,
                    };
                    self.tx.adopt(
                        now,
                        key.clone(),
                        dialog.refusal_ack(&calling, &listener),
                        dialog.flow,
                    );
                    self.by_client.insert(key.clone(), Purpose::Orphan(id));
                    let mut leg = Leg::new(id, dialog);
                    leg.media_open = false;
                    leg.client = Some(key);
                    self.send_cancel(now, &mut leg);
                    self.tell_leg(&leg, event);
                    leg.silent = true;
                    self.legs.insert(id, leg);
                    return;
                }
                State::Arriving(_) | State::Ended => {}
            },
            Err(error) => {
                tracing::warn!(leg = %id, %error, "a dialog of an earlier process cannot be closed")
            }
        }
        self.tell(super::Tell::Leg { leg: id, event });
    }

    /// The answer to an INVITE of an earlier process.
    pub(super) fn orphan_response(
        &mut self,
        now: Timestamp,
        id: LegId,
        key: &ClientKey,
        response: &Response,
    ) {
        if response.status < 200 {
            return;
        }
        self.by_client.remove(key);
        self.with_leg(id, |ua, leg| {
            if response.status < 300 {
                leg.dialog.remote_tag = response.is.to.tag().map(str::to_owned);
                leg.dialog.learn(&response.headers, true, true);
                let branch = ua.random.branch();
                let listener = ua.listener(leg.dialog.flow.listener);
                let ack = leg
                    .dialog
                    .draft(&Method::Ack, response.is.cseq, &listener, &branch);
                let way = leg.dialog.next_hop();
                ua.tx_send_once(ack.to_bytes(), way);
                ua.bye(now, leg, Cause::Restarted);
            }
            leg.gone = true;
        });
    }
}
