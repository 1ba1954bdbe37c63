//! The media plane with real UDP on loopback: a tone per party tells who hears whom.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use firstring::call::Party;
use firstring::config::checked::Media;
use firstring::id::{CallId, LegId, PlayId, PromptId, RecordingId};
use firstring::matrix::Matrix;
use firstring::media::MediaGate;
use firstring::media::plane::{Plane, StartError, Tuning};
use firstring::media::player::Clip;
use firstring::media::prompt::Prompts;
use firstring::media::session::{Codec, Direction};
use firstring::media::tap::{TAP_RING_BYTES, TapControl, TapReceiver, tap};
use firstring::switch::{AlarmCode, InputKind, MediaCommand, MediaEvent, Sound};
use uuid::Uuid;

use crate::support::rtp_peer::{RtpPeer, Voice, assert_unbroken, longest_gap, wait_until};
use crate::support::tone::{tone, tone_share};

struct Rig {
    plane: Plane,
    events: tokio::sync::mpsc::Receiver<InputKind>,
    seen: Vec<InputKind>,
    taps: Vec<TapReceiver>,
    control: Receiver<TapControl>,
}

fn media(workers: usize) -> Media {
    Media {
        bind: Ipv4Addr::LOCALHOST.into(),
        advertised: None,
        // Below the ephemeral range; a port that another test holds is passed over.
        port_first: 20_000,
        port_last: 31_999,
        workers,
        dscp: 46,
    }
}

fn prompts() -> Arc<Prompts> {
    let clip = |hz, ms: usize| Arc::new(Clip::new(&tone(hz, 0, ms * 8)));
    let clips = BTreeMap::from([
        (PromptId::from("greeting"), clip(500.0, 400)),
        (PromptId::from("short"), clip(500.0, 100)),
    ]);
    Arc::new(Prompts::from_clips(clips, clip(900.0, 1000)))
}

impl Rig {
    fn start(workers: usize) -> Self {
        Self::start_tuned(workers, Tuning::default())
    }

    fn start_tuned(workers: usize, tuning: Tuning) -> Self {
        let (producers, taps) = (0..workers).map(|_| tap(TAP_RING_BYTES)).unzip();
        let (tap_control, control) = std::sync::mpsc::sync_channel(64);
        let (sender, events) = tokio::sync::mpsc::channel(64);
        let plane = Plane::start_tuned(
            &media(workers),
            prompts(),
            producers,
            tap_control,
            sender,
            tuning,
        )
        .unwrap();
        Self {
            plane,
            events,
            seen: Vec::new(),
            taps,
            control,
        }
    }

    /// Open a leg for a peer and let it talk.
    fn join(&self, call: CallId, n: u128, peer: &RtpPeer) -> LegId {
        let leg = LegId(Uuid::from_u128(n));
        let address = self.plane.open(call, leg).unwrap();
        self.plane.connect(leg, peer.session());
        peer.talk_to(address);
        leg
    }

    fn matrix(&self, call: CallId, matrix: Matrix) {
        self.plane.command(call, MediaCommand::Matrix { matrix });
    }

    fn everyone(&self, call: CallId, legs: &[LegId]) {
        self.matrix(call, Matrix::everyone(legs));
    }

    fn play(&self, call: CallId, leg: LegId, play: u32, sounds: Vec<Sound>, repeat: bool) {
        self.plane.command(
            call,
            MediaCommand::Play {
                leg,
                play: PlayId(play),
                sounds,
                repeat,
            },
        );
    }

    fn look(&mut self) -> &[InputKind] {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        &self.seen
    }

    fn told(&mut self, leg: LegId) -> Vec<MediaEvent> {
        self.look()
            .iter()
            .filter_map(|kind| match kind {
                InputKind::Media { leg: of, event } if *of == leg => Some(event.clone()),
                _ => None,
            })
            .collect()
    }

    fn digits(&mut self, leg: LegId) -> String {
        self.told(leg)
            .iter()
            .filter_map(|event| match event {
                MediaEvent::Digit { digit, .. } => Some(*digit),
                _ => None,
            })
            .collect()
    }
}

fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(1000 + n))
}

fn pair(a: f64, b: f64) -> (RtpPeer, RtpPeer) {
    (
        RtpPeer::start(Voice::tone(a)),
        RtpPeer::start(Voice::tone(b)),
    )
}

/// Each payload that `to` heard from packet `n` on is one that `from` sent, in its order, none twice, none missing.
#[track_caller]
fn assert_same_payloads(from: &RtpPeer, to: &RtpPeer, n: usize) {
    let heard = to.heard();
    let heard: Vec<_> = heard[n..].iter().map(|p| &p.payload).collect();
    let sent = from.sent();
    let sent: Vec<_> = sent.iter().map(|(_, payload)| payload).collect();
    assert!(heard.len() > 10);
    let start = sent
        .windows(4)
        .position(|w| w == &heard[..4])
        .expect("the first four payloads were sent");
    assert_eq!(&sent[start..start + heard.len()], heard.as_slice());
}

#[test]
fn two_parties_hear_each_other_and_nothing_else_byte_for_byte() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    assert!(a.share(440.0) < 0.01 && b.share(700.0) < 0.01);
    assert_unbroken(&a.heard());
    assert_same_payloads(&a, &b, 0);
    assert_same_payloads(&b, &a, 0);
    wait_until("figures", || rig.plane.stats().sum(|c| c.forwarded) > 20);
    let stats = rig.plane.stats();
    assert_eq!(stats.ports_used, 2);
    assert!(stats.legs().all(|leg| leg.level > 3000 && leg.lost == 0));
    assert_eq!(stats.sum(|c| c.strays + c.invalid + c.send_failed), 0);
}

#[test]
fn in_a_three_way_talk_each_hears_both_others_and_not_itself() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let c = RtpPeer::start(Voice::tone(1100.0));
    let legs = [
        rig.join(call(1), 1, &a),
        rig.join(call(1), 2, &b),
        rig.join(call(1), 3, &c),
    ];
    rig.everyone(call(1), &legs);
    let hears = |peer: &RtpPeer, one: f64, two: f64, own: f64| {
        peer.share(one) > 0.4 && peer.share(two) > 0.4 && peer.share(own) < 0.02
    };
    wait_until("all tones", || {
        hears(&a, 700.0, 1100.0, 440.0)
            && hears(&b, 440.0, 1100.0, 700.0)
            && hears(&c, 440.0, 700.0, 1100.0)
    });
    rig.plane.close(legs[1]);
    wait_until("two are left on forward", || {
        a.hears_only(1100.0) && c.hears_only(440.0)
    });
    assert_unbroken(&a.heard());
    assert_unbroken(&c.heard());
}

#[test]
fn a_listener_hears_both_and_changes_no_payload_of_theirs() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("the talk", || a.hears_only(700.0) && b.hears_only(440.0));
    let listener = RtpPeer::start(Voice::tone(1500.0));
    let third = rig.join(call(1), 3, &listener);
    let mut matrix = Matrix::everyone(&legs);
    matrix.hear(third, legs[0]);
    matrix.hear(third, legs[1]);
    rig.matrix(call(1), matrix);
    wait_until("both in the listener's ear", || {
        listener.share(440.0) > 0.4 && listener.share(700.0) > 0.4
    });
    rig.plane.close(third);
    let count = a.heard_count();
    wait_until("the talk goes on", || a.heard_count() > count + 15);
    assert_same_payloads(&a, &b, 0);
    assert_same_payloads(&b, &a, 0);
    for peer in [&a, &b] {
        assert_unbroken(&peer.heard());
        let marked = peer.heard().iter().filter(|p| p.marker).count();
        assert_eq!(marked, 1, "nothing was switched for a party");
        assert!(peer.share(1500.0) < 0.01);
    }
}

#[test]
fn a_law_and_mu_law_parties_hear_each_other() {
    let rig = Rig::start(1);
    let a = RtpPeer::start(Voice::tone(440.0));
    let b = RtpPeer::start(Voice {
        codec: Codec::Pcmu,
        ..Voice::tone(700.0)
    });
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    assert!(b.heard().iter().all(|packet| packet.payload_type == 0));
    assert_unbroken(&a.heard());
    assert_unbroken(&b.heard());
}

