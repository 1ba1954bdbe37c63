//! OPTIONS to trunks and registered phones, and inside the dialog of a leg that fell silent: who is alive. Any answer
//! counts, but a leg's far side must still know the dialog.

use super::{Due, Purpose, Tell, Ua};
use crate::call::Cause;
use crate::id::{LegId, SeatId, TrunkId};
use crate::sip::dialog::{Listener, State};
use crate::sip::message::{Draft, Method};
use crate::sip::net::Flow;
use crate::sip::transaction::ClientKey;
use crate::sip::trunk::{MISSED_MAX, PROBE_TIMEOUT, Probe};
use crate::time::{Millis, Timestamp};

/// Whom a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Trunk(TrunkId),
    Seat(SeatId),
    /// Asked inside its dialog, until it answers or is lost.
    Leg(LegId),
}

/// A target under watch.
#[derive(Default)]
pub(super) struct Watch {
    probe: Probe,
    asked: Option<ClientKey>,
}

impl Ua {
    /// Starts to watch a target, now.
    pub(super) fn watch(&mut self, now: Timestamp, target: Target) {
        if !self.probes.contains_key(&target) {
            self.probes.insert(target.clone(), Watch::default());
            self.wheel.set(Due::Probe(target), now);
        }
    }

    pub(super) fn unwatch(&mut self, target: &Target) {
        if let Some(key) = self.probes.remove(target).and_then(|w| w.asked) {
            self.tx.abandon(&key);
            self.by_client.remove(&key);
        }
        self.wheel.clear(&Due::Probe(target.clone()));
        self.wheel.clear(&Due::ProbeMissed(target.clone()));
    }

    /// Watches every trunk that has a far side, and no other.
    pub(super) fn watch_trunks(&mut self, now: Timestamp) {
        let wanted: Vec<Target> = self
            .setup
            .trunks
            .iter()
            .filter(|t| t.remote.is_some())
            .map(|t| Target::Trunk(t.id.clone()))
            .collect();
        let gone: Vec<Target> = self
            .probes
            .keys()
            .filter(|t| matches!(t, Target::Trunk(_)) && !wanted.contains(t))
            .cloned()
            .collect();
        for target in gone {
            self.unwatch(&target);
        }
        for target in wanted {
            self.watch(now, target);
        }
    }

    /// Asks.
    pub(super) fn probe(&mut self, now: Timestamp, target: &Target) {
        let branch = self.random.branch();
        let Some((draft, flow)) = self.question(target, &branch) else {
            self.unwatch(target);
            return;
        };
        let key = ClientKey {
            branch,
            method: Method::Options,
        };
        if let Some(watch) = self.probes.get_mut(target) {
            watch.asked = Some(key.clone());
            self.ask(now, key, Purpose::Probe(target.clone()), &draft, None, flow);
            let patience = PROBE_TIMEOUT.min(self.setup.options_every);
            self.wheel
                .set(Due::ProbeMissed(target.clone()), now + patience);
        }
    }

    /// The OPTIONS for a target and its way; `None` when there is nobody to ask any more.
    fn question(&mut self, target: &Target, branch: &str) -> Option<(Draft, Flow)> {
        if let Target::Leg(id) = target {
            let listener = self.listener(self.legs.get(id)?.dialog.flow.listener);
            let dialog = &mut self.legs.get_mut(id)?.dialog;
            let open = matches!(dialog.state, State::Established(_));
            return open.then(|| {
                (
                    dialog.request(&Method::Options, &listener, branch),
                    dialog.next_hop(),
                )
            });
        }
        let (uri, flow) = self.address_of(target)?;
        let listener = self.listener(flow.listener);
        let draft = options(
            &uri,
            &listener,
            branch,
            &self.random.tag(),
            &self.random.call_id(),
        );
        Some((draft, flow))
    }

    /// Watches an answered leg that fell silent.
    pub(super) fn watch_leg(&mut self, now: Timestamp, id: LegId) {
        if self.legs.contains_key(&id) {
            self.watch(now, Target::Leg(id));
        }
    }

