//! RTCP (RFC 3550 section 6): what we report of a source, and what the far side reports of us. The only file that
//! names `rtcp-types`.
//!
//! Owns: reception statistics (A.1, A.3, A.8), SR/RR + SDES CNAME + BYE as bytes, reading of compound packets.
//! Refuses to know: sockets and timers.

use rtcp_types::{
    Bye, Compound, CompoundBuilder, Packet, ReceiverReport, ReportBlock, ReportBlockBuilder,
    RtcpPacketWriterExt, RtcpWriteError, Sdes, SdesChunk, SdesItem, SenderReport,
};

/// Seconds between 1900 (NTP) and 1970.
const NTP_OFFSET: i64 = 2_208_988_800;
/// Bytes that our largest report takes, rounded up.
pub const REPORT_BYTES_MAX: usize = 256;

/// What one source sent us.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    ssrc: u32,
    known: bool,
    base: u32,
    /// Highest sequence number with its cycles.
    highest: u32,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// In 1/16 of a sample.
    jitter: u32,
    last_transit: Option<i64>,
    sender_report: Option<(u32, i64)>,
    /// Packets expected and received of earlier SSRCs of this leg.
    earlier: (u64, u64),
}

impl Reception {
    /// One accepted packet. `audio` packets move the jitter.
    pub fn note(&mut self, ssrc: u32, sequence: u16, timestamp: u32, arrived_us: i64, audio: bool) {
        if !self.known || self.ssrc != ssrc {
            self.restart(ssrc, sequence);
        }
        let step = sequence.wrapping_sub(low(self.highest)).cast_signed();
        if step.unsigned_abs() > 3000 {
            self.restart(ssrc, sequence);
        } else if step > 0 {
            self.highest = self.highest.wrapping_add(u32::from(step.unsigned_abs()));
        }
        self.received += 1;
        if audio {
            let transit = arrived_us * 8 / 1000 - i64::from(timestamp);
            if let Some(last) = self.last_transit {
                // Wrapped timestamps and jumps are no jitter.
                let moved = (transit - last).unsigned_abs();
                if let Ok(moved) = u32::try_from(moved)
                    && moved < 8000
                {
                    self.jitter = self.jitter + moved - ((self.jitter + 8) >> 4);
                }
            }
            self.last_transit = Some(transit);
        }
    }

    fn restart(&mut self, ssrc: u32, sequence: u16) {
        let (expected, received) = (self.expected(), self.received);
        self.earlier.0 += expected;
        self.earlier.1 += received;
        let earlier = self.earlier;
        *self = Self {
            ssrc,
            known: true,
            base: u32::from(sequence) + 0x1_0000,
            highest: u32::from(sequence) + 0x1_0000,
            earlier,
            ..Self::default()
        };
    }

    /// Interarrival jitter in ms.
    #[must_use]
    pub const fn jitter_ms(&self) -> u32 {
        (self.jitter >> 4) / 8
    }

    /// Packets expected and lost since the leg opened.
    #[must_use]
    pub fn loss(&self) -> (u64, u64) {
        let expected = self.earlier.0 + self.expected();
        let received = self.earlier.1 + self.received;
        (expected, expected.saturating_sub(received))
    }

    /// A sender report of the source arrived.
    pub fn note_sender_report(&mut self, ntp: u64, now_us: i64) {
        let middle = u32::try_from((ntp >> 16) & 0xFFFF_FFFF).unwrap_or(0);
        self.sender_report = Some((middle, now_us));
    }

    fn expected(&self) -> u64 {
        if self.known {
            u64::from(self.highest.wrapping_sub(self.base)) + 1
        } else {
            0
        }
    }

