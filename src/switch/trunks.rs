//! Trunks as the core knows them: up, down or not yet known; and INVITEs from addresses that no trunk admits.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{AlarmCode, EventKind, Policy, Switch, TrunkChange};
use crate::call::{Call, Ingress};
use crate::id::TrunkId;
use crate::limits::UNKNOWN_SOURCES_MAX;
use crate::time::{Millis, Timestamp};

/// Without a further INVITE for this long the alarm of an unknown address ends.
const UNKNOWN_SOURCE_SPAN: Millis = Millis::from_secs(600);
/// Stands for all addresses past the maximum.
const MANY_SOURCES: &str = "many";

/// One configured trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trunk {
    pub(super) up: Option<bool>,
    pub(super) since: Timestamp,
    pub(super) detail: String,
}

impl Switch {
    /// Takes a checked configuration in.
    pub(super) fn adopt_policy(&mut self, policy: Policy) {
        self.adopt_seats(&policy);
        self.adopt_phones(&policy);
        let now = self.now;
        for id in policy.trunks.keys() {
            self.trunks.entry(id.clone()).or_insert_with(|| Trunk {
                up: None,
                since: now,
                detail: String::new(),
            });
        }
        let gone: Vec<_> = self
            .trunks
            .keys()
            .filter(|id| !policy.trunks.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.trunks.remove(&id);
            self.clear_alarm(AlarmCode::TrunkDown, id.as_str());
        }
        self.policy = policy;
        self.adopt_self_tests();
        self.rehome_calls();
    }

    /// Outbound trunks that have a circuit to spare when those of callers are kept; best first.
    pub(super) fn spare_trunks(&self) -> Vec<TrunkId> {
        self.trunks_with_spare(0)
    }

    /// Those of them that leave so many to others, where they have more than one.
    pub(super) fn trunks_with_spare(&self, left: usize) -> Vec<TrunkId> {
        let mut trunks = self.outbound_trunks();
        trunks.retain(|id| {
            let policy = self.policy.trunks.get(id);
            let ours = policy.and_then(|p| Some(p.circuits?.saturating_sub(p.circuits_kept)));
            let others = ours.map_or(0, |ours| left.min(usize::from(ours).saturating_sub(1)));
            self.spares(id, 1 + others)
        });
        trunks
    }

    /// So many more calls leave it the circuits that are kept for callers.
    pub(super) fn spares(&self, id: &TrunkId, calls: usize) -> bool {
        let policy = self.policy.trunks.get(id);
        let Some((circuits, kept)) = policy.and_then(|p| Some((p.circuits?, p.circuits_kept)))
        else {
            return true;
        };
        self.circuits_used(id) + usize::from(kept) + calls <= usize::from(circuits)
    }

    fn circuits_used(&self, trunk: &TrunkId) -> usize {
        let over = |call: &Call| {
            let came = matches!(&call.ingress, Ingress::Trunk(of) if of == trunk);
            let rung = call.legs.values().filter(|leg| {
                let hunt = leg.hunt.as_ref();
                hunt.is_some_and(|hunt| hunt.trunk.as_ref() == Some(trunk))
            });
            rung.count() + usize::from(came && call.caller_leg.is_some())
        };
        let of_calls: usize = self.calls.values().map(over).sum();
        of_calls + self.group_calls.circuits_used(trunk)
    }

    pub(super) fn trunk_changed(&mut self, id: &TrunkId, change: &TrunkChange) {
        let now = self.now;
        let Some(trunk) = self.trunks.get_mut(id) else {
            return self.misfit("trunk.unknown");
        };
        let (up, detail) = match change {
            TrunkChange::Up => (true, ""),
            TrunkChange::Down { reason } => (false, reason.as_str()),
        };
        detail.clone_into(&mut trunk.detail);
        if trunk.up == Some(up) {
            return;
        }
        trunk.up = Some(up);
        trunk.since = now;
        let trunk = id.clone();
        match change {
            TrunkChange::Up => {
                self.note(EventKind::TrunkUp { trunk });
                self.arm_self_tests();
                self.clear_alarm(AlarmCode::TrunkDown, id.as_str());
            }
            TrunkChange::Down { reason } => {
                let reason = reason.clone();
                self.raise_alarm(AlarmCode::TrunkDown, id.as_str(), &reason);
                self.note(EventKind::TrunkDown { trunk, reason });
            }
        }
    }

    /// Nobody admits this address. The alarm says the line that would.
    pub(super) fn unknown_source(&mut self, address: &str, count: u64) {
        let prefix = match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => 128,
            Ok(IpAddr::V4(_)) | Err(_) => 32,
        };
        let detail = format!(
            "{count} INVITE from {address} refused with 403: no trunk admits it; if it is a carrier of yours, add the \
             address to its trunk and reload: [trunks.NAME] sources = [\"{address}/{prefix}\"]"
        );
        let code = AlarmCode::TrunkUnknownSource;
        let standing = self.alarms.iter().filter(|a| a.code == code).count();
        let subject = if standing >= UNKNOWN_SOURCES_MAX && !self.alarm_stands(code, address) {
            MANY_SOURCES
        } else {
            address
        };
        self.raise_alarm(code, subject, &detail);
        let subject = subject.to_owned();
        self.arm(TimerKey::AlarmEnd { code, subject }, UNKNOWN_SOURCE_SPAN);
    }
}
