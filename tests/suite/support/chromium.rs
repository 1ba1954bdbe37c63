//! Chromium without a window, driven through the DevTools protocol: open a page, look into it, press what a person would press.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

use super::server::PATIENCE;

pub struct Chromium {
    child: Child,
    socket: WebSocketStream<TcpStream>,
    session: Option<String>,
    asked: u64,
    /// What the console said, errors and warnings of the browser too.
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Chromium {
    /// Whether there is one; CI must have it.
    pub fn is_there() -> bool {
        let found = Command::new("chromium").arg("--version").output().is_ok();
        assert!(
            found || std::env::var_os("CI").is_none(),
            "CI needs the package chromium: tools/need.sh test"
        );
        found
    }

    /// Start it with one empty page whose languages are `languages` (`zh-CN,zh`).
    pub async fn start(languages: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let log = std::fs::File::create(profile.path().join("log")).expect("a file");
        let mut command = Command::new("chromium");
        command.args([
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            "--autoplay-policy=no-user-gesture-required",
        ]);
        if rustix::process::getuid().is_root() {
            command.arg("--no-sandbox");
        }
        let mut child = command
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("chromium starts");
        let deadline = Instant::now() + PATIENCE;
        let said = loop {
            let file = std::fs::read_to_string(profile.path().join("DevToolsActivePort"));
            if let Ok(text) = file
                && text.lines().count() >= 2
            {
                break text;
            }
            if Instant::now() > deadline || child.try_wait().is_ok_and(|end| end.is_some()) {
                drop(child.kill());
                drop(child.wait());
                let log = std::fs::read_to_string(profile.path().join("log"));
                panic!("chromium is not there: {}", log.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let (port, path) = said.trim().split_once('\n').expect("port and path");
        let address = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&address).await.expect("it listens");
        let unlimited = tungstenite::protocol::WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None); // a screenshot is one frame
        let url = format!("ws://{address}{path}");
        let (socket, _) = client_async_with_config(url, stream, Some(unlimited))
            .await
            .expect("DevTools answers");
        let mut browser = Self {
            child,
            socket,
            session: None,
            asked: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.attach().await;
        browser.speaks(languages).await;
        browser
    }

    async fn attach(&mut self) {
        let page = self
            .ask("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.ask("Target.attachToTarget", target).await;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            self.ask(domain, json!({})).await;
        }
    }

    /// The person's languages, from the next page on.
    pub async fn speaks(&mut self, languages: &str) {
        let agent = self.look("navigator.userAgent").await;
        let settings = json!({ "userAgent": agent, "acceptLanguage": languages });
        self.ask("Emulation.setUserAgentOverride", settings).await;
    }

    /// A command of the DevTools protocol and its answer.
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.try_ask(method, params).await;
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    async fn try_ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut command = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let message = tungstenite::Message::text(command.to_string());
        self.socket.send(message).await.expect("sent");
        let answer = tokio::time::timeout(PATIENCE, self.answer(self.asked)).await;
        answer.unwrap_or_else(|_| panic!("{method} has no answer"))
    }

    async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.socket.next().await.expect("chromium lives");
            let tungstenite::Message::Text(text) = message.expect("readable") else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == id {
                return message;
            }
            let (params, method) = (&message["params"], message["method"].as_str());
            let bad = match method {
                Some("Runtime.exceptionThrown") => true,
                Some("Runtime.consoleAPICalled") => {
                    matches!(params["type"].as_str(), Some("error" | "warning"))
                }
                Some("Log.entryAdded") => {
                    matches!(params["entry"]["level"].as_str(), Some("error" | "warning"))
                }
                _ => false,
            };
            if bad {
                self.complaints.push(params.to_string());
            }
        }
    }

    /// Errors and warnings since the start.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    pub async fn open(&mut self, address: &str) {
        let opened = self.ask("Page.navigate", json!({ "url": address })).await;
        assert!(opened["errorText"].is_null(), "{address}: {opened}");
        self.until("document.readyState === 'complete'").await;
    }

    /// Load the page anew.
    pub async fn reload(&mut self) {
        self.look("window.before = true").await;
        self.ask("Page.reload", json!({})).await;
        self.until("!window.before && document.readyState === 'complete'")
            .await;
    }

    /// The value of a JavaScript expression.
    pub async fn look(&mut self, expression: &str) -> Value {
        let answer = self.evaluated(expression).await;
        assert!(answer["error"].is_null(), "{expression}: {answer}");
        answer["result"]["result"]["value"].clone()
    }

    async fn evaluated(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true });
        let answer = self.try_ask("Runtime.evaluate", params).await;
        let thrown = &answer["result"]["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {answer}");
        answer
    }

    /// Wait until an expression is true; its value.
    pub async fn until(&mut self, expression: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A page on its way has no body and no answers.
            let tried = format!("(() => {{ try {{ return {expression}; }} catch {{}} }})()");
            // One that leaves for the next has no answer at all.
            let value = self.evaluated(&tried).await["result"]["result"]["value"].clone();
            if !(value.is_null() || value == json!(false) || value == json!("") || value == 0) {
                return value;
            }
            if Instant::now() > deadline {
                let text = self.look("document.body.innerText").await;
                panic!(
                    "not true in {PATIENCE:?}: {expression}\n{}\n{:?}",
                    text.as_str().unwrap_or_default(),
                    self.complaints
                );
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Press an element once it is there, can be pressed and nothing lies over it. One step of the page: on a live page it could
    /// move between a look and a mouse event.
    pub async fn press(&mut self, selector: &str) {
        self.until(&format!(
            "(() => {{ const e = document.querySelector(`{selector}`); if (!e || e.disabled) return false; e.scrollIntoView({{ block: 'center' }});
             const r = e.getBoundingClientRect(); if (!e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))) return false;
             e.focus(); e.click(); return true; }})()"
        ))
        .await;
    }

    /// Type into what has the focus.
    pub async fn write(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text })).await;
    }

    /// The window's size.
    pub async fn size(&mut self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// A picture of the whole page.
    pub async fn picture(&mut self, path: &Path) {
        let how = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.ask("Page.captureScreenshot", how).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture["data"].as_str().expect("a picture"))
            .expect("base64");
        assert!(bytes.starts_with(b"\x89PNG"));
        std::fs::write(path, bytes).expect("written");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its helpers end when their parent is gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
