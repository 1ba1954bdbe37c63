//! One caller's way through a menu. It keeps the tree it began with, so a reload changes nothing for him.

use serde::{Deserialize, Serialize};

use super::menu::{Goal, Menu, Node};
use crate::id::{PromptId, QueueId};
use crate::time::Millis;

/// Where a caller is in his menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    menu: Menu,
    at: String,
    /// Silences and wrong keys at this node.
    misses: u8,
    /// Prompts are being played.
    playing: bool,
    language: Option<String>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Say these, instead of what is being said; then tell [`Walk::on_played`].
    Play(Vec<PromptId>),
    /// Nothing is being said; after this long without a key tell [`Walk::on_timeout`].
    Await(Millis),
    /// Nothing changes.
    Stay,
    /// The walk is over.
    Leave { queue: QueueId, exit: Exit },
}

/// Why a walk was over.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// A key led to the queue.
    Chosen,
    /// An announcement led to it.
    Announced,
    /// No key came, too often.
    Silence,
    /// A key that leads nowhere came, too often.
    WrongKey,
    /// The longest stay is over.
    TimeUp,
    /// Media did not speak again, or the tree has a hole.
    Fault,
}

impl Exit {
    /// As in `ivr.ended`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Announced => "announced",
            Self::Silence => "silence",
            Self::WrongKey => "wrong_key",
            Self::TimeUp => "time_up",
            Self::Fault => "fault",
        }
    }
}

impl Walk {
    /// Enters `menu`; `notice` is said first.
    #[must_use]
    pub fn enter(menu: Menu, notice: Option<PromptId>) -> (Self, Step) {
        let start = menu.start.clone();
        let mut walk = Self {
            menu,
            at: start.clone(),
            misses: 0,
            playing: false,
            language: None,
        };
        let mut step = walk.go(&start);
        if let (Some(notice), Step::Play(prompts)) = (notice, &mut step) {
            prompts.insert(0, notice);
        }
        (walk, step)
    }

