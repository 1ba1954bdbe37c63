use super::*;
use crate::call::LegEvent;
use crate::id::{MenuId, PromptId};
use crate::ivr::{Entry, Goal, Menu, Menus, Node};

const INFO: &str = "88886666";

fn node(keys: &[(char, Goal)], language: Option<&str>, then: Goal, prompt: &str) -> Node {
    Node {
        prompts: vec![PromptId::from(prompt)],
        keys: keys.iter().cloned().collect(),
        key_wait: Millis(5000),
        repeats: 1,
        then,
        language: language.map(str::to_owned),
    }
}

fn menus() -> Menus {
    let queue = || Goal::Queue(QueueId::from("main"));
    let to = |name: &str| Goal::Node(name.to_owned());
    let keys = [('1', to("bill")), ('2', queue()), ('8', to("english"))];
    let nodes = [
        ("top", node(&keys, None, queue(), "menu_top")),
        (
            "bill",
            node(&[('1', queue())], None, to("top"), "menu_bill"),
        ),
        (
            "english",
            node(&[('1', queue())], Some("en"), queue(), "menu_top"),
        ),
    ];
    let tree = Menu {
        start: String::from("top"),
        queue: QueueId::from("main"),
        stay: Millis::from_secs(60),
        nodes: nodes.map(|(name, node)| (name.to_owned(), node)).into(),
    };
    Menus {
        trees: [(MenuId::from("info"), tree)].into(),
        entries: vec![Entry {
            menu: MenuId::from("info"),
            called: vec![INFO.to_owned(), String::from("120")],
            trunks: Vec::new(),
            hours: None,
        }],
        notice: None,
        emergency: vec![String::from("120")],
        on_emergency: false,
    }
}

fn rig_with(change: impl FnOnce(&mut Menus)) -> Rig {
    let mut policy = policy();
    policy.menus = menus();
    change(&mut policy.menus);
    Rig::with(policy)
}

fn rig() -> Rig {
    rig_with(|_| {})
}

impl Rig {
    fn dials(&mut self, trunk: &str, called: &str) -> (CallId, LegId) {
        let mut arrival = self.arrival(trunk);
        called.clone_into(&mut arrival.called);
        self.arrives_as(arrival)
    }

    /// A caller who hears the first prompt of the menu.
    fn in_menu(&mut self) -> (CallId, LegId) {
        let (call, caller) = self.dials("ct", INFO);
        self.acks(caller);
        assert_eq!(self.said(caller), ["menu_top"]);
        assert_eq!(self.state(call), Some(CallState::InMenu));
        (call, caller)
    }

    fn tone(&mut self, leg: LegId, digit: char) {
        let event = MediaEvent::Digit {
            digit,
            duration_ms: 120,
        };
        self.input(InputKind::Media { leg, event });
    }

    fn info(&mut self, leg: LegId, digit: char) {
        self.leg(leg, LegEvent::Digit { digit });
    }
}

#[test]
fn menu_number_is_answered_and_recorded_and_its_prompt_starts_at_the_ack() {
    let mut rig = rig();
    rig.registers("801");
    let (call, caller) = rig.dials("cmcc", INFO);
    assert_eq!(
        rig.count("call.answered_by_system"),
        1,
        "also on early media"
    );
    let record = |c: &MediaCommand| matches!(c, MediaCommand::Record { .. });
    let track = |c: &MediaCommand| matches!(c, MediaCommand::Track { leg, .. } if *leg == caller);
    assert!(rig.media().iter().any(record) && rig.media().iter().any(track));
    assert_eq!(rig.event("ivr.started")["menu"], "info");
    assert_eq!((rig.count("queue.entered"), rig.rung().len()), (0, 0));
    assert!(rig.switch.poll_timeout().is_some(), "a deadline is armed");
    rig.pass(299);
    assert!(rig.plays(caller).is_none());
    rig.pass(1);
    assert_eq!(rig.said(caller), ["menu_top"]);
    assert_eq!(rig.state(call), Some(CallState::InMenu));
}

