//! Answers to requests of ours, above all to INVITE: progress, forks, answer, failure, silence.

use super::leg::Leg;
use super::{Purpose, Ua};
use crate::call::{Cause, LegEvent};
use crate::id::LegId;
use crate::sip::body;
use crate::sip::dialog::{Dialog, Established, SessionTimer, State};
use crate::sip::message::{Method, Response};
use crate::sip::transaction::ClientKey;
use crate::time::Timestamp;

impl Ua {
    pub(super) fn response(&mut self, now: Timestamp, response: &Response) {
        let Some(key) = self.tx.receive_response(now, response) else {
            return;
        };
        match self.by_client.get(&key).cloned() {
            Some(Purpose::Invite(id)) => {
                self.with_leg(id, |ua, leg| ua.invite_response(now, leg, response));
            }
            Some(Purpose::Refresh(_) | Purpose::Closing) if response.status < 200 => {}
            Some(Purpose::Refresh(id)) => {
                self.by_client.remove(&key);
                self.with_leg(id, |ua, leg| ua.refresh_response(now, leg, &key, response));
            }
            Some(Purpose::Probe(target)) => {
                self.by_client.remove(&key);
                self.tx.abandon(&key);
                self.probe_answered(now, &target, response.status);
            }
            Some(Purpose::Orphan(id)) => self.orphan_response(now, id, &key, response),
            Some(Purpose::Closing) => {
                self.by_client.remove(&key);
            }
            None => {}
        }
    }

    fn invite_response(&mut self, now: Timestamp, leg: &mut Leg, response: &Response) {
        match (response.status, &leg.dialog.state) {
            (..200, State::Calling(_)) => self.progress(now, leg, response),
            (..200, _) => {}
            (200..300, State::Calling(_)) => self.answered(now, leg, response),
            (200..300, _) => self.answered_again(now, leg, response),
            (status, State::Calling(_)) => {
                let cause = match status {
                    300..=399 | 401 | 407 => Cause::Rejected,
                    _ => Cause::from_sip_status(status),
                };
                self.end(
                    leg,
                    LegEvent::Failed {
                        cause,
                        status: Some(status),
                    },
                );
                leg.gone = true;
            }
            (_, State::Arriving(_) | State::Established(_) | State::Ended) => {}
        }
    }

    /// 100 to 199.
    fn progress(&mut self, now: Timestamp, leg: &mut Leg, response: &Response) {
        let State::Calling(calling) = &mut leg.dialog.state else {
            return;
        };
        let first = !std::mem::replace(&mut calling.heard, true);
        if calling.cancelled {
            if first {
                self.send_cancel(now, leg);
            }
            return;
        }
        if response.status == 100 {
            return;
        }
        let reliable = response
            .headers
            .has_token("Require", "100rel")
            .then(|| response.headers.number("RSeq"))
            .flatten();
        let tag = response.is.to.tag().map(str::to_owned);
        let mut early = leg.dialog.clone();
        early.remote_tag.clone_from(&tag);
        early.learn(&response.headers, true, true);
        if let (Some(rseq), Some(tag)) = (reliable, tag) {
            let seen = leg
                .acknowledged
                .as_ref()
                .is_some_and(|(t, n)| *t == tag && *n >= rseq);
            if seen {
                return;
            }
            leg.acknowledged = Some((tag, rseq));
            self.prack(now, leg, &mut early, rseq, response.is.cseq);
        }
        let sdp = body::find(&response.headers, &response.body).sdp;
        let session = sdp.and_then(|sdp| leg.dialog.audio.accept(&sdp).ok());
        let early_media = session.is_some();
        if let Some(session) = session {
            self.connect(leg, session);
        }
        self.tell_leg(
            leg,
            LegEvent::Progress {
                status: response.status,
                early_media,
            },
        );
    }

