//! The packet path: one datagram in, a few out.

use super::Worker;
use super::leg::{Taken, What};
use crate::media::dtmf::Key;
use crate::media::line::Kind;
use crate::media::rtp::HEADER_BYTES;
use crate::media::tap::TapFrame;
use crate::switch::MediaEvent;

impl Worker {
    /// A leg's RTP socket is readable: read once.
    pub(super) fn on_rtp(&mut self, place: usize) {
        let now_us = self.clock.now().as_micros();
        let Some(leg) = self.legs.get_mut(place) else {
            return;
        };
        self.at = Some(leg.call);
        let Ok((length, from)) = leg.port.rtp.recv_from(self.buffer.as_mut_slice()) else {
            return;
        };
        self.counts.packets_in += 1;
        let datagram = self.buffer.get(..length).unwrap_or(&[]);
        let Some(mut taken) = leg.take(datagram, from, now_us, &mut self.counts) else {
            return;
        };
        if taken.what == What::Event {
            let payload = self.buffer.get(taken.payload.clone()).unwrap_or(&[]);
            if leg
                .incoming
                .veil
                .hides(taken.head.timestamp, payload, now_us)
            {
                taken.what = What::Code;
            }
        }
        let (id, news, speaks) = (leg.id, leg.heard(now_us), leg.speaks());
        if let Some(news) = news {
            self.tell(id, news);
        }
        if !speaks {
            return;
        }
        let mut n = 0;
        while let Some(hearer) = self.hearer_of(place, n) {
            self.pass_on(place, hearer, &taken, now_us);
            n += 1;
        }
        match taken.what {
            What::Audio => self.on_audio(place, &taken, now_us),
            What::Event | What::Code => self.on_event(place, &taken, now_us),
            What::Noise => {
                if let Some(leg) = self.legs.get_mut(place)
                    && let Some(jitter) = &mut leg.incoming.jitter
                {
                    jitter.pause();
                }
            }
        }
    }

    fn hearer_of(&self, place: usize, n: usize) -> Option<usize> {
        self.legs.get(place)?.incoming.hearers.get(n).copied()
    }

    fn mixer_of(&self, place: usize, n: usize) -> Option<usize> {
        self.legs.get(place)?.incoming.mixed_by.get(n).copied()
    }

    /// Forward one packet: 12 bytes of header anew, right before the payload where it lies, then out.
    fn pass_on(&mut self, source: usize, hearer: usize, taken: &Taken, now_us: i64) {
        let Some(leg) = self.legs.get_mut(hearer) else {
            return;
        };
        let Some(session) = &leg.session else { return };
        let payload_type = match taken.what {
            What::Audio => Some(session.payload_type),
            What::Event => session.dtmf,
            What::Noise => session.comfort_noise,
            What::Code => None,
        };
        let Some(payload_type) = payload_type else {
            leg.line.skip(&taken.head);
            return;
        };
        let kind = match taken.what {
            What::Audio => Kind::Audio {
                samples: u32::try_from(taken.payload.len()).unwrap_or(0),
            },
            What::Event | What::Code | What::Noise => Kind::Mark,
        };
        let Some(mut head) = leg.line.forward(now_us, &taken.head, kind) else {
            self.counts.stale += 1;
            return;
        };
        head.payload_type = payload_type;
        if taken.what == What::Event {
            leg.event_passed = Some((source, taken.head.timestamp));
        }
        let start = taken.payload.start.saturating_sub(HEADER_BYTES);
        let Some(packet) = self.buffer.get_mut(start..taken.payload.end) else {
            return;
        };
        if let Some(bytes) = packet.first_chunk_mut::<HEADER_BYTES>() {
            *bytes = head.to_bytes();
        }
        self.counts.forwarded += 1;
        leg.send(packet, &mut self.counts);
    }

    fn on_audio(&mut self, place: usize, taken: &Taken, now_us: i64) {
        let Some(leg) = self.legs.get_mut(place) else {
            return;
        };
        let Some(payload) = self.buffer.get(taken.payload.clone()) else {
            return;
        };
        if let Some(slot) = leg.incoming.slot
            && let Some(session) = &leg.session
        {
            let frame = TapFrame {
                slot,
                arrived_us: now_us,
                ssrc: taken.head.ssrc,
                rtp_timestamp: taken.head.timestamp,
                sequence: taken.head.sequence,
                codec: session.codec,
                payload,
            };
            if self.tap.push(&frame).is_err() {
                self.counts.tap_dropped += 1;
            }
        }
        leg.listen(&taken.head, payload, now_us);
        let (id, call, digits) = (leg.id, leg.call, leg.keys_in(payload));
        if leg.note_length(payload.len()) {
            self.compile(call);
        }
        for digit in digits {
            self.tell(id, MediaEvent::Tone { digit });
        }
    }

    fn on_event(&mut self, place: usize, taken: &Taken, now_us: i64) {
        let Some(leg) = self.legs.get_mut(place) else {
            return;
        };
        let payload = self.buffer.get(taken.payload.clone()).unwrap_or(&[]);
        let key = leg
            .incoming
            .keys
            .on_packet(taken.head.timestamp, payload, now_us);
        if let Some(key) = key {
            self.on_key(place, key);
        }
    }

    /// A key press of a leg is complete: tell it, and make it anew for those who hear the leg in a mix and did not
    /// get its packets.
    pub(super) fn on_key(&mut self, place: usize, key: Key) {
        let Some(leg) = self.legs.get(place) else {
            return;
        };
        let (id, is_code) = (leg.id, leg.incoming.veil.has_hidden(key.timestamp));
        let mut n = 0;
        while let Some(hearer) = self.mixer_of(place, n).filter(|_| !is_code) {
            n += 1;
            let Some(hearer) = self.legs.get_mut(hearer) else {
                continue;
            };
            let wants = hearer.session.as_ref().is_some_and(|s| s.dtmf.is_some());
            if wants && hearer.event_passed != Some((place, key.timestamp)) {
                hearer.keys_out.push(key);
            }
        }
        self.tell(
            id,
            MediaEvent::Digit {
                digit: key.digit,
                duration_ms: key.duration_ms(),
            },
        );
    }

    /// A leg's RTCP socket is readable.
    pub(super) fn on_rtcp(&mut self, place: usize) {
        let now_us = self.clock.now().as_micros();
        let Some(leg) = self.legs.get_mut(place) else {
            return;
        };
        self.at = Some(leg.call);
        if let Ok((length, from)) = leg.port.rtcp.recv_from(self.buffer.as_mut_slice()) {
            leg.on_report(self.buffer.get(..length).unwrap_or(&[]), from, now_us);
        }
    }
}
