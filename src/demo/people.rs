//! Who calls and who answers in the living demo.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::world::{World, speeches};
use super::{DemoError, say};
use crate::api::Commands;
use crate::engine::Engine;
use crate::id::SeatId;
use crate::media::prompt;
use crate::sim::centre::Centre;
use crate::sim::phone::{Dial, Phone, PhoneError, Speech, Talk};
use crate::switch::{Actor, Command, SeatState, View};
use crate::time::Millis;

/// The first simulated seat; a busy evening has further ones from 811.
pub(super) const SEAT: &str = "801";
/// A real phone with this account dials 120 and takes no calls.
pub(super) const DIALS_120: &str = "803";
/// It picks up after this.
const SEAT_RINGS: Duration = Duration::from_secs(3);
/// A demo centre's people ring back after this, so that the list does not grow without end.
const CALL_BACK_AFTER: Millis = Millis::from_secs(45);
/// A caller whom nobody answers gives up after this.
const CALLER_WAITS: Duration = Duration::from_secs(40);
/// What a caller says before he hangs up takes this much longer than his words.
const TALK_MORE: Duration = Duration::from_secs(12);
/// Pause of one caller's line between two calls, when it is a quiet evening.
const QUIET: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(30);

/// The seats that answer when no real one does: enough that most callers are answered, few enough that some wait. One more where
/// real phones dial 120, so that theirs need not.
#[must_use]
pub(super) fn simulated_seats(load: Option<u16>, real_phones: bool) -> Vec<String> {
    let further = load.map_or(0, |callers| callers.saturating_mul(2) / 3) + u16::from(real_phones);
    std::iter::once(SEAT.to_owned())
        .chain(
            (811..)
                .take(usize::from(further))
                .map(|seat: u32| seat.to_string()),
        )
        .collect()
}

/// People call and a seat answers, until the demo is stopped.
pub(super) async fn live(
    engine: &Engine,
    centre: &mut Centre,
    world: &mut World,
    callers: u32,
    seats: &[String],
) -> Result<(), DemoError> {
    let sip = sip_address(engine)?;
    let prompts = centre.prompts();
    let said = Arc::new(speeches(&prompts)?);
    let seat_says = seat_speech(&prompts)?;
    for seat in seats {
        let secret = centre.secret(&format!("seat-{seat}"));
        world.keep(seat_answers(seat.clone(), sip, secret, seat_says.clone()));
    }
    let simulated: Arc<[SeatId]> = seats
        .iter()
        .map(|seat| SeatId::from(seat.as_str()))
        .collect();
    world.keep(yield_to_real_seats(
        Arc::clone(&simulated),
        engine.commands(),
        engine.view(),
    ));
    world.keep(ring_back(engine.commands(), engine.view()));
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
            engine.view(),
            callers > 1,
        ));
    }
    std::future::pending().await
}

/// Where the demo's phones reach the engine.
pub(super) fn sip_address(engine: &Engine) -> Result<SocketAddr, DemoError> {
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
async fn seat_answers(seat: String, sip: SocketAddr, secret: String, speech: Speech) {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let Ok(mut phone) = Phone::new(loopback, sip, &seat, &secret).await else {
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

/// While a real seat is there, the simulated ones take no calls; else each of them is ready.
async fn yield_to_real_seats(
    simulated: Arc<[SeatId]>,
    commands: Commands,
    mut view: watch::Receiver<Arc<View>>,
) {
    loop {
        let now = Arc::clone(&view.borrow_and_update());
        let real = now.seats.iter().any(|seat| {
            !simulated.contains(&seat.seat)
                && seat.seat.as_str() != DIALS_120
                && !seat.supervisor
                && seat.registered
                && seat.state != SeatState::NotReady
        });
        let caller = now.seats.iter().find(|seat| {
            seat.seat.as_str() == DIALS_120 && seat.registered && seat.state == SeatState::Ready
        });
        if let Some(caller) = caller {
            let command = Command::SeatNotReady {
                seat: caller.seat.clone(),
                reason: "拨打 120 用".to_owned(),
            };
            drop(commands.submit(Actor::Engine, command).await);
        }
        for seat in now
            .seats
            .iter()
            .filter(|seat| simulated.contains(&seat.seat))
        {
            let id = seat.seat.clone();
            let command = match (
                real,
                seat.state == SeatState::Ready,
                seat.state == SeatState::NotReady,
            ) {
                (true, true, _) => Command::SeatNotReady {
                    seat: id,
                    reason: "有真实坐席".to_owned(),
                },
                // Also one that missed a call.
                (false, _, true) => Command::SeatReady { seat: id },
                _ => continue,
            };
            drop(commands.submit(Actor::Engine, command).await);
        }
        if view.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Somebody at the simulated seat rings back and closes what has waited long enough.
async fn ring_back(commands: Commands, mut view: watch::Receiver<Arc<View>>) {
    loop {
        let now = Arc::clone(&view.borrow_and_update());
        for entry in &now.call_backs {
            if entry.due_at + CALL_BACK_AFTER < now.at {
                let command = Command::CloseCallBack {
                    call_back: entry.call_back,
                    outcome: "已回拨，无需派车（演示）".to_owned(),
                };
                let person = Actor::Seat(SeatId::from(SEAT));
                drop(commands.submit(person, command).await);
            }
        }
        if view.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Wait until somebody answers the call of `number`, as long as a caller has patience; whether somebody did.
async fn answered(view: &mut watch::Receiver<Arc<View>>, number: &str) -> bool {
    let digits = |text: &str| text.replace(|c: char| !c.is_ascii_digit(), "");
    let found = view.wait_for(|view| {
        view.calls
            .iter()
            .any(|call| digits(&call.caller) == number && call.answered_at.is_some())
    });
    tokio::time::timeout(CALLER_WAITS, found).await.is_ok()
}

async fn place(
    carrier: IpAddr,
    sip: SocketAddr,
    user: &str,
    dial: &Dial,
    speech: Speech,
) -> Result<(Phone, Talk), PhoneError> {
    let mut phone = Phone::new(SocketAddr::new(carrier, 0), sip, user, "").await?;
    let talk = phone.call(dial, speech, PATIENCE).await?;
    Ok((phone, talk))
}

/// One caller's line: calls, tells what happened, hangs up, and some time later somebody else calls.
async fn caller_calls(
    n: u32,
    carrier: IpAddr,
    sip: SocketAddr,
    speeches: Arc<Vec<Speech>>,
    mut view: watch::Receiver<Arc<View>>,
    busy: bool,
) {
    let mut round = n;
    loop {
        let speech = speeches
            .get(usize::try_from(round).unwrap_or(0) % speeches.len().max(1))
            .cloned()
            .unwrap_or_default();
        let talk_for =
            Duration::from_millis(u64::try_from(speech.samples.len() / 8).unwrap_or(0)) + TALK_MORE;
        let user = if round.is_multiple_of(2) {
            format!("138{:08}", 100_000 + u64::from(round) * 7919)
        } else {
            format!("0755{:08}", 88_000_000 + u64::from(round) * 31)
        };
        match place(carrier, sip, &user, &dial(round), speech).await {
            Ok((mut phone, talk)) => {
                // Whom nobody answers gives up; who is answered talks to the end.
                if answered(&mut view, &user).await {
                    tokio::time::sleep(talk_for).await;
                }
                drop(phone.hang_up(talk).await);
            }
            Err(error) => say(&format!("a caller was not taken: {error}")),
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
pub(super) fn dial(round: u32) -> Dial {
    let mobile = round.is_multiple_of(2);
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
