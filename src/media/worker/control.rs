//! The control path: orders of the plane, plans, legs that come, move and go.

use std::collections::VecDeque;

use rustix::event::epoll;

use super::order::Order;
use super::tick::PHASES;
use super::{Call, Leg, WAITING_MAX, Worker};
use crate::id::{CallId, LegId};
use crate::matrix::Matrix;
use crate::media::jitter::Jitter;
use crate::media::plan::{self, Plan};
use crate::switch::MediaEvent;

impl Worker {
    /// Do all orders that wait; false when told to stop.
    pub(super) fn take_orders(&mut self) -> bool {
        let mut count = [0; 8];
        // Level-triggered: reading resets it; orders that come after are seen by the next wait.
        let _ = rustix::io::read(&*self.wake, &mut count);
        while let Ok(order) = self.orders.try_recv() {
            if matches!(order, Order::Shutdown) {
                self.leave();
                return false;
            }
            self.obey(order);
            self.at = None;
        }
        true
    }

    fn leave(&mut self) {
        let now_us = self.clock.now().as_micros();
        for place in 0..self.legs.places() {
            if let Some(mut leg) = self.take_out(place) {
                leg.report(now_us, self.tuning.report_us, true);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        if let Some(leg) = order.needs()
            && !self.by_leg.contains_key(&leg)
        {
            self.keep(order);
            return;
        }
        match order {
            Order::Open { call, leg } => self.take_in(call, leg),
            Order::Connect { leg, session } => self.with_leg(leg, |worker, place| {
                let now_us = worker.clock.now().as_micros();
                let report_us = worker.tuning.report_us;
                if let Some(leg) = worker.legs.get_mut(place) {
                    leg.connect(session, now_us, report_us);
                }
            }),
            Order::CloseLeg { leg } => self.close_leg(leg),
            Order::Track { leg, slot } => self.with_leg(leg, |worker, place| {
                if let Some(leg) = worker.legs.get_mut(place) {
                    leg.incoming.slot = slot;
                }
            }),
            Order::Matrix { call, matrix } => {
                let place = self.call_of(call);
                if let Some(call) = self.calls.get_mut(place) {
                    call.matrix = matrix;
                }
                self.compile(place);
            }
            Order::Play { leg, player } => self.with_leg(leg, |worker, place| {
                if let Some(leg) = worker.legs.get_mut(place) {
                    leg.player = Some(player);
                }
            }),
            Order::Stop { leg } => self.with_leg(leg, |worker, place| {
                if let Some(leg) = worker.legs.get_mut(place) {
                    leg.player = None;
                }
            }),
            Order::StarCodes { leg } => self.with_leg(leg, |worker, place| {
                if let Some(leg) = worker.legs.get_mut(place) {
                    leg.incoming.veil.watch();
                }
            }),
            Order::Hear { leg } => self.with_leg(leg, |worker, place| {
                if let Some(leg) = worker.legs.get_mut(place) {
                    leg.incoming.ear.get_or_insert_default();
                }
            }),
            Order::Move { leg, to, worker } => self.move_leg(leg, to, worker),
            Order::CloseCall { call } => self.close_call(call),
            Order::Shutdown => {}
            Order::Fault { call } => self.plant_fault(call),
        }
    }

    /// Change something of a leg, then make its call's plans anew.
    fn with_leg(&mut self, leg: LegId, change: impl FnOnce(&mut Self, usize)) {
        let Some(place) = self.by_leg.get(&leg).copied() else {
            return;
        };
        let call = self.legs.get(place).map(|leg| leg.call);
        self.at = call;
        change(self, place);
        if let Some(call) = call {
            self.compile(call);
        }
    }

    /// An order for a leg that is still on its way from another worker.
    fn keep(&mut self, order: Order) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        let now_us = self.clock.now().as_micros();
        self.waiting.push_back((now_us, order));
    }

    /// A leg comes: new, or from another worker.
    fn take_in(&mut self, call: CallId, mut leg: Box<Leg>) {
        let id = leg.id;
        let call = self.call_of(call);
        self.at = Some(call);
        leg.call = call;
        let place = self.legs.insert(leg);
        let is_watched = self.legs.get(place).is_some_and(|leg| {
            let mark = u64::try_from(place).unwrap_or(0) << 1;
            let watch = |socket, mark| {
                let data = epoll::EventData::new_u64(mark);
                epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)
            };
            watch(&leg.port.rtp, mark).is_ok() && watch(&leg.port.rtcp, mark | 1).is_ok()
        });
        if !is_watched {
            tracing::error!(leg = %id, "media leg cannot be watched: descriptors or kernel memory are used up");
            self.legs.remove(place);
            self.tell(id, MediaEvent::RtpLost { lost: true });
            return;
        }
        self.by_leg.insert(id, place);
        if let Some(call) = self.calls.get_mut(call) {
            call.legs.push(place);
        }
        self.compile(call);
        self.obey_waiting(id);
    }

