//! `firstring seat`: the live page in a terminal; and `firstring selftest` over the same way to the server. Shows one seat, its call, the queue with running timers and the alarms,
//! and gives the seat's commands by keys.
//!
//! It uses only the public API, like the page of [`crate::console`]: the live stream for what it shows, the routes for
//! what it does. Refuses to know: what a command means; the server decides, and its words are shown.
//!
//! ```text
//! link (HTTP) --News--> page (pure: what is known, what a key does) --draw--> terminal, or text with --once
//! keys ----------Key--> page --Request--> link
//! ```

mod acts;
mod draw;
mod groups;
mod link;
mod page;
mod picture;
mod self_test;
mod words;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::clock::Clock;
pub use acts::{ACTS, Act, Request};
pub use groups::{GroupCall, GroupTarget};
pub use link::LinkError;
use link::{Link, News};
pub use page::{Key, Page, Wish};
pub use picture::{Me, Picture};
pub use self_test::{SelfTestError, SelfTestOptions, self_test};
pub use words::Language;

/// Timers run on the screen so often.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Keys and pictures that wait for the page.
const WAITING_MAX: usize = 64;

/// What `firstring seat` was told.
pub struct Options {
    /// `http://127.0.0.1:8120`
    pub server: String,
    pub token: String,
    /// Another seat than the token's own.
    pub seat: Option<String>,
    pub language: Language,
    /// Print what there is, and end.
    pub once: bool,
    /// A PEM file of authorities that are good besides the public ones.
    pub authority: Option<PathBuf>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("here is no terminal; `--once` prints what there is")]
    NoTerminal,
    #[error("the terminal: {0}")]
    Screen(#[from] std::io::Error),
}

/// Shows the page until the person ends it.
///
/// # Errors
/// [`TerminalError`]: the server refuses or is not there at the start, or there is no terminal.
pub async fn run(options: Options) -> Result<(), TerminalError> {
    let link = Link::new(&options.server, options.token, options.authority)?;
    let me = link.me().await?;
    let mut page = Page::new(me, options.seat, options.language);
    if options.once {
        page.see(link.look().await?, now());
        if let Some(revision) = page.wants_groups() {
            page.see_groups(revision, link.read("/group_calls").await?);
        }
        print!("{}", page.text(now()));
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(TerminalError::NoTerminal);
    }
    let (news, pictures) = channel(WAITING_MAX);
    let (typed, keys) = channel(WAITING_MAX);
    std::thread::spawn(move || read_keys(&typed));
    let mut screen = ratatui::try_init()?;
    let shown = tokio::select! {
        () = link.follow(news) => Ok(()),
        shown = show(&mut screen, &mut page, &link, pictures, keys) => shown,
    };
    ratatui::try_restore()?;
    Ok(shown?)
}

async fn show(
    screen: &mut DefaultTerminal,
    page: &mut Page,
    link: &Link,
    mut pictures: Receiver<News>,
    mut keys: Receiver<Key>,
) -> std::io::Result<()> {
    let (mut asked, mut tables) = (FuturesUnordered::new(), FuturesUnordered::new());
    let mut beat = tokio::time::interval(DRAW_EVERY);
    loop {
        screen.draw(|frame| page.draw(frame, now()))?;
        tokio::select! {
            key = keys.recv() => {
                let Some(key) = key else {
                    return Ok(());
                };
                match page.on_key(key, now()) {
                    Wish::Nothing => {}
                    Wish::Quit => return Ok(()),
                    Wish::Ask(request) => asked.push(link.ask(request)),
                }
            }
            Some(news) = pictures.recv() => match news {
                News::Seen(picture) => page.see(*picture, now()),
                News::Lost => page.lose(),
            },
            Some(answer) = asked.next() => match answer {
                Ok(()) => page.tell(page.word("done"), false, now()),
                Err(refused) => page.tell(refused.to_string(), true, now()),
            },
            Some((revision, all)) = tables.next() => page.see_groups(revision, all),
            _ = beat.tick() => if let Some(revision) = page.wants_groups().filter(|_| tables.is_empty()) {
                tables.push(groups_at(link, revision));
            },
        }
    }
}

/// What cannot be read is not asked for again before it changes.
async fn groups_at(link: &Link, revision: u64) -> (u64, Vec<GroupCall>) {
    let all = link.read("/group_calls").await;
    (revision, all.unwrap_or_default())
}

fn now() -> i64 {
    Clock::process().now().as_micros()
}

/// Reads the keyboard until nobody wants its keys.
fn read_keys(typed: &Sender<Key>) {
    while let Ok(event) = event::read() {
        let Some(key) = key_of(&event) else {
            continue;
        };
        if typed.blocking_send(key).is_err() {
            return;
        }
    }
}

fn key_of(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return None;
    };
    let with = |modifier| modifiers.contains(modifier);
    if with(KeyModifiers::CONTROL) || with(KeyModifiers::ALT) {
        return (*code == KeyCode::Char('c')).then_some(Key::Interrupt);
    }
    [
        (KeyCode::Enter, Key::Enter),
        (KeyCode::Esc, Key::Esc),
        (KeyCode::Backspace, Key::Backspace),
        (KeyCode::Up, Key::Up),
        (KeyCode::Down, Key::Down),
        (KeyCode::Tab, Key::Tab),
    ]
    .into_iter()
    .find_map(|(of, key)| (of == *code).then_some(key))
    .or_else(|| code.as_char().map(Key::Char))
}
