//! Every command of seats and supervisors once by the API, once by the page's buttons and once by star codes, on a centre of real
//! phones: one story, told three times. The guide (docs/seat.md) says which ways a command has; none may be missing.

mod later;
mod ways;

use reqwest::Method;
use serde_json::{Value, json};

use self::ways::{Caller, Code, Order, Press, SUBSCRIBER_HZ, Stage, Way};
use crate::peers_stage::{hears_exactly, quiet, seat_is, until};
use crate::support::chromium::Chromium;

const SEAT_HZ: f64 = 1100.0;
const COLLEAGUE_HZ: f64 = 1400.0;
const SUPERVISOR_HZ: f64 = 2500.0;
const CALLER_HZ: f64 = 620.0;
const NEXT_HZ: f64 = 830.0;
const OUTSIDE: &str = "13900139000";

fn on(selector: &str) -> Press {
    Press::On(selector.to_owned())
}

/// A button in the row of a call that is talked to, or rings out.
fn talk(call: &str, act: &str) -> Press {
    Press::On(format!("#talking [data-key='{call}'] [data-act={act}]"))
}

/// A button in the row of a call that waits.
fn waiting(call: &str, act: &str) -> Press {
    Press::On(format!("#waiting [data-key='{call}'] [data-act={act}]"))
}

/// The page shows him in the queue: he can be chosen.
fn shown(caller: &Caller) -> Press {
    Press::Wait(format!(
        "document.querySelector(`#waiting [data-key='{}']`)",
        caller.call
    ))
}

/// A button on a seat's card.
fn card(seat: &str, act: &str) -> Press {
    Press::On(format!("#seats [data-key='{seat}'] [data-act={act}]"))
}

fn write(field: &'static str, text: &str) -> Press {
    Press::Write(field, text.to_owned())
}

fn keys(keys: &str) -> Option<Code> {
    Some(Code::Keys(keys.to_owned()))
}

fn dialled(number: &str) -> Option<Code> {
    Some(Code::Dialled(number.to_owned()))
}

fn post(path: String, body: Value) -> (Method, String, Value) {
    (Method::POST, path, body)
}

/// A command on a call whose route is `POST /calls/{call}/{act}`, whose button is `act` and whose code is keyed.
fn on_call(command: &'static str, said: &'static str, call: &str, code: &str) -> Order {
    Order {
        command,
        said,
        by: "801",
        api: post(format!("/calls/{call}/{said}"), Value::Null),
        page: vec![talk(call, said)],
        star: keys(code),
    }
}

/// 示闲, 示忙, 签出, 签入.
async fn a_seat_comes_and_goes(stage: &mut Stage) {
    let seat = |act: &str| format!("/seats/801/{act}");
    let away = Order {
        command: "SeatNotReady",
        said: "seat_not_ready",
        by: "801",
        api: post(seat("not_ready"), json!({ "reason": "离席" })),
        page: vec![
            card("801", "not_ready"),
            write("reason", "离席"),
            Press::Yes,
        ],
        star: dialled("*11"),
    };
    stage.ready("801").await;
    stage.give(away).await;
    for (command, said, api, page, code) in [
        (
            "SeatReady",
            "seat_ready",
            "ready",
            vec![card("801", "ready")],
            "*10",
        ),
        (
            "SignOut",
            "sign_out",
            "sign_out",
            vec![card("801", "sign_out"), Press::Yes],
            "*14",
        ),
    ] {
        let order = Order {
            command,
            said,
            by: "801",
            api: post(seat(api), Value::Null),
            page,
            star: dialled(code),
        };
        stage.give(order).await;
    }
    seat_is(&mut stage.server, "801", "out", |s| {
        s["state"] == "signed_out"
    })
    .await;
    let back = Order {
        command: "SignIn",
        said: "sign_in",
        by: "801",
        api: post(seat("sign_in"), json!({ "phone": "802" })),
        page: vec![card("801", "sign_in"), write("phone", "802"), Press::Yes],
        star: dialled("*15801"),
    };
    stage.give(back).await;
    seat_is(&mut stage.server, "801", "in", |s| {
        s["state"] != "signed_out"
    })
    .await;
    for seat in ["801", "802"] {
        let path = format!("/api/v1/seats/{seat}/sign_in");
        let at_home = json!({ "phone": seat });
        let (status, told) = stage.server.post(&path, at_home).await;
        assert!(status == 200 || stage.way == Way::Star, "{told}");
    }
    stage.away("802").await;
    stage.ready("801").await;
}

