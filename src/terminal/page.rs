//! What the page knows and what a key does to it: pure. Keys that mean nothing now say so; a question is answered with
//! Enter, and goes away with the call that it is about.

use super::acts::{ACTS, Act, Request, Sight, Values};
use super::groups::GroupCall;
use super::picture::{Call, CallBack, Me, Picture, Seat};
use super::words::Language;

/// Characters of one answer.
const ANSWER_MAX: usize = 120;
/// How long a word to the person stands.
const TOLD_US: i64 = 6_000_000;

/// A key of the keyboard.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Enter,
    Esc,
    Backspace,
    Up,
    Down,
    Tab,
    /// Ctrl-C.
    Interrupt,
}

/// What a key asks the shell for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    Nothing,
    Quit,
    Ask(Request),
}

/// A question to the person.
pub(super) struct Question {
    pub(super) act: &'static Act,
    /// The call that it is about.
    pub(super) call: Option<String>,
    pub(super) answers: Vec<String>,
    pub(super) at: usize,
}

/// The page.
pub struct Page {
    pub(super) language: Language,
    pub(super) me: Me,
    /// The seat that it is the page of.
    pub(super) seat: Option<String>,
    pub(super) picture: Picture,
    /// Newest first, and the revision at which they were read.
    pub(super) group_calls: Vec<GroupCall>,
    pub(super) groups_seen: Option<u64>,
    /// A picture has come.
    pub(super) known: bool,
    /// The live stream is there.
    pub(super) up: bool,
    /// The server's clock less ours, us.
    ahead: i64,
    /// A call or call-back that the person chose.
    pub(super) picked: Option<String>,
    pub(super) question: Option<Question>,
    pub(super) help: bool,
    /// What was said last, whether it is bad, and when.
    told: Option<(String, bool, i64)>,
}

impl Page {
    /// The page of the person `me`; `seat` when a supervisor or an admin looks at another seat.
    #[must_use]
    pub fn new(me: Me, seat: Option<String>, language: Language) -> Self {
        let seat = seat.or_else(|| me.seat.clone());
        Self {
            language,
            me,
            seat,
            picture: Picture::default(),
            group_calls: Vec::new(),
            groups_seen: None,
            known: false,
            up: false,
            ahead: 0,
            picked: None,
            question: None,
            help: false,
            told: None,
        }
    }

    /// A new picture came; `now` is our clock, us.
    pub fn see(&mut self, picture: Picture, now: i64) {
        self.ahead = picture.at_now - now;
        self.picture = picture;
        (self.known, self.up) = (true, true);
        if self
            .picked
            .as_ref()
            .is_some_and(|id| !self.rows().contains(id))
        {
            self.picked = None;
        }
        let about = self.question.as_ref().and_then(|q| q.call.clone());
        if about.is_some_and(|call| self.open_call(&call).is_none()) {
            self.question = None;
            self.tell(self.word("gone"), true, now);
        }
    }

    pub(super) fn word(&self, name: &str) -> String {
        self.language.word(name).to_owned()
    }

    /// The live stream broke.
    pub fn lose(&mut self) {
        self.up = false;
    }

    /// Something to say; `bad` stands out.
    pub fn tell(&mut self, text: String, bad: bool, now: i64) {
        self.told = Some((text, bad, now));
    }

    pub(super) fn told(&self, now: i64) -> Option<(&str, bool)> {
        let (text, bad, at) = self.told.as_ref()?;
        (now - at < TOLD_US).then_some((text.as_str(), *bad))
    }

    /// Seconds since a moment of the server's clock.
    pub(super) fn since(&self, at: i64, now: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown to a tenth of a second")]
        let micros = (now + self.ahead - at).max(0) as f64;
        micros / 1e6
    }

    pub(super) fn leads(&self) -> bool {
        self.me.role == "supervisor" || self.me.role == "admin"
    }

    pub(super) fn may_command(&self, call: &Call) -> bool {
        self.leads() || (self.seat.is_some() && call.seat == self.seat)
    }

    pub(super) fn own_seat(&self) -> Option<&Seat> {
        let own = self.seat.as_ref()?;
        self.picture.seats.iter().find(|seat| seat.seat == *own)
    }

    /// The call that the seat talks in.
    pub(super) fn own_call(&self) -> Option<&Call> {
        let own = |call: &&Call| {
            self.seat.is_some() && call.seat == self.seat && !call.waits() && !call.closes()
        };
        let mut calls = self.picture.calls.iter().filter(own);
        let calls: Vec<_> = calls.by_ref().collect();
        let talks = calls.iter().find(|call| call.seated());
        talks.or_else(|| calls.first()).copied()
    }

    fn open_call(&self, id: &str) -> Option<&Call> {
        self.picture.calls.iter().find(|call| call.call == id)
    }

    /// Calls in the order in which they are shown, then call-backs.
    pub(super) fn waiting(&self) -> Vec<&Call> {
        let waits = |call: &&Call| call.waits() && !call.closes();
        self.picture.calls.iter().filter(waits).collect()
    }

    pub(super) fn talks(&self) -> Vec<&Call> {
        let talks = |call: &&Call| !call.waits() || call.closes();
        self.picture.calls.iter().filter(talks).collect()
    }

    fn rows(&self) -> Vec<String> {
        let calls = self.waiting().into_iter().chain(self.talks());
        let calls = calls.map(|call| call.call.clone());
        let entries = self.picture.call_backs.iter();
        calls
            .chain(entries.map(|entry| entry.call_back.clone()))
            .collect()
    }

