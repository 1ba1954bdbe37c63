//! Telephone keys as RTP events (RFC 4733): each press told once, and made anew for hearers of a mix.
//!
//! ```text
//! Detector: Idle --new timestamp--> Pressed --end bit, newer press or 200 ms silence--> Idle (Key told)
//! Sender:   Idle --push--> Sending(20 ms steps) --end x3--> pause 60 ms --> Idle
//! ```
//! Refuses to know: in-band tones, SIP INFO, who may press what.

/// A press whose end packets are all lost ends after this silence.
const LOST_END_US: i64 = 200_000;
/// Presses waiting to be sent to one hearer; more are dropped.
const QUEUE_MAX: usize = 16;
/// Shortest event we send, in samples (40 ms; ITU-T Q.24 asks receivers to take it).
const SHORTEST: u16 = 320;
/// Event code of `*`.
const STAR: u8 = 10;
/// A star code without a further press ends after this.
const CODE_SPAN_US: i64 = 5_000_000;
/// Ticks of pause after an event.
const PAUSE_TICKS: u8 = 3;

/// One key press.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// 0-9, *, #, A-D.
    pub digit: char,
    /// Samples at 8 kHz.
    pub duration: u32,
    /// RTP timestamp of the event at its source.
    pub timestamp: u32,
}

impl Key {
    /// Its length in ms.
    #[must_use]
    pub const fn duration_ms(&self) -> u32 {
        self.duration / 8
    }
}

/// Keeps the star codes of a seat's phone from those who hear it: a `*` and the presses after it are told, and passed on to nobody.
///
/// ```text
/// Off --watch--> Watching --press of *--> Hiding --watch, or 5 s without a press--> Watching
/// ```
#[derive(Clone, Debug, Default)]
pub struct Veil {
    watching: bool,
    hiding_until_us: Option<i64>,
    /// Timestamps of the last presses hidden: their end comes three times, also after the code was complete.
    hidden: [Option<u32>; 4],
    next: usize,
}

impl Veil {
    /// From now on a `*` begins a code; one that is under way is complete.
    pub fn watch(&mut self) {
        self.watching = true;
        self.hiding_until_us = None;
    }

    /// Whether this event packet belongs to a code.
    pub fn hides(&mut self, timestamp: u32, payload: &[u8], now_us: i64) -> bool {
        if self.has_hidden(timestamp) {
            return true;
        }
        let is_star = payload.first() == Some(&STAR);
        let is_hiding = self.hiding_until_us.is_some_and(|until| now_us < until);
        if !self.watching || !(is_star || is_hiding) {
            return false;
        }
        self.hiding_until_us = Some(now_us + CODE_SPAN_US);
        if let Some(slot) = self.hidden.get_mut(self.next) {
            *slot = Some(timestamp);
        }
        self.next = (self.next + 1) % self.hidden.len();
        true
    }

    /// Whether the press that began at this timestamp was one of a code.
    #[must_use]
    pub fn has_hidden(&self, timestamp: u32) -> bool {
        self.hidden.contains(&Some(timestamp))
    }
}

/// Finds key presses in one source's events.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    current: Option<Pressed>,
    told: [Option<u32>; 4],
    next_told: usize,
}

#[derive(Copy, Clone, Debug)]
struct Pressed {
    event: u8,
    /// Of the whole press and of its current segment (section 2.5.1.3).
    timestamp: u32,
    segment: u32,
    before: u32,
    duration: u16,
    ended: bool,
    heard_us: i64,
}

impl Detector {
    /// One event packet. Returns a press that is now complete (its own, or the one before whose end was lost).
    pub fn on_packet(&mut self, timestamp: u32, payload: &[u8], now_us: i64) -> Option<Key> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        if event > 15 || self.told.contains(&Some(timestamp)) {
            return None;
        }
        let duration = u16::from_be_bytes([high, low]);
        let ended = flags & 0x80 != 0;
        let mut finished = None;
        match &mut self.current {
            Some(pressed) if pressed.segment == timestamp => {
                pressed.duration = pressed.duration.max(duration);
                pressed.ended |= ended;
                pressed.heard_us = now_us;
            }
            Some(pressed) if pressed.is_continued_by(event, timestamp) => {
                pressed.before += timestamp.wrapping_sub(pressed.segment);
                pressed.segment = timestamp;
                pressed.duration = duration;
                pressed.ended = ended;
                pressed.heard_us = now_us;
            }
            Some(pressed) if timestamp.wrapping_sub(pressed.segment).cast_signed() < 0 => {
                return None;
            }
            Some(_) | None => {
                finished = self.finish();
                self.current = Some(Pressed {
                    event,
                    timestamp,
                    segment: timestamp,
                    before: 0,
                    duration,
                    ended,
                    heard_us: now_us,
                });
            }
        }
        match (finished, self.current) {
            // Two at once: the newer is told by its next packet or by `on_time`.
            (Some(key), _) => Some(key),
            (None, Some(pressed)) if pressed.ended => self.finish(),
            (None, Some(_) | None) => None,
        }
    }

    /// Time passes: a press whose end was lost is complete.
    pub fn on_time(&mut self, now_us: i64) -> Option<Key> {
        let pressed = self.current?;
        if pressed.ended || now_us - pressed.heard_us >= LOST_END_US {
            return self.finish();
        }
        None
    }

    fn finish(&mut self) -> Option<Key> {
        let pressed = self.current.take()?;
        for timestamp in [pressed.segment, pressed.timestamp] {
            if !self.told.contains(&Some(timestamp)) {
                if let Some(slot) = self.told.get_mut(self.next_told) {
                    *slot = Some(timestamp);
                }
                self.next_told = (self.next_told + 1) % self.told.len();
            }
        }
        Some(Key {
            digit: digit_of(pressed.event)?,
            duration: pressed.before + u32::from(pressed.duration),
            timestamp: pressed.timestamp,
        })
    }
}

