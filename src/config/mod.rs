//! Configuration: `raw` is what is written (one TOML, `sip-profiles/`, environment), [`checked`] is what is true.
//! Nothing outside this module sees a raw value.

pub mod checked;
