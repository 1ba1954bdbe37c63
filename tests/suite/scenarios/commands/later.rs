//! What seats do beside their talks: calls of their own, complaints, shifts, groups, tests.

use serde_json::{Value, json};

use super::ways::{Order, Press, SUBSCRIBER_HZ, Stage, Way};
use super::{CALLER_HZ, OUTSIDE, card, dialled, on, post, shown, talk, write};
use crate::peers_stage::{hears_exactly, seat_is, talking, until};

/// 回拨, 办结; 拨打, 关联.
pub async fn a_seat_rings_out(stage: &mut Stage) {
    let mut gone = stage.calls(CALLER_HZ).await;
    gone.sipp.go_on();
    gone.sipp.finished().await;
    stage.event("callback.due").await;
    let list = stage.server.get("/api/v1/call_backs").await;
    let entry = list[0]["call_back"].as_str().expect("an entry").to_owned();
    let row = |act: &str| {
        on(&format!(
            "#call-backs [data-key='{entry}'] [data-act={act}]"
        ))
    };
    stage
        .give(Order {
            command: "CallBackNow",
            said: "call_back",
            by: "801",
            api: post(
                format!("/call_backs/{entry}/dial"),
                json!({ "seat": "801" }),
            ),
            page: vec![row("call_back")],
            star: dialled("*50"),
        })
        .await;
    if stage.way != Way::Star {
        stage.picks_up("801").await;
    }
    stage.event("callback.connected").await;
    stage.subscriber_talks().await;
    let phone = stage.phone("801");
    until("the seat hears whom it rang", || {
        hears_exactly(&phone.heard(), &[SUBSCRIBER_HZ])
    })
    .await;
    phone.hang_up();
    seat_is(&mut stage.server, "801", "free", |s| s["call"].is_null()).await;
    stage
        .give(Order {
            command: "CloseCallBack",
            said: "close_call_back",
            by: "801",
            api: post(
                format!("/call_backs/{entry}/close"),
                json!({ "outcome": "误拨" }),
            ),
            page: vec![row("close"), write("outcome", "误拨"), Press::Yes],
            star: None,
        })
        .await;
    stage
        .give(Order {
            command: "Dial",
            said: "dial",
            by: "801",
            api: post("/seats/801/dial".to_owned(), json!({ "number": OUTSIDE })),
            page: vec![card("801", "dial"), write("number", OUTSIDE), Press::Yes],
            star: None,
        })
        .await;
    stage.picks_up("801").await;
    a_seat_links(stage).await;
}

async fn a_seat_links(stage: &mut Stage) {
    let made = talking(&mut stage.server, "801").await;
    let mut about = stage.calls(CALLER_HZ).await;
    stage
        .give(Order {
            command: "Link",
            said: "link",
            by: "801",
            api: post(format!("/calls/{made}/link"), json!({ "to": about.call })),
            page: vec![
                shown(&about),
                talk(&made, "link"),
                write("to", &about.call),
                Press::Yes,
            ],
            star: None,
        })
        .await;
    stage.phone("801").hang_up();
    about.sipp.go_on();
    about.sipp.finished().await;
    seat_is(&mut stage.server, "801", "free", |s| s["call"].is_null()).await;
}

/// 投诉, 交接班, 群呼.
pub async fn the_shift_ends(stage: &mut Stage, call: &str) {
    let complain = vec![
        on(&format!("#records [data-key='{call}']")),
        on("#record [data-act=complain]"),
        write("text", "迟到"),
        Press::Yes,
    ];
    let complaint = json!({ "call": call, "text": "迟到" });
    let over = json!({ "to": "802", "note": "" });
    let group = json!({ "numbers": [OUTSIDE] });
    let orders = [
        (
            "OpenComplaint",
            "open_complaint",
            "/complaints",
            complaint,
            complain,
        ),
        (
            "HandOver",
            "hand_over",
            "/handovers",
            over,
            vec![on("#hand-over"), write("to", "802"), Press::Yes],
        ),
        (
            "StartGroupCall",
            "start_group_call",
            "/group_calls",
            group,
            vec![on("#start-group"), write("numbers", OUTSIDE), Press::Yes],
        ),
    ];
    for (command, said, path, body, page) in orders {
        let api = post(path.to_owned(), body);
        stage
            .give(Order {
                command,
                said,
                by: "801",
                api,
                page,
                star: None,
            })
            .await;
    }
    let complaints = stage.server.get("/api/v1/complaints").await;
    let complaint = complaints[0]["complaint"].as_str().expect("one").to_owned();
    let shifts = stage.server.get("/api/v1/handovers").await;
    let shift = shifts["handovers"][0]["handover"]
        .as_str()
        .expect("one")
        .to_owned();
    let groups = stage.server.get("/api/v1/group_calls").await;
    let group = groups[0]["group_call"].as_str().expect("one").to_owned();
    let row = |id: &str, act: &str| on(&format!("[data-key='{id}'] [data-act={act}]"));
    let orders = [
        (
            "CancelGroupCall",
            "cancel_group_call",
            "801",
            format!("/group_calls/{group}/cancel"),
            Value::Null,
            vec![row(&group, "cancel"), Press::Yes],
        ),
        (
            "TakeOverShift",
            "take_over_shift",
            "800",
            format!("/handovers/{shift}/take_over"),
            Value::Null,
            vec![row(&shift, "take_over")],
        ),
        (
            "CloseComplaint",
            "close_complaint",
            "800",
            format!("/complaints/{complaint}/close"),
            json!({ "outcome": "已解释" }),
            vec![
                row(&complaint, "close"),
                write("outcome", "已解释"),
                Press::Yes,
            ],
        ),
        (
            "LiftHold",
            "lift_hold",
            "800",
            format!("/complaints/{complaint}/lift_hold"),
            Value::Null,
            vec![row(&complaint, "lift_hold")],
        ),
    ];
    for (command, said, by, path, body, page) in orders {
        let api = post(path, body);
        stage
            .give(Order {
                command,
                said,
                by,
                api,
                page,
                star: None,
            })
            .await;
    }
}

/// 自检: of a trunk whose subscriber is not this centre.
pub async fn a_trunk_is_tested(stage: &mut Stage) {
    stage
        .give(Order {
            command: "SelfTest",
            said: "self_test",
            by: "800",
            api: post("/self_tests".to_owned(), json!({ "trunk": "outside" })),
            page: vec![on("#trunks [data-act=self_test-outside]")],
            star: None,
        })
        .await;
    let end = stage.event("selftest.failed").await;
    assert_eq!(end["data"]["step"], "arrived", "{end}");
}