#[test]
fn parties_of_30_and_20_ms_hear_each_other_and_each_digit_once() {
    let mut rig = Rig::start(1);
    let a = RtpPeer::start(Voice {
        ptime_ms: 30,
        dtmf: Some(97),
        ..Voice::tone(440.0)
    });
    let b = RtpPeer::start(Voice::tone(700.0));
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    assert!(a.heard().iter().all(|p| p.payload.len() == 240));
    assert!(b.heard().iter().all(|p| p.payload.len() == 160));
    for digit in "15#".chars() {
        a.press(digit, 120);
        b.press(digit, 80);
    }
    wait_until("the keys", || {
        b.keys_heard().len() >= 3 && a.keys_heard().len() >= 3
    });
    wait_until("tones after the keys", || {
        a.hears_only(700.0) && b.hears_only(440.0)
    });
    assert_eq!(
        (a.keys_heard(), b.keys_heard()),
        ("15#".into(), "15#".into())
    );
    assert_eq!(rig.digits(legs[0]), "15#");
    assert_eq!(rig.digits(legs[1]), "15#");
    assert_unbroken(&a.heard());
    assert_unbroken(&b.heard());
}

#[test]
fn a_phone_that_sends_other_packet_times_than_agreed_is_found_out() {
    let rig = Rig::start(1);
    let a = RtpPeer::start(Voice {
        ptime_ms: 30,
        ..Voice::tone(440.0)
    });
    let b = RtpPeer::start(Voice::tone(700.0));
    let leg = LegId(Uuid::from_u128(1));
    let address = rig.plane.open(call(1), leg).unwrap();
    let mut session = a.session();
    session.ptime_ms = 20;
    rig.plane.connect(leg, session);
    a.talk_to(address);
    let other = rig.join(call(1), 2, &b);
    rig.everyone(call(1), &[leg, other]);
    wait_until("20 ms packets of its tone", || {
        let heard = b.heard();
        let last = heard.iter().rev().take(20);
        b.hears_only(440.0) && last.filter(|p| p.payload.len() == 160).count() == 20
    });
    assert_unbroken(&b.heard());
}

#[test]
fn forwarded_digits_arrive_once_under_the_hearers_payload_type() {
    let mut rig = Rig::start(1);
    let a = RtpPeer::start(Voice {
        dtmf: Some(97),
        ..Voice::tone(440.0)
    });
    let b = RtpPeer::start(Voice::tone(700.0));
    let deaf = RtpPeer::start(Voice {
        dtmf: None,
        ..Voice::tone(800.0)
    });
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    for digit in "190*".chars() {
        a.press(digit, 60);
    }
    wait_until("the keys", || {
        b.keys_heard().len() >= 4 && b.hears_only(440.0)
    });
    wait_until("the keys told", || rig.digits(legs[0]).len() >= 4);
    assert_eq!(b.keys_heard(), "190*");
    assert_eq!(rig.digits(legs[0]), "190*");
    assert_unbroken(&b.heard());
    // A hearer that did not agree to events gets none, and no hole in its sequence.
    let third = rig.join(call(1), 3, &deaf);
    let mut matrix = Matrix::everyone(&legs);
    matrix.hear(third, legs[0]);
    rig.matrix(call(1), matrix);
    wait_until("the tone", || deaf.hears_only(440.0));
    a.press('7', 60);
    wait_until("the key told", || rig.digits(legs[0]).len() >= 5);
    let count = deaf.heard_count();
    wait_until("audio after it", || deaf.heard_count() > count + 5);
    assert_unbroken(&deaf.heard());
    assert!(deaf.heard().iter().all(|packet| packet.payload_type == 8));
}

