//! Where Effects go.

use std::sync::Arc;

use crate::api::Commands;
use crate::enrich::Enrichment;
use crate::media::plane::Plane;
use crate::sip::endpoint::Endpoint;
use crate::switch::Effect;

/// Hands each Effect to the part of the shell that it is for.
pub(super) struct Outlet {
    /// Signalling.
    pub endpoint: Arc<Endpoint>,
    /// Media.
    pub plane: Plane,
    /// Location, line data, history.
    pub enrichment: Enrichment,
    /// Askers who wait for an answer.
    pub commands: Commands,
}

impl Outlet {
    /// Run one Effect. Waits only while signalling is busy with earlier ones.
    pub(super) async fn run(&self, effect: Effect) {
        match effect {
            Effect::Leg { leg, command } => {
                if let Err(error) = self.endpoint.command(leg, command).await {
                    tracing::error!(%error, "signalling takes no commands; the process will be started again");
                }
            }
            Effect::Media { call, command } => self.plane.command(call, command),
            // The owner keeps it: its inbox is where the keys come.
            Effect::AskPin { .. } => {}
            Effect::Ask { call, question } => self.enrichment.ask(call, question),
            Effect::Reply { id, result } => self.commands.answer(id, result),
        }
    }
}
