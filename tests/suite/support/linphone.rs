//! Linphone as a person's phone: set up by a remote configuration (what a scanned code gives) or by typed settings, driven through
//! its console, speaking a file and writing what it hears into one.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::PATIENCE;
use super::tone::tone;

pub struct Linphone {
    child: Child,
    input: ChildStdin,
    said: Arc<Mutex<Vec<String>>>,
    dir: TempDir,
}

impl Linphone {
    /// With the account that lies at `address`.
    pub fn provisioned(address: &str) -> Self {
        Self::start(&format!("[misc]\nconfig-uri={address}\n"))
    }

    /// With an account as a person types it: TLS, a certificate to trust.
    pub fn typed(user: &str, secret: &str, server: &str, ca: &Path) -> Self {
        let host = server.rsplit_once(':').expect("host:port").0;
        let ca = ca.display();
        Self::start(&format!(
            "[sip]\nroot_ca={ca}\nverify_server_certs=1\nverify_server_cn=1\nmedia_encryption=none\ndefault_proxy=0\n\
             [auth_info_0]\nusername={user}\npasswd={secret}\ndomain={host}\n\
             [proxy_0]\nreg_proxy=<sip:{server};transport=tls>\nreg_identity=sip:{user}@{host}\nreg_expires=60\nreg_sendregister=1\npublish=0\n"
        ))
    }

    fn start(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path();
        std::fs::create_dir_all(home.join(".local/share/linphone")).expect("a directory");
        let rc = home.join("rc");
        // Several of them on one machine: free ports.
        let ports = "[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\n[rtp]\naudio_rtp_port=41000-46000\n";
        let settings = settings.replace("[sip]\n", "");
        let (sip, rest) = settings.split_once('[').unwrap_or((&settings, ""));
        let ports = ports.replace("[rtp]", &format!("{sip}[rtp]"));
        std::fs::write(&rc, format!("{ports}[{rest}")).expect("written");
        let mut child = Command::new("linphonec")
            .arg("-c")
            .arg(&rc)
            .args(["-d", "5", "-l"])
            .arg(home.join("log"))
            .env("HOME", home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("linphonec does not start ({error}): install the package linphone-cli")
            });
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
        let input = child.stdin.take().expect("piped");
        let mut phone = Self {
            child,
            input,
            said,
            dir,
        };
        phone.command("soundcard use files");
        phone
    }

    pub fn command(&mut self, command: &str) {
        writeln!(self.input, "{command}").expect("it reads");
    }

    /// How many lines hold `text`.
    pub fn count(&self, text: &str) -> usize {
        let said = self.said.lock().unwrap();
        said.iter().filter(|line| line.contains(text)).count()
    }

    /// Wait until `text` was said `n` times.
    pub async fn says(&self, text: &str, n: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.count(text) < n {
            assert!(Instant::now() < deadline, "no {text:?}: {}", self.story());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Wait until it is registered.
    pub async fn registered(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.count("registered, identity=") == 0 {
            assert!(Instant::now() < deadline, "{}", self.story());
            self.command("status register");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Speak a tone, and write what is heard from now on.
    pub fn speak(&mut self, hz: f64) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = self.dir.path().join("tone.wav");
        let mut wav = hound::WavWriter::create(&path, spec).expect("a file");
        for sample in tone(hz, 0, 8000 * 60) {
            wav.write_sample(sample).expect("written");
        }
        wav.finalize().expect("written");
        drop(std::fs::remove_file(self.heard_file()));
        self.command(&format!("record {}", self.heard_file().display()));
        self.command(&format!("play {}", path.display()));
    }

    fn heard_file(&self) -> PathBuf {
        self.dir.path().join("heard.wav")
    }

    /// All that it heard since [`Linphone::speak`], at 8 kHz.
    pub fn heard(&self) -> Vec<i16> {
        // The sizes in the header are written at the end; the samples are there before.
        let bytes = std::fs::read(self.heard_file()).unwrap_or_default();
        let audio = bytes.get(44..).unwrap_or_default();
        audio
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    /// What it said, and the end of its log.
    pub fn story(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let tail: Vec<&str> = log.lines().rev().take(80).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        format!(
            "{}\n{}",
            self.said.lock().unwrap().join("\n"),
            tail.join("\n")
        )
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
