//! The real program, `firstring serve`, started from a practice centre, and a hand on its API. Ended by pid when dropped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstring::engine::Addresses;
use firstring::sim::centre::Centre;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Long enough for a busy machine, short enough to notice.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server and its directory.
pub struct Server {
    pub centre: Centre,
    pub addresses: Addresses,
    config: PathBuf,
    /// File systems that only the program sees.
    mounts: Option<Mounts>,
    child: Child,
    http: reqwest::Client,
    // Last: removed when the process is gone.
    _dir: TempDir,
}

/// What the program mounts for itself alone, in a mount namespace that ends with it.
#[derive(Clone)]
pub struct Mounts {
    /// Flags of `unshare`.
    namespace: &'static str,
    /// Shell words, run before the program.
    script: String,
}

impl Mounts {
    /// With the right to mount, or None: the reason is printed.
    pub fn new(script: String) -> Option<Self> {
        let works = |flags: &&str| {
            let tried = Command::new("unshare").args([*flags, "true"]).status();
            tried.is_ok_and(|status| status.success())
        };
        let namespace = ["-m", "-Urm"].into_iter().find(works);
        if namespace.is_none() {
            println!("skipped: this machine gives no private mount namespace (unshare -Urm)");
        }
        Some(Self {
            namespace: namespace?,
            script,
        })
    }
}

/// A practice centre in a fresh directory, to be changed before [`Server::start`].
pub fn centre(seats: usize) -> (TempDir, Centre) {
    let dir = tempfile::tempdir().expect("a directory");
    let centre = Centre::new(dir.path(), seats);
    (dir, centre)
}

impl Server {
    /// Write the configuration, start the program, wait until it listens.
    pub async fn start(practice: (TempDir, Centre)) -> Self {
        Self::start_with(practice, None).await
    }

    /// As [`Server::start`], with file systems of its own.
    #[expect(clippy::unused_async, reason = "every test waits for it")]
    pub async fn start_with((dir, mut centre): (TempDir, Centre), mounts: Option<Mounts>) -> Self {
        let config = centre.write().expect("a configuration");
        let ready = dir.path().join("ready.json");
        let (child, addresses) = launch(&config, &ready, mounts.as_ref());
        Self {
            centre,
            addresses,
            config,
            mounts,
            child,
            http: client(),
            _dir: dir,
        }
    }

    /// SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Start the program again on the same directory.
    pub fn restart(&mut self) {
        let ready = self.centre.dir.join("ready.json");
        drop(std::fs::remove_file(&ready));
        let (child, addresses) = launch(&self.config, &ready, self.mounts.as_ref());
        self.child = child;
        self.addresses = addresses;
    }

    /// The centre's directory as the running program sees it.
    pub fn files(&self) -> PathBuf {
        let dir = &self.centre.dir;
        if self.mounts.is_none() {
            return dir.clone();
        }
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(dir.strip_prefix("/").expect("an absolute path"))
    }

    /// SIGTERM and wait; gives back what it printed (`state <hash>`).
    pub fn terminate(&mut self) -> String {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Send a signal: HUP reads the configuration again, TERM begins the end.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    /// Wait for the end that a signal began; it must be a good one.
    pub fn ended(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            drop(std::io::Read::read_to_string(&mut output, &mut said));
        }
        let status = self.child.wait().expect("ended");
        assert!(status.success(), "the server ended with {status}: {said}");
        said
    }

    /// Wait until the program has ended by itself; its exit code and its log.
    pub fn ended_by_itself(&mut self, within: Duration) -> (Option<i32>, String) {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let log = std::fs::read_to_string(self.centre.dir.join("serve.log"));
                return (status.code(), log.unwrap_or_default());
            }
            assert!(Instant::now() < deadline, "it still runs after {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where a SIP listener is, by its id in the practice centre (`udp`).
    pub fn sip(&self, id: &str) -> SocketAddr {
        self.addresses
            .sip
            .iter()
            .find(|(name, ..)| name == id)
            .map(|(_, _, address)| *address)
            .expect("a listener of that name")
    }

    /// GET as admin; the JSON answer.
    pub async fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.ask(reqwest::Method::GET, path, None).await;
        assert!(status < 300, "GET {path}: {status} {body}");
        body
    }

    /// POST as admin; status and JSON answer.
    pub async fn post(&mut self, path: &str, body: Value) -> (u16, Value) {
        self.ask(reqwest::Method::POST, path, Some(body)).await
    }

    /// Any request as admin.
    pub async fn ask(
        &mut self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let token = self.centre.secret("token-admin");
        let mut request = self
            .http
            .request(method, format!("http://{}{path}", self.addresses.api))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the API answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        (
            status,
            serde_json::from_str(&text).unwrap_or_else(|_| json!(text)),
        )
    }

    /// What all requests of the test share.
    pub fn client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Ask again and again until `good` finds what it looks for.
    pub async fn wait_for<T>(
        &mut self,
        path: &str,
        what: &str,
        mut good: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let body = self.get(path).await;
            if let Some(found) = good(&body) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} for {what}; {path} says {body:#}"
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Wait for an open call of which `good` is true; the call's view.
    pub async fn open_call(&mut self, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        self.wait_for("/api/v1/calls", what, |calls| {
            calls.as_array()?.iter().find(|call| good(call)).cloned()
        })
        .await
    }

    /// Wait for the newest record to be closed (`end`) with a sealed recording.
    pub async fn closed_record(&mut self) -> Value {
        self.wait_for(
            "/api/v1/records?limit=1",
            "a closed record with its recording",
            |records| {
                let record = records.as_array()?.first()?;
                (record["end"].is_object() && record["recordings"][0]["sha256"].is_string())
                    .then(|| record.clone())
            },
        )
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(self.centre.dir.join("serve.log"))
        {
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!(
                "--- the server's last words ---\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
    }
}

fn launch(
    config: &std::path::Path,
    ready: &std::path::Path,
    mounts: Option<&Mounts>,
) -> (Child, Addresses) {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(config.with_file_name("serve.log"))
        .expect("a log");
    let program = env!("CARGO_BIN_EXE_firstring");
    let mut command = Command::new(mounts.map_or(program, |_| "unshare"));
    if let Some(mounts) = mounts {
        // Neither unshare nor exec makes another process: the pid is the program's.
        let script = format!("{} && exec \"$0\" \"$@\"", mounts.script);
        command.args([mounts.namespace, "sh", "-c", &script, program]);
    }
    let mut child = command
        .args(["--log", "info", "serve", "--drain-s", "5", "--config"])
        .arg(config)
        .arg("--ready-file")
        .arg(ready)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(text) = std::fs::read_to_string(ready) {
            return (child, serde_json::from_str(&text).expect("addresses"));
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log =
                std::fs::read_to_string(config.with_file_name("serve.log")).unwrap_or_default();
            panic!("the server ended with {status}:\n{log}");
        }
        assert!(Instant::now() < deadline, "the server did not become ready");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// rustls needs its provider named before any client is made.
fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .expect("a client")
}
