//! A running `firstring demo` that does not end by itself, and a hand on its API as the person who opened its link. Killed by pid when
//! dropped, with the children that are left.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::server::PATIENCE;

pub struct Demo {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
    cookie: String,
    dir: TempDir,
}

impl Demo {
    /// Start it on free ports; ready when it has said so.
    pub async fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let temporary = dir.path().join("tmp");
        std::fs::create_dir(&temporary).expect("a directory");
        let mut child = Command::new(env!("CARGO_BIN_EXE_firstring"))
            .args(["demo", "--port", "0"])
            .args(args)
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.path().join("log")).expect("a file"))
            .spawn()
            .expect("the program starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (output, lines) = (child.stdout.take().expect("piped"), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in std::io::BufReader::new(output)
                .lines()
                .map_while(Result::ok)
            {
                lines.lock().unwrap().push(line);
            }
        });
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let demo = Self {
            child,
            said,
            http,
            cookie: String::new(),
            dir,
        };
        demo.line("Ctrl-C ends the demo").await;
        demo
    }

    /// Everything that it said so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Wait for a line that holds `text`.
    pub async fn line(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(line) = said.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(
                Instant::now() < deadline,
                "no line with {text:?}:\n{}\n{}",
                said.join("\n"),
                std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The word after `key` in the line that begins with it.
    pub async fn told(&self, key: &str) -> String {
        let found = |line: &String| line.split_whitespace().next() == Some(key);
        self.line(&format!("{key} ")).await;
        let said = self.said();
        let line = said.iter().find(|line| found(line));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value.unwrap_or_else(|| panic!("{said:?}")).to_owned()
    }

    /// Where the demo put its files.
    pub async fn files(&self) -> PathBuf {
        self.told("files").await.into()
    }

    /// What a person types into the phone of that account when real phones are not invited: from the demo's files.
    pub async fn account(&self, seat: &str) -> (SocketAddr, String) {
        let files = self.files().await;
        let config = std::fs::read_to_string(files.join("firstring.toml")).expect("written");
        let config: toml::Value = toml::from_str(&config).expect("TOML");
        let sip = config["sip"]["listeners"]["udp"]["bind"].as_str().unwrap();
        let secret = std::fs::read_to_string(files.join(format!("secrets/seat-{seat}")));
        (sip.parse().expect("an address"), secret.expect("written"))
    }

    /// Open a link as a browser would; status and session cookie.
    pub async fn open(&self, link: &str) -> (u16, String) {
        let answer = self.http.get(link).send().await.expect("an answer");
        let cookie = answer.headers().get("set-cookie").cloned();
        let cookie = cookie.map(|cookie| cookie.to_str().unwrap().to_owned());
        let cookie = cookie.unwrap_or_default();
        (
            answer.status().as_u16(),
            cookie.split(';').next().unwrap_or_default().to_owned(),
        )
    }

    /// Give the API's questions this session.
    pub fn sign_in(&mut self, cookie: &str) {
        self.cookie = cookie.to_owned();
    }

    /// GET of the API.
    pub async fn get(&self, path: &str) -> Value {
        self.ask(reqwest::Method::GET, path).await
    }

    /// POST to the API, without a body.
    pub async fn post(&self, path: &str) -> Value {
        self.ask(reqwest::Method::POST, path).await
    }

    /// With the session of [`Demo::sign_in`], else as a program with the administrator's token.
    async fn ask(&self, method: reqwest::Method, path: &str) -> Value {
        let link = self.told("open").await;
        let base = link.split("/login").next().unwrap();
        let request = self.http.request(method, format!("{base}/api/v1{path}"));
        let request = if self.cookie.is_empty() {
            let secret = self.files().await.join("secrets/token-admin");
            request.bearer_auth(std::fs::read_to_string(secret).expect("written"))
        } else {
            request.header("cookie", &self.cookie)
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Ask again and again until `good` finds what it looks for.
    pub async fn until<T>(
        &self,
        path: &str,
        what: &str,
        mut good: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        // A caller first hears the greeting, and a quiet evening has pauses.
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let body = self.get(path).await;
            if let Some(found) = good(&body) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "no {what}; {path} says {body:#}\n{}",
                self.said().join("\n")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait for an open call of which `good` is true.
    pub async fn call(&self, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        self.until("/calls", what, |calls| {
            calls.as_array()?.iter().find(|call| good(call)).cloned()
        })
        .await
    }

    /// Its child processes.
    pub fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let lists = threads.into_iter().flatten().flatten().map(|thread| {
            std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
        });
        let lists: Vec<String> = lists.collect();
        let pids = lists.iter().flat_map(|list| list.split_whitespace());
        pids.map(|pid| pid.parse().expect("a pid")).collect()
    }

    /// Ctrl-C; how it ended and how long that took.
    pub fn interrupt(&mut self) -> (ExitStatus, Duration) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        let start = Instant::now();
        kill_process(pid, Signal::INT).expect("signalled");
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, start.elapsed());
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What lies in its temporary directory.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("tmp")).expect("a directory");
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its modules end with it, but not when it is killed.
        let mut pids = self.children();
        pids.push(self.child.id());
        if let Ok(None) = self.child.try_wait() {
            for pid in pids {
                let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("{}\n{log}", self.said().join("\n"));
        }
    }
}
