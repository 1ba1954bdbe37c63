//! Whose RTP is taken: the source is learned from the first valid packets, then locked (RFC 4961, RFC 7362 section 5).
//!
//! ```text
//! Open --packet from SDP's address--> Locked
//! Open --2 (same IP) or 5 (other IP) consecutive packets of one stream--> Locked
//! Locked --old silent > 1 s, then 3 consecutive of the same stream or IP from elsewhere--> Locked(new)
//! Locked --SDP named another address--> Open
//! ```
//! SDP's own address always wins over a learned one. Media is only ever sent to SDP's or the locked address, so
//! whoever sprays the port range hears nothing (RTP bleed) and is not heard (RTP inject).
//! Refuses to know: payloads, sockets.

use std::net::SocketAddr;

/// A new address is believed only after the old one was silent this long.
const SILENT_US: i64 = 1_000_000;
/// ... or this long when neither stream nor host is known.
const STRANGER_SILENT_US: i64 = 5_000_000;
/// After SDP named a new address, the old one is not learned again for this long.
const FAREWELL_US: i64 = 2_000_000;

/// The source lock of one leg.
#[derive(Clone, Debug, Default)]
pub struct SourceLock {
    sdp: Option<SocketAddr>,
    locked: Option<Locked>,
    rival: Option<Rival>,
    left: Option<(SocketAddr, i64)>,
}

#[derive(Copy, Clone, Debug)]
struct Locked {
    address: SocketAddr,
    ssrc: u32,
    heard_us: i64,
}

#[derive(Copy, Clone, Debug)]
struct Rival {
    address: SocketAddr,
    ssrc: u32,
    next: u16,
    count: u32,
}

/// What to do with a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the far side's.
    Accept,
    /// It is the far side's, and from a new address.
    Locked,
    /// Not (yet) the far side's: drop and count.
    Stray,
}

impl SourceLock {
    /// SDP says where the far side is. An unchanged address keeps the lock.
    /// An address that nobody can have (`c=IN IP4 0.0.0.0`, the hold of RFC 2543) changes nothing.
    pub fn expect(&mut self, sdp: SocketAddr, now_us: i64) {
        if self.sdp == Some(sdp) || sdp.ip().is_unspecified() || sdp.port() == 0 {
            return;
        }
        if self.sdp.is_some() {
            self.left = self
                .locked
                .map(|locked| (locked.address, now_us + FAREWELL_US));
        }
        self.sdp = Some(sdp);
        self.locked = None;
        self.rival = None;
    }

