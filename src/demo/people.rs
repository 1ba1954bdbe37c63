//! Who calls and who answers in the living demo.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::DemoError;
use super::world::{World, speeches};
use crate::engine::Engine;
use crate::id::SeatId;
use crate::media::prompt;
use crate::sim::centre::Centre;
use crate::sim::phone::{Dial, Phone, Speech};
use crate::switch::{Actor, Command, SeatState};

/// The simulated seat's id.
const SEAT: &str = "801";
/// It picks up after this.
const SEAT_RINGS: Duration = Duration::from_secs(3);
/// Pause of one caller's line between two calls, when it is a quiet evening.
const QUIET: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(30);

/// People call and a seat answers, until the demo is stopped.
pub async fn live(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
    callers: u32,
) -> Result<(), DemoError> {
    let sip = sip_address(engine)?;
    let prompts = centre.prompts();
    let said = Arc::new(speeches(&prompts)?);
    world.keep(seat_answers(
        sip,
        centre.secret(&format!("seat-{SEAT}")),
        seat_speech(&prompts)?,
    ));
    world.keep(yield_to_real_seats(engine.commands(), engine.view()));
    for n in 0..callers {
        let carrier = world
            .carriers
            .get(usize::try_from(n).unwrap_or(0) % world.carriers.len().max(1))
            .copied();
        let Some(carrier) = carrier else { break };
        world.keep(caller_calls(
            n,
            carrier,
            sip,
            Arc::clone(&said),
            callers > 1,
        ));
    }
    std::future::pending().await
}

/// Where the demo's phones reach the engine.
pub fn sip_address(engine: &Engine) -> Result<SocketAddr, DemoError> {
    let udp = engine
        .addresses()
        .sip
        .iter()
        .find(|(id, ..)| id == "udp")
        .map(|(_, _, address)| *address);
    udp.ok_or_else(|| DemoError::Config("no UDP listener".to_owned()))
}

fn seat_speech(prompts: &Path) -> Result<Speech, DemoError> {
    let mut samples = Vec::new();
    let mut clips: Vec<_> = std::fs::read_dir(prompts.join("seats"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "wav"))
        .collect();
    clips.sort();
    for clip in clips {
        samples.extend(prompt::speech(&clip)?);
        samples.extend(std::iter::repeat_n(0, 16_000));
    }
    Ok(Speech {
        samples: Arc::from(samples),
        repeat: false,
    })
}

/// The simulated seat: registered for ever, answers after 3 s, waits for the caller to hang up.
async fn seat_answers(sip: SocketAddr, secret: String, speech: Speech) {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let Ok(mut phone) = Phone::new(loopback, sip, SEAT, &secret).await else {
        return;
    };
    loop {
        if phone.register(600).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        if let Ok(Some(talk)) = phone
            .answer(SEAT_RINGS, speech.clone(), Duration::from_secs(300))
            .await
        {
            drop(phone.hung_up(talk, Duration::from_secs(600)).await);
        }
    }
}

/// While a real seat is there, the simulated one takes no calls.
async fn yield_to_real_seats(
    commands: crate::api::Commands,
    mut view: tokio::sync::watch::Receiver<Arc<crate::switch::View>>,
) {
    let mut real_before = None;
    loop {
        let real = view.borrow_and_update().seats.iter().any(|seat| {
            seat.seat.as_str() != SEAT
                && !seat.supervisor
                && seat.registered
                && seat.state != SeatState::NotReady
        });
        if real_before != Some(real) {
            let seat = SeatId::from(SEAT);
            let command = if real {
                Command::SeatNotReady {
                    seat,
                    reason: "有真实坐席".to_owned(),
                }
            } else {
                Command::SeatReady { seat }
            };
            if commands.submit(Actor::Engine, command).await.is_ok() {
                real_before = Some(real);
            }
        }
        if view.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// One caller's line: calls, tells what happened, hangs up, and some time later somebody else calls.
async fn caller_calls(
    n: u32,
    carrier: IpAddr,
    sip: SocketAddr,
    speeches: Arc<Vec<Speech>>,
    busy: bool,
) {
    let mut round = n;
    loop {
        let speech = speeches
            .get(usize::try_from(round).unwrap_or(0) % speeches.len().max(1))
            .cloned()
            .unwrap_or_default();
        let talk_for = Duration::from_millis(u64::try_from(speech.samples.len() / 8).unwrap_or(0))
            + Duration::from_secs(12);
        let user = if round % 2 == 0 {
            format!("138{:08}", 100_000 + u64::from(round) * 7919)
        } else {
            format!("0755{:08}", 88_000_000 + u64::from(round) * 31)
        };
        if let Ok(mut phone) = Phone::new(SocketAddr::new(carrier, 0), sip, &user, "").await
            && let Ok(talk) = phone.call(&dial(round), speech, PATIENCE).await
        {
            tokio::time::sleep(talk_for).await;
            drop(phone.hang_up(talk).await);
        }
        let pause = if busy {
            Duration::from_millis(u64::from((round * 977) % 9000))
        } else {
            QUIET
        };
        tokio::time::sleep(pause).await;
        round = round.wrapping_add(if busy { 13 } else { 1 });
    }
}

/// What a mobile caller's network adds: the cell, and for every other one the phone's own position.
pub fn dial(round: u32) -> Dial {
    let mobile = round % 2 == 0;
    let cell = "P-Access-Network-Info: 3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=46000102D108F00D;network-provided".to_owned();
    let place = mobile.then(|| {
        pidf(
            22.5431 + f64::from(round % 7) * 0.003,
            114.0579 + f64::from(round % 5) * 0.004,
        )
    });
    let mut headers = Vec::new();
    if mobile {
        headers.push(cell);
        headers.push("Geolocation: <cid:place@phone>".to_owned());
        headers.push("Geolocation-Routing: yes".to_owned());
    }
    Dial {
        number: "120".to_owned(),
        headers,
        pidf: place,
    }
}

/// A circle of 35 m in WGS-84 (RFC 5491).
fn pidf(lat: f64, lon: f64) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" xmlns:gml=\"http://www.opengis.net/gml\" xmlns:gs=\"http://www.opengis.net/pidflo/1.0\" entity=\"pres:caller@phone\">\
         <tuple id=\"place\"><status><gp:geopriv><gp:location-info><gs:Circle srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>{lat:.5} {lon:.5}</gml:pos><gs:radius uom=\"urn:ogc:def:uom:EPSG::9001\">35</gs:radius></gs:Circle></gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence>"
    )
}
