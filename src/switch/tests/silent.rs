use super::*;

impl Rig {
    fn asks(&mut self, seat: &str, call: CallId) -> Result<CommandReply, CommandError> {
        self.command(Actor::Seat(SeatId::from(seat)), Command::AskSilent { call })
    }

    fn silence_of(&self, call: CallId) -> Option<SilentView> {
        let view = self.switch.view();
        view.calls.into_iter().find(|c| c.call == call)?.silent
    }
}

#[test]
fn caller_who_cannot_be_heard_is_asked_and_his_key_is_shown_and_the_line_stays_open() {
    let mut rig = Rig::new();
    let (call, caller, seat) = rig.talk("801");
    assert_eq!(rig.asks("801", call), Ok(CommandReply::Done));
    assert_eq!(rig.said(caller), ["silent_call"]);
    assert_eq!(rig.hears(caller), [seat], "they go on hearing each other");
    assert_eq!(rig.silence_of(call).unwrap().key, None);
    rig.prompt_ends(caller);
    rig.pass(2_000);
    rig.leg(caller, LegEvent::Digit { digit: '5' });
    rig.leg(caller, LegEvent::Digit { digit: '7' });
    assert_eq!(rig.silence_of(call).unwrap().key.as_deref(), Some("7"));
    assert_eq!(rig.count("silent.answered"), 1);
    assert_eq!(rig.event("silent.answered")["digit"], "5");
    rig.pass(3_590_000);
    assert_eq!(rig.state(call), Some(CallState::Talking));
    assert_eq!((rig.released(caller), rig.released(seat)), (None, None));
}

#[test]
fn key_of_a_caller_who_was_not_asked_means_nothing() {
    let mut rig = Rig::new();
    let (call, caller, _) = rig.talk("801");
    rig.leg(caller, LegEvent::Digit { digit: '5' });
    assert_eq!(rig.count("silent.answered"), 0);
    assert!(rig.silence_of(call).is_none());
}

#[test]
fn asking_is_refused_where_it_would_be_heard_by_nobody_or_cut_the_music() {
    let mut rig = Rig::new();
    let (call, _, _) = rig.talk("801");
    let by = || Actor::Seat(SeatId::from("801"));
    assert!(rig.command(by(), Command::Hold { call }).is_ok());
    let reply = rig.asks("801", call);
    assert!(
        matches!(reply, Err(CommandError::WrongState { .. })),
        "{reply:?}"
    );
    let (waiting, _) = rig.arrives();
    let supervisor = Actor::Supervisor(SeatId::from("901"));
    let reply = rig.command(supervisor, Command::AskSilent { call: waiting });
    assert!(
        matches!(reply, Err(CommandError::WrongState { .. })),
        "{reply:?}"
    );
    let reply = rig.asks("802", call);
    assert!(
        matches!(reply, Err(CommandError::NotAllowed { .. })),
        "{reply:?}"
    );
}