    /// Where media goes: the locked address, else SDP's.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.locked.map(|locked| locked.address).or(self.sdp)
    }

    /// Judge one valid packet.
    pub fn check(&mut self, from: SocketAddr, ssrc: u32, sequence: u16, now_us: i64) -> Verdict {
        if let Some(locked) = &mut self.locked
            && locked.address == from
        {
            locked.ssrc = ssrc;
            locked.heard_us = now_us;
            return Verdict::Accept;
        }
        if self.sdp == Some(from) {
            return self.lock(from, ssrc, now_us);
        }
        let Some(needed) = self.needed(from, ssrc, now_us) else {
            return Verdict::Stray;
        };
        let count = match self.rival {
            Some(rival)
                if rival.address == from
                    && rival.ssrc == ssrc
                    && sequence.wrapping_sub(rival.next) < 3 =>
            {
                rival.count + 1
            }
            Some(_) | None => 1,
        };
        if count >= needed {
            return self.lock(from, ssrc, now_us);
        }
        self.rival = Some(Rival {
            address: from,
            ssrc,
            next: sequence.wrapping_add(1),
            count,
        });
        Verdict::Stray
    }

    /// Consecutive packets that `from` must show, none if it has no chance now.
    fn needed(&self, from: SocketAddr, ssrc: u32, now_us: i64) -> Option<u32> {
        let sdp = self.sdp?;
        let Some(locked) = self.locked else {
            if self
                .left
                .is_some_and(|(left, until)| left == from && now_us < until)
            {
                return None;
            }
            return Some(if from.ip() == sdp.ip() { 2 } else { 5 });
        };
        let silent_us = now_us - locked.heard_us;
        let known =
            ssrc == locked.ssrc || from.ip() == locked.address.ip() || from.ip() == sdp.ip();
        match known {
            true if silent_us > SILENT_US => Some(3),
            false if silent_us > STRANGER_SILENT_US => Some(50),
            true | false => None,
        }
    }

    fn lock(&mut self, address: SocketAddr, ssrc: u32, now_us: i64) -> Verdict {
        self.locked = Some(Locked {
            address,
            ssrc,
            heard_us: now_us,
        });
        self.rival = None;
        Verdict::Locked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const SDP: &str = "10.0.0.1:4000";

    fn lock_at_sdp() -> SourceLock {
        let mut lock = SourceLock::default();
        lock.expect(address(SDP), 0);
        assert_eq!(lock.check(address(SDP), 7, 1, 0), Verdict::Locked);
        lock
    }

    #[test]
    fn the_address_of_the_description_is_taken_at_once_and_wins_over_a_learned_one() {
        let mut lock = SourceLock::default();
        assert_eq!(lock.check(address(SDP), 7, 1, 0), Verdict::Stray);
        lock.expect(address(SDP), 0);
        assert_eq!(lock.remote(), Some(address(SDP)));
        for n in 0..5 {
            lock.check(address("10.9.9.9:1"), 66, n, i64::from(n));
        }
        assert_eq!(lock.remote(), Some(address("10.9.9.9:1")));
        assert_eq!(lock.check(address(SDP), 7, 1, 100), Verdict::Locked);
        assert_eq!(lock.remote(), Some(address(SDP)));
    }

    #[test]
    fn a_phone_behind_nat_is_learned_from_its_packets() {
        let mut lock = SourceLock::default();
        lock.expect(address(SDP), 0);
        assert_eq!(lock.check(address("10.0.0.1:9"), 7, 1, 0), Verdict::Stray);
        assert_eq!(lock.check(address("10.0.0.1:9"), 7, 2, 0), Verdict::Locked);
        assert_eq!(lock.check(address("10.0.0.1:9"), 7, 3, 0), Verdict::Accept);
    }

    #[test]
    fn who_sprays_while_the_far_side_talks_is_never_taken() {
        let mut lock = lock_at_sdp();
        for n in 0..2000_u16 {
            let now = i64::from(n) * 20_000;
            lock.check(address(SDP), 7, n, now);
            assert_eq!(lock.check(address("10.6.6.6:6"), 7, n, now), Verdict::Stray);
            assert_eq!(lock.check(address("10.0.0.1:6"), 8, n, now), Verdict::Stray);
        }
        assert_eq!(lock.remote(), Some(address(SDP)));
    }

    #[test]
    fn an_address_change_is_followed_after_a_second_of_silence() {
        let mut lock = lock_at_sdp();
        let new = address("10.0.0.2:5000");
        assert_eq!(lock.check(new, 7, 2, 900_000), Verdict::Stray);
        assert_eq!(lock.check(new, 7, 3, 1_100_000), Verdict::Stray);
        assert_eq!(lock.check(new, 7, 4, 1_120_000), Verdict::Stray);
        assert_eq!(lock.check(new, 7, 5, 1_140_000), Verdict::Locked);
        assert_eq!(lock.remote(), Some(new));
    }

    #[test]
    fn a_stranger_with_another_stream_needs_a_second_of_steady_packets_after_five_of_silence() {
        let mut lock = lock_at_sdp();
        let new = address("10.0.0.2:5000");
        for n in 0..200 {
            assert_eq!(
                lock.check(new, 9, n, i64::from(n) * 20_000),
                Verdict::Stray,
                "{n}"
            );
        }
        let taken = (0..60).find(|n| {
            lock.check(new, 9, 300 + n, 5_100_000 + i64::from(*n) * 20_000) == Verdict::Locked
        });
        assert_eq!(taken, Some(49));
    }

    #[test]
    fn a_hold_by_the_null_address_keeps_the_lock() {
        let mut lock = lock_at_sdp();
        lock.expect(address("0.0.0.0:4000"), 5);
        assert_eq!(lock.remote(), Some(address(SDP)));
        let mut lock = SourceLock::default();
        lock.expect(address("0.0.0.0:4000"), 5);
        assert_eq!(lock.remote(), None);
    }

    #[test]
    fn a_new_description_unlocks_and_packets_still_on_the_way_do_not_lock_again() {
        let mut lock = lock_at_sdp();
        let new = address("10.0.0.3:6000");
        lock.expect(new, 1_000);
        assert_eq!(lock.remote(), Some(new));
        for n in 2..10 {
            assert_eq!(lock.check(address(SDP), 7, n, 2_000), Verdict::Stray);
        }
        lock.expect(new, 3_000);
        assert_eq!(lock.check(new, 7, 20, 4_000), Verdict::Locked);
    }
}