    /// The far side is gone without a word: the core hears it, the dialog is closed.
    fn leg_lost(&mut self, now: Timestamp, id: LegId) {
        self.unwatch(&Target::Leg(id));
        self.with_leg(id, |ua, leg| {
            ua.end(
                leg,
                crate::call::LegEvent::Ended {
                    cause: Cause::Lost,
                    by_far_side: true,
                },
            );
            ua.bye(now, leg, Cause::Lost);
        });
    }

    fn address_of(&self, target: &Target) -> Option<(String, Flow)> {
        match target {
            Target::Trunk(id) => {
                let trunk = self.setup.trunks.iter().find(|t| t.id == *id)?;
                let peer = trunk.remote?;
                let index = self
                    .setup
                    .listeners
                    .iter()
                    .position(|l| l.id == trunk.listener)?;
                let flow = Flow {
                    listener: u16::try_from(index).ok()?,
                    transport: trunk.transport,
                    peer,
                    connection: None,
                };
                Some((format!("sip:{peer}"), flow))
            }
            Target::Leg(_) => None,
            Target::Seat(seat) => self
                .registrar
                .binding(seat)
                .map(|b| (b.uri.clone(), b.flow)),
        }
    }

    pub(super) fn probe_answered(&mut self, now: Timestamp, target: &Target, status: u16) {
        if let Target::Leg(id) = target {
            // It does not know the call any more (RFC 5057); anything else says that it lives.
            return match status {
                404 | 410 | 481 => self.leg_lost(now, *id),
                _ => self.unwatch(target),
            };
        }
        let every = self.setup.options_every;
        let Some(watch) = self.probes.get_mut(target) else {
            return;
        };
        watch.asked = None;
        let news = watch.probe.answered();
        self.wheel.clear(&Due::ProbeMissed(target.clone()));
        self.wheel.set(Due::Probe(target.clone()), now + every);
        match target {
            Target::Trunk(trunk) if news => self.tell(Tell::TrunkUp {
                trunk: trunk.clone(),
            }),
            Target::Seat(seat) if news => self.tell(Tell::SeatReachable {
                seat: seat.clone(),
                reachable: true,
            }),
            Target::Trunk(_) | Target::Seat(_) | Target::Leg(_) => {}
        }
    }

    pub(super) fn probe_missed(&mut self, now: Timestamp, target: &Target) {
        let every = self.setup.options_every;
        let Some(watch) = self.probes.get_mut(target) else {
            return;
        };
        if let Some(key) = watch.asked.take() {
            self.tx.abandon(&key);
            self.by_client.remove(&key);
        }
        self.wheel.clear(&Due::ProbeMissed(target.clone()));
        let news = watch.probe.missed();
        let at = if watch.probe.is_doubtful() {
            now + Millis(1)
        } else {
            now + every
        };
        self.wheel.set(Due::Probe(target.clone()), at);
        match target {
            Target::Trunk(trunk) if news => {
                let reason = format!(
                    "{MISSED_MAX} OPTIONS in a row got no answer within {} s each",
                    PROBE_TIMEOUT.as_secs()
                );
                self.tell(Tell::TrunkDown {
                    trunk: trunk.clone(),
                    reason,
                });
            }
            Target::Seat(seat) if news => self.tell(Tell::SeatReachable {
                seat: seat.clone(),
                reachable: false,
            }),
            Target::Leg(id) if news => self.leg_lost(now, *id),
            Target::Trunk(_) | Target::Seat(_) | Target::Leg(_) => {}
        }
    }
}

fn options(uri: &str, listener: &Listener, branch: &str, tag: &str, call_id: &str) -> Draft {
    Draft::request(&Method::Options, uri)
        .with("Via", listener.via(branch))
        .with("Max-Forwards", "70")
        .with(
            "From",
            format!("<sip:firstring@{}>;tag={tag}", listener.host_port()),
        )
        .with("To", format!("<{uri}>"))
        .with("Call-ID", call_id)
        .with("CSeq", "1 OPTIONS")
        .with("Contact", listener.contact("firstring"))
        .with("Accept", "application/sdp")
}
