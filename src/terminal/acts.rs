//! What can be done by a key: one table of keys, words, questions and requests of the public API (docs/terminal.md).
//!
//! Refuses to know: whether it is allowed; the server says so. `can` only keeps keys from being offered in vain.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::page::Page;
use super::picture::{Call, CallBack, Leg, Seat};

/// A request of the API, below `/api/v1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub body: Option<Value>,
}

/// Something that a person types.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// 中文, English.
    pub(super) label: (&'static str, &'static str),
    pub(super) value: &'static str,
    pub(super) optional: bool,
}

/// What was typed, by the fields' names.
pub(super) type Values = BTreeMap<&'static str, String>;

/// What an act is about.
pub(super) struct Sight<'p> {
    pub(super) page: &'p Page,
    pub(super) seat: Option<&'p Seat>,
    pub(super) call: Option<&'p Call>,
    pub(super) call_back: Option<&'p CallBack>,
}

/// One key.
pub struct Act {
    pub key: char,
    /// 中文, English.
    pub name: (&'static str, &'static str),
    pub(super) fields: &'static [Field],
    /// Enter must be pressed first.
    pub(super) confirms: bool,
    /// It is about a call, and vanishes with it.
    pub(super) of_call: bool,
    pub(super) can: fn(&Sight<'_>) -> bool,
    pub(super) request: fn(&Sight<'_>, &Values) -> Option<Request>,
}

impl Sight<'_> {
    fn seat_is(&self, states: &[&str]) -> bool {
        self.seat
            .is_some_and(|seat| states.contains(&seat.state.as_str()))
    }

    fn call_is(&self, good: impl FnOnce(&Call) -> bool) -> bool {
        self.call.is_some_and(good)
    }

    fn of_seat(&self, method: &'static str, rest: &str, body: Option<Value>) -> Option<Request> {
        let path = format!("/seats/{}/{rest}", self.seat?.seat);
        Some(Request { method, path, body })
    }

    fn of_call(&self, method: &'static str, rest: &str, body: Option<Value>) -> Option<Request> {
        let path = format!("/calls/{}/{rest}", self.call?.call);
        Some(Request { method, path, body })
    }

    fn listens(&self, mode: &str) -> Option<Request> {
        let body = json!({ "seat": self.seat?.seat, "mode": mode });
        self.of_call("POST", "listen", Some(body))
    }

    fn transfers(&self, values: &Values, to: &str) -> Option<Request> {
        let kind = match text(values, "kind").as_str() {
            "2" => "attended",
            "3" => "conference",
            _ => "blind",
        };
        let body = json!({ to: text(values, "to"), "kind": kind });
        self.of_call("POST", "transfer", Some(body))
    }
}

/// The call is open, its seat's own or a supervisor's to command, and a seat talks in it.
fn handles(on: &Sight<'_>) -> bool {
    on.call_is(|call| !call.closes() && !call.waits() && call.seated() && on.page.may_command(call))
}

/// A supervisor with a phone, and an open call.
fn supervises(on: &Sight<'_>) -> bool {
    on.page.leads() && on.seat.is_some() && on.call_is(|call| !call.closes())
}

fn text(values: &Values, name: &str) -> String {
    values.get(name).cloned().unwrap_or_default()
}

/// Only what was written.
fn written(values: &Values) -> Value {
    let filled = values.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| (*name, value.clone())).collect()
}

const fn field(name: &'static str, zh: &'static str, en: &'static str) -> Field {
    Field {
        name,
        label: (zh, en),
        value: "",
        optional: false,
    }
}

const fn filled(
    name: &'static str,
    zh: &'static str,
    en: &'static str,
    value: &'static str,
) -> Field {
    Field {
        name,
        label: (zh, en),
        value,
        optional: false,
    }
}

const fn optional(name: &'static str, zh: &'static str, en: &'static str) -> Field {
    Field {
        name,
        label: (zh, en),
        value: "",
        optional: true,
    }
}

