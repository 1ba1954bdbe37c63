//! SIP (RFC 3261): messages, transactions, dialogs, registrar and trunks. One pure machine and a thin shell:
//! bytes and commands in, bytes and events out.

pub mod address;
pub mod auth;
pub mod body;
pub mod dialog;
pub mod endpoint;
pub mod message;
pub mod net;
pub mod profile;
pub mod random;
pub mod registrar;
pub mod timers;
pub mod transaction;
pub mod transport;
pub mod trunk;
pub mod ua;
pub mod wire;
