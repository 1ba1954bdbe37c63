//! Which ready seat is offered the next call. Pure: chance comes in as a number.

use crate::id::SeatId;
use crate::time::Timestamp;

/// How one of several ready seats is chosen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The seat that has been idle longest; equal ones by name.
    LongestIdle,
    /// 随机分配: the seat that this draw falls on (WS/T 451 7.2.1.1-d).
    Draw(u64),
}

/// One of `ready` (seat and since when it is idle), or nobody.
#[must_use]
pub fn choose(ready: &[(&SeatId, Timestamp)], order: Order) -> Option<SeatId> {
    let chosen = match order {
        Order::LongestIdle => ready
            .iter()
            .min_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(b.0))),
        Order::Draw(draw) => {
            let count = u64::try_from(ready.len()).ok().filter(|n| *n > 0)?;
            ready.get(usize::try_from(draw % count).ok()?)
        }
    };
    chosen.map(|(seat, _)| (*seat).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_idle_seat_comes_first_and_ties_go_by_name() {
        let (a, b, c) = (
            SeatId::from("801"),
            SeatId::from("802"),
            SeatId::from("803"),
        );
        let at = Timestamp::from_micros;
        let ready = [(&c, at(5)), (&b, at(5)), (&a, at(9))];
        assert_eq!(choose(&ready, Order::LongestIdle), Some(b.clone()));
        assert_eq!(choose(&[], Order::LongestIdle), None);
        assert_eq!(choose(&[], Order::Draw(3)), None);
    }

    #[test]
    fn random_strategy_reaches_every_ready_seat_evenly() {
        let seats: Vec<SeatId> = (0..4).map(|n| SeatId(format!("80{n}"))).collect();
        let ready: Vec<_> = seats
            .iter()
            .map(|s| (s, Timestamp::from_micros(0)))
            .collect();
        let mut counts = std::collections::BTreeMap::new();
        for draw in 0..400 {
            *counts
                .entry(choose(&ready, Order::Draw(draw)))
                .or_insert(0_u32) += 1;
        }
        assert!(counts.values().all(|n| *n == 100), "{counts:?}");
    }
}