#[test]
fn who_sprays_rtp_is_not_heard_and_hears_nothing() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    let stray = RtpPeer::start(Voice::tone(1300.0));
    stray.talk_to(a.heard()[0].from);
    let before = b.heard_count();
    wait_until("fifty stray packets", || {
        rig.plane.stats().sum(|c| c.strays) > 50
    });
    assert_eq!(stray.heard_count(), 0);
    assert!(a.hears_only(700.0) && b.hears_only(440.0));
    assert_same_payloads(&a, &b, before);
}

#[test]
fn a_party_that_changes_its_address_is_heard_again_after_a_second() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    let old = a.address();
    a.change_address();
    assert_ne!(a.address(), old);
    let (heard_a, heard_b) = (a.heard_count(), b.heard_count());
    wait_until("both tones again", || {
        a.heard_count() > heard_a + 20 && b.heard_count() > heard_b + 20
    });
    assert!(a.hears_only(700.0) && b.hears_only(440.0));
    assert!(rig.plane.stats().sum(|c| c.strays) < 70);
}

#[test]
fn a_party_behind_nat_is_learned_and_answered_where_it_sends_from() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let leg = LegId(Uuid::from_u128(1));
    let address = rig.plane.open(call(1), leg).unwrap();
    let mut session = a.session();
    session.remote = "127.0.0.1:9".parse().unwrap();
    rig.plane.connect(leg, session);
    a.talk_to(address);
    let other = rig.join(call(1), 2, &b);
    rig.everyone(call(1), &[leg, other]);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
}

#[test]
fn a_prompt_then_a_party_then_a_mix_are_one_unbroken_line() {
    let mut rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let first = rig.join(call(1), 1, &a);
    let sounds = vec![
        Sound::Entry,
        Sound::Prompt("short".into()),
        Sound::Silence(100),
        Sound::Prompt("greeting".into()),
    ];
    rig.play(call(1), first, 1, sounds, false);
    wait_until("the greeting", || a.hears_only(500.0));
    wait_until("its end told", || {
        rig.told(first)
            .contains(&MediaEvent::PlayEnded { play: PlayId(1) })
    });
    rig.play(call(1), first, 2, vec![Sound::Music], true);
    wait_until("music", || a.hears_only(900.0));
    let second = rig.join(call(1), 2, &b);
    rig.everyone(call(1), &[first, second]);
    wait_until("music over the party", || {
        a.share(900.0) > 0.4 && a.share(700.0) > 0.4
    });
    assert!(b.hears_only(440.0) || b.heard_count() < 16);
    rig.plane
        .command(call(1), MediaCommand::Stop { leg: first });
    wait_until("the party alone", || a.hears_only(700.0));
    assert_unbroken(&a.heard());
    assert_unbroken(&b.heard());
    let audio = a.audio_from(0);
    // Entry tone 300 + 100 ms, short 100 ms, silence 100 ms, greeting 400 ms.
    assert!(tone_share(&audio[8 * 410..8 * 490], 500.0) > 0.8);
    assert!(audio[8 * 505..8 * 595].iter().all(|s| s.abs() <= 8));
    assert!(tone_share(&audio[8 * 620..8 * 980], 500.0) > 0.8);
    let ends = rig.told(first);
    let ends = ends
        .iter()
        .filter(|e| matches!(e, MediaEvent::PlayEnded { .. }));
    assert_eq!(ends.count(), 1, "repeating music never ends");
}

