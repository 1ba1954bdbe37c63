//! baresip as the phone of a seat: registers, rings, answers when told (ctrl_tcp), speaks a tone (aufile) and writes what it
//! hears into a file (sndfile).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::sipp::Place;
use super::tone::{tone, tone_share};

/// How one baresip is set up.
pub struct Setup<'a> {
    pub user: &'a str,
    pub secret: &'a str,
    pub server: SocketAddr,
    /// `udp`, `tcp`, `tls`.
    pub transport: &'a str,
    /// `PCMA` or `PCMU`.
    pub codec: &'a str,
    /// What it says.
    pub hz: f64,
    /// Trusted certificate for TLS.
    pub ca: Option<&'a Path>,
}

/// A running baresip. Dropped, it is ended by its pid.
pub struct Baresip {
    child: Child,
    control: TcpStream,
    said: Arc<Mutex<Vec<Value>>>,
    _reader: JoinHandle<()>,
    dir: TempDir,
    _place: Place,
}

impl Baresip {
    /// Start it and reach its control port; it registers by itself.
    pub fn start(setup: &Setup<'_>) -> Self {
        let place = Place::new();
        let dir = tempfile::tempdir().expect("a directory");
        write_config(dir.path(), &place, setup);
        let output = std::fs::File::create(dir.path().join("output")).expect("a file");
        let mut child = Command::new("baresip")
            .args(["-v", "-s", "-f"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("baresip does not start ({error}): install the package baresip-core")
            });
        let deadline = Instant::now() + Duration::from_secs(10);
        let control = loop {
            if let Ok(control) = TcpStream::connect((place.ip, 4444)) {
                break control;
            }
            let ended = child.try_wait().ok().flatten();
            if Instant::now() > deadline || ended.is_some() {
                drop(child.kill());
                drop(child.wait());
                let log = std::fs::read_to_string(dir.path().join("output")).unwrap_or_default();
                panic!("baresip is not there ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let said = Arc::new(Mutex::new(Vec::new()));
        let reader = reader(control.try_clone().expect("a socket"), Arc::clone(&said));
        Self {
            child,
            control,
            said,
            _reader: reader,
            dir,
            _place: place,
        }
    }

    fn command(&mut self, command: &str, params: &str) {
        let text = json!({ "command": command, "params": params, "token": "t" }).to_string();
        let framed = format!("{}:{text},", text.len());
        self.control.write_all(framed.as_bytes()).expect("sent");
    }

    /// Everything it said so far.
    pub fn said(&self) -> Vec<Value> {
        self.said.lock().unwrap().clone()
    }

    /// How many events of that type (`CALL_INCOMING`) came.
    pub fn count(&self, event: &str) -> usize {
        self.said().iter().filter(|m| m["type"] == event).count()
    }

    /// Wait for the `n`-th event of that type.
    pub async fn event(&self, event: &str, n: usize) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.count(event) < n {
            assert!(
                Instant::now() < deadline,
                "no {event} number {n} of baresip; it said {:#?}\n{}",
                self.said(),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Wait until it rings for the `n`-th time. Read from its log: it may ring before its control port is reached.
    pub async fn rings(&self, n: usize) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.log().matches("Incoming call from:").count() < n {
            assert!(
                Instant::now() < deadline,
                "it does not ring for the {n}. time:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it wrote, with every SIP message.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Pick up the ringing call and wait until it is up.
    pub async fn accept(&mut self) {
        let before = self.count("CALL_ESTABLISHED");
        self.command("accept", "");
        self.event("CALL_ESTABLISHED", before + 1).await;
    }

    /// Dial a number on the phone itself.
    pub fn dial(&mut self, number: &str, server: std::net::SocketAddr) {
        self.command("dial", &format!("sip:{number}@{server}"));
    }

    pub fn hang_up(&mut self) {
        self.command("hangup", "");
    }

    /// Put the call on hold, or take it back (re-INVITE).
    pub fn hold(&mut self, held: bool) {
        self.command(if held { "hold" } else { "resume" }, "");
    }

    /// Press a key (RFC 4733).
    pub fn press(&mut self, key: char) {
        self.command("sndcode", &key.to_string());
    }

    /// All it heard in its newest audio stream, at 8 kHz.
    pub fn heard(&self) -> Vec<i16> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.dir.path())
            .expect("a directory")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        let bytes = files.last().and_then(|path| std::fs::read(path).ok());
        let bytes = bytes.unwrap_or_default();
        // The sizes in the header are written at the end; the samples are there before.
        let start = bytes.windows(4).position(|tag| tag == b"data");
        let audio = start.and_then(|at| bytes.get(at + 8..)).unwrap_or_default();
        audio
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    /// The last `ms` of what it heard.
    pub fn last_audio(&self, ms: usize) -> Vec<i16> {
        let heard = self.heard();
        heard[heard.len().saturating_sub(ms * 8)..].to_vec()
    }

    /// Share of a tone in the last 300 ms it heard.
    pub fn share(&self, hz: f64) -> f64 {
        let audio = self.last_audio(300);
        if audio.len() < 2400 {
            return 0.0;
        }
        tone_share(&audio, hz)
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reader(mut control: TcpStream, said: Arc<Mutex<Vec<Value>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut waiting, mut bytes) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = control.read(&mut bytes) {
            waiting.extend_from_slice(&bytes[..count]);
            // Netstrings: `length:text,`.
            while let Some(colon) = waiting.iter().position(|b| *b == b':') {
                let length: usize = String::from_utf8_lossy(&waiting[..colon])
                    .trim()
                    .parse()
                    .expect("a length");
                if waiting.len() < colon + length + 2 {
                    break;
                }
                let text: Vec<u8> = waiting.drain(..colon + length + 2).collect();
                if let Ok(message) = serde_json::from_slice(&text[colon + 1..=colon + length]) {
                    said.lock().unwrap().push(message);
                }
            }
        }
    })
}

fn write_config(dir: &Path, place: &Place, setup: &Setup<'_>) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(dir.join("tone.wav"), spec).expect("a file");
    for sample in tone(setup.hz, 0, 8000 * 90) {
        wav.write_sample(sample).expect("written");
    }
    wav.finalize().expect("written");
    let (ip, home) = (place.ip, dir.display());
    let ca = setup
        .ca
        .map(|ca| format!("sip_cafile {}\n", ca.display()))
        .unwrap_or_default();
    let config = format!(
        "poll_method epoll\nnet_interface {ip}\n{ca}call_local_timeout 120\ncall_max_calls 4\naudio_path {home}\n\
         audio_player aubridge,nil\naudio_source aufile,{home}/tone.wav\naudio_alert aubridge,nil\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_stats no\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
         module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {ip}:4444\nsnd_path {home}\n"
    );
    let account = format!(
        "<sip:{}@{};transport={}>;auth_pass={};regint=120;answermode=manual;audio_codecs={};ptime=20\n",
        setup.user, setup.server, setup.transport, setup.secret, setup.codec
    );
    for (name, text) in [
        ("config", config.as_str()),
        ("accounts", account.as_str()),
        ("contacts", ""),
    ] {
        std::fs::write(dir.join(name), text).expect("written");
    }
}
