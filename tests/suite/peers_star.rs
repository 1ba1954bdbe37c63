//! Star codes of a real softphone: the seat commands, and nobody else hears a key of it.

use std::time::Duration;

use crate::peers_stage::{CALLER_HZ, SEAT_HZ, THIRD_HZ, event, hears_exactly, scene, talk, until};
use crate::support::baresip::Baresip;
use crate::support::rtp_peer::{RtpPeer, Voice};
use crate::support::sipp::Place;

async fn keys(phone: &mut Baresip, keys: &str) {
    for key in keys.chars() {
        phone.press(key);
        tokio::time::sleep(Duration::from_millis(450)).await; // a person's pace
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_adds_and_releases_a_doctor_by_star_code_and_no_key_of_it_is_heard() {
    let (carrier, other) = (Place::new(), Place::new());
    let mut centre = scene(1, &carrier);
    centre.1.trunks.push(other.outbound_trunk("other", 1));
    let doctor = RtpPeer::start(Voice::tone(THIRD_HZ));
    let mut callee = other.scenario("callee").voice(&doctor).wait_for_calls();
    let mut talk = talk(centre, &carrier).await;
    talk.both_hear().await;

    keys(&mut talk.seat, "*3113900139000#").await;
    doctor.talk_to(callee.media().await);
    event(&mut talk.server, "conference.party_joined", |_| true).await;
    until("all three hear both others", || {
        hears_exactly(&talk.voice.last_audio(300), &[SEAT_HZ, THIRD_HZ])
            && hears_exactly(&talk.seat.heard(), &[CALLER_HZ, THIRD_HZ])
            && hears_exactly(&doctor.last_audio(300), &[CALLER_HZ, SEAT_HZ])
    })
    .await;
    assert_eq!(
        talk.voice.keys_heard(),
        "",
        "the code is for the engine alone"
    );

    keys(&mut talk.seat, "5").await;
    until("a key without a star is for the others", || {
        talk.voice.keys_heard() == "5" && doctor.keys_heard() == "5"
    })
    .await;

    keys(&mut talk.seat, "*39").await;
    callee
        .message("the doctor's BYE", |m| m.received && m.starts("BYE "))
        .await;
    talk.both_hear().await;
    assert_eq!(
        (talk.voice.keys_heard(), doctor.keys_heard()),
        ("5".into(), "5".into())
    );
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_star_code_gives_a_spoken_hint_to_the_seat_and_never_to_the_caller() {
    let carrier = Place::new();
    let mut talk = talk(scene(1, &carrier), &carrier).await;
    talk.both_hear().await;
    let from = talk.voice.audio_from(0).len();
    keys(&mut talk.seat, "*7").await;
    talk.seat.press('7');
    until("the seat hears words over the caller's tone", || {
        let share = talk.seat.share(CALLER_HZ);
        share > 0.0 && share < 0.8
    })
    .await;
    let said = event(&mut talk.server, "seat.star_code", |_| true).await;
    assert_eq!(said["data"]["result"], "unknown", "{said}");
    talk.both_hear().await;
    let heard = talk.voice.audio_from(from);
    let other = heard
        .chunks_exact(2400)
        .map(|part| crate::support::tone::tone_share(part, SEAT_HZ))
        .filter(|share| *share > 0.05 && *share < 0.9)
        .count();
    assert_eq!(other, 0, "the caller hears the seat alone all the time");
    assert_eq!(talk.voice.keys_heard(), "");
    talk.end().await;
}