#[test]
fn key_to_the_queue_greets_and_rings_a_free_seat_in_the_same_input() {
    let mut rig = rig();
    rig.registers("801");
    let (call, caller) = rig.in_menu();
    rig.forget();
    rig.tone(caller, '2');
    assert_eq!(rig.event("ivr.digit")["node"], "top");
    let ended = rig.event("ivr.ended");
    assert_eq!(
        (&ended["reason"], &ended["queue"]),
        (&"chosen".into(), &"main".into())
    );
    assert_eq!(rig.count("queue.entered"), 1);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
    assert!(
        rig.rung_seat("801").is_some(),
        "0 ms between menu and offer"
    );
    assert_eq!(rig.state(call), Some(CallState::Offered));
    rig.pass(100_000);
    assert_eq!(rig.count("ivr.ended"), 1);
}

#[test]
fn keys_by_info_and_by_rfc_4733_lead_through_the_tree() {
    let mut rig = rig();
    let (call, caller) = rig.in_menu();
    rig.info(caller, '1');
    assert_eq!(rig.said(caller), ["menu_bill"]);
    rig.prompt_ends(caller);
    rig.pass(4_000);
    rig.tone(caller, '1');
    assert_eq!(rig.state(call), Some(CallState::Greeting));
    assert_eq!(rig.event("ivr.ended")["node"], "bill");
}

#[test]
fn phone_that_sends_a_key_both_ways_has_pressed_it_once() {
    let mut rig = rig();
    let (call, caller) = rig.in_menu();
    rig.tone(caller, '1');
    rig.pass(60);
    rig.info(caller, '1');
    assert_eq!(rig.state(call), Some(CallState::InMenu));
    assert_eq!((rig.count("ivr.digit"), rig.count("dtmf.received")), (1, 2));
    rig.pass(200);
    rig.tone(caller, '1');
    assert_eq!(rig.count("ivr.digit"), 2, "a second press is one");
}

#[test]
fn silence_has_the_prompt_said_again_and_then_leads_to_the_queue() {
    let mut rig = rig();
    let (_, caller) = rig.in_menu();
    rig.prompt_ends(caller);
    rig.pass(4_999);
    assert_eq!(rig.count("prompt.started"), 1);
    rig.pass(1);
    assert_eq!(
        (rig.count("prompt.started"), rig.said(caller)),
        (2, vec![String::from("menu_top")])
    );
    rig.prompt_ends(caller);
    rig.pass(5_000);
    assert_eq!(rig.event("ivr.ended")["reason"], "silence");
    assert_eq!(rig.count("queue.entered"), 1);
}

#[test]
fn wrong_key_twice_leads_to_the_queue() {
    let mut rig = rig();
    let (call, caller) = rig.in_menu();
    rig.tone(caller, '9');
    assert_eq!(rig.state(call), Some(CallState::InMenu));
    rig.tone(caller, '9');
    assert_eq!(rig.event("ivr.ended")["reason"], "wrong_key");
    assert_eq!(rig.state(call), Some(CallState::Greeting));
}

#[test]
fn prompt_that_media_never_ends_leads_to_the_queue_and_no_key_loop_lasts_a_minute() {
    let mut rig = rig();
    let (_, _) = rig.in_menu();
    rig.pass(30_000);
    assert_eq!(rig.event("ivr.ended")["reason"], "fault");
    let (call, caller) = rig.in_menu();
    for _ in 0..29 {
        rig.pass(2_000);
        rig.tone(caller, '1');
        rig.pass(0);
        rig.prompt_ends(caller);
    }
    assert_eq!(rig.count("ivr.ended"), 2, "key 1 in bill led to the queue");
    assert_ne!(rig.state(call), Some(CallState::InMenu));
}