impl Pressed {
    fn is_continued_by(&self, event: u8, timestamp: u32) -> bool {
        let step = timestamp.wrapping_sub(self.segment);
        event == self.event && !self.ended && (0xFF00..=0xFFFF).contains(&step)
    }
}

/// Makes events for one hearer of a mix.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    queue: std::collections::VecDeque<(u8, u16)>,
    sending: Option<Sending>,
    pause: u8,
}

#[derive(Copy, Clone, Debug)]
struct Sending {
    event: u8,
    total: u16,
    sent: u16,
    began: Option<u32>,
}

/// What to send in this tick instead of audio.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EventFrame {
    pub payload: [u8; 4],
    /// Timestamp of the event's first packet, none in that packet itself.
    pub began: Option<u32>,
    /// How often to send it: 1, or 3 at the end (section 2.5.1.4).
    pub copies: u8,
}

impl Sender {
    /// A press to make. Dropped when too many wait or the digit is none.
    pub fn push(&mut self, key: Key) {
        if let Some(event) = event_of(key.digit)
            && self.queue.len() < QUEUE_MAX
        {
            let duration = u16::try_from(key.duration).unwrap_or(u16::MAX - 160);
            self.queue.push_back((event, duration.max(SHORTEST)));
        }
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sending.is_none() && self.queue.is_empty() && self.pause == 0
    }

    /// Forget everything (the hearer now gets the events as they come).
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The event packet of this 20 ms tick, if one is due.
    pub fn tick(&mut self) -> Option<EventFrame> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        if self.sending.is_none() {
            let (event, total) = self.queue.pop_front()?;
            self.sending = Some(Sending {
                event,
                total,
                sent: 0,
                began: None,
            });
        }
        let sending = self.sending.as_mut()?;
        sending.sent = sending.sent.saturating_add(160);
        let ended = sending.sent >= sending.total;
        let [high, low] = sending.sent.to_be_bytes();
        // Volume -10 dBm0 (section 2.3.4).
        let flags = if ended { 0x8A } else { 0x0A };
        let frame = EventFrame {
            payload: [sending.event, flags, high, low],
            began: sending.began,
            copies: if ended { 3 } else { 1 },
        };
        if ended {
            self.sending = None;
            self.pause = PAUSE_TICKS;
        }
        Some(frame)
    }

    /// The first packet of the event went out with this timestamp.
    pub fn began(&mut self, timestamp: u32) {
        if let Some(sending) = &mut self.sending {
            sending.began = Some(timestamp);
        }
    }
}

/// The character of an event code (RFC 4733 section 3.2, table 3).
#[must_use]
pub fn digit_of(event: u8) -> Option<char> {
    match event {
        0..=9 => char::from_digit(u32::from(event), 10),
        10 => Some('*'),
        11 => Some('#'),
        12..=15 => Some(char::from(b'A' + event - 12)),
        16..=u8::MAX => None,
    }
}