async fn both_hear(stage: &mut Stage, caller: &Caller, seat: &str, hz: f64) {
    let phone = stage.phone(seat);
    until("both hear each other", || {
        caller.voice.hears_only(hz) && hears_exactly(&phone.heard(), &[CALLER_HZ])
    })
    .await;
}

/// 保持, 取回, 静默询问, 医学指导, 三方.
async fn a_seat_handles_its_talk(stage: &mut Stage, caller: &Caller) {
    let call = caller.call.as_str();
    stage.give(on_call("Hold", "hold", call, "*20")).await;
    until("the caller no longer hears the seat", || {
        caller.voice.share(SEAT_HZ) < 0.05
    })
    .await;
    let mut resume = on_call("Resume", "resume", call, "*21");
    let held = "document.querySelector('#talking [data-act=hold]').textContent === '取回'";
    resume.page = vec![Press::Wait(held.to_owned()), talk(call, "hold")];
    stage.give(resume).await;
    both_hear(stage, caller, "801", SEAT_HZ).await;
    stage
        .give(on_call("AskSilent", "ask_silent", call, "*61"))
        .await;
    for (given, code) in [(true, "*62"), (false, "*63")] {
        let mut advice = on_call("GiveAdvice", "give_advice", call, code);
        advice.api = (
            Method::PUT,
            format!("/calls/{call}/advice"),
            json!({ "on": given }),
        );
        advice.page = vec![Press::On(format!(
            "#talking [data-key='{call}'] [data-act=advice][aria-pressed='{}']",
            !given
        ))];
        stage.give(advice).await;
    }
    both_hear(stage, caller, "801", SEAT_HZ).await;

    let mut add = on_call("AddParty", "add_party", call, &format!("*31{OUTSIDE}#"));
    let doctor = json!({ "number": OUTSIDE, "role": "doctor" });
    add.api = post(format!("/calls/{call}/parties"), doctor);
    add.page = vec![talk(call, "add"), write("number", OUTSIDE), Press::Yes];
    stage.give(add).await;
    let up = stage.event("conference.party_joined").await;
    stage.subscriber_talks().await;
    until("all three hear both others", || {
        caller.voice.hears_both(SEAT_HZ, SUBSCRIBER_HZ)
            && stage.subscriber.hears_both(SEAT_HZ, CALLER_HZ)
    })
    .await;
    let leg = up["data"]["leg"].as_str().expect("a leg");
    let mut remove = on_call("RemoveParty", "remove_party", call, "*39");
    remove.api = (
        Method::DELETE,
        format!("/calls/{call}/parties/{leg}"),
        Value::Null,
    );
    remove.page = vec![talk(call, &format!("remove-{leg}"))];
    stage.give(remove).await;
    both_hear(stage, caller, "801", SEAT_HZ).await;
}

