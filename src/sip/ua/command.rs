//! What the core commands: early media, answer, outbound INVITE, release.

use super::leg::Leg;
use super::{Purpose, Tell, Ua};
use crate::call::{Cause, Invite, LegCommand, LegEvent, Target};
use crate::id::{LegId, PhoneId, SeatId};
use crate::sip::address::bracketed;
use crate::sip::dialog::{Audio, Dialog, Outset, Refresher, SessionTimer, State};
use crate::sip::message::Method;
use crate::sip::net::Flow;
use crate::sip::profile::{Profile, Scheme};
use crate::sip::transaction::ClientKey;
use crate::sip::{registrar, wire};
use crate::time::Timestamp;

/// Where and how an outbound INVITE goes.
struct Way {
    flow: Flow,
    uri: String,
    to: String,
    number: String,
    from_host: String,
    profile: Profile,
}

impl Ua {
    /// Obeys the core. Commands for legs that are over do nothing.
    pub fn command(&mut self, now: Timestamp, id: LegId, command: LegCommand) {
        match command {
            LegCommand::EarlyMedia => {
                let profile = self.profile_of(id);
                self.with_leg(id, |ua, leg| ua.early_media(now, leg, &profile));
            }
            LegCommand::Answer => {
                self.with_leg(id, |ua, leg| ua.answer(now, leg));
            }
            LegCommand::Invite(invite) => self.invite(now, id, &invite),
            LegCommand::Release { cause } => {
                self.with_leg(id, |ua, leg| ua.release(now, leg, cause));
            }
            LegCommand::Probe => self.watch_leg(now, id),
            LegCommand::ReleaseOrphan { dialog, cause } => {
                self.release_orphan(now, id, &dialog, cause)
            }
        }
        self.settle(now);
    }

    /// The profile of the trunk a leg came in on.
    fn profile_of(&self, id: LegId) -> Profile {
        let opening = self.legs.get(&id).and_then(|l| l.opening.as_ref());
        let trunk = opening.and_then(|o| {
            let listener = self.listener(o.flow.listener);
            crate::sip::trunk::of_source(&self.setup.trunks, o.flow.peer, &listener.id)
        });
        match trunk.and_then(|index| self.setup.trunks.get(index)) {
            Some(trunk) => self.trunk_profile(trunk),
            None => self.seat_profile(),
        }
    }

    /// Rings a seat or a number.
    fn invite(&mut self, now: Timestamp, id: LegId, invite: &Invite) {
        if self.legs.contains_key(&id) {
            return;
        }
        let failed = |cause| Tell::Leg {
            leg: id,
            event: LegEvent::Failed {
                cause,
                status: None,
            },
        };
        let Some(way) = self.way(invite) else {
            self.tell(failed(Cause::Unreachable));
            return;
        };
        let Ok(address) = self.gate.open(invite.call, id) else {
            self.tell(failed(Cause::Capacity));
            return;
        };
        let listener = self.listener(way.flow.listener);
        let audio = Audio::new(address, u64::from(self.random.number()), &way.profile);
        let name = invite.from_name.as_deref().map(quoted).unwrap_or_default();
        let outset = Outset {
            uri: way.uri.clone(),
            from: format!("{name}<sip:{}@{}>", way.number, way.from_host),
            to: way.to.clone(),
            call_id: self.random.call_id(),
            tag: self.random.tag(),
            branch: self.random.branch(),
            contact: listener.contact(&way.number),
            symmetric: way.profile.symmetric,
        };
        let mut leg = Leg::new(id, Dialog::calling(outset, way.flow, audio));
        if !self.send_invite(now, &mut leg, &way, invite.picks_up) {
            self.close_media(&mut leg);
            self.tell(failed(Cause::Capacity));
            return;
        }
        self.by_dialog.insert(leg.dialog_key(), id);
        self.tell_dialog(&mut leg);
        self.legs.insert(id, leg);
    }

