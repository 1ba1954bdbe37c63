//! Requests of the far side inside a dialog: BYE, re-INVITE, UPDATE, PRACK, INFO, OPTIONS. Never refused for load.

use super::leg::Leg;
use super::{Due, Ua};
use crate::call::{Cause, LegEvent};
use crate::id::LegId;
use crate::media::session::Session;
use crate::sip::body;
use crate::sip::dialog::{SessionTimer, State};
use crate::sip::message::{ALLOW, Draft, Method, Request};
use crate::sip::net::Flow;
use crate::sip::transaction::ServerKey;
use crate::time::Timestamp;

impl Ua {
    pub(super) fn in_dialog(
        &mut self,
        now: Timestamp,
        id: LegId,
        key: &ServerKey,
        request: Request,
        flow: Flow,
    ) {
        self.with_leg(id, |ua, leg| {
            if leg
                .dialog
                .remote_cseq
                .is_some_and(|seen| request.is.cseq < seen)
            {
                ua.respond_plain(now, key, &request, flow, 500);
                return;
            }
            leg.dialog.remote_cseq = Some(request.is.cseq);
            if flow.connection.is_some() {
                leg.dialog.flow.connection = flow.connection;
            }
            match &request.method {
                Method::Bye => ua.far_bye(now, leg, key, &request, flow),
                Method::Invite => ua.far_reinvite(now, leg, key, &request, flow),
                Method::Update => ua.far_update(now, leg, key, &request, flow),
                Method::Prack => ua.far_prack(now, leg, key, &request, flow),
                Method::Info => {
                    ua.respond_plain(now, key, &request, flow, 200);
                    if let Some(digit) = info_digit(&request) {
                        ua.tell_leg(leg, LegEvent::Digit { digit });
                    }
                }
                Method::Options => {
                    let draft = Draft::response(&request, 200, None).with("Allow", ALLOW);
                    ua.respond(now, key, &request, flow, 200, &draft);
                }
                Method::Refer | Method::Message | Method::Register => {
                    let draft = Draft::response(&request, 405, None).with("Allow", ALLOW);
                    ua.respond(now, key, &request, flow, 405, &draft);
                }
                Method::Subscribe | Method::Publish | Method::Notify => {
                    ua.respond_plain(now, key, &request, flow, 489)
                }
                Method::Other(_) | Method::Ack | Method::Cancel => {
                    ua.respond_plain(now, key, &request, flow, 501)
                }
            }
        });
    }

    fn far_bye(
        &mut self,
        now: Timestamp,
        leg: &mut Leg,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
    ) {
        self.respond_plain(now, key, request, flow, 200);
        match &leg.dialog.state {
            State::Arriving(_) => {
                self.refuse(now, leg, 487);
                self.ended(leg, Cause::Cancelled, true);
            }
            State::Calling(_) => {
                if let Some(client) = &leg.client {
                    self.tx.abandon(client);
                }
                self.end(
                    leg,
                    LegEvent::Failed {
                        cause: Cause::Rejected,
                        status: None,
                    },
                );
                leg.gone = true;
            }
            State::Established(_) | State::Ended => self.ended(leg, Cause::Normal, true),
        }
        if let Some(opening) = &leg.opening {
            self.tx.stop_repeating(&opening.key);
        }
        if let Some(reinvite) = leg.reinvite.take() {
            self.tx.stop_repeating(&reinvite);
        }
    }

    /// Hold, resume, another codec, another address, a late offer (RFC 3261 section 14).
    fn far_reinvite(
        &mut self,
        now: Timestamp,
        leg: &mut Leg,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
    ) {
        if !matches!(leg.dialog.state, State::Established(_)) {
            let draft = Draft::response(request, 500, None).with("Retry-After", "3");
            self.respond(now, key, request, flow, 500, &draft);
            return;
        }
        if leg.refreshing && !leg.dialog.peer_updates {
            self.respond_plain(now, key, request, flow, 491);
            return;
        }
        let trying = Draft::response(request, 100, None);
        self.respond(now, key, request, flow, 100, &trying);
        leg.dialog.learn(&request.headers, false, false);
        let mut draft = leg
            .dialog
            .response(request, 200)
            .with("Supported", "100rel, timer");
        let mut session = None;
        match body::find(&request.headers, &request.body).sdp {
            Some(offer) => match leg.dialog.audio.answer(&offer) {
                Ok((text, agreed)) => {
                    draft = draft.with_body("application/sdp", text);
                    session = Some(agreed);
                }
                Err(_) => {
                    self.respond_plain(now, key, request, flow, 488);
                    return;
                }
            },
            None => {
                leg.awaits_answer = true;
                draft = draft.with_body("application/sdp", leg.dialog.audio.offer());
            }
        }
        let draft = self.refreshed(now, leg, request, draft);
        self.respond(now, key, request, flow, 200, &draft);
        leg.reinvite = Some(key.clone());
        if let Some(session) = session {
            self.connect(leg, session);
        }
    }

