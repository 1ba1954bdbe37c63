//! Trunks: whose network an address is, and whether a trunk's far side is alive. Health only guides outbound calls;
//! an INVITE of a known trunk is taken whatever the probe says.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::checked::{Cidr, Trunk};

/// An unanswered OPTIONS is given up after this; the next one follows at once.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(4);
/// Unanswered OPTIONS in a row that mean "down".
pub const MISSED_MAX: u8 = 3;

/// The trunk an address belongs to: the one whose remote it is, else that of the narrowest network; equal ones are
/// told apart by the listener.
#[must_use]
pub fn of_source(trunks: &[Trunk], peer: SocketAddr, listener: &str) -> Option<usize> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    trunks
        .iter()
        .enumerate()
        .filter_map(|(index, trunk)| {
            let network = trunk
                .sources
                .iter()
                .filter(|c| c.contains(peer.ip()))
                .map(width)
                .max()?;
            let is_remote = trunk.remote == Some(peer);
            let same_host = trunk.remote.is_some_and(|r| r.ip() == peer.ip());
            let same_listener = trunk.listener == listener;
            Some((
                (is_remote, network, same_host, same_listener),
                std::cmp::Reverse(index),
            ))
        })
        .max()
        .map(|(_, std::cmp::Reverse(index))| index)
}

/// Prefix length counted from the IPv6 end, so that both families compare.
fn width(cidr: &Cidr) -> u8 {
    if cidr.network.is_ipv4() {
        cidr.prefix + 96
    } else {
        cidr.prefix
    }
}

/// What is known of a far side's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Absent until the first answer or the first give-up.
    pub alive: Option<bool>,
    missed: u8,
}

impl Probe {
    /// Any answer came. `true` when that is news.
    pub fn answered(&mut self) -> bool {
        self.missed = 0;
        self.alive.replace(true) != Some(true)
    }

    /// One more went unanswered. `true` when the far side counts as gone from now on.
    pub fn missed(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        self.missed >= MISSED_MAX && self.alive.replace(false) != Some(false)
    }

    /// Whether the next probe follows at once: doubt is settled quickly, a known death is watched calmly.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.missed > 0 && self.missed < MISSED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::Transport;

    fn trunk(id: &str, network: &str, prefix: u8, remote: Option<&str>) -> Trunk {
        Trunk {
            id: id.into(),
            sources: vec![Cidr {
                network: network.parse().unwrap(),
                prefix,
            }],
            remote: remote.map(|r| r.parse().unwrap()),
            transport: Transport::Udp,
            listener: "udp".into(),
            profile: "ims".into(),
        }
    }

    #[test]
    fn the_narrowest_network_and_the_exact_remote_win() {
        let trunks = [
            trunk("wide", "10.0.0.0", 8, None),
            trunk("narrow", "10.1.0.0", 16, None),
            trunk("exact", "10.0.0.0", 8, Some("10.1.2.3:5070")),
        ];
        let of = |peer: &str| of_source(&trunks, peer.parse().unwrap(), "udp");
        assert_eq!(of("10.2.0.1:5060"), Some(0));
        assert_eq!(of("10.1.0.1:5060"), Some(1));
        assert_eq!(of("10.1.2.3:5070"), Some(2));
        assert_eq!(of("[::ffff:10.1.0.1]:5060"), Some(1));
        assert_eq!(of("192.0.2.1:5060"), None);
    }

    #[test]
    fn three_missed_probes_are_down_and_one_answer_is_up() {
        let mut probe = Probe::default();
        assert!(probe.answered() && !probe.answered());
        assert!(
            !probe.missed()
                && probe.is_doubtful()
                && !probe.missed()
                && probe.missed()
                && !probe.missed()
        );
        assert!(probe.answered());
    }
}