#[test]
fn calls_on_two_workers_join_and_part_and_nobody_is_without_sound_for_more_than_40_ms() {
    let rig = Rig::start(2);
    let (a, b) = pair(440.0, 700.0);
    let c = RtpPeer::start(Voice::tone(1100.0));
    let host = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    let guest = rig.join(call(2), 3, &c);
    rig.everyone(call(1), &host);
    assert_ne!(rig.plane.worker_of(host[0]), rig.plane.worker_of(guest));
    wait_until("the first talk", || {
        a.hears_only(700.0) && b.hears_only(440.0)
    });
    rig.play(call(2), guest, 1, vec![Sound::Music], true);
    wait_until("music", || c.hears_only(900.0));
    let from = [&a, &b, &c].map(RtpPeer::heard_count);
    let stop = MediaCommand::Stop { leg: guest };
    rig.plane.command(call(2), stop);
    let join = MediaCommand::Join { host: call(1) };
    rig.plane.command(call(2), join);
    rig.everyone(call(1), &[host[0], host[1], guest]);
    assert_eq!(rig.plane.worker_of(host[0]), rig.plane.worker_of(guest));
    wait_until("each hears both others", || {
        a.hears_both(700.0, 1100.0) && b.hears_both(440.0, 1100.0) && c.hears_both(440.0, 700.0)
    });
    let joined = [&a, &b, &c].map(RtpPeer::heard_count);
    rig.plane.command(call(2), MediaCommand::Part);
    rig.everyone(call(1), &host);
    rig.play(call(2), guest, 2, vec![Sound::Music], true);
    assert_ne!(rig.plane.worker_of(host[0]), rig.plane.worker_of(guest));
    wait_until("the first talk again, and music", || {
        a.hears_only(700.0) && b.hears_only(440.0) && c.hears_only(900.0)
    });
    for (peer, from, joined) in [
        (&a, from[0], joined[0]),
        (&b, from[1], joined[1]),
        (&c, from[2], joined[2]),
    ] {
        let heard = peer.heard();
        assert_unbroken(&heard);
        assert!(joined > from);
        let gap = longest_gap(&heard[from.saturating_sub(2)..]);
        // One packet time passes between packets anyway.
        assert!(gap <= Duration::from_millis(60), "gap of {gap:?}");
    }
}

#[test]
fn a_listener_who_is_moved_between_calls_of_two_workers_has_one_line_and_nobody_notices() {
    let rig = Rig::start(2);
    let (a, b) = pair(440.0, 700.0);
    let (first, second) = (rig.join(call(1), 1, &a), rig.join(call(2), 2, &b));
    assert_ne!(rig.plane.worker_of(first), rig.plane.worker_of(second));
    for (n, leg) in [(1, first), (2, second)] {
        rig.play(call(n), leg, 1, vec![Sound::Music], true);
    }
    let (ear, home) = (RtpPeer::start(Voice::tone(1500.0)), call(3));
    let listener = rig.join(home, 3, &ear);
    rig.play(home, listener, 1, vec![Sound::Silence(1000)], true);
    wait_until("silence in packets, and music", || {
        ear.heard_count() > 20 && a.hears_only(900.0) && b.hears_only(900.0)
    });
    let from = ear.heard_count();
    let hears = |n: u128, source: LegId, before: CallId| {
        let to = call(n);
        let leg = listener;
        rig.plane.command(before, MediaCommand::Move { leg, to });
        rig.matrix(before, Matrix::silent());
        let mut matrix = Matrix::silent();
        matrix.hear(listener, source);
        rig.matrix(to, matrix);
        rig.play(to, listener, 7, vec![Sound::Entry], false);
        assert_eq!(rig.plane.worker_of(listener), rig.plane.worker_of(source));
    };
    hears(1, first, home);
    wait_until("the first caller", || ear.hears_only(440.0));
    hears(2, second, call(1));
    wait_until("the second caller", || ear.hears_only(700.0));
    let moved = ear.heard_count();
    let leg = listener;
    rig.plane
        .command(call(2), MediaCommand::Move { leg, to: home });
    rig.matrix(call(2), Matrix::silent());
    rig.play(home, listener, 8, vec![Sound::Silence(1000)], true);
    wait_until("silence in packets again", || {
        ear.heard_count() > moved + 20 && ear.share(700.0) < 0.01
    });
    assert_unbroken(&ear.heard());
    let gap = longest_gap(&ear.heard()[from..]);
    assert!(gap <= Duration::from_millis(60), "gap of {gap:?}");
    for peer in [&a, &b] {
        assert_unbroken(&peer.heard());
        assert!(peer.hears_only(900.0) && peer.share(1500.0) < 0.01);
        let marked = peer.heard().iter().filter(|p| p.marker).count();
        assert_eq!(marked, 1, "nothing was switched for a caller");
    }
    rig.plane.close(listener);
    rig.plane.command(home, MediaCommand::Close);
}