    fn block(&mut self, now_us: i64) -> Option<ReportBlockBuilder> {
        if !self.known {
            return None;
        }
        let expected = self.expected();
        let interval = expected - self.expected_before.min(expected);
        let got = self.received - self.received_before;
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_now = interval.saturating_sub(got);
        let fraction = (lost_now << 8).checked_div(interval).unwrap_or(0).min(255);
        let lost = expected.saturating_sub(self.received).min(0x7F_FFFF);
        let mut block = ReportBlock::builder(self.ssrc)
            .fraction_lost(u8::try_from(fraction).unwrap_or(255))
            .cumulative_lost(u32::try_from(lost).unwrap_or(0))
            .extended_sequence_number(self.highest.wrapping_sub(0x1_0000))
            .interarrival_jitter(self.jitter >> 4);
        if let Some((middle, at)) = self.sender_report {
            let delay = (now_us - at).max(0) * 65_536 / 1_000_000;
            block = block
                .last_sender_report_timestamp(middle)
                .delay_since_last_sender_report_timestamp(u32::try_from(delay).unwrap_or(u32::MAX));
        }
        Some(block)
    }
}

/// What we say of ourselves.
#[derive(Copy, Clone, Debug)]
pub struct Own<'a> {
    pub ssrc: u32,
    pub cname: &'a str,
    /// Packets and payload bytes sent, and the RTP timestamp of now; none when nothing was sent yet.
    pub sent: Option<(u32, u32, u32)>,
    /// Say BYE.
    pub leaving: bool,
}

/// Write SR or RR, SDES and perhaps BYE into `out`.
///
/// # Errors
/// When `out` is too small for it; [`REPORT_BYTES_MAX`] is enough for any CNAME up to 64 bytes.
pub fn write(
    own: &Own<'_>,
    reception: &mut Reception,
    now_us: i64,
    out: &mut [u8],
) -> Result<usize, RtcpWriteError> {
    let block = reception.block(now_us);
    let mut compound = CompoundBuilder::default();
    compound = if let Some((packets, octets, timestamp)) = own.sent {
        let mut report = SenderReport::builder(own.ssrc)
            .ntp_timestamp(ntp_of(now_us))
            .rtp_timestamp(timestamp)
            .packet_count(packets)
            .octet_count(octets);
        if let Some(block) = block {
            report = report.add_report_block(block);
        }
        compound.add_packet(report)
    } else {
        let mut report = ReceiverReport::builder(own.ssrc);
        if let Some(block) = block {
            report = report.add_report_block(block);
        }
        compound.add_packet(report)
    };
    let cname = SdesItem::builder(SdesItem::CNAME, own.cname);
    compound = compound
        .add_packet(Sdes::builder().add_chunk(SdesChunk::builder(own.ssrc).add_item(cname)));
    if own.leaving {
        compound = compound.add_packet(Bye::builder().add_source(own.ssrc));
    }
    compound.write_into(out)
}

/// What the far side reported.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// NTP time of its sender report.
    pub sender_ntp: Option<u64>,
    /// How it receives us: fraction lost (1/256), lost in all, jitter in samples.
    pub of_us: Option<(u8, u32, u32)>,
    pub bye: bool,
}

/// Read a compound packet; unknown parts are passed over, broken ones end the reading.
#[must_use]
pub fn read(datagram: &[u8], own_ssrc: u32) -> Option<Report> {
    let compound = Compound::parse(datagram).ok()?;
    let mut report = Report::default();
    for packet in compound {
        match packet {
            Ok(Packet::Sr(sender)) => {
                report.sender_ntp = Some(sender.ntp_timestamp());
                note_blocks(&mut report, sender.report_blocks(), own_ssrc);
            }
            Ok(Packet::Rr(receiver)) => {
                note_blocks(&mut report, receiver.report_blocks(), own_ssrc);
            }
            Ok(Packet::Bye(_)) => report.bye = true,
            Ok(
                Packet::App(_)
                | Packet::Sdes(_)
                | Packet::TransportFeedback(_)
                | Packet::PayloadFeedback(_)
                | Packet::Xr(_)
                | Packet::Unknown(_),
            ) => {}
            Err(_) => break,
        }
    }
    Some(report)
}

