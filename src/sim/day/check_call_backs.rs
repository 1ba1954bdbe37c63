//! Checks of the call-back list: one entry per caller, and what is being done about it is true.

use std::collections::BTreeSet;

use super::check::{Checker, Verdict};
use crate::id::CallId;
use crate::switch::View;

impl Checker {
    /// Invariant 2, third part: nobody is on the list twice, and no entry waits for a call that is over.
    pub(super) fn check_call_backs(&self, view: &View) -> Verdict {
        let mut numbers = BTreeSet::new();
        let mut calls = BTreeSet::new();
        for entry in &view.call_backs {
            let own = entry.number.len() > 6 && !numbers.insert(entry.number.as_str());
            if own {
                return Err((2, format!("{} is to be called back twice", entry.number)));
            }
            let fits = match (entry.state.as_str(), entry.with) {
                ("open", None) => true,
                ("dialling", Some(call)) => self.is_made(call) && self.is_open(call),
                ("on_line", Some(call)) => !self.is_made(call) && self.is_open(call),
                _ => false,
            };
            if !fits || entry.with.is_some_and(|call| !calls.insert(call)) {
                return Err((2, format!("{entry:?} hangs on a call that is not its own")));
            }
        }
        Ok(())
    }

    fn is_open(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| c.outcome.is_none())
    }
}