#[test]
fn what_a_recorded_party_says_goes_to_the_recorder_as_it_came() {
    let mut rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let recording = RecordingId(Uuid::from_u128(5));
    let leg = LegId(Uuid::from_u128(1));
    // The switch may speak of a leg before signalling has opened it.
    rig.plane.command(
        call(1),
        MediaCommand::Track {
            leg,
            party: Party::Caller,
            of: None,
        },
    );
    rig.plane
        .command(call(1), MediaCommand::Record { recording });
    rig.join(call(1), 1, &a);
    rig.join(call(1), 2, &b);
    let mut frames = Vec::new();
    let mut listen = || {
        rig.taps[0]
            .each(|f| frames.push((f.slot, f.ssrc, f.codec, f.sequence, f.payload.to_vec())));
        frames.len()
    };
    wait_until("twenty frames", || listen() > 20);
    a.mute(true);
    rig.plane.command(call(1), MediaCommand::Close);
    let control: Vec<_> = rig.control.try_iter().collect();
    let [
        TapControl::Start {
            call: started,
            recording: named,
            ..
        },
        TapControl::Track { slot, name, .. },
        TapControl::Close { .. },
    ] = control.as_slice()
    else {
        panic!("{control:?}");
    };
    assert_eq!((*started, *named), (call(1), recording));
    assert_eq!(name, "caller");
    listen();
    let sent = a.sent();
    for (of, ssrc, codec, number, tapped) in frames {
        assert_eq!((of, ssrc, codec), (*slot, a.ssrc, Codec::Pcma));
        let (_, payload) = sent
            .iter()
            .find(|(sequence, _)| *sequence == number)
            .unwrap();
        assert_eq!(&tapped, payload);
    }
}

#[test]
fn reports_go_out_and_a_closed_leg_says_bye_and_frees_its_port() {
    let rig = Rig::start_tuned(
        1,
        Tuning {
            report_us: 300_000,
            ..Tuning::default()
        },
    );
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    // A sender report with one block (RFC 3550 section 6.4.1): PT 200, count 1.
    wait_until("a sender report about us", || {
        a.reports()
            .iter()
            .any(|r| r[1] == 200 && r[0] & 31 == 1 && r[28..32] == a.ssrc.to_be_bytes())
    });
    rig.plane.close(legs[0]);
    wait_until("BYE", || {
        a.reports()
            .iter()
            .any(|r| r.windows(2).any(|w| w == [0x81, 203]))
    });
    rig.plane.close(legs[1]);
    wait_until("ports are free", || rig.plane.stats().ports_used == 0);
}

#[test]
fn the_first_rtp_its_loss_and_its_return_are_told_once_each() {
    let mut rig = Rig::start_tuned(
        1,
        Tuning {
            lost_us: 400_000,
            ..Tuning::default()
        },
    );
    let a = RtpPeer::start(Voice::tone(440.0));
    let leg = rig.join(call(1), 1, &a);
    wait_until("start", || rig.told(leg) == [MediaEvent::RtpStarted]);
    a.mute(true);
    let lost = |lost| MediaEvent::RtpLost { lost };
    wait_until("loss", || rig.told(leg).last() == Some(&lost(true)));
    a.mute(false);
    wait_until("return", || rig.told(leg).last() == Some(&lost(false)));
    assert_eq!(rig.told(leg).len(), 3);
    // A far side that holds us is not waited for.
    let mut session = a.session();
    session.direction = Direction::SendOnly;
    rig.plane.connect(leg, session);
    a.mute(true);
    let deadline = std::time::Instant::now() + Duration::from_millis(900);
    wait_until("time to pass", || std::time::Instant::now() > deadline);
    assert_eq!(rig.told(leg).len(), 3);
}