/// The event code of a character.
#[must_use]
pub fn event_of(digit: char) -> Option<u8> {
    (0..=15).find(|event| digit_of(*event) == Some(digit.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_and_what_follows_it_are_hidden_until_the_code_is_complete_or_time_is_up() {
        let mut veil = Veil::default();
        let (star, one) = ([10, 0, 0, 160], [1, 0, 0, 160]);
        assert!(!veil.hides(100, &star, 0), "nobody watches");
        veil.watch();
        assert!(!veil.hides(200, &one, 0), "a key alone is for the others");
        assert!(veil.hides(300, &star, 0));
        assert!(veil.hides(400, &one, 4_900_000));
        veil.watch();
        assert!(
            veil.hides(400, &one, 5_000_000),
            "the end of the last press comes again"
        );
        assert!(!veil.hides(500, &one, 5_000_001), "the code is complete");
        assert!(veil.hides(600, &star, 6_000_000));
        assert!(
            !veil.hides(700, &one, 11_000_000),
            "5 s later it is a key like any"
        );
        assert!(veil.has_hidden(600) && !veil.has_hidden(700));
    }
    use proptest::prelude::*;

    fn payload(event: u8, duration: u16, ended: bool) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [event, if ended { 0x8A } else { 0x0A }, high, low]
    }

    fn press(event: u8, ts: u32, packets: u16) -> Vec<(u32, [u8; 4])> {
        let mut out: Vec<_> = (1..=packets)
            .map(|n| (ts, payload(event, n * 160, false)))
            .collect();
        out.extend([(ts, payload(event, (packets + 1) * 160, true)); 3]);
        out
    }

    #[test]
    fn a_press_is_told_once_whatever_is_repeated() {
        let mut detector = Detector::default();
        let mut keys = Vec::new();
        for (ts, bytes) in press(5, 1000, 4) {
            keys.extend(detector.on_packet(ts, &bytes, 0));
        }
        // A late packet of the same press.
        keys.extend(detector.on_packet(1000, &payload(5, 160, false), 0));
        keys.extend(detector.on_time(10_000_000));
        assert_eq!(
            keys,
            [Key {
                digit: '5',
                duration: 800,
                timestamp: 1000
            }]
        );
        assert_eq!(keys[0].duration_ms(), 100);
    }

    #[test]
    fn a_press_whose_end_is_lost_is_told_by_time_or_by_the_next_press() {
        let mut detector = Detector::default();
        assert_eq!(detector.on_packet(0, &payload(1, 160, false), 0), None);
        assert_eq!(detector.on_time(100_000), None);
        assert_eq!(detector.on_time(250_000).map(|key| key.digit), Some('1'));
        assert_eq!(detector.on_packet(5000, &payload(2, 160, false), 0), None);
        let before = detector.on_packet(9000, &payload(2, 160, true), 0);
        assert_eq!(before.map(|key| key.timestamp), Some(5000));
        assert_eq!(detector.on_time(0).map(|key| key.timestamp), Some(9000));
    }

    #[test]
    fn a_very_long_press_in_segments_is_one_press() {
        let mut detector = Detector::default();
        assert_eq!(detector.on_packet(0, &payload(3, 0xFFFF, false), 0), None);
        assert_eq!(detector.on_packet(0xFFFF, &payload(3, 160, false), 0), None);
        let key = detector.on_packet(0xFFFF, &payload(3, 320, true), 0);
        assert_eq!(key.map(|key| key.duration), Some(0xFFFF + 320));
    }

    #[test]
    fn every_digit_has_its_code() {
        for digit in "0123456789*#ABCD".chars() {
            assert_eq!(event_of(digit).and_then(digit_of), Some(digit));
        }
        assert_eq!(event_of('x'), None);
        assert_eq!(digit_of(16), None);
    }

    proptest! {
        #[test]
        fn under_loss_and_doubles_each_press_with_a_packet_left_is_told_once(
            events in proptest::collection::vec((0_u8..16, 1_u16..10), 1..20),
            fate in proptest::collection::vec(0_u8..10, 400),
        ) {
            let mut detector = Detector::default();
            let mut fate = fate.into_iter().cycle();
            let mut now = 0;
            let mut told = Vec::new();
            let mut expected = Vec::new();
            for (n, (event, packets)) in events.into_iter().enumerate() {
                let ts = u32::try_from(n).unwrap() * 4000;
                let mut arrived = false;
                for (ts, bytes) in press(event, ts, packets) {
                    now += 20_000;
                    let copies = match fate.next() { Some(0..=2) => 0, Some(3) => 2, _ => 1 };
                    for _ in 0..copies {
                        arrived = true;
                        told.extend(detector.on_packet(ts, &bytes, now));
                    }
                }
                if arrived { expected.push((digit_of(event).unwrap(), ts)); }
            }
            for _ in 0..3 { told.extend(detector.on_time(now + 1_000_000)); }
            let told: Vec<_> = told.iter().map(|key| (key.digit, key.timestamp)).collect();
            prop_assert_eq!(told, expected);
        }

        #[test]
        fn what_is_sent_is_detected_as_the_same_digits(digits in "[0-9A-D*#]{1,12}", length in 1_u32..4000) {
            let mut sender = Sender::default();
            let mut detector = Detector::default();
            let mut heard = String::new();
            for digit in digits.chars() {
                sender.push(Key { digit, duration: length, timestamp: 0 });
            }
            let mut ts = 0_u32;
            while !sender.is_idle() {
                if let Some(frame) = sender.tick() {
                    let began = frame.began.unwrap_or(ts);
                    sender.began(began);
                    for _ in 0..frame.copies {
                        heard.extend(detector.on_packet(began, &frame.payload, 0).map(|key| key.digit));
                    }
                }
                ts += 160;
            }
            prop_assert_eq!(heard, digits);
        }
    }
}
