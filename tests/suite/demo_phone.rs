//! A real phone at the demo: Linphone, with what the demo prints and offers to scan, and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use firstring::media::prompt;

use crate::support::demo::Demo;
use crate::support::linphone::Linphone;
use crate::support::tone::tone_share;

/// Best normalised correlation of the first half second of `clip` with any place of `heard`: 1.0 = the very sound, another's speech
/// stays under 0.5. The rest of a greeting may never be heard: a seat that is free answers into it.
fn likeness(heard: &[i16], clip: &[i16]) -> f64 {
    // At 2 kHz: a fraction of the work, and speech is still itself.
    let fewer = |samples: &[i16]| -> Vec<f64> {
        let fours = samples.chunks_exact(4);
        fours
            .map(|four| four.iter().copied().map(f64::from).sum())
            .collect()
    };
    let (wanted, heard) = (fewer(&clip[..4000]), fewer(heard));
    let energy = |samples: &[f64]| samples.iter().map(|s| s * s).sum::<f64>();
    let (own, mut here) = (energy(&wanted), 0.0);
    let mut best: f64 = 0.0;
    for (at, place) in heard.windows(wanted.len()).enumerate() {
        here = match at {
            0 => energy(place),
            _ => here - heard[at - 1].powi(2) + place[place.len() - 1].powi(2),
        };
        let mut product = 0.0;
        for (a, b) in place.iter().zip(&wanted) {
            product += a * b;
        }
        best = best.max(product / (own * here).sqrt().max(1.0));
    }
    best
}

fn clip(path: &str) -> Vec<i16> {
    prompt::speech(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a clip")
}

async fn hears(phone: &Linphone, what: &str, good: impl Fn(&[i16]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !good(&phone.heard()) {
        assert!(Instant::now() < deadline, "no {what}: {}", phone.story());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn last(samples: &[i16], count: usize) -> &[i16] {
    &samples[samples.len().saturating_sub(count)..]
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_scans_its_settings_dials_120_hears_the_greeting_and_a_seat_and_takes_a_call_as_a_seat_itself()
 {
    let demo = Demo::start(&["--host", "127.0.0.9"]).await;
    let page = demo.told("page").await;
    let (status, _) = demo.open(&page).await;
    assert_eq!(status, 200);
    let elsewhere = page.rsplit_once('/').unwrap().0;
    assert_eq!(demo.open(&format!("{elsewhere}/803.xml")).await.0, 404);

    // 803 scans its code: all it needs is in there.
    let mut caller = Linphone::provisioned(&format!("{page}/803.xml"));
    caller.registered().await;
    caller.speak(700.0);
    caller.command("call 120");
    caller.says("Media streams established", 1).await;
    let greeting = clip("prompts/zh-CN/greeting.wav");
    hears(&caller, "greeting", |heard| {
        likeness(heard, &greeting) > 0.7
    })
    .await;
    let seat_says = clip("prompts/seats/ask_address.wav");
    hears(&caller, "words of the seat", |heard| {
        likeness(heard, &seat_says) > 0.7
    })
    .await;
    caller.command("terminate");
    caller.says(" ended (", 1).await;

    // 802 types the printed settings, TLS and all.
    let typed = demo.line("user    802").await;
    let secret = typed.split_whitespace().nth(3).expect("a password");
    let server = demo.line("(TLS, trust ").await;
    let words: Vec<&str> = server.split_whitespace().collect();
    let tls = words[words.iter().position(|w| *w == "(TLS,").unwrap() - 1];
    let ca = words.last().unwrap().trim_end_matches(')');
    let mut seat = Linphone::typed("802", secret, tls, Path::new(ca));
    seat.registered().await;
    seat.speak(1200.0);
    caller.speak(700.0);
    caller.command("call 120");
    seat.says("Receiving new incoming call", 1).await;
    seat.command("answer");
    seat.says("Media streams established", 1).await;
    let tone = |hz: f64| move |heard: &[i16]| tone_share(last(heard, 4000), hz) > 0.8;
    hears(&seat, "tone of the caller", tone(700.0)).await;
    hears(&caller, "tone of the seat", tone(1200.0)).await;
    let call = demo
        .call("talk of the two phones", |call| call["seat"] == "802")
        .await;
    seat.command("terminate");
    caller.says(" ended (", 2).await;
    demo.until("/records?limit=12", "record with two tracks", |records| {
        let records = records.as_array()?;
        let record = records.iter().find(|one| one["call_id"] == call["call"])?;
        let tracks = record["recordings"][0]["tracks"].as_array()?;
        (record["end"]["result"] == "answered" && tracks.len() == 2).then_some(())
    })
    .await;
}