/// 受理单, 分类, 备注, 突发事件, 车组, 标记骚扰.
async fn a_seat_writes(stage: &mut Stage, call: &str) {
    let path = |rest: &str| format!("/calls/{call}/{rest}");
    let form = |field, text| vec![talk(call, "form"), write(field, text), Press::Yes];
    let put = |rest: &str, body| (Method::PUT, path(rest), body);
    let patch = (
        Method::PATCH,
        path("form"),
        json!({ "patient_name": "王某" }),
    );
    let note = post(path("notes"), json!({ "text": "家属在路口" }));
    let steps = "document.querySelector('#ask [data-act=step-casualties]')";
    let major = vec![
        talk(call, "form"),
        on("#ask [data-act=major]"),
        Press::Wait(steps.to_owned()),
        on("#ask-no"),
    ];
    let ticked = "document.querySelector('#ask [data-act=step-casualties]').textContent === '✓'";
    let step = vec![
        talk(call, "steps"),
        on("#ask [data-act=step-casualties]"),
        Press::Wait(ticked.to_owned()),
        on("#ask-no"),
    ];
    let crew = vec![
        talk(call, "crew"),
        write("numbers", "13911112222"),
        Press::Yes,
    ];
    let mark = vec![talk(call, "mark"), write("reason", "辱骂"), Press::Yes];
    let orders = [
        (
            "FillForm",
            "fill_form",
            patch,
            form("patient_name", "王某"),
            None,
        ),
        (
            "Classify",
            "classify",
            put("type", json!({ "code": "urge" })),
            form("call_type", "urge"),
            keys("*642#"),
        ),
        (
            "AddNote",
            "add_note",
            note,
            form("note", "家属在路口"),
            None,
        ),
        (
            "MarkMajor",
            "mark_major",
            post(path("major"), Value::Null),
            major,
            None,
        ),
        (
            "TickStep",
            "tick_step",
            put("steps/casualties", json!({ "done": true })),
            step,
            None,
        ),
        (
            "NameCrew",
            "name_crew",
            put("crew", json!({ "numbers": ["13911112222"] })),
            crew,
            None,
        ),
        (
            "ProposeVerdict",
            "propose_verdict",
            post(
                "/marks".to_owned(),
                json!({ "call": call, "reason": "辱骂" }),
            ),
            mark,
            keys("*60"),
        ),
    ];
    for (command, said, api, page, star) in orders {
        let order = Order {
            command,
            said,
            by: "801",
            api,
            page,
            star,
        };
        stage.give(order).await;
    }
    let marks = stage.server.get("/api/v1/marks").await;
    let mark = marks[0]["mark"].as_str().expect("a mark").to_owned();
    for (command, said, act) in [
        ("ConfirmVerdict", "confirm_verdict", "confirm"),
        ("LiftVerdict", "lift_verdict", "lift"),
    ] {
        let body = if act == "lift" {
            json!({})
        } else {
            Value::Null
        };
        let order = Order {
            command,
            said,
            by: "800",
            api: post(format!("/marks/{mark}/{act}"), body),
            page: vec![on(&format!("#marks [data-key='{mark}'] [data-act={act}]"))],
            star: None,
        };
        stage.give(order).await;
    }
}

/// 隐号通话: the crew that was named and the caller are rung; nobody else is in their talk, and it is ended again.
async fn a_crew_is_bridged(stage: &mut Stage, call: &str) {
    let order = Order {
        command: "Bridge",
        said: "bridge",
        by: "801",
        api: post(
            format!("/calls/{call}/bridge"),
            json!({ "number": "13911112222" }),
        ),
        page: vec![talk(call, "bridge"), Press::Yes],
        star: None,
    };
    stage.give(order).await;
    let talks = |c: &Value| c["direction"] == "bridge" && c["state"] == "talking";
    let bridge = stage.server.open_call("crew and caller", talks).await;
    let bridge = bridge["call"].as_str().expect("an id");
    let path = format!("/api/v1/calls/{bridge}/hang_up");
    let (status, told) = stage.server.post(&path, json!({})).await;
    assert_eq!(status, 200, "{told}");
}

/// 呼叫班长, 响应, 监听, 耳语, 强插, 强接, 挂断.
async fn a_supervisor_comes(stage: &mut Stage, caller: &Caller) {
    let call = caller.call.as_str();
    let assist = |command, said, method, act, code| Order {
        command,
        said,
        by: "801",
        api: (method, format!("/calls/{call}/assist"), Value::Null),
        page: vec![talk(call, act)],
        star: keys(code),
    };
    for again in [false, true] {
        stage
            .give(assist(
                "RequestAssist",
                "request_assist",
                Method::POST,
                "assist",
                "*70",
            ))
            .await;
        if !again {
            stage
                .give(assist(
                    "CancelAssist",
                    "cancel_assist",
                    Method::DELETE,
                    "assist_cancel",
                    "*71",
                ))
                .await;
        }
    }
    let come = json!({ "seat": "800", "mode": "barge" });
    stage
        .give(Order {
            command: "AcceptAssist",
            said: "barge",
            by: "800",
            api: post(format!("/calls/{call}/assist/accept"), come),
            page: vec![talk(call, "accept_barge")],
            star: dialled("*72"),
        })
        .await;
    if stage.way != Way::Star {
        stage.picks_up("800").await;
    }
    until("the supervisor is heard by the caller", || {
        caller.voice.hears_both(SEAT_HZ, SUPERVISOR_HZ)
    })
    .await;
    stage
        .give(Order {
            command: "StopListening",
            said: "stop_listening",
            by: "800",
            api: (
                Method::DELETE,
                format!("/calls/{call}/listen/800"),
                Value::Null,
            ),
            page: vec![talk(call, "unlisten")],
            star: None,
        })
        .await;
    both_hear(stage, caller, "801", SEAT_HZ).await;
    a_supervisor_listens(stage, caller).await;
}