#[test]
fn a_party_that_holds_is_neither_taken_from_nor_sent_to_as_it_says() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    let mut session = a.session();
    session.direction = Direction::Inactive;
    rig.plane.connect(legs[0], session);
    wait_until("both silent", || {
        let counts = (a.heard_count(), b.heard_count());
        std::thread::sleep(Duration::from_millis(100));
        counts == (a.heard_count(), b.heard_count())
    });
    rig.plane.connect(legs[0], a.session());
    let count = b.heard_count();
    wait_until("tones again", || {
        b.heard_count() > count + 20 && a.hears_only(700.0) && b.hears_only(440.0)
    });
    assert_unbroken(&a.heard());
}

#[test]
fn a_fault_costs_only_its_call_and_is_alarmed() {
    let mut rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let (c, d) = pair(550.0, 800.0);
    let one = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    let two = [rig.join(call(2), 3, &c), rig.join(call(2), 4, &d)];
    rig.everyone(call(1), &one);
    rig.everyone(call(2), &two);
    wait_until("both talks", || a.hears_only(700.0) && c.hears_only(800.0));
    rig.plane.plant_fault(call(1));
    wait_until("the legs told as lost", || {
        one.iter()
            .all(|leg| rig.told(*leg).contains(&MediaEvent::RtpLost { lost: true }))
    });
    let count = d.heard_count();
    wait_until("the other talk goes on", || d.heard_count() > count + 20);
    assert_same_payloads(&c, &d, 0);
    wait_until("the alarm", || {
        rig.look().iter().any(|kind| {
            matches!(
                kind,
                InputKind::Alarm {
                    code: AlarmCode::MediaFault,
                    raised: true,
                    ..
                }
            )
        })
    });
    for leg in one {
        rig.plane.close(leg);
    }
    wait_until("ports are free", || rig.plane.stats().ports_used == 2);
}

#[test]
fn commands_for_a_leg_that_opens_later_are_kept() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs: Vec<_> = (1..=2).map(|n| LegId(Uuid::from_u128(n))).collect();
    rig.everyone(call(1), &legs);
    rig.play(call(1), legs[1], 1, vec![Sound::RingBack], true);
    rig.join(call(1), 1, &a);
    rig.join(call(1), 2, &b);
    wait_until("the party heard through the ring-back", || {
        b.share(440.0) > 0.4 && a.hears_only(700.0)
    });
    rig.plane
        .command(call(1), MediaCommand::Stop { leg: legs[1] });
    wait_until("the party alone", || b.hears_only(440.0));
}

#[test]
fn a_range_without_a_pair_and_a_wrong_number_of_rings_are_refused() {
    let (tap_control, _control) = std::sync::mpsc::sync_channel(1);
    let (events, _) = tokio::sync::mpsc::channel(1);
    let mut config = media(1);
    let refused = Plane::start(
        &config,
        prompts(),
        vec![],
        tap_control.clone(),
        events.clone(),
    );
    assert!(matches!(
        refused.err(),
        Some(StartError::Taps {
            expected: 1,
            got: 0
        })
    ));
    config.port_last = config.port_first;
    let (producer, _consumer) = tap(1);
    let refused = Plane::start(&config, prompts(), vec![producer], tap_control, events);
    assert!(matches!(refused.err(), Some(StartError::NoPorts { .. })));
}

#[test]
fn garbage_on_the_port_harms_nobody() {
    let rig = Rig::start(1);
    let (a, b) = pair(440.0, 700.0);
    let legs = [rig.join(call(1), 1, &a), rig.join(call(1), 2, &b)];
    rig.everyone(call(1), &legs);
    wait_until("both tones", || a.hears_only(700.0) && b.hears_only(440.0));
    let port: SocketAddr = a.heard()[0].from;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for length in 0..64_usize {
        let bytes = vec![0x80_u8 | (length as u8 & 0x3F); length];
        socket.send_to(&bytes, port).unwrap();
        let rtcp = SocketAddr::new(port.ip(), port.port() + 1);
        socket.send_to(&bytes, rtcp).unwrap();
    }
    wait_until("the garbage counted", || {
        rig.plane.stats().sum(|c| c.invalid + c.strays) >= 60
    });
    assert!(a.hears_only(700.0) && b.hears_only(440.0));
    assert_eq!(rig.plane.stats().sum(|c| c.panics), 0);
}
