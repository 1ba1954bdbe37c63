//! People and carriers without people and carriers: a practice centre, telephones over real UDP.

pub mod centre;
pub mod phone;
