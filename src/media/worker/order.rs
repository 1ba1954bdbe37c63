//! What a worker is told, and the mailbox by which it is told.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use super::leg::Leg;
use crate::id::{CallId, LegId};
use crate::matrix::Matrix;
use crate::media::player::Player;
use crate::media::session::Session;

/// Orders waiting for one worker. It takes all of them each time it wakes: a full box is a stuck worker.
pub(crate) const ORDERS_MAX: usize = 8192;

/// One order.
#[derive(Debug)]
pub(crate) enum Order {
    Open {
        call: CallId,
        leg: Box<Leg>,
    },
    Connect {
        leg: LegId,
        session: Session,
    },
    CloseLeg {
        leg: LegId,
    },
    /// Copy what this leg says to the recorder under this number, or no longer.
    Track {
        leg: LegId,
        slot: Option<u32>,
    },
    Matrix {
        call: CallId,
        matrix: Matrix,
    },
    Play {
        leg: LegId,
        player: Player,
    },
    Stop {
        leg: LegId,
    },
    /// A `*` of this leg begins a star code; one that is under way is complete.
    StarCodes {
        leg: LegId,
    },
    /// Keys in its sound are told.
    Hear {
        leg: LegId,
    },
    /// To a call of this worker, or of another.
    Move {
        leg: LegId,
        to: CallId,
        worker: usize,
    },
    CloseCall {
        call: CallId,
    },
    Shutdown,
    /// Panic while working for this call (tests only).
    Fault {
        call: CallId,
    },
}

impl Order {
    /// The leg that must be here for it, if it needs one.
    pub(super) const fn needs(&self) -> Option<LegId> {
        match self {
            Self::Connect { leg, .. }
            | Self::CloseLeg { leg }
            | Self::Track { leg, .. }
            | Self::Play { leg, .. }
            | Self::Stop { leg }
            | Self::StarCodes { leg }
            | Self::Hear { leg }
            | Self::Move { leg, .. } => Some(*leg),
            Self::Open { .. }
            | Self::Matrix { .. }
            | Self::CloseCall { .. }
            | Self::Shutdown
            | Self::Fault { .. } => None,
        }
    }
}

/// Where a worker is told: a bounded channel and an eventfd that wakes its epoll.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    orders: SyncSender<Order>,
    wake: Arc<OwnedFd>,
}

impl Mailbox {
    pub(super) fn new(orders: SyncSender<Order>, wake: Arc<OwnedFd>) -> Self {
        Self { orders, wake }
    }

    /// Hand over an order without blocking; gives it back when the box is full or the worker is gone.
    pub(crate) fn send(&self, order: Order) -> Result<(), Order> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(order) | TrySendError::Disconnected(order) => order,
        })?;
        // The counter of an eventfd cannot overflow here; the order is in the box whatever this says.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        Ok(())
    }
}
