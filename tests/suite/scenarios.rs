//! Evenings of a centre with SIPp as the carrier: long with `FIRSTRING_SCENARIOS=1` (`make scenarios`), else short.

mod burst;
mod commands;
mod destinations;
mod disks;
mod kills;

/// Whether the long forms run.
fn long() -> bool {
    std::env::var_os("FIRSTRING_SCENARIOS").is_some_and(|value| !value.is_empty())
}