    fn obey_waiting(&mut self, leg: LegId) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = VecDeque::with_capacity(waiting.len());
        let mut due = Vec::new();
        for (since, order) in waiting {
            if order.needs() == Some(leg) {
                due.push(order);
            } else {
                rest.push_back((since, order));
            }
        }
        self.waiting = rest;
        for order in due {
            self.obey(order);
        }
    }

    /// Take a leg out of tables and epoll. Its call must be compiled after.
    pub(super) fn take_out(&mut self, place: usize) -> Option<Box<Leg>> {
        let leg = self.legs.remove(place)?;
        self.by_leg.remove(&leg.id);
        // A socket that was never added is no harm.
        let _ = epoll::delete(&self.epoll, &leg.port.rtp);
        let _ = epoll::delete(&self.epoll, &leg.port.rtcp);
        if let Some(call) = self.calls.get_mut(leg.call) {
            call.legs.retain(|other| *other != place);
        }
        Some(leg)
    }

    fn close_leg(&mut self, leg: LegId) {
        let Some(place) = self.by_leg.get(&leg).copied() else {
            return;
        };
        self.at = self.legs.get(place).map(|leg| leg.call);
        if let Some(mut leg) = self.take_out(place) {
            let now_us = self.clock.now().as_micros();
            leg.report(now_us, self.tuning.report_us, true);
            let call = leg.call;
            drop(leg);
            self.compile(call);
            self.forget_if_done(call);
        }
    }

    fn move_leg(&mut self, leg: LegId, to: CallId, worker: usize) {
        let Some(place) = self.by_leg.get(&leg).copied() else {
            return;
        };
        let Some(mut leg) = self.take_out(place) else {
            return;
        };
        let from = leg.call;
        leg.detach();
        self.compile(from);
        self.forget_if_done(from);
        if worker == self.number {
            self.take_in(to, leg);
        } else {
            self.stuck
                .push_back((worker, Order::Open { call: to, leg }));
            self.send_stuck();
        }
    }

    /// Hand moved legs to their new workers.
    pub(super) fn send_stuck(&mut self) {
        for _ in 0..self.stuck.len() {
            let Some((worker, order)) = self.stuck.pop_front() else {
                return;
            };
            let sent = match self.peers.get(worker) {
                Some(peer) => peer.send(order),
                None => Ok(()),
            };
            if let Err(order) = sent {
                self.stuck.push_back((worker, order));
            }
        }
    }

    fn close_call(&mut self, call: CallId) {
        let Some(place) = self.by_call.get(&call).copied() else {
            return;
        };
        self.at = Some(place);
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        call.closed = true;
        call.matrix = Matrix::silent();
        for leg in call.legs.clone() {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.player = None;
                leg.incoming.slot = None;
            }
        }
        self.compile(place);
        self.forget_if_done(place);
    }

    fn forget_if_done(&mut self, place: usize) {
        let is_done = self
            .calls
            .get(place)
            .is_some_and(|call| call.closed && call.legs.is_empty());
        if is_done {
            self.forget_call(place);
        }
    }

    pub(super) fn forget_call(&mut self, place: usize) {
        if let Some(call) = self.calls.remove(place) {
            self.by_call.remove(&call.id);
        }
        if let Some(list) = self.ticking.get_mut(place % PHASES) {
            list.retain(|other| *other != place);
        }
    }

    fn call_of(&mut self, id: CallId) -> usize {
        if let Some(place) = self.by_call.get(&id) {
            return *place;
        }
        let place = self.calls.insert(Call {
            id,
            legs: Vec::new(),
            matrix: Matrix::silent(),
            closed: false,
            ticks: false,
            listed: false,
        });
        self.by_call.insert(id, place);
        place
    }

    /// Make the plans of a call anew and give each leg its own. Who is not concerned notices nothing.
    pub(super) fn compile(&mut self, place: usize) {
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        let members = call.legs.clone();
        let mut facts = Vec::with_capacity(members.len());
        for member in &members {
            if let Some(leg) = self.legs.get_mut(*member) {
                leg.incoming.hearers.clear();
                leg.incoming.mixed_by.clear();
                facts.push(leg.facts());
            }
        }
        let plans = plan::compile(&facts, &call.matrix);
        for (member, plan) in members.iter().zip(plans) {
            self.give_plan(*member, plan, &members);
        }
        let mut ticks = false;
        for member in &members {
            if let Some(leg) = self.legs.get_mut(*member) {
                ticks |= leg.needs_tick();
                let incoming = &mut leg.incoming;
                if incoming.mixed_by.is_empty() {
                    incoming.jitter = None;
                } else {
                    incoming.jitter.get_or_insert_with(Box::<Jitter>::default);
                }
            }
        }
        self.list_ticks(place, ticks);
    }

    /// Sources of `plan` count in `members`; the leg keeps them as places of this worker.
    fn give_plan(&mut self, hearer: usize, plan: Plan, members: &[usize]) {
        let place_of = |n: usize| members.get(n).copied();
        let plan = match plan {
            Plan::Nothing => Plan::Nothing,
            Plan::Play => Plan::Play,
            Plan::Forward(n) => match place_of(n) {
                Some(source) => {
                    if let Some(leg) = self.legs.get_mut(source) {
                        leg.incoming.hearers.push(hearer);
                    }
                    Plan::Forward(source)
                }
                None => Plan::Nothing,
            },
            Plan::Mix(sources) => {
                let sources: Vec<_> = sources.into_iter().filter_map(place_of).collect();
                for source in &sources {
                    if let Some(leg) = self.legs.get_mut(*source) {
                        leg.incoming.mixed_by.push(hearer);
                    }
                }
                Plan::Mix(sources)
            }
        };
        if let Some(leg) = self.legs.get_mut(hearer) {
            leg.set_plan(plan);
        }
    }

    fn list_ticks(&mut self, place: usize, ticks: bool) {
        if ticks && !self.is_ticking() {
            self.next_tick_us = self.clock.now().as_micros();
        }
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        call.ticks = ticks;
        if ticks && !call.listed {
            call.listed = true;
            if let Some(list) = self.ticking.get_mut(place % PHASES) {
                list.push(place);
            }
        }
    }

    #[expect(clippy::panic, reason = "tests plant a fault here on purpose")]
    fn plant_fault(&mut self, call: CallId) {
        if let Some(place) = self.by_call.get(&call) {
            self.at = Some(*place);
            panic!("planted fault");
        }
    }
}
