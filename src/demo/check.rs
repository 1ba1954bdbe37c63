//! `--once`: one call to its end, then every promise of it is checked on what it left behind: what both heard, both tracks of
//! the recording, and what both modules hold (they keep nothing whose signature they could not verify).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::world::World;
use super::{DemoError, people, say};
use crate::engine::Engine;
use crate::media::session::Codec;
use crate::media::wav;
use crate::sim::centre::Centre;
use crate::sim::phone::{Phone, Speech};

const CALLER_HZ: u32 = 620;
const SEAT_HZ: u32 = 1100;
/// A tone is there when this share of a second's energy lies in it.
const SHARE: f64 = 0.8;
const TALK: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(10);

/// One call; prints one line when all is well.
pub(super) async fn one_call(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
) -> Result<(), DemoError> {
    let sip = people::sip_address(engine)?;
    let secret = centre.secret("seat-801");
    let mut seat = Phone::new(SocketAddr::from(([127, 0, 0, 1], 0)), sip, "801", &secret).await?;
    seat.register(60).await?;
    let carrier = world
        .carriers
        .first()
        .copied()
        .ok_or_else(|| DemoError::Config("no carrier".to_owned()))?;
    let mut caller = Phone::new(SocketAddr::new(carrier, 0), sip, "13800138000", "").await?;
    let dial = people::dial(0);
    say("one call: a carrier's INVITE, a seat's phone, three seconds of talk");
    let (talk, answered) = tokio::join!(
        caller.call(&dial, Speech::tone(CALLER_HZ), PATIENCE),
        seat.answer(Duration::from_millis(1500), Speech::tone(SEAT_HZ), PATIENCE),
    );
    let answered =
        answered?.ok_or_else(|| DemoError::Check("the seat's ringing was cancelled".to_owned()))?;
    tokio::time::sleep(TALK).await;
    let (heard_by_caller, heard_by_seat) =
        tokio::join!(caller.hang_up(talk?), seat.hung_up(answered, PATIENCE));
    heard("the caller", &heard_by_caller?, SEAT_HZ)?;
    heard("the seat", &heard_by_seat?, CALLER_HZ)?;
    let modules = delivered(world).await?;
    let tracks = recorded(centre, &modules)?;
    say(&format!(
        "demo: 1 call answered, {tracks} tracks recorded, {} modules acknowledged",
        modules.len()
    ));
    Ok(())
}

/// The last second of what somebody heard must be the other's tone and nothing else.
fn heard(who: &str, samples: &[i16], hz: u32) -> Result<(), DemoError> {
    let last = samples
        .get(samples.len().saturating_sub(8000)..)
        .unwrap_or_default();
    let share = tone_share(last, hz);
    if samples.len() >= 16_000 && share >= SHARE {
        return Ok(());
    }
    Err(DemoError::Check(format!(
        "{who} heard {:.1} s, of the last second {:.0} % was the other's {hz} Hz",
        samples.len() as f64 / 8000.0,
        share * 100.0
    )))
}

/// Share of the energy of `samples` (8 kHz) that lies at `hz` (Goertzel).
#[must_use]
pub(super) fn tone_share(samples: &[i16], hz: u32) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * f64::from(hz) / 8000.0).cos();
    let (mut s1, mut s2, mut energy) = (0.0_f64, 0.0_f64, 0.0_f64);
    for sample in samples {
        let x = f64::from(*sample);
        energy += x * x;
        let s0 = x + coefficient * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    if energy > 0.0 {
        2.0 * power / (energy * samples.len() as f64)
    } else {
        0.0
    }
}

/// Wait until both modules hold a verified `call.closed`; gives back the record each holds.
async fn delivered(world: &World) -> Result<Vec<Value>, DemoError> {
    let http = reqwest::Client::new();
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    for (name, address) in world.modules() {
        loop {
            let calls = match http.get(format!("http://{address}/api/calls")).send().await {
                Ok(answer) => answer.json::<Vec<Value>>().await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            if let Some(call) = calls.into_iter().find(|call| call["closed"] == true) {
                records.push(call["record"].clone());
                break;
            }
            if Instant::now() > deadline {
                return Err(DemoError::Check(format!(
                    "module {name} holds no verified call.closed"
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(records)
}

/// The sealed file must hold a track per party, each with its own tone.
fn recorded(centre: &Centre, records: &[Value]) -> Result<usize, DemoError> {
    let wrong = |reason: String| DemoError::Check(format!("the recording {reason}"));
    let sealed = records
        .first()
        .map(|record| record["recordings"][0].clone())
        .unwrap_or_default();
    let uri = sealed["uri"]
        .as_str()
        .ok_or_else(|| wrong("is not in the record".to_owned()))?;
    let bytes = std::fs::read(centre.dir.join("recordings").join(uri))?;
    let info = wav::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
    let channels = usize::from(info.channels);
    if channels != 2 {
        return Err(wrong(format!("has {channels} tracks")));
    }
    let audio = bytes.get(wav::HEADER_BYTES..).unwrap_or_default();
    for (channel, hz) in [CALLER_HZ, SEAT_HZ].into_iter().enumerate() {
        let payload: Vec<u8> = audio
            .iter()
            .skip(channel)
            .step_by(channels)
            .copied()
            .collect();
        let mut samples = vec![0_i16; payload.len()];
        Codec::Pcma.decode_into(&payload, &mut samples);
        // One second out of the middle of the talk.
        let end = samples.len().saturating_sub(8000);
        let share = tone_share(
            samples
                .get(end.saturating_sub(8000)..end)
                .unwrap_or_default(),
            hz,
        );
        if share < SHARE {
            return Err(wrong(format!(
                "has {:.0} % of {hz} Hz in track {}",
                share * 100.0,
                channel + 1
            )));
        }
    }
    Ok(channels)
}
