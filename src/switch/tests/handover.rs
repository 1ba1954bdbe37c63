//! Handing a shift over.

use super::*;
use crate::id::HandoverId;

fn seat(id: &str) -> Actor {
    Actor::Seat(SeatId::from(id))
}

impl Rig {
    fn hands_over(&mut self, from: &str, to: &str) -> Result<HandoverId, CommandError> {
        let (to, note) = (SeatId::from(to), String::from("南山那单等车组回话"));
        match self.command(seat(from), Command::HandOver { to, note })? {
            CommandReply::Handover { handover } => Ok(handover),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn open_work_goes_from_person_to_person_with_an_acknowledgement() {
    let mut rig = Rig::new();
    let (left, caller) = rig.arrives();
    rig.hangs_up(caller);
    let (call, ..) = rig.talk("801");
    let handover = rig.hands_over("801", "802").unwrap();
    let view = rig.switch.view();
    let told = &view.handovers[0];
    assert_eq!(told.items.calls, [call]);
    assert_eq!(
        told.items.call_backs.len(),
        1,
        "{left} is to be called back"
    );
    assert_eq!(view.open_items().handovers, [handover]);
    assert_eq!((told.from.as_str(), told.to.as_str()), ("seat 801", "802"));
    let take = || Command::TakeOverShift { handover };
    for by in [seat("801"), seat("803")] {
        let reply = rig.command(by, take());
        assert!(matches!(reply, Err(CommandError::NotAllowed { .. })));
    }
    rig.command(seat("802"), take()).unwrap();
    let supervisor = Actor::Supervisor(SeatId::from("901"));
    let late = rig.command(supervisor, take());
    let Err(CommandError::WrongState { state, .. }) = late else {
        panic!("{late:?}");
    };
    assert!(state.starts_with("taken over by seat 802 at 20"), "{state}");
    assert!(rig.switch.view().open_items().handovers.is_empty());
    assert_eq!(
        (rig.count("shift.handover"), rig.count("shift.taken_over")),
        (1, 1)
    );
}

#[test]
fn handover_to_the_own_seat_or_to_none_is_refused() {
    let mut rig = Rig::new();
    for to in ["801", "777"] {
        let reply = rig.hands_over("801", to);
        assert!(matches!(reply, Err(CommandError::BadField { .. })), "{to}");
    }
    let handover = HandoverId(rig.id());
    let reply = rig.command(seat("802"), Command::TakeOverShift { handover });
    assert!(matches!(reply, Err(CommandError::Unknown { .. })));
}

#[test]
fn handover_that_nobody_took_over_outlives_the_process() {
    let mut rig = Rig::new();
    let handover = rig.hands_over("801", "802").unwrap();
    rig.input(InputKind::Started {
        seed: 8,
        build: String::from("test"),
        policy: Box::new(policy()),
    });
    assert_eq!(rig.switch.view().open_items().handovers, [handover]);
    rig.command(seat("802"), Command::TakeOverShift { handover })
        .unwrap();
}
