//! REGISTER of seats' phones, and the digest check of calls they make.

use super::probe::Target;
use super::request::Source;
use super::{Due, Tell, Ua};
use crate::id::SeatId;
use crate::sip::auth::Verdict;
use crate::sip::message::{Draft, Request};
use crate::sip::net::Flow;
use crate::sip::registrar::{EXPIRES_MIN_S, Registered};
use crate::sip::transaction::ServerKey;
use crate::time::Timestamp;

impl Ua {
    /// REGISTER. Challenges are not remembered, so a flood of them fills no table.
    pub(super) fn register(&mut self, now: Timestamp, request: &Request, flow: Flow) {
        let Some(credentials) = request.headers.first("Authorization").map(<[u8]>::to_vec) else {
            self.challenge_once(now, request, flow, false);
            return;
        };
        let Some(key) = self.admit(now, request, flow, false) else {
            return;
        };
        let user = match self.verify(now, &credentials, "REGISTER") {
            Verdict::Known(user) => user,
            Verdict::Stale => {
                let draft = self.challenge(now, request, 401, true);
                self.respond(now, &key, request, flow, 401, &draft);
                return;
            }
            Verdict::Wrong => {
                self.respond_plain(now, &key, request, flow, 403);
                return;
            }
        };
        let seat = SeatId(user);
        let outcome = self.registrar.register(now, &seat, request, flow);
        let status = match outcome {
            Registered::Bound { .. } => {
                self.bound(now, &seat);
                200
            }
            Registered::Removed => {
                self.unbound(&seat);
                200
            }
            Registered::Unchanged => 200,
            Registered::TooBrief => 423,
            Registered::NoContact => 400,
            Registered::OutOfOrder => 500,
        };
        let tag = self.random.tag();
        let mut draft = Draft::response(request, status, Some(&tag));
        if status == 423 {
            draft.headers.push("Min-Expires", EXPIRES_MIN_S.to_string());
        }
        if let (200, Some(binding)) = (status, self.registrar.binding(&seat)) {
            let seconds = binding.until.since(now).as_secs();
            draft
                .headers
                .push("Contact", format!("<{}>;expires={seconds}", binding.uri));
        }
        self.respond(now, &key, request, flow, status, &draft);
    }

    fn bound(&mut self, now: Timestamp, seat: &SeatId) {
        let Some(binding) = self.registrar.binding(seat) else {
            return;
        };
        let (contact, until) = (binding.contact(), binding.until);
        self.wheel.set(Due::SeatExpiry(seat.clone()), until);
        self.watch(now, Target::Seat(seat.clone()));
        self.tell(Tell::SeatRegistered {
            seat: seat.clone(),
            contact,
            until,
        });
    }

    fn unbound(&mut self, seat: &SeatId) {
        self.wheel.clear(&Due::SeatExpiry(seat.clone()));
        self.unwatch(&Target::Seat(seat.clone()));
        self.tell(Tell::SeatUnregistered { seat: seat.clone() });
    }

    /// A registration's time is up.
    pub(super) fn seat_due(&mut self, now: Timestamp, seat: &SeatId) {
        match self.registrar.expire(now, seat) {
            Some(until) => self.wheel.set(Due::SeatExpiry(seat.clone()), until),
            None => self.unbound(seat),
        }
    }

    /// Whether an INVITE may come in: trunks by their network, phones by their seat's secret.
    pub(super) fn is_admitted(
        &mut self,
        now: Timestamp,
        source: &Source,
        key: &ServerKey,
        request: &Request,
        flow: Flow,
    ) -> bool {
        let Source::Seat(seat) = source else {
            return *source != Source::Stranger;
        };
        let credentials = request
            .headers
            .first("Proxy-Authorization")
            .map(<[u8]>::to_vec);
        let verdict = credentials.map(|c| self.verify(now, &c, "INVITE"));
        match verdict {
            Some(Verdict::Known(user)) if user == seat.as_str() => true,
            Some(Verdict::Known(_) | Verdict::Wrong) => {
                self.respond_plain(now, key, request, flow, 403);
                false
            }
            Some(Verdict::Stale) | None => {
                let draft = self.challenge(now, request, 407, verdict.is_some());
                self.respond(now, key, request, flow, 407, &draft);
                false
            }
        }
    }

    fn verify(&mut self, now: Timestamp, credentials: &[u8], method: &str) -> Verdict {
        let seats = &self.setup.seats;
        self.digest.verify(now, credentials, method, |user| {
            seats
                .iter()
                .find(|s| s.seat.as_str() == user)
                .map(|s| s.secret.0.clone())
        })
    }

    fn challenge(&self, now: Timestamp, request: &Request, status: u16, stale: bool) -> Draft {
        let tag = self.random.seal(&request.key());
        let name = if status == 407 {
            "Proxy-Authenticate"
        } else {
            "WWW-Authenticate"
        };
        self.digest.challenge(now, stale).into_iter().fold(
            Draft::response(request, status, Some(&tag)),
            |draft, value| draft.with(name, value),
        )
    }

    fn challenge_once(&mut self, now: Timestamp, request: &Request, flow: Flow, stale: bool) {
        let draft = self.challenge(now, request, 401, stale);
        let outgoing = Self::way_back(request, flow).outgoing(draft.to_bytes());
        self.out.push_back(super::Output::Send(outgoing));
    }
}
