//! Kamailio as a carrier's edge: SIPp speaks UDP to it, it speaks TLS or TCP to the server, and it answers OPTIONS itself.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstring::sim::centre::CarrierTrunk;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::sipp::Place;

/// A running Kamailio with an address of its own. Dropped, it is ended with its children, by their group.
pub struct Edge {
    place: Place,
    transport: &'static str,
    dir: TempDir,
    child: Option<Child>,
}

impl Edge {
    /// An edge of that transport (`tls`, `tcp`), not started.
    pub fn new(transport: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::new();
        let made = rcgen::generate_simple_self_signed(vec![place.ip.to_string()]).expect("made");
        std::fs::write(dir.path().join("edge.pem"), made.cert.pem()).expect("written");
        let key = made.signing_key.serialize_pem();
        std::fs::write(dir.path().join("edge.key"), key).expect("written");
        Self {
            place,
            transport,
            dir,
            child: None,
        }
    }

    /// Whom the server must trust.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("edge.pem")
    }

    /// Where callers behind it send their INVITEs.
    pub fn inside(&self) -> SocketAddr {
        (self.place.ip, 5064).into()
    }

    /// The trunk that it is to the server.
    pub fn trunk(&self, id: &str) -> CarrierTrunk {
        CarrierTrunk {
            remote: Some((self.place.ip, 5061).into()),
            lines: vec![format!("listener = \"{}\"", self.transport)],
            ..self.place.trunk(id)
        }
    }

    /// Start it before `server`, whose certificate it takes and no other.
    pub fn start(&mut self, server: SocketAddr, trusted: &Path) {
        let dir = self.dir.path();
        std::fs::write(dir.join("kamailio.cfg"), self.script(server)).expect("written");
        std::fs::write(dir.join("tls.cfg"), self.tls(trusted)).expect("written");
        let output = std::fs::File::create(dir.join("output")).expect("a file");
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "16", "-M", "4", "-f"])
            .arg(dir.join("kamailio.cfg"))
            .arg("-Y")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "Kamailio does not start ({error}): install kamailio and kamailio-tls-modules"
                )
            });
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(15);
        while std::net::TcpStream::connect((self.place.ip, 5061)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok()?);
            assert!(
                Instant::now() < deadline && ended.is_none(),
                "Kamailio is not there ({ended:?}):\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The carrier's edge is gone.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let group = Pid::from_raw(child.id().cast_signed()).expect("a pid");
        // Gone already is gone.
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = child.try_wait() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(group, Signal::KILL);
        drop(child.wait());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("output")).unwrap_or_default()
    }

    fn script(&self, server: SocketAddr) -> String {
        let (ip, transport) = (self.place.ip, self.transport);
        let (enable, module, setting) = if transport == "tls" {
            (
                "enable_tls=yes",
                "loadmodule \"tls.so\"",
                format!(
                    "modparam(\"tls\", \"config\", \"{}\")",
                    self.dir.path().join("tls.cfg").display()
                ),
            )
        } else {
            ("", "", String::new())
        };
        format!(
            r#"debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
{enable}
tcp_source_ipv4={ip}
listen=udp:{ip}:5064
listen={transport}:{ip}:5061
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
{module}
{setting}
request_route {{
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("INVITE")) record_route();
    loose_route();
    if ($proto == "udp") $du = "sip:{server};transport={transport}";
    if (!t_relay()) sl_reply_error();
}}
"#
        )
    }

    fn tls(&self, trusted: &Path) -> String {
        let (certificate, key) = (self.certificate(), self.dir.path().join("edge.key"));
        format!(
            "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\ncertificate = {certificate}\nprivate_key = {key}\n\
             [client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\nrequire_certificate = yes\nca_list = {ca}\n",
            certificate = certificate.display(),
            key = key.display(),
            ca = trusted.display(),
        )
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- Kamailio's last words ---\n{}", self.log());
        }
    }
}
