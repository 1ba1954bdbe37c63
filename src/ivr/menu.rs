//! A tree of nodes, and what can be wrong with one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{PromptId, QueueId};
use crate::time::Millis;

/// One menu. Good when [`Menu::flaws`] has nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// The node a caller enters.
    pub start: String,
    /// Where a fault and the longest stay lead.
    pub queue: QueueId,
    /// Nobody stays longer.
    pub stay: Millis,
    pub nodes: BTreeMap<String, Node>,
}

/// One place in a menu: what is said, and where each key leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub prompts: Vec<PromptId>,
    /// `0`-`9`, `*`, `#`. Without any the node is an announcement.
    pub keys: BTreeMap<char, Goal>,
    /// Silence after the prompts that counts as no key.
    pub key_wait: Millis,
    /// How often silence or a wrong key has the node said again.
    pub repeats: u8,
    /// Where silence and wrong keys lead in the end, and an announcement at its end.
    pub then: Goal,
    /// From here on the caller hears this language.
    pub language: Option<String>,
}

/// Where a key leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    Node(String),
    Queue(QueueId),
}

/// What is wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// The start is no node of it.
    NoStart,
    /// A key (or, without one, `then`) leads to a node that is not there.
    UnknownNode {
        node: String,
        key: Option<char>,
        goal: String,
    },
    /// Who presses nothing goes round in a circle from here.
    LoopWithoutKey { node: String },
    /// No way leads here.
    Unreached { node: String },
}

impl Menu {
    /// Everything wrong with the tree's shape.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = BTreeSet::new();
        if !self.nodes.contains_key(&self.start) {
            flaws.insert(Flaw::NoStart);
        }
        for (name, node) in &self.nodes {
            for (key, goal) in node.goals() {
                if let Goal::Node(goal) = goal
                    && !self.nodes.contains_key(goal)
                {
                    flaws.insert(Flaw::UnknownNode {
                        node: name.clone(),
                        key,
                        goal: goal.clone(),
                    });
                }
            }
            if self.circles(name) {
                flaws.insert(Flaw::LoopWithoutKey { node: name.clone() });
            }
        }
        let reached = self.reached();
        let unreached = self.nodes.keys().filter(|name| !reached.contains(*name));
        flaws.extend(unreached.map(|node| Flaw::Unreached { node: node.clone() }));
        flaws.into_iter().collect()
    }

    /// Whether `then` alone, from node to node, leads back to `start`.
    fn circles(&self, start: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut at = start;
        while let Some(Node {
            then: Goal::Node(next),
            ..
        }) = self.nodes.get(at)
        {
            if next == start {
                return true;
            }
            if !seen.insert(next) {
                return false;
            }
            at = next;
        }
        false
    }

    fn reached(&self) -> BTreeSet<&String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![&self.start];
        while let Some(name) = open.pop() {
            let Some(node) = self.nodes.get(name) else {
                continue;
            };
            if reached.insert(name) {
                open.extend(node.goals().filter_map(|(_, goal)| match goal {
                    Goal::Node(next) => Some(next),
                    Goal::Queue(_) => None,
                }));
            }
        }
        reached
    }
}

impl Node {
    /// Every way out, by key; `then` has none.
    pub fn goals(&self) -> impl Iterator<Item = (Option<char>, &Goal)> {
        let keys = self.keys.iter().map(|(key, goal)| (Some(*key), goal));
        keys.chain([(None, &self.then)])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `1=a` leads to node a, `2=@q` to queue q; `then` likewise.
    pub(crate) fn node(prompt: &str, keys: &str, then: &str) -> Node {
        let goal = |text: &str| match text.strip_prefix('@') {
            Some(queue) => Goal::Queue(QueueId::from(queue)),
            None => Goal::Node(text.to_owned()),
        };
        Node {
            prompts: vec![PromptId::from(prompt)],
            keys: keys
                .split_whitespace()
                .map(|key| (key.chars().next().unwrap(), goal(&key[2..])))
                .collect(),
            key_wait: Millis(5000),
            repeats: 1,
            then: goal(then),
            language: None,
        }
    }

    pub(crate) fn menu(nodes: &[(&str, Node)]) -> Menu {
        Menu {
            start: nodes[0].0.to_owned(),
            queue: QueueId::from("all"),
            stay: Millis::from_secs(60),
            nodes: nodes
                .iter()
                .map(|(name, node)| ((*name).to_owned(), node.clone()))
                .collect(),
        }
    }

    #[test]
    fn menu_whose_every_way_ends_in_a_queue_has_no_flaw() {
        let menu = menu(&[
            ("top", node("top", "1=bill 2=@all 0=top", "@all")),
            ("bill", node("bill", "*=top", "top")),
        ]);
        assert_eq!(menu.flaws(), []);
    }

    #[test]
    fn circle_that_needs_no_key_is_a_flaw_of_each_node_in_it() {
        let menu = menu(&[
            ("top", node("top", "1=@all", "a")),
            ("a", node("a", "1=@all", "b")),
            ("b", node("b", "", "a")),
        ]);
        let flaw = |node: &str| Flaw::LoopWithoutKey {
            node: node.to_owned(),
        };
        assert_eq!(menu.flaws(), [flaw("a"), flaw("b")]);
    }

    #[test]
    fn unknown_and_unreached_nodes_are_told() {
        let mut menu = menu(&[
            ("top", node("top", "1=nowhere", "@all")),
            ("lost", node("lost", "", "@all")),
        ]);
        let unreached = Flaw::Unreached {
            node: String::from("lost"),
        };
        let unknown = Flaw::UnknownNode {
            node: String::from("top"),
            key: Some('1'),
            goal: String::from("nowhere"),
        };
        assert_eq!(menu.flaws(), [unknown, unreached]);
        menu.start = String::from("gone");
        assert_eq!(menu.flaws().first(), Some(&Flaw::NoStart));
    }
}
