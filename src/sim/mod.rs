//! People and carriers without people and carriers: a simulated centre in virtual time that checks the invariants
//! ([`day`], pure), a flood ([`flood`], pure), and a practice centre, telephones over real UDP.

pub mod centre;
pub mod day;
pub mod flood;
pub mod parallel;
pub mod phone;
pub mod small;
pub mod what_if;
