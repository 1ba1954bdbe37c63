//! Independent runs on all cores, told in order.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

/// Results that may wait for an earlier one, per thread.
const AHEAD: usize = 4;

/// `work(n)` for each `n` of `range`, on as many threads as there are cores. `told` hears the results in order of `n`, so
/// what it makes of them does not depend on the number of cores.
pub fn in_order<T: Send>(
    range: Range<u64>,
    work: impl Fn(u64) -> T + Sync,
    mut told: impl FnMut(u64, T),
) {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(range.start);
    let (sender, results) = sync_channel(threads * AHEAD);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= range.end || sender.send((n, work(n))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut due = range.start;
        let mut early = BTreeMap::new();
        for (n, result) in results {
            early.insert(n, result);
            while let Some(result) = early.remove(&due) {
                told(due, result);
                due += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_in_order_each_once() {
        let mut told = Vec::new();
        in_order(
            3..200,
            |n| {
                if n % 7 == 0 {
                    std::thread::yield_now();
                }
                n * n
            },
            |n, square| {
                assert_eq!(square, n * n);
                told.push(n);
            },
        );
        assert_eq!(told, (3..200).collect::<Vec<_>>());
        in_order(5..5, |n| n, |_, _| panic!("nothing to do"));
    }
}
