//! One binary for every test that needs more than its own module.

mod audio_recording;
mod call_record;
mod sdp;
mod store;
mod support;
mod transport;