async fn a_supervisor_listens(stage: &mut Stage, caller: &Caller) {
    let call = caller.call.as_str();
    let steps = [
        (
            "listen",
            vec![talk(call, "listen"), write("seat", "800"), Press::Yes],
            dialled("*80801"),
        ),
        ("whisper", vec![talk(call, "whisper")], keys("*81")),
        ("barge", vec![talk(call, "barge")], keys("*82")),
        (
            "take_over",
            vec![talk(call, "take_over"), Press::Yes],
            keys("*83"),
        ),
    ];
    for (mode, page, star) in steps {
        stage
            .give(Order {
                command: "Listen",
                said: mode,
                by: "800",
                api: post(
                    format!("/calls/{call}/listen"),
                    json!({ "seat": "800", "mode": mode }),
                ),
                page,
                star,
            })
            .await;
        if mode == "listen" && stage.way != Way::Star {
            stage.picks_up("800").await;
        }
        let (to_caller, to_seat): (&[f64], &[f64]) = match mode {
            "listen" => (&[SEAT_HZ], &[CALLER_HZ]),
            "whisper" => (&[SEAT_HZ], &[CALLER_HZ, SUPERVISOR_HZ]),
            "barge" => (&[SEAT_HZ, SUPERVISOR_HZ], &[CALLER_HZ, SUPERVISOR_HZ]),
            _ => (&[SUPERVISOR_HZ], &[]),
        };
        let phone = stage.phone("801");
        until(mode, || {
            hears_exactly(&caller.voice.last_audio(300), to_caller)
                && (to_seat.is_empty() || hears_exactly(&phone.heard(), to_seat))
        })
        .await;
    }
    let mut end = on_call("HangUp", "hang_up", call, "*99");
    end.by = "800";
    end.page.push(Press::Yes);
    stage.give(end).await;
}

/// 转移: after a word, taken back, then handed over.
async fn a_call_is_handed_on(stage: &mut Stage) {
    let mut caller = stage.talks("801", CALLER_HZ).await;
    let call = caller.call.clone();
    stage.ready("802").await;
    for last in [false, true] {
        let mut transfer = on_call("Transfer", "transfer", &call, "*41802#");
        transfer.api.2 = json!({ "seat": "802", "kind": "attended" });
        transfer
            .page
            .extend([write("seat", "802"), write("kind", "attended"), Press::Yes]);
        stage.give(transfer).await;
        stage.picks_up("802").await;
        let phone = stage.phone("801");
        until("the seat speaks with its colleague", || {
            hears_exactly(&phone.heard(), &[COLLEAGUE_HZ])
        })
        .await;
        if !last {
            let mut back = on_call("CancelTransfer", "cancel_transfer", &call, "*44");
            back.api = (
                Method::DELETE,
                format!("/calls/{call}/transfer"),
                Value::Null,
            );
            stage.give(back).await;
            both_hear(stage, &caller, "801", SEAT_HZ).await;
            stage.ready("802").await;
        }
    }
    let mut hand = on_call("CompleteTransfer", "complete_transfer", &call, "*43");
    hand.api.1 = format!("/calls/{call}/transfer/complete");
    hand.page = vec![talk(&call, "complete")];
    stage.give(hand).await;
    both_hear(stage, &caller, "802", COLLEAGUE_HZ).await;
    caller.sipp.go_on();
    caller.sipp.finished().await;
}