#[test]
fn longest_stay_is_over_whatever_is_pressed() {
    let mut rig = rig_with(|menus| {
        let tree = menus.trees.get_mut(&MenuId::from("info")).unwrap();
        let bill = tree.nodes.get_mut("bill").unwrap();
        bill.keys.insert('1', Goal::Node(String::from("top")));
    });
    let (call, caller) = rig.in_menu();
    for _ in 0..119 {
        rig.pass(500);
        rig.tone(caller, '1');
    }
    assert_eq!(rig.state(call), Some(CallState::InMenu));
    rig.pass(500);
    assert_eq!(rig.event("ivr.ended")["reason"], "time_up");
    assert_eq!(rig.count("queue.entered"), 1);
}

#[test]
fn emergency_number_has_no_menu() {
    for called in ["120", "0755120", "+86755120"] {
        let mut rig = rig();
        let (call, caller) = rig.dials("ct", called);
        rig.acks(caller);
        assert_eq!(rig.said(caller), ["Entry", "greeting"], "{called}");
        assert_eq!(rig.state(call), Some(CallState::Greeting));
        assert_eq!(
            (rig.count("ivr.started"), rig.count("queue.entered")),
            (0, 1)
        );
        rig.tone(caller, '1');
        assert_eq!(rig.count("ivr.digit"), 0);
    }
}

#[test]
fn allowed_menu_on_the_emergency_number_lasts_three_seconds() {
    let mut rig = rig_with(|menus| menus.on_emergency = true);
    let (call, caller) = rig.dials("ct", "120");
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["menu_top"]);
    rig.pass(2_999);
    assert_eq!(rig.state(call), Some(CallState::InMenu));
    rig.pass(1);
    assert_eq!(rig.state(call), Some(CallState::Greeting));
    assert_eq!(rig.event("ivr.ended")["reason"], "time_up");
}

#[test]
fn caller_who_hangs_up_in_a_menu_is_abandoned_there_and_to_be_called_back() {
    let mut rig = rig();
    let (call, caller) = rig.in_menu();
    rig.pass(2_000);
    rig.hangs_up(caller);
    let left = rig.event("call.abandoned");
    assert_eq!(
        (&left["stage"], &left["waited_ms"]),
        (&"menu".into(), &2_000.into())
    );
    assert_eq!(rig.event("callback.due")["reason"], "abandoned");
    assert_eq!(rig.event("ivr.ended")["reason"], "ended");
    assert_eq!(rig.event("call.ended")["outcome"], "abandoned");
    assert_eq!(rig.state(call), Some(CallState::Closing));
    rig.seals(call);
    let next = rig.switch.poll_timeout();
    assert_eq!(next.map(|t| t.1), Some("call-back"), "nothing else is left");
}

#[test]
fn caller_lost_in_a_menu_is_lost_and_to_be_called_back() {
    let mut rig = rig();
    let (_, caller) = rig.in_menu();
    rig.is_lost(caller);
    assert_eq!(rig.event("call.ended")["outcome"], "lost");
    assert_eq!(rig.event("callback.due")["reason"], "lost");
}

#[test]
fn restart_settles_a_call_in_a_menu_like_any_other() {
    let mut rig = rig();
    let (call, caller) = rig.in_menu();
    rig.forget();
    let policy = Box::new(rig.switch.policy.clone());
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy,
    });
    assert_eq!(rig.event("call.ended")["outcome"], "lost");
    assert_eq!(rig.event("callback.due")["reason"], "lost_in_restart");
    assert_eq!(rig.event("ivr.ended")["reason"], "ended");
    let closes = |e: &Effect| matches!(e, Effect::Leg { leg, command: LegCommand::ReleaseOrphan { .. } } if *leg == caller);
    assert!(rig.effects.iter().any(closes));
    assert_eq!(rig.state(call), Some(CallState::Closing));
}

#[test]
fn reload_leaves_a_caller_in_the_menu_he_began_and_leads_the_next_into_the_new_one() {
    let mut rig = rig();
    let (call, caller) = rig.in_menu();
    let mut policy = rig.switch.policy.clone();
    policy.menus = Menus::default();
    rig.input(InputKind::PolicyChanged {
        policy: Box::new(policy),
    });
    rig.tone(caller, '1');
    assert_eq!(rig.said(caller), ["menu_bill"]);
    assert_eq!(rig.state(call), Some(CallState::InMenu));
    let (after, _) = rig.dials("ct", INFO);
    assert_eq!(rig.state(after), Some(CallState::Arriving));
}