fn note_blocks<'a>(
    report: &mut Report,
    blocks: impl Iterator<Item = ReportBlock<'a>>,
    own_ssrc: u32,
) {
    for block in blocks {
        if block.ssrc() == own_ssrc {
            report.of_us = Some((
                block.fraction_lost(),
                block.cumulative_lost(),
                block.interarrival_jitter(),
            ));
        }
    }
}

/// 64-bit NTP time of microseconds since 1970 (RFC 3550 section 4).
fn ntp_of(now_us: i64) -> u64 {
    let seconds = now_us.div_euclid(1_000_000) + NTP_OFFSET;
    let fraction = (now_us.rem_euclid(1_000_000) << 32) / 1_000_000;
    (u64::try_from(seconds).unwrap_or(0) << 32) | u64::try_from(fraction).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn low(extended: u32) -> u16 {
    extended as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own(sent: Option<(u32, u32, u32)>, leaving: bool) -> Own<'static> {
        Own {
            ssrc: 11,
            cname: "0123456789abcdef",
            sent,
            leaving,
        }
    }

    #[test]
    fn our_reports_are_read_back() {
        let mut reception = Reception::default();
        for n in 0..100_u16 {
            if n % 10 != 5 {
                let at = i64::from(n) * 20_000;
                reception.note(22, 65_500_u16.wrapping_add(n), u32::from(n) * 160, at, true);
            }
        }
        assert_eq!(reception.loss(), (100, 10));
        assert_eq!(reception.jitter_ms(), 0);
        let mut bytes = [0; REPORT_BYTES_MAX];
        let own = own(Some((100, 16_000, 5)), true);
        let length = write(&own, &mut reception, 1_700_000_000_500_000, &mut bytes).unwrap();
        let report = read(&bytes[..length], 22).unwrap();
        assert_eq!(report.of_us, Some((25, 10, 0)));
        assert_eq!(report.sender_ntp, Some(ntp_of(1_700_000_000_500_000)));
        assert!(report.bye);
        assert_eq!(ntp_of(1_700_000_000_500_000) & 0xFFFF_FFFF, 1 << 31);
    }

    #[test]
    fn a_leg_that_sent_nothing_reports_as_receiver() {
        let mut bytes = [0; REPORT_BYTES_MAX];
        let mut reception = Reception::default();
        let length = write(&own(None, false), &mut reception, 0, &mut bytes).unwrap();
        assert_eq!(bytes[1], 201);
        assert_eq!(read(&bytes[..length], 22), Some(Report::default()));
    }

    #[test]
    fn jitter_is_measured_and_a_new_source_starts_anew() {
        let mut reception = Reception::default();
        for n in 0..200_u16 {
            let wobble = if n % 2 == 0 { 0 } else { 10_000 };
            let at = i64::from(n) * 20_000 + wobble;
            reception.note(1, n, u32::from(n) * 160, at, true);
        }
        assert!(
            (9..=10).contains(&reception.jitter_ms()),
            "{}",
            reception.jitter_ms()
        );
        reception.note(2, 40_000, 7, 9_000_000, true);
        assert_eq!(reception.loss(), (201, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, 1);
        }

        #[test]
        fn any_packets_leave_sane_counters(packets in proptest::collection::vec((0_u32..3, any::<u16>(), any::<u32>(), any::<i32>()), 0..200)) {
            let mut reception = Reception::default();
            let mut bytes = [0; REPORT_BYTES_MAX];
            for (ssrc, sequence, timestamp, at) in packets {
                reception.note(ssrc, sequence, timestamp, i64::from(at), true);
                let (expected, lost) = reception.loss();
                prop_assert!(lost <= expected);
                write(&own(None, false), &mut reception, 0, &mut bytes).unwrap();
            }
        }
    }
}