    /// The node he is at.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.at
    }

    /// What he hears is in this language from now on; absent: the centre's.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// A key was pressed.
    pub fn on_digit(&mut self, digit: char) -> Step {
        let Some(node) = self.menu.nodes.get(&self.at) else {
            return self.fault();
        };
        match node.keys.get(&digit).cloned() {
            Some(goal) => self.follow(&goal, Exit::Chosen),
            None if node.keys.is_empty() => Step::Stay,
            None => self.missed(Exit::WrongKey),
        }
    }

    /// The prompts were played to their end.
    pub fn on_played(&mut self) -> Step {
        self.playing = false;
        let Some(node) = self.menu.nodes.get(&self.at) else {
            return self.fault();
        };
        if node.keys.is_empty() {
            let then = node.then.clone();
            self.follow(&then, Exit::Announced)
        } else {
            Step::Await(node.key_wait)
        }
    }

    /// Nothing came in time: no key, or no end of the prompts.
    pub fn on_timeout(&mut self) -> Step {
        if self.playing {
            self.fault()
        } else {
            self.missed(Exit::Silence)
        }
    }

    /// The longest stay is over.
    #[must_use]
    pub fn time_up(&self) -> Step {
        self.leave(Exit::TimeUp)
    }

    fn fault(&self) -> Step {
        self.leave(Exit::Fault)
    }

    fn leave(&self, exit: Exit) -> Step {
        let queue = self.menu.queue.clone();
        Step::Leave { queue, exit }
    }

    fn missed(&mut self, exit: Exit) -> Step {
        let Some(node) = self.menu.nodes.get(&self.at) else {
            return self.fault();
        };
        self.misses = self.misses.saturating_add(1);
        if self.misses > node.repeats {
            let then = node.then.clone();
            return self.follow(&then, exit);
        }
        self.playing = true;
        Step::Play(node.prompts.clone())
    }

    fn follow(&mut self, goal: &Goal, exit: Exit) -> Step {
        match goal {
            Goal::Node(node) => self.go(node),
            Goal::Queue(queue) => Step::Leave {
                queue: queue.clone(),
                exit,
            },
        }
    }

    fn go(&mut self, name: &str) -> Step {
        let Some(Node {
            prompts, language, ..
        }) = self.menu.nodes.get(name)
        else {
            return self.fault();
        };
        if prompts.is_empty() {
            return self.fault();
        }
        if let Some(language) = language {
            self.language = Some(language.clone());
        }
        name.clone_into(&mut self.at);
        self.misses = 0;
        self.playing = true;
        Step::Play(prompts.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::menu::tests::{menu, node};
    use super::*;

    fn play(prompt: &str) -> Step {
        Step::Play(vec![PromptId::from(prompt)])
    }

    fn leave(queue: &str, exit: Exit) -> Step {
        let queue = QueueId::from(queue);
        Step::Leave { queue, exit }
    }

    fn two_levels() -> Menu {
        menu(&[
            ("top", node("top", "1=bill 2=@transport", "@all")),
            ("bill", node("bill", "1=@billing *=top", "top")),
        ])
    }

    fn entered() -> Walk {
        let (walk, step) = Walk::enter(two_levels(), None);
        assert_eq!(step, play("top"));
        walk
    }

    #[test]
    fn keys_lead_from_node_to_node_and_to_the_queue_also_while_a_prompt_plays() {
        let mut walk = entered();
        assert_eq!(walk.on_digit('1'), play("bill"), "the prompt is cut");
        assert_eq!(walk.node(), "bill");
        assert_eq!(walk.on_played(), Step::Await(Millis(5000)));
        assert_eq!(walk.on_digit('*'), play("top"));
        assert_eq!(walk.on_digit('2'), leave("transport", Exit::Chosen));
    }

    #[test]
    fn silence_has_the_node_said_once_more_and_then_leads_on() {
        let mut walk = entered();
        walk.on_digit('1');
        walk.on_played();
        assert_eq!(walk.on_timeout(), play("bill"));
        assert_eq!(walk.on_played(), Step::Await(Millis(5000)));
        assert_eq!(walk.on_timeout(), play("top"), "where bill's then leads");
        walk.on_played();
        assert_eq!(walk.on_timeout(), play("top"));
        walk.on_played();
        assert_eq!(walk.on_timeout(), leave("all", Exit::Silence));
    }

    #[test]
    fn wrong_key_twice_leads_to_the_queue() {
        let mut walk = entered();
        assert_eq!(walk.on_digit('9'), play("top"));
        assert_eq!(walk.on_digit('8'), leave("all", Exit::WrongKey));
    }

    #[test]
    fn silence_and_a_wrong_key_count_together() {
        let mut walk = entered();
        walk.on_played();
        walk.on_timeout();
        assert_eq!(walk.on_digit('9'), leave("all", Exit::WrongKey));
    }

    #[test]
    fn announcement_ignores_keys_and_leads_on_at_its_end() {
        let tree = menu(&[
            ("news", node("news", "", "ask")),
            ("ask", node("ask", "1=@all", "@all")),
        ]);
        let (mut walk, _) = Walk::enter(tree, None);
        assert_eq!(walk.on_digit('1'), Step::Stay);
        assert_eq!(walk.on_played(), play("ask"));
        let (mut walk, _) = Walk::enter(menu(&[("news", node("news", "", "@all"))]), None);
        assert_eq!(walk.on_played(), leave("all", Exit::Announced));
    }

    #[test]
    fn prompt_whose_end_is_never_told_and_a_hole_in_the_tree_lead_to_the_queue() {
        let mut walk = entered();
        assert_eq!(walk.on_timeout(), leave("all", Exit::Fault));
        let hole = menu(&[("top", node("top", "1=nowhere", "@all"))]);
        let (mut walk, _) = Walk::enter(hole.clone(), None);
        assert_eq!(walk.on_digit('1'), leave("all", Exit::Fault));
        let mut gone = hole;
        gone.start = String::from("gone");
        assert_eq!(Walk::enter(gone, None).1, leave("all", Exit::Fault));
        assert_eq!(entered().time_up(), leave("all", Exit::TimeUp));
    }

    #[test]
    fn notice_is_said_first_and_only_once() {
        let notice = Some(PromptId::from("recorded_notice"));
        let (mut walk, step) = Walk::enter(two_levels(), notice);
        let both = ["recorded_notice", "top"].map(PromptId::from).to_vec();
        assert_eq!(step, Step::Play(both));
        assert_eq!(walk.on_digit('9'), play("top"));
    }

    #[test]
    fn language_of_a_node_stays_with_the_caller() {
        let mut english = node("welcome", "1=ask", "@all");
        english.language = Some(String::from("en"));
        let tree = menu(&[
            ("top", node("top", "8=english", "@all")),
            ("english", english),
            ("ask", node("ask", "1=@all", "@all")),
        ]);
        let (mut walk, _) = Walk::enter(tree, None);
        assert_eq!(walk.language(), None);
        walk.on_digit('8');
        walk.on_digit('1');
        assert_eq!((walk.node(), walk.language()), ("ask", Some("en")));
    }

    /// Whatever is pressed and whenever, each step says something, waits, or ends: and without keys it ends.
    #[test]
    fn without_a_key_every_walk_ends_in_a_queue() {
        for start in ["top", "bill"] {
            let mut tree = two_levels();
            tree.start = start.to_owned();
            let (mut walk, mut step) = Walk::enter(tree, None);
            let mut steps = 0;
            while !matches!(step, Step::Leave { .. }) {
                steps += 1;
                assert!(steps < 20, "no end from {start}");
                step = match step {
                    Step::Play(_) => walk.on_played(),
                    Step::Await(_) => walk.on_timeout(),
                    Step::Stay | Step::Leave { .. } => unreachable!(),
                };
            }
        }
    }
}
