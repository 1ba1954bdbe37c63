//! Inbound INVITEs: arrival, early media, answer, ACK, CANCEL.

use std::time::Duration;

use super::leg::{Leg, Opening, Reliable};
use super::request::Source;
use super::{Due, Tell, Ua};
use crate::call::{Arrival, Cause, Ingress, LegEvent};
use crate::id::{CallId, LegId};
use crate::limits::{CALLS_MAX, HEADER_TEXT_BYTES_MAX};
use crate::sip::address::Uri;
use crate::sip::body::{self, Found};
use crate::sip::dialog::{
    Audio, Dialog, Established, SessionTimer, State, identity, wants_reliable,
};
use crate::sip::message::{Draft, Request};
use crate::sip::net::Flow;
use crate::sip::profile::Profile;
use crate::sip::transaction::{ServerKey, T1, T2, TIMEOUT};
use crate::time::Timestamp;

/// A 200 waits no longer than this for the PRACK of a 183.
const PRACK_WAIT: Duration = Duration::from_secs(2);
/// An INVITE that nothing answered for this long gets its 100 (RFC 3261 17.2.1).
const TRYING_AFTER: Duration = Duration::from_millis(200);
/// Texts kept of one kind of header.
const TEXTS_MAX: usize = 16;

impl Ua {
    /// A call comes in.
    pub(super) fn arrive(
        &mut self,
        now: Timestamp,
        source: &Source,
        key: ServerKey,
        request: Request,
        flow: Flow,
        accepting: bool,
    ) {
        let Some((ingress, profile)) = self.ingress(source) else {
            return;
        };
        let (call, leg) = (CallId(self.random.uuid(now)), LegId(self.random.uuid(now)));
        let found = body::find(&request.headers, &request.body);
        let room = accepting && self.legs.len() < CALLS_MAX * 2;
        let address = if room {
            self.gate.open(call, leg).ok()
        } else {
            None
        };
        let audio_address =
            address.unwrap_or_else(|| std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
        let audio = Audio::new(audio_address, u64::from(self.random.number()), &profile);
        let tag = request
            .is
            .to
            .tag()
            .map_or_else(|| self.random.tag(), str::to_owned);
        let dialog = Dialog::arriving(
            &request,
            tag,
            &self.listener(flow.listener),
            flow,
            audio,
            profile.symmetric,
        );
        let mut leg = Leg::new(leg, dialog);
        leg.media_open = address.is_some();
        leg.invite_key = Some(request.key());
        let arrival = arrival(
            call,
            &leg,
            ingress,
            &request,
            &found,
            flow,
            address.is_none(),
        );
        self.tell(Tell::Arrived(Box::new(arrival)));
        Self::dialog_told(&mut leg);
        leg.opening = Some(Opening { request, key, flow });
        if address.is_none() {
            self.refused += 1;
            self.refuse(now, &mut leg, 503);
            self.forget(leg);
            return;
        }
        match negotiated(&mut leg, &found) {
            None => {
                self.wheel.set(Due::Trying(leg.id), now + TRYING_AFTER);
                self.enter(leg);
            }
            Some(status) => {
                self.refuse(now, &mut leg, status);
                self.ended(&mut leg, Cause::MediaRefused, false);
                self.forget(leg);
            }
        }
    }

    /// Nothing was answered within 200 ms: 100 stops the far side's repetitions. Not earlier (RFC 3261 17.2.1): until the
    /// call is in the journal, a far side that repeats its INVITE is what saves it from a crash of ours.
    pub(super) fn trying_due(&mut self, now: Timestamp, id: LegId) {
        self.with_leg(id, |ua, leg| {
            let Some(opening) = &leg.opening else {
                return;
            };
            if !ua.tx.has_responded(&opening.key) {
                let trying = Draft::response(&opening.request, 100, None);
                ua.respond(
                    now,
                    &opening.key,
                    &opening.request,
                    opening.flow,
                    100,
                    &trying,
                );
            }
        });
    }

    /// Where a call comes in, and the wishes of its far side.
    fn ingress(&self, source: &Source) -> Option<(Ingress, Profile)> {
        match source {
            Source::Trunk(index) => {
                let trunk = self.setup.trunks.get(*index)?;
                Some((Ingress::Trunk(trunk.id.clone()), self.trunk_profile(trunk)))
            }
            Source::Seat(seat) => Some((Ingress::Seat(seat.clone()), self.seat_profile())),
            Source::Stranger => None,
        }
    }

    /// Puts a new inbound leg into the tables.
    fn enter(&mut self, leg: Leg) {
        self.by_dialog.insert(leg.dialog_key(), leg.id);
        if let Some(opening) = &leg.opening {
            self.by_server.insert(opening.key.clone(), leg.id);
        }
        if let Some(key) = &leg.invite_key {
            self.open_keys.insert(key.clone(), leg.id);
        }
        self.legs.insert(leg.id, leg);
    }

    /// A final refusal of the INVITE.
    pub(super) fn refuse(&mut self, now: Timestamp, leg: &mut Leg, status: u16) {
        let Some(opening) = leg.opening.take() else {
            return;
        };
        let mut draft = leg.dialog.response(&opening.request, status);
        match status {
            503 => draft.headers.push("Retry-After", "5"),
            415 => draft.headers.push("Accept", "application/sdp"),
            _ => {}
        }
        self.respond(
            now,
            &opening.key,
            &opening.request,
            opening.flow,
            status,
            &draft,
        );
        self.by_server.remove(&opening.key);
    }

    /// 183 with media (`LegCommand::EarlyMedia`).
    pub(super) fn early_media(&mut self, now: Timestamp, leg: &mut Leg, profile: &Profile) {
        let State::Arriving(arriving) = &mut leg.dialog.state else {
            return;
        };
        let Some(opening) = &leg.opening else {
            return;
        };
        if arriving.early {
            return;
        }
        arriving.early = true;
        let reliable = match wants_reliable(&opening.request) {
            Some(insists) => insists || profile.reliable_provisional,
            None => false,
        };
        if reliable {
            arriving.rseq = 1;
        }
        let rseq = arriving.rseq;
        let mut draft = leg.dialog.response(&opening.request, 183);
        let session = match &leg.answer {
            Some((text, session)) => {
                draft = draft.with_body("application/sdp", text.as_bytes());
                Some(session.clone())
            }
            None if reliable => {
                leg.awaits_answer = true;
                draft = draft.with_body("application/sdp", leg.dialog.audio.offer());
                None
            }
            None => None,
        };
        if reliable {
            draft = draft
                .with("Require", "100rel")
                .with("RSeq", rseq.to_string());
            leg.reliable = Some(Reliable {
                bytes: draft.to_bytes(),
                rseq,
                interval: T1,
                until: now + TIMEOUT,
            });
            self.wheel.set(Due::Reliable(leg.id), now + T1);
        }
        self.respond(
            now,
            &opening.key,
            &opening.request,
            opening.flow,
            183,
            &draft,
        );
        if let Some(session) = session {
            self.connect(leg, session);
        }
    }

    /// Repeats a reliable 183, or stops waiting for its PRACK. The call is not ended for the want of one.
    pub(super) fn repeat_reliable(&mut self, now: Timestamp, id: LegId) {
        self.with_leg(id, |ua, leg| {
            let Some(reliable) = &mut leg.reliable else {
                return;
            };
            if reliable.until <= now {
                leg.reliable = None;
                if leg.answer_wanted {
                    ua.answer(now, leg);
                }
                return;
            }
            reliable.interval = (reliable.interval * 2).min(T2);
            let at = (now + reliable.interval).min(reliable.until);
            if let Some(opening) = &leg.opening {
                let way = Self::way_back(&opening.request, opening.flow);
                ua.tx
                    .respond(now, &opening.key, 183, reliable.bytes.clone(), way);
            }
            ua.wheel.set(Due::Reliable(id), at);
        });
    }

    /// 200 with media (`LegCommand::Answer`).
    pub(super) fn answer(&mut self, now: Timestamp, leg: &mut Leg) {
        if !matches!(leg.dialog.state, State::Arriving(_)) {
            return;
        }
        if let Some(reliable) = &mut leg.reliable {
            if !leg.answer_wanted {
                leg.answer_wanted = true;
                reliable.until = reliable.until.min(now + PRACK_WAIT);
            }
            return;
        }
        let Some(opening) = &leg.opening else {
            return;
        };
        let mut draft = leg
            .dialog
            .response(&opening.request, 200)
            .with("Supported", "100rel, timer");
        leg.dialog.session = SessionTimer::for_request(&opening.request.headers);
        if let Some(timer) = leg.dialog.session {
            draft = draft.with("Session-Expires", timer.response_value());
            if opening.request.headers.has_token("Supported", "timer") {
                draft = draft.with("Require", "timer");
            }
        }
        let answer = leg.answer.take();
        let mut session = None;
        match answer {
            Some((text, agreed)) => {
                if !leg.answer_delivered {
                    draft = draft.with_body("application/sdp", text);
                }
                session = Some(agreed);
            }
            None if !leg.answer_delivered => {
                leg.awaits_answer = true;
                draft = draft.with_body("application/sdp", leg.dialog.audio.offer());
            }
            None => {}
        }
        let invite_cseq = opening.request.is.cseq;
        self.respond(
            now,
            &opening.key,
            &opening.request,
            opening.flow,
            200,
            &draft,
        );
        leg.dialog.state = State::Established(Established {
            invite_cseq,
            confirmed: false,
        });
        if let Some(session) = session {
            self.connect(leg, session);
        }
        self.arm_session(now, leg);
    }

    /// The ACK of a 2xx of ours.
    pub(super) fn ack(&mut self, now: Timestamp, id: LegId, request: &Request) {
        let sdp = body::find(&request.headers, &request.body).sdp;
        self.with_leg(id, |ua, leg| {
            let cseq = request.is.cseq;
            let first = match &mut leg.dialog.state {
                State::Established(e) if e.invite_cseq == cseq => {
                    !std::mem::replace(&mut e.confirmed, true)
                }
                State::Established(_) | State::Arriving(_) | State::Calling(_) | State::Ended => {
                    false
                }
            };
            if let (true, Some(opening)) = (first, &leg.opening) {
                ua.tx.stop_repeating(&opening.key);
            }
            if let Some(key) = leg.reinvite.take() {
                ua.tx.stop_repeating(&key);
            }
            if let (true, Some(sdp)) = (leg.awaits_answer, sdp) {
                leg.awaits_answer = false;
                if let Ok(session) = leg.dialog.audio.accept(&sdp) {
                    ua.connect(leg, session);
                }
            }
            if leg.silent {
                ua.bye(now, leg, Cause::Normal);
            } else if first {
                ua.tell_leg(leg, LegEvent::Confirmed);
            }
        });
    }

    /// The caller gave up before the answer.
    pub(super) fn cancelled(&mut self, now: Timestamp, leg: &mut Leg) {
        if matches!(leg.dialog.state, State::Arriving(_)) {
            self.refuse(now, leg, 487);
            self.ended(leg, Cause::Cancelled, true);
        }
    }

    /// Nobody acknowledged our 200 for 32 s. RFC 3261 13.3.1.4 would hang up; a caller who talks is not cut off for a
    /// lost ACK, and one who is gone shows by his missing RTP.
    pub(super) fn never_acked(&mut self, now: Timestamp, key: &ServerKey) {
        let Some(id) = self.by_server.get(key).copied() else {
            return;
        };
        self.with_leg(id, |ua, leg| {
            if leg.silent {
                ua.bye(now, leg, Cause::Normal);
            }
        });
    }
}

/// Answers the offer of an INVITE, or says with which status it must be refused. Without an offer ours goes into
/// the 200.
fn negotiated(leg: &mut Leg, found: &Found) -> Option<u16> {
    let Some(offer) = &found.sdp else {
        return found.unknown.then_some(415);
    };
    match leg.dialog.audio.answer(offer) {
        Ok(answer) => {
            leg.answer = Some(answer);
            None
        }
        Err(_) => Some(488),
    }
}

/// What the core learns of a call that comes in.
fn arrival(
    call: CallId,
    leg: &Leg,
    ingress: Ingress,
    request: &Request,
    found: &Found,
    flow: Flow,
    refused_capacity: bool,
) -> Arrival {
    let identity = identity(request);
    let uri = Uri::parse(&identity.uri);
    let hidden = |user: &str| {
        user.is_empty()
            || user.eq_ignore_ascii_case("anonymous")
            || user.eq_ignore_ascii_case("unavailable")
    };
    let number = uri.as_ref().map(Uri::number).unwrap_or_default();
    let privacy = ["id", "user", "header"].iter().any(|p| {
        request.headers.list("Privacy").iter().any(|v| {
            v.split(|b| *b == b';')
                .any(|t| t.trim_ascii().eq_ignore_ascii_case(p.as_bytes()))
        })
    });
    let from_user = Uri::parse(&request.is.from.uri)
        .map(|u| u.number().to_owned())
        .unwrap_or_default();
    Arrival {
        call,
        leg: leg.id,
        ingress,
        invite_key: cut(&request.key()),
        called: cut(&called(&request.uri)),
        caller: if hidden(number) {
            String::new()
        } else {
            cut(number)
        },
        caller_name: identity
            .name
            .or_else(|| request.is.from.name.clone())
            .map(|n| cut(&n)),
        anonymous: privacy || hidden(&from_user),
        access_network: texts(request, &["P-Access-Network-Info"]),
        geolocation: texts(request, &["Geolocation"]),
        pidf: found.pidf.clone(),
        diverted_from: texts(request, &["History-Info", "Diversion"]),
        source: flow.peer.to_string(),
        dialog: leg.dialog.to_state(),
        refused_capacity,
    }
}

/// The dialled number or URN as it stands in the Request-URI.
fn called(uri: &str) -> String {
    match Uri::parse(uri) {
        Some(parsed) if parsed.scheme == "urn" => uri.to_owned(),
        Some(parsed) => parsed
            .user
            .filter(|u| !u.is_empty())
            .unwrap_or_else(|| uri.to_owned()),
        None => uri.to_owned(),
    }
}

fn texts(request: &Request, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .flat_map(|name| request.headers.all(name).collect::<Vec<_>>())
        .take(TEXTS_MAX)
        .map(|v| cut(&String::from_utf8_lossy(v)))
        .collect()
}

/// A text cut at the limit, on a character's edge.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(HEADER_TEXT_BYTES_MAX))
        .unwrap_or(text)
        .to_owned()
}