const KIND: Field = filled(
    "kind",
    "1 直接 2 商量 3 三方",
    "1 blind, 2 attended, 3 conference",
    "1",
);

/// An act of the seat itself.
const fn of_seat(
    key: char,
    name: (&'static str, &'static str),
    can: fn(&Sight<'_>) -> bool,
    request: fn(&Sight<'_>, &Values) -> Option<Request>,
) -> Act {
    Act {
        key,
        name,
        fields: &[],
        confirms: false,
        of_call: false,
        can,
        request,
    }
}

/// An act on a call.
const fn of_call(
    key: char,
    name: (&'static str, &'static str),
    can: fn(&Sight<'_>) -> bool,
    request: fn(&Sight<'_>, &Values) -> Option<Request>,
) -> Act {
    Act {
        of_call: true,
        ..of_seat(key, name, can, request)
    }
}

impl Act {
    const fn asks(self, fields: &'static [Field]) -> Self {
        Self { fields, ..self }
    }

    const fn confirms(self) -> Self {
        Self {
            confirms: true,
            ..self
        }
    }
}

/// All keys, as they are shown.
pub const ACTS: &[Act] = &[
    of_seat(
        'r',
        ("示闲", "Ready"),
        |on| on.seat.is_some(),
        |on, _| on.of_seat("POST", "ready", None),
    ),
    of_seat(
        'n',
        ("示忙", "Not ready"),
        |on| on.seat.is_some(),
        |on, values| on.of_seat("POST", "not_ready", Some(written(values))),
    )
    .asks(&[filled("reason", "原因", "Reason", "离席")]),
    of_seat(
        'o',
        ("签出", "Sign out"),
        |on| on.seat.is_some(),
        |on, _| on.of_seat("POST", "sign_out", None),
    )
    .confirms(),
    of_seat(
        '0',
        ("签入话机", "Sign in on a phone"),
        |on| on.page.seat.is_some(),
        |on, values| on.of_seat("POST", "sign_in", Some(written(values))),
    )
    .asks(&[field("phone", "话机", "Phone")]),
    of_seat(
        'd',
        ("拨打", "Dial"),
        |on| on.seat_is(&["ready", "wrap_up", "not_ready"]),
        |on, values| on.of_seat("POST", "dial", Some(written(values))),
    )
    .asks(&[field("number", "号码或坐席号", "Number or seat")]),
    of_seat(
        'c',
        ("回拨", "Call back"),
        |on| on.call_back.is_some_and(|entry| entry.state == "open") && on.seat.is_some(),
        |on, _| {
            let body = json!({ "seat": on.seat?.seat });
            let path = format!("/call_backs/{}/dial", on.call_back?.call_back);
            Some(Request {
                method: "POST",
                path,
                body: Some(body),
            })
        },
    ),
    of_seat(
        'k',
        ("办结回拨", "Close call-back"),
        |on| on.call_back.is_some(),
        |on, values| {
            let path = format!("/call_backs/{}/close", on.call_back?.call_back);
            Some(Request {
                method: "POST",
                path,
                body: Some(written(values)),
            })
        },
    )
    .asks(&[field("outcome", "回拨结果", "What came of it")]),
    of_call(
        'b',
        ("保持/取回", "Hold/take back"),
        |on| handles(on) && on.call_is(|c| c.hold.as_ref().is_none_or(|h| h.by != "phone")),
        |on, _| {
            let held = on.call?.hold.is_some();
            on.of_call("POST", if held { "resume" } else { "hold" }, None)
        },
    ),
    of_call(
        's',
        ("搁置/取回", "Put aside/take back"),
        |on| handles(on) || on.call_is(|c| c.shelf.is_some() && on.seat.is_some()),
        |on, _| {
            if on.call?.shelf.is_none() {
                return on.of_call("POST", "shelve", None);
            }
            let body = json!({ "seat": on.seat?.seat });
            on.of_call("POST", "unshelve", Some(body))
        },
    ),
    of_call('t', ("三方", "Add party"), handles, |on, values| {
        on.of_call("POST", "parties", Some(written(values)))
    })
    .asks(&[
        field("number", "号码", "Number"),
        filled("role", "对方", "Who", "doctor"),
    ]),
    of_call(
        'x',
        ("移除第三方", "Remove party"),
        |on| handles(on) && on.call_is(|c| c.newest_third().is_some()),
        |on, _| {
            let Leg { leg, .. } = on.call?.newest_third()?;
            on.of_call("DELETE", &format!("parties/{leg}"), None)
        },
    ),
    of_call(
        'j',
        ("合并", "Join"),
        |on| on.page.joinable().is_some(),
        |on, _| {
            let (own, with) = on.page.joinable()?;
            let path = format!("/calls/{}/join", own.call);
            Some(Request {
                method: "POST",
                path,
                body: Some(json!({ "with": with.call })),
            })
        },
    )
    .confirms(),
    of_call(
        'z',
        ("转坐席", "Transfer to a seat"),
        |on| handles(on) && on.call_is(|c| c.transfer.is_none()),
        |on, values| on.transfers(values, "seat"),
    )
    .asks(&[field("to", "坐席号", "Seat"), KIND]),
    of_call(
        'w',
        ("转外线", "Transfer outside"),
        |on| handles(on) && on.call_is(|c| c.transfer.is_none()),
        |on, values| on.transfers(values, "number"),
    )
    .asks(&[field("to", "号码", "Number"), KIND]),
    of_call(
        'g',
        ("转出", "Hand over"),
        |on| handles(on) && on.call_is(|c| c.transfer.as_ref().is_some_and(|t| t.up)),
        |on, _| on.of_call("POST", "transfer/complete", None),
    ),
    of_call(
        'v',
        ("取回转移", "Take back the transfer"),
        |on| on.call_is(|c| c.transfer.is_some() && on.page.may_command(c)),
        |on, _| on.of_call("DELETE", "transfer", None),
    ),
    of_call(
        'a',
        ("呼叫班长/取消", "Call supervisor/never mind"),
        handles,
        |on, _| {
            let asks = on.call?.assist.is_some();
            on.of_call(if asks { "DELETE" } else { "POST" }, "assist", None)
        },
    ),
    of_call(
        'y',
        ("静默询问", "Ask a silent caller"),
        |on| handles(on) && on.call_is(|c| c.hold.is_none()),
        |on, _| on.of_call("POST", "ask_silent", None),
    ),
    of_call('i', ("医学指导", "Medical advice"), handles, |on, _| {
        let body = json!({ "on": !on.call?.medical_advice });
        on.of_call("PUT", "advice", Some(body))
    }),
    of_call('f', ("受理单", "Form"), handles, |on, values| {
        on.of_call("PATCH", "form", Some(written(values)))
    })
    .asks(&[
        optional("patient_name", "病人姓名", "Patient"),
        optional("chief_complaint", "主诉", "Complaint"),
        optional("scene", "病发地点", "Scene"),
        optional("pickup", "接车地点", "Pick-up place"),
        optional("contact_number", "联系电话", "Contact number"),
    ]),
    of_call(
        'p',
        ("来电类型", "Type of call"),
        handles,
        |on, values| on.of_call("PUT", "type", Some(written(values))),
    )
    .asks(&[field("code", "类型代码", "Code")]),
    of_call('e', ("备注", "Note"), handles, |on, values| {
        on.of_call("POST", "notes", Some(written(values)))
    })
    .asks(&[field("text", "内容", "Text")]),
    of_call(
        'u',
        ("突发事件", "Major incident"),
        |on| handles(on) && on.call_is(|c| c.major.is_none()),
        |on, _| on.of_call("POST", "major", None),
    )
    .confirms(),
    of_call(
        'm',
        ("标记骚扰", "Mark as harassment"),
        handles,
        |on, values| {
            let body = json!({ "call": on.call?.call, "reason": text(values, "reason") });
            let path = String::from("/marks");
            Some(Request {
                method: "POST",
                path,
                body: Some(body),
            })
        },
    )
    .asks(&[field(
        "reason",
        "原因 (待班长确认)",
        "Reason (a supervisor confirms)",
    )]),
    of_call('h', ("挂断", "Hang up"), handles, |on, _| {
        on.of_call("POST", "hang_up", None)
    })
    .confirms(),
    of_call('1', ("监听", "Listen"), supervises, |on, _| {
        on.listens("listen")
    }),
    of_call('2', ("耳语", "Whisper"), supervises, |on, _| {
        on.listens("whisper")
    }),
    of_call(
        '3',
        ("强插", "Barge in"),
        |on| supervises(on) && on.call_is(Call::seated),
        |on, _| on.listens("barge"),
    ),
    of_call('4', ("强接", "Take over"), supervises, |on, _| {
        on.listens("take_over")
    })
    .confirms(),
    of_call(
        '5',
        ("停止监听", "Stop listening"),
        |on| supervises(on) && on.call_is(|c| on.seat.is_some_and(|s| c.has_listener(&s.seat))),
        |on, _| on.of_call("DELETE", &format!("listen/{}", on.seat?.seat), None),
    ),
    of_call(
        '6',
        ("响应求助", "Help"),
        |on| supervises(on) && on.call_is(|c| c.assist.as_ref().is_some_and(|a| a.taken.is_none())),
        |on, _| {
            let body = json!({ "seat": on.seat?.seat, "mode": "barge" });
            on.of_call("POST", "assist/accept", Some(body))
        },
    ),
    of_call(
        '7',
        ("指派", "Assign"),
        |on| on.page.leads() && on.call_is(|c| c.position.is_some()),
        |on, values| {
            let body = json!({ "to": { "seat": text(values, "seat") } });
            on.of_call("POST", "reassign", Some(body))
        },
    )
    .asks(&[field("seat", "空闲坐席", "Free seat")]),
    of_call(
        '8',
        ("优先", "Priority"),
        |on| on.page.leads() && on.call_is(|c| c.position.is_some()),
        |on, values| {
            let ahead: u32 = text(values, "seconds").parse().ok()?;
            on.of_call("POST", "priority", Some(json!({ "ahead_s": ahead })))
        },
    )
    .asks(&[filled(
        "seconds",
        "提前秒数 (0 取消)",
        "Seconds earlier (0: as before)",
        "60",
    )]),
    of_seat(
        '9',
        ("队列监听/停止", "Listen to queues/stop"),
        |on| on.page.leads() && on.seat.is_some_and(|seat| seat.supervisor),
        |on, _| {
            if on.page.picture.listens_to_queue(&on.seat?.seat) {
                return on.of_seat("DELETE", "listen_queue", None);
            }
            on.of_seat("POST", "listen_queue", Some(json!({})))
        },
    ),
    of_seat(
        '+',
        ("群呼", "Group call"),
        |on| on.seat.is_some() || on.page.leads(),
        |on, values| {
            let first_wins = text(values, "who") == "2";
            Some(on.page.starts_group(&text(values, "to"), first_wins))
        },
    )
    .asks(&[
        field("to", "群组或号码", "Group or numbers"),
        filled(
            "who",
            "1 每人应答 2 先确认者得",
            "1 everybody, 2 first one wins",
            "1",
        ),
    ]),
    of_seat(
        '-',
        ("停止群呼", "Stop the group call"),
        |on| on.page.stoppable_group().is_some(),
        |on, _| {
            let path = format!(
                "/group_calls/{}/cancel",
                on.page.stoppable_group()?.group_call
            );
            Some(Request {
                method: "POST",
                path,
                body: None,
            })
        },
    )
    .confirms(),
];