    fn prack(&mut self, now: Timestamp, leg: &mut Leg, early: &mut Dialog, rseq: u32, cseq: u32) {
        let branch = self.random.branch();
        let listener = self.listener(early.flow.listener);
        early.local_cseq = leg.dialog.local_cseq;
        let draft = early
            .request(&Method::Prack, &listener, &branch)
            .with("RAck", format!("{rseq} {cseq} INVITE"));
        leg.dialog.local_cseq = early.local_cseq;
        let key = ClientKey {
            branch,
            method: Method::Prack,
        };
        self.ask(now, key, Purpose::Closing, &draft, None, early.next_hop());
    }

    /// The first 2xx.
    fn answered(&mut self, now: Timestamp, leg: &mut Leg, response: &Response) {
        let (cancelled, invite_cseq) = match &leg.dialog.state {
            State::Calling(c) => (c.cancelled, c.cseq),
            State::Arriving(_) | State::Established(_) | State::Ended => return,
        };
        leg.dialog.remote_tag = response.is.to.tag().map(str::to_owned);
        leg.dialog.learn(&response.headers, true, true);
        leg.dialog.state = State::Established(Established {
            invite_cseq,
            confirmed: true,
        });
        self.send_ack(leg, invite_cseq);
        if cancelled {
            self.bye(now, leg, Cause::Withdrawn);
            return;
        }
        leg.dialog.session = SessionTimer::for_response(&response.headers);
        let sdp = body::find(&response.headers, &response.body).sdp;
        match sdp.map(|sdp| leg.dialog.audio.accept(&sdp)) {
            Some(Ok(session)) => self.connect(leg, session),
            Some(Err(_)) => {
                self.end(
                    leg,
                    LegEvent::Failed {
                        cause: Cause::MediaRefused,
                        status: Some(response.status),
                    },
                );
                self.bye(now, leg, Cause::MediaRefused);
                return;
            }
            None => {}
        }
        self.arm_session(now, leg);
        self.tell_leg(leg, LegEvent::Answered);
    }

    /// A repetition of the 2xx, or the 2xx of another branch of a fork: that one is acknowledged and hung up.
    fn answered_again(&mut self, now: Timestamp, leg: &mut Leg, response: &Response) {
        let tag = response.is.to.tag();
        if tag == leg.dialog.remote_tag.as_deref() {
            if let Some((cseq, bytes, way)) = &leg.ack
                && *cseq == response.is.cseq
            {
                self.tx_send_once(bytes.clone(), *way);
            }
            return;
        }
        let mut fork = leg.dialog.clone();
        fork.remote_tag = tag.map(str::to_owned);
        fork.learn(&response.headers, true, true);
        let branch = self.random.branch();
        let listener = self.listener(fork.flow.listener);
        let ack = fork.draft(&Method::Ack, response.is.cseq, &listener, &branch);
        self.tx_send_once(ack.to_bytes(), fork.next_hop());
        self.send_bye(now, &mut fork, Cause::Withdrawn);
    }

    /// The ACK of a 2xx of the far side; kept for its repetitions.
    fn send_ack(&mut self, leg: &mut Leg, cseq: u32) {
        let branch = self.random.branch();
        let listener = self.listener(leg.dialog.flow.listener);
        let ack = leg
            .dialog
            .draft(&Method::Ack, cseq, &listener, &branch)
            .to_bytes();
        let way = leg.dialog.next_hop();
        self.tx_send_once(ack.clone(), way);
        leg.ack = Some((cseq, ack, way));
    }

    /// The session timer: refresh it, or give up a session that the far side let run out.
    pub(super) fn session_due(&mut self, now: Timestamp, id: LegId) {
        self.with_leg(id, |ua, leg| {
            let Some(timer) = leg.dialog.session else {
                return;
            };
            if !matches!(leg.dialog.state, State::Established(_)) {
                return;
            }
            if timer.refresher == crate::sip::dialog::Refresher::FarSide {
                ua.end(
                    leg,
                    LegEvent::Ended {
                        cause: Cause::Lost,
                        by_far_side: true,
                    },
                );
                ua.bye(now, leg, Cause::Lost);
            } else if !leg.refreshing {
                ua.refresh(now, leg, timer);
            }
        });
    }

