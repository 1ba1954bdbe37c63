//! A PostgreSQL server of a test's own: a fresh cluster in a temporary directory, reached by a Unix socket only, so
//! that test runs side by side cannot meet. The server refuses to run as root, so then it runs as `postgres`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firstring::config::checked::Database;

/// A running server; dropped, it is stopped and its files are removed.
pub struct Cluster {
    dir: tempfile::TempDir,
    binaries: PathBuf,
}

impl Cluster {
    /// Start a server. `None` only when the environment says that this machine is to do without.
    pub fn start() -> Option<Self> {
        if std::env::var_os("FIRSTRING_NO_POSTGRES").is_some_and(|value| value == "1") {
            eprintln!("skipped: FIRSTRING_NO_POSTGRES=1");
            return None;
        }
        let Some(binaries) = binaries() else {
            panic!(
                "no PostgreSQL server on this machine (looked in /usr/lib/postgresql/*/bin). Install it \
                 (Debian: apt-get install postgresql), or set FIRSTRING_NO_POSTGRES=1 to do without these tests"
            );
        };
        let dir = tempfile::Builder::new()
            .prefix("firstring-pg-")
            .tempdir()
            .unwrap();
        let cluster = Self { dir, binaries };
        cluster.give_away();
        cluster.run(
            "initdb",
            &[
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        cluster.resume();
        Some(cluster)
    }

    /// Kill the server as a power cut would.
    pub fn kill(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-s", "-w"]);
    }

    /// Start it again, with what its disk holds.
    pub fn resume(&self) {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c shared_buffers=16MB -c max_connections=20 -c fsync=off",
            self.dir.path().display()
        );
        let log = self.dir.path().join("server.log");
        let log = log.to_str().unwrap();
        self.run("pg_ctl", &["start", "-s", "-w", "-l", log, "-o", &options]);
    }

    pub fn database(&self) -> Database {
        let socket = self.dir.path().display();
        Database::Postgres(format!(
            "postgres://postgres@localhost/postgres?host={socket}"
        ))
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.binaries.join(program);
        let mut command = as_somebody(&program);
        let output = command
            .args(arguments)
            .arg("-D")
            .arg(self.data())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
        assert!(
            output.status.success(),
            "{}: {}{log}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn give_away(&self) {
        if is_root() {
            let status = Command::new("chown")
                .arg("postgres")
                .arg(self.dir.path())
                .status();
            assert!(
                status.is_ok_and(|status| status.success()),
                "root needs a user named postgres to run the server as; the package postgresql makes it"
            );
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = as_somebody(&self.binaries.join("pg_ctl"));
        let stopped = command
            .args(["stop", "-m", "immediate", "-s", "-w", "-D"])
            .arg(self.data())
            .current_dir(self.dir.path())
            .stderr(Stdio::null())
            .status();
        drop(stopped); // a test may have killed it already
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_somebody(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The newest installed server.
fn binaries() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}
