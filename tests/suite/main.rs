//! One binary for every test that needs more than its own module.

mod audio_plane;
mod audio_recording;
mod call_record;
mod config;
mod enrich;
mod sdp;
mod store;
mod support;
mod transport;
mod wire_bench;
mod wire_pair;
mod wire_peers;
mod wire_smoke;
mod wire_torture;