/// 搁置, 取回; 队列监听, 优先, 指派, 合并.
async fn some_wait_and_one_is_joined(stage: &mut Stage) {
    let mut first = stage.talks("801", CALLER_HZ).await;
    let call = first.call.clone();
    stage.give(on_call("Shelve", "shelve", &call, "*22")).await;
    seat_is(&mut stage.server, "801", "free", |s| s["call"].is_null()).await;
    let mut unshelve = on_call("Unshelve", "unshelve", &call, "");
    unshelve.api.2 = json!({ "seat": "801" });
    unshelve.star = dialled("*51");
    stage.give(unshelve).await;
    stage.picks_up("801").await;
    both_hear(stage, &first, "801", SEAT_HZ).await;

    let mut second = stage.calls(NEXT_HZ).await;
    let queue = |command, said, method, star| Order {
        command,
        said,
        by: "800",
        api: (method, "/seats/800/listen_queue".to_owned(), json!({})),
        page: vec![card("800", said)],
        star,
    };
    stage
        .give(queue(
            "ListenQueue",
            "listen_queue",
            Method::POST,
            dialled("*84"),
        ))
        .await;
    if stage.way != Way::Star {
        stage.picks_up("800").await;
    }
    let phone = stage.phone("800");
    until("the supervisor hears who waits", || {
        hears_exactly(&phone.heard(), &[NEXT_HZ])
    })
    .await;
    stage
        .give(queue(
            "StopListeningQueue",
            "stop_listening_queue",
            Method::DELETE,
            None,
        ))
        .await;
    let id = second.call.clone();
    let orders = [
        (
            "Prioritise",
            "prioritise",
            "priority",
            json!({ "ahead_s": 60 }),
            vec![write("ahead", "60"), Press::Yes],
        ),
        (
            "Reassign",
            "reassign",
            "reassign",
            json!({ "to": { "seat": "802" } }),
            vec![write("seat", "802"), Press::Yes],
        ),
    ];
    for (command, said, act, body, rest) in orders {
        let page = std::iter::once(waiting(&id, act)).chain(rest).collect();
        let api = post(format!("/calls/{id}/{act}"), body);
        stage
            .give(Order {
                command,
                said,
                by: "800",
                api,
                page,
                star: None,
            })
            .await;
    }
    stage.picks_up("802").await;
    second.sipp.go_on();
    second.sipp.finished().await;

    let third = stage.calls(NEXT_HZ).await;
    let mut join = on_call("Join", "join", &call, "*32");
    join.api.2 = json!({ "with": third.call });
    join.page.insert(0, shown(&third));
    join.page.extend([write("with", &third.call), Press::Yes]);
    stage.give(join).await;
    until("both callers hear the seat and each other", || {
        first.voice.hears_both(SEAT_HZ, NEXT_HZ) && third.voice.hears_both(SEAT_HZ, CALLER_HZ)
    })
    .await;
    for caller in [&mut first.sipp] {
        caller.go_on();
        caller.finished().await;
    }
    let mut third = third;
    third.sipp.go_on();
    third.sipp.finished().await;
}

async fn told(way: Way) {
    let mut stage = Stage::begin(way).await;
    a_seat_comes_and_goes(&mut stage).await;
    let mut caller = stage.talks("801", CALLER_HZ).await;
    a_seat_handles_its_talk(&mut stage, &caller).await;
    a_seat_writes(&mut stage, &caller.call).await;
    a_crew_is_bridged(&mut stage, &caller.call).await;
    a_supervisor_comes(&mut stage, &caller).await;
    caller.sipp.finished().await;
    a_call_is_handed_on(&mut stage).await;
    some_wait_and_one_is_joined(&mut stage).await;
    later::a_seat_rings_out(&mut stage).await;
    later::the_shift_ends(&mut stage, &caller.call).await;
    later::a_trunk_is_tested(&mut stage).await;
    stage.all_were_given();
    for seat in ["801", "802"] {
        stage.ready(seat).await; // ends the after-call work
    }
    quiet(&mut stage.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_by_the_api() {
    told(Way::Api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_by_the_pages_buttons() {
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    told(Way::Page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_has_a_star_code_works_by_it() {
    told(Way::Star).await;
}