    /// False when the table has no place for it.
    fn send_invite(&mut self, now: Timestamp, leg: &mut Leg, way: &Way, picks_up: bool) -> bool {
        let State::Calling(calling) = leg.dialog.state.clone() else {
            return false;
        };
        let profile = &way.profile;
        let listener = self.listener(way.flow.listener);
        let mut draft = leg.dialog.invite(&calling, &listener);
        let supported = if profile.reliable_provisional {
            "100rel, timer"
        } else {
            "timer"
        };
        draft.headers.push("Supported", supported);
        if profile.session_expires_s > 0 {
            let timer = SessionTimer {
                interval_s: profile.session_expires_s,
                refresher: Refresher::We,
            };
            draft.headers.push("Session-Expires", timer.request_value());
        }
        if profile.asserted_identity {
            draft.headers.push(
                "P-Asserted-Identity",
                format!("<sip:{}@{}>", way.number, way.from_host),
            );
        }
        let asked = profile.auto_answer.iter().filter(|_| picks_up);
        for (name, value) in profile.headers.iter().chain(asked) {
            draft.headers.push(wire::long_name(name), value);
        }
        let draft = draft.with_body("application/sdp", leg.dialog.audio.offer());
        let key = ClientKey {
            branch: calling.branch.clone(),
            method: Method::Invite,
        };
        let ack = leg.dialog.refusal_ack(&calling, &listener);
        leg.client = Some(key.clone());
        self.ask(
            now,
            key,
            Purpose::Invite(leg.id),
            &draft,
            Some(ack),
            way.flow,
        )
    }

    fn way(&self, invite: &Invite) -> Option<Way> {
        match &invite.target {
            Target::Seat {
                seat,
                contact,
                phone,
            } => {
                let account = phone.as_ref().map_or(seat.as_str(), PhoneId::as_str);
                let live = self
                    .registrar
                    .binding(&SeatId::from(account))
                    .map(|b| (b.uri.clone(), b.flow));
                let (uri, flow) = live.or_else(|| registrar::read_contact(contact))?;
                let host = bracketed(&self.listener(flow.listener).host);
                let profile = self.seat_profile();
                let to = format!("<sip:{seat}@{host}>");
                let number = plain(&profile.number(&invite.from_number));
                Some(Way {
                    flow,
                    uri,
                    to,
                    number,
                    from_host: host,
                    profile,
                })
            }
            Target::Number { trunk, number } => {
                let trunk = self.setup.trunks.iter().find(|t| t.id == *trunk)?;
                let peer = trunk.remote?;
                let index = self
                    .setup
                    .listeners
                    .iter()
                    .position(|l| l.id == trunk.listener)?;
                let profile = self.trunk_profile(trunk);
                let flow = Flow {
                    listener: u16::try_from(index).ok()?,
                    transport: trunk.transport,
                    peer,
                    connection: None,
                };
                let host = if profile.to_host.is_empty() {
                    peer.to_string()
                } else {
                    profile.to_host.clone()
                };
                let called = plain(&profile.number(number));
                let uri = match profile.scheme {
                    Scheme::Tel => format!("tel:{called}"),
                    Scheme::Sip if profile.user_phone => format!("sip:{called}@{host};user=phone"),
                    Scheme::Sip => format!("sip:{called}@{host}"),
                };
                let own = bracketed(&self.listener(flow.listener).host);
                let from_host = if profile.from_host.is_empty() {
                    own
                } else {
                    profile.from_host.clone()
                };
                let number = plain(&profile.number(&invite.from_number));
                Some(Way {
                    flow,
                    to: format!("<{uri}>"),
                    uri,
                    number,
                    from_host,
                    profile,
                })
            }
        }
    }
}

/// A user part that cannot break out of its URI; empty becomes `anonymous`.
fn plain(number: &str) -> String {
    let clean: String = number
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '-' | '_' | '.'))
        .collect();
    if clean.is_empty() {
        String::from("anonymous")
    } else {
        clean
    }
}

/// A display name as a quoted string and a space.
fn quoted(name: &str) -> String {
    let clean: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
        .collect();
    if clean.is_empty() {
        clean
    } else {
        format!("\"{clean}\" ")
    }
}