    /// UPDATE without a body, or a re-INVITE that offers what stands.
    fn refresh(&mut self, now: Timestamp, leg: &mut Leg, timer: SessionTimer) {
        leg.refreshing = true;
        let method = if leg.dialog.peer_updates {
            Method::Update
        } else {
            Method::Invite
        };
        let branch = self.random.branch();
        let listener = self.listener(leg.dialog.flow.listener);
        let mut draft = leg.dialog.request(&method, &listener, &branch);
        let ack = leg
            .dialog
            .draft(&Method::Ack, leg.dialog.local_cseq, &listener, &branch);
        draft = draft
            .with("Contact", &leg.dialog.contact)
            .with("Supported", "timer")
            .with("Session-Expires", timer.request_value());
        let mut refusal = None;
        if method == Method::Invite {
            draft = draft.with_body("application/sdp", leg.dialog.audio.offer());
            refusal = Some(ack.without("To"));
        }
        let key = ClientKey { branch, method };
        let way = leg.dialog.next_hop();
        if !self.ask(now, key, Purpose::Refresh(leg.id), &draft, refusal, way) {
            leg.refreshing = false;
            self.arm_session(now, leg);
        }
    }

    fn refresh_response(
        &mut self,
        now: Timestamp,
        leg: &mut Leg,
        key: &ClientKey,
        response: &Response,
    ) {
        leg.refreshing = false;
        match response.status {
            200..300 => {
                leg.dialog.learn(&response.headers, false, false);
                if key.method == Method::Invite {
                    self.send_ack(leg, response.is.cseq);
                    let sdp = body::find(&response.headers, &response.body).sdp;
                    if let Some(Ok(session)) = sdp.map(|s| leg.dialog.audio.accept(&s)) {
                        self.connect(leg, session);
                    }
                }
                if let Some(timer) = SessionTimer::for_response(&response.headers) {
                    leg.dialog.session = Some(timer);
                }
                self.arm_session(now, leg);
            }
            // The far side does not know the call any more (RFC 5057).
            404 | 408 | 410 | 481 => self.ended(leg, Cause::Lost, true),
            // Busy with its own offer, or it cannot do this: the session stands, the next try comes in time.
            _ => {
                let again = std::time::Duration::from_secs(3);
                self.wheel.set(super::Due::Session(leg.id), now + again);
                if response.status != 491 {
                    self.arm_session(now, leg);
                }
            }
        }
    }

    /// No final response came.
    pub(super) fn timed_out(&mut self, now: Timestamp, key: &ClientKey) {
        match self.by_client.remove(key) {
            Some(Purpose::Invite(id)) => {
                self.with_leg(id, |ua, leg| {
                    let heard = match &leg.dialog.state {
                        State::Calling(c) => c.heard && !c.cancelled,
                        State::Arriving(_) | State::Established(_) | State::Ended => return,
                    };
                    if heard {
                        ua.send_cancel(now, leg);
                    }
                    let cause = if heard {
                        Cause::NoAnswer
                    } else {
                        Cause::Unreachable
                    };
                    ua.end(
                        leg,
                        LegEvent::Failed {
                            cause,
                            status: None,
                        },
                    );
                    leg.gone = true;
                });
            }
            Some(Purpose::Refresh(id)) => {
                self.with_leg(id, |ua, leg| {
                    ua.end(
                        leg,
                        LegEvent::Ended {
                            cause: Cause::Lost,
                            by_far_side: true,
                        },
                    );
                    ua.bye(now, leg, Cause::Lost);
                });
            }
            Some(Purpose::Probe(target)) => self.probe_missed(now, &target),
            Some(Purpose::Orphan(id)) => {
                self.with_leg(id, |_, leg| leg.gone = true);
            }
            Some(Purpose::Closing) | None => {}
        }
    }
}