    /// What keys act on: what was chosen, else the seat's own call and the most urgent call-back.
    pub(super) fn sight(&self) -> Sight<'_> {
        let chosen = self.picked.as_deref();
        let of = |entry: &&CallBack| Some(entry.call_back.as_str()) == chosen;
        let mut entries = self.picture.call_backs.iter();
        let open = |entry: &&CallBack| entry.state == "open";
        Sight {
            page: self,
            seat: self.own_seat(),
            call: chosen
                .and_then(|id| self.open_call(id))
                .or_else(|| self.own_call()),
            call_back: entries
                .clone()
                .find(of)
                .or_else(|| entries.clone().find(open))
                .or_else(|| entries.next()),
        }
    }

    /// The own call, and the one that a key joins to it: the chosen one, else the only other.
    pub(super) fn joinable(&self) -> Option<(&Call, &Call)> {
        let own = self.own_call().filter(|call| call.seated())?;
        let can = |call: &&Call| {
            call.call != own.call
                && !call.closes()
                && call.joined_with.is_empty()
                && call.legs.iter().any(|leg| leg.party == "caller")
        };
        let others: Vec<_> = self.picture.calls.iter().filter(can).collect();
        let chosen = |call: &&&Call| Some(&call.call) == self.picked.as_ref();
        let with = match others.as_slice() {
            [only] => *only,
            several => *several.iter().find(chosen)?,
        };
        Some((own, with))
    }

    /// Keys that can do something now.
    pub(super) fn offered(&self) -> Vec<&'static Act> {
        let sight = self.sight();
        ACTS.iter().filter(|act| (act.can)(&sight)).collect()
    }

    /// A key was pressed.
    pub fn on_key(&mut self, key: Key, now: i64) -> Wish {
        if key == Key::Interrupt {
            return Wish::Quit;
        }
        if self.question.is_some() {
            return self.on_answer_key(key, now);
        }
        if std::mem::take(&mut self.help) {
            return Wish::Nothing;
        }
        match key {
            Key::Char('q') => return Wish::Quit,
            Key::Char('?') => self.help = true,
            Key::Char('l') => self.language = self.language.other(),
            Key::Up => self.pick(-1),
            Key::Down => self.pick(1),
            Key::Esc => self.picked = None,
            Key::Char(key) => return self.on_act(key.to_ascii_lowercase(), now),
            Key::Enter | Key::Backspace | Key::Tab | Key::Interrupt => {}
        }
        Wish::Nothing
    }

    fn pick(&mut self, step: isize) {
        let rows = self.rows();
        let at = self.picked.as_ref();
        let at = at.and_then(|id| rows.iter().position(|row| row == id));
        let next = match (at, step) {
            (None, 1) => Some(0),
            (None, _) => rows.len().checked_sub(1),
            (Some(at), step) => at.checked_add_signed(step),
        };
        self.picked = next.and_then(|at| rows.get(at).cloned());
    }

    fn on_act(&mut self, key: char, now: i64) -> Wish {
        let Some(act) = ACTS.iter().find(|act| act.key == key) else {
            return Wish::Nothing;
        };
        let sight = self.sight();
        if !(act.can)(&sight) {
            self.tell(self.word("nothing"), true, now);
            return Wish::Nothing;
        }
        if act.fields.is_empty() && !act.confirms {
            let request = (act.request)(&sight, &Values::new());
            return request.map_or(Wish::Nothing, Wish::Ask);
        }
        let call = sight.call.filter(|_| act.of_call);
        self.question = Some(Question {
            act,
            call: call.map(|call| call.call.clone()),
            answers: act.fields.iter().map(|f| f.value.to_owned()).collect(),
            at: 0,
        });
        Wish::Nothing
    }

    fn on_answer_key(&mut self, key: Key, now: i64) -> Wish {
        let Some(question) = &mut self.question else {
            return Wish::Nothing;
        };
        let last = question.answers.len().saturating_sub(1);
        match key {
            Key::Esc => self.question = None,
            Key::Char(c) if !c.is_control() => {
                let answer = question.answers.get_mut(question.at);
                if let Some(answer) = answer.filter(|a| a.chars().count() < ANSWER_MAX) {
                    answer.push(c);
                }
            }
            Key::Backspace => {
                if let Some(answer) = question.answers.get_mut(question.at) {
                    answer.pop();
                }
            }
            Key::Up => question.at = question.at.saturating_sub(1),
            Key::Down | Key::Tab => question.at = (question.at + 1).min(last),
            Key::Enter if question.at < last => question.at += 1,
            Key::Enter => return self.answer(now),
            Key::Char(_) | Key::Interrupt => {}
        }
        Wish::Nothing
    }

    /// The last answer was given.
    fn answer(&mut self, now: i64) -> Wish {
        let Some(question) = self.question.take() else {
            return Wish::Nothing;
        };
        let fields = question.act.fields;
        let missing = fields
            .iter()
            .zip(&question.answers)
            .position(|(field, answer)| !field.optional && answer.trim().is_empty());
        if let Some(at) = missing {
            self.question = Some(Question { at, ..question });
            return Wish::Nothing;
        }
        let names = fields.iter().map(|field| field.name);
        let answers = question.answers.iter().map(|a| a.trim().to_owned());
        let values: Values = names.zip(answers).collect();
        let mut sight = self.sight();
        if let Some(call) = &question.call {
            sight.call = self.open_call(call);
        }
        let request = (question.act.request)(&sight, &values);
        if request.is_none() {
            self.tell(self.word("nothing"), true, now);
        }
        request.map_or(Wish::Nothing, Wish::Ask)
    }
}