    /// UPDATE (RFC 3311): a refresh, or an offer that is answered in the 200.
    fn far_update(
        &mut self,
        now: Timestamp,
        leg: &mut Leg,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
    ) {
        leg.dialog.learn(&request.headers, false, false);
        let mut draft = leg
            .dialog
            .response(request, 200)
            .with("Supported", "100rel, timer");
        if let Some(offer) = body::find(&request.headers, &request.body).sdp {
            match leg.dialog.audio.answer(&offer) {
                Ok((text, session)) => {
                    draft = draft.with_body("application/sdp", text.as_bytes());
                    self.update_media(leg, text, session);
                }
                Err(_) => {
                    self.respond_plain(now, key, request, flow, 488);
                    return;
                }
            }
        }
        let draft = self.refreshed(now, leg, request, draft);
        self.respond(now, key, request, flow, 200, &draft);
    }

    /// A new agreement before or after the answer.
    fn update_media(&mut self, leg: &mut Leg, text: String, session: Session) {
        if leg.answer.is_some() {
            leg.answer = Some((text, session.clone()));
        }
        self.connect(leg, session);
    }

    /// PRACK (RFC 3262): the 183 was received.
    fn far_prack(
        &mut self,
        now: Timestamp,
        leg: &mut Leg,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
    ) {
        let rack = request.headers.text("RAck").unwrap_or_default();
        let rseq: Option<u32> = rack
            .split_ascii_whitespace()
            .next()
            .and_then(|n| n.parse().ok());
        if leg.reliable.is_none() || leg.reliable.as_ref().map(|r| r.rseq) != rseq {
            self.respond_plain(now, key, request, flow, 481);
            return;
        }
        leg.reliable = None;
        leg.answer_delivered = true;
        self.wheel.clear(&Due::Reliable(leg.id));
        let mut draft = Draft::response(request, 200, None);
        if let Some(sdp) = body::find(&request.headers, &request.body).sdp {
            if std::mem::take(&mut leg.awaits_answer) {
                if let Ok(session) = leg.dialog.audio.accept(&sdp) {
                    self.connect(leg, session);
                }
            } else if let Ok((text, session)) = leg.dialog.audio.answer(&sdp) {
                draft = draft.with_body("application/sdp", text);
                self.connect(leg, session);
            }
        }
        self.respond(now, key, request, flow, 200, &draft);
        if leg.answer_wanted {
            self.answer(now, leg);
        }
    }

    /// The session timer after a request of the far side that refreshes it.
    fn refreshed(
        &mut self,
        now: Timestamp,
        leg: &mut Leg,
        request: &Request,
        draft: Draft,
    ) -> Draft {
        let Some(timer) = SessionTimer::for_request(&request.headers) else {
            return draft;
        };
        if matches!(leg.dialog.state, State::Established(_)) {
            leg.dialog.session = Some(timer);
            self.arm_session(now, leg);
        }
        let draft = draft.with("Session-Expires", timer.response_value());
        if request.headers.has_token("Supported", "timer") {
            draft.with("Require", "timer")
        } else {
            draft
        }
    }

    /// Sets the deadline of the session timer.
    pub(super) fn arm_session(&mut self, now: Timestamp, leg: &Leg) {
        match leg.dialog.session {
            Some(timer) => self
                .wheel
                .set(Due::Session(leg.id), now + timer.act_after()),
            None => self.wheel.clear(&Due::Session(leg.id)),
        }
    }
}

/// The key of an INFO that carries one (`application/dtmf-relay`, `application/dtmf`).
fn info_digit(request: &Request) -> Option<char> {
    let kind = request.headers.text("Content-Type")?.to_ascii_lowercase();
    if !kind.starts_with("application/dtmf") {
        return None;
    }
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let signal = body
        .lines()
        .find_map(|l| {
            l.split_once('=')
                .filter(|(n, _)| n.trim().eq_ignore_ascii_case("signal"))
        })
        .map_or(body.trim(), |(_, v)| v.trim());
    let digit = match signal {
        "10" => '*',
        "11" => '#',
        "12" => 'A',
        "13" => 'B',
        "14" => 'C',
        "15" => 'D',
        other => other.chars().next()?.to_ascii_uppercase(),
    };
    (digit.is_ascii_digit() || matches!(digit, '*' | '#' | 'A'..='D')).then_some(digit)
}