#[test]
fn chosen_language_stays_with_the_caller_in_the_queue() {
    let mut rig = rig();
    let (_, caller) = rig.in_menu();
    rig.tone(caller, '8');
    assert_eq!(rig.said(caller), ["en/menu_top"]);
    rig.tone(caller, '1');
    assert_eq!(rig.said(caller), ["Entry", "en/greeting"]);
    rig.prompt_ends(caller);
    assert_eq!(rig.said(caller), ["en/all_busy_next"]);
}

#[test]
fn recorded_notice_is_said_before_the_menu_and_not_on_the_emergency_line() {
    let mut rig = rig_with(|menus| menus.notice = Some(PromptId::from("recorded_notice")));
    let (_, caller) = rig.dials("ct", INFO);
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["recorded_notice", "menu_top"]);
    let (_, caller) = rig.dials("ct", "120");
    rig.acks(caller);
    assert_eq!(rig.said(caller), ["Entry", "greeting"]);
}

#[test]
fn waiting_caller_in_a_menu_is_ended_by_no_command_and_heard_by_a_supervisor() {
    let mut rig = rig();
    rig.registers("901");
    let (call, caller) = rig.in_menu();
    let admin = Actor::User(String::from("admin"));
    assert!(rig.command(admin, Command::HangUp { call }).is_err());
    let supervisor = SeatId::from("901");
    let listen = Command::Listen {
        call,
        seat: supervisor.clone(),
        mode: Mode::Listen,
    };
    let reply = rig.command(Actor::Supervisor(supervisor), listen);
    let Ok(CommandReply::Leg { leg }) = reply else {
        panic!("{reply:?}")
    };
    rig.picks_up(leg);
    assert_eq!(rig.hears(leg), [caller]);
    rig.tone(caller, '2');
    assert_eq!(rig.hears(leg), [caller], "also in the queue");
}

#[test]
fn time_in_a_menu_counts_as_waiting_in_the_order_of_the_queue() {
    let mut rig = rig();
    let (early, early_leg) = rig.in_menu();
    rig.pass(1_000);
    let (late, _) = rig.dials("ct", "120");
    rig.tone(early_leg, '2');
    let view = rig.switch.view();
    let position = |call| view.calls.iter().find(|c| c.call == call).unwrap().position;
    assert_eq!((position(early), position(late)), (Some(0), Some(1)));
}

#[test]
fn caller_in_a_menu_whose_invite_is_repeated_after_a_crash_goes_on_in_the_queue() {
    let mut rig = rig();
    let mut arrival = rig.arrival("ct");
    INFO.clone_into(&mut arrival.called);
    let (call, _) = rig.arrives_as(arrival.clone());
    assert_eq!(rig.state(call), Some(CallState::InMenu));
    let policy = Box::new(rig.switch.policy.clone());
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy,
    });
    let repeated = Arrival {
        call: CallId(rig.id()),
        leg: LegId(rig.id()),
        ..arrival
    };
    rig.arrives_as(repeated);
    assert_eq!(
        (rig.count("call.reopened"), rig.count("ivr.started")),
        (1, 1)
    );
    assert_eq!(rig.state(call), Some(CallState::Arriving));
    assert_eq!(rig.count("queue.entered"), 1);
}

#[test]
fn call_in_a_menu_is_not_joined_and_stays_in_its_menu() {
    let mut rig = rig();
    let (host, _, _) = rig.talk("801");
    let (guest, _) = rig.in_menu();
    let by = Actor::Seat(SeatId::from("801"));
    let join = Command::Join {
        call: host,
        with: guest,
    };
    let reply = rig.command(by, join);
    assert!(
        matches!(reply, Err(CommandError::WrongState { .. })),
        "{reply:?}"
    );
    assert_eq!(rig.state(guest), Some(CallState::InMenu));
}
