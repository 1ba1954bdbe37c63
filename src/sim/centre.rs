//! A practice centre on loopback: writes a whole configuration with fresh secrets into a directory, as an operator would.
//! The demo, the tests and the benches start the engine from it, so what they run is what an operator runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use uuid::Uuid;

/// What a practice centre has. Every part can be left out or changed before [`Centre::write`].
#[derive(Clone, Debug)]
pub struct Centre {
    /// Everything of the centre lies in here.
    pub dir: PathBuf,
    /// Address of the API; port 0 = any.
    pub api: SocketAddr,
    /// Whole `[sip.listeners.*]`-style entries: id, transport, bind.
    pub listeners: Vec<(String, &'static str, SocketAddr)>,
    pub trunks: Vec<CarrierTrunk>,
    /// Seat id, supervisor.
    pub seats: Vec<(String, bool)>,
    /// Destination id, URL.
    pub destinations: Vec<(String, String)>,
    /// URL of a line-data source, with `{number}`.
    pub line_data: Option<String>,
    /// Where media ports are bound.
    pub media: IpAddr,
    /// Further TOML, put at the end.
    pub more: String,
    /// Lines put into a section that is written here, by section name.
    pub lines: BTreeMap<&'static str, Vec<String>>,
    secrets: BTreeMap<String, String>,
    /// Where `prompts/` and `sip-profiles/` lie.
    share: PathBuf,
}

/// One trunk of a practice centre.
#[derive(Clone, Debug)]
pub struct CarrierTrunk {
    pub id: String,
    pub source: String,
    pub remote: Option<SocketAddr>,
    pub profile: &'static str,
    /// Order for outbound calls.
    pub outbound: Option<u16>,
    /// Further lines of the section.
    pub lines: Vec<String>,
}

impl Centre {
    /// A centre in `dir` with one UDP listener on loopback, a supervisor seat 800 and `seats` ordinary ones from 801.
    #[must_use]
    pub fn new(dir: &Path, seats: usize) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let ordinary = (1..=seats).map(|n| (format!("{}", 800 + n), false));
        Self {
            dir: dir.to_owned(),
            api: loopback,
            listeners: vec![("udp".to_owned(), "udp", loopback)],
            trunks: Vec::new(),
            seats: std::iter::once(("800".to_owned(), true))
                .chain(ordinary)
                .collect(),
            destinations: Vec::new(),
            line_data: None,
            media: loopback.ip(),
            more: String::new(),
            lines: BTreeMap::new(),
            secrets: BTreeMap::new(),
            share: share(),
        }
    }

    /// The secret called `name` (`seat-801`, `token-admin`, `destination-emr`): made once, the same ever after.
    pub fn secret(&mut self, name: &str) -> String {
        self.secrets
            .entry(name.to_owned())
            .or_insert_with(|| fresh(name))
            .clone()
    }

    /// As [`Centre::secret`], short enough to be typed into a telephone: 64 random bits in four groups.
    pub fn readable_secret(&mut self, name: &str) -> String {
        let text = Uuid::new_v4().simple().to_string();
        let groups: Vec<&str> = [0, 4, 8, 16] // not where the version stands
            .iter()
            .filter_map(|from| text.get(*from..*from + 4))
            .collect();
        let fresh = groups.join("-");
        self.secrets.entry(name.to_owned()).or_insert(fresh).clone()
    }

    /// Where the secret called `name` lies after [`Centre::write`].
    #[must_use]
    pub fn secret_file(&self, name: &str) -> PathBuf {
        self.dir.join("secrets").join(name)
    }

    /// Directory of the prompts.
    #[must_use]
    pub fn prompts(&self) -> PathBuf {
        self.share.join("prompts")
    }

    /// Write configuration and secrets; gives back the configuration's path.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write(&mut self) -> std::io::Result<PathBuf> {
        for folder in ["secrets", "journal", "recordings"] {
            std::fs::create_dir_all(self.dir.join(folder))?;
        }
        let text = self.text();
        for (name, secret) in &self.secrets {
            let path = self.secret_file(name);
            std::fs::write(&path, secret)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        }
        let path = self.dir.join("firstring.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn text(&mut self) -> String {
        let mut text = String::from("# A practice centre, written by firstring itself.\n");
        let dir = self.dir.display().to_string();
        self.section(
            &mut text,
            "centre",
            &[
                "id = \"sz120\"",
                "name = \"深圳市急救中心 (演示)\"",
                "area_code = \"0755\"",
                "division = \"440300\"",
            ],
        );
        for name in [
            "queue",
            "timers",
            "testing",
            "recording",
            "prompts",
            "sip",
            "media",
        ] {
            let own = match name {
                "recording" => vec![format!("dir = \"{dir}/recordings\"")],
                "prompts" => vec![format!("dir = \"{}\"", self.prompts().display())],
                "sip" => vec![format!(
                    "profiles = \"{}\"",
                    self.share.join("sip-profiles").display()
                )],
                "media" => vec![format!("bind = \"{}\"", self.media)],
                _ => Vec::new(),
            };
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            self.section(&mut text, name, &own);
        }
        self.section(
            &mut text,
            "store",
            &[
                &format!("journal = \"{dir}/journal\""),
                &format!("database = \"sqlite://{dir}/records.db\""),
            ],
        );
        self.section(&mut text, "api", &[&format!("bind = \"{}\"", self.api)]);
        self.tokens(&mut text);
        self.listeners_and_trunks(&mut text);
        for (seat, supervisor) in self.seats.clone() {
            self.named(
                &mut text,
                &format!("seats.{seat}"),
                &format!("seat-{seat}"),
                &[&format!("supervisor = {supervisor}")],
            );
        }
        for (id, url) in self.destinations.clone() {
            self.named(
                &mut text,
                &format!("destinations.{id}"),
                &format!("destination-{id}"),
                &[&format!("url = \"{url}\"")],
            );
        }
        if let Some(url) = &self.line_data {
            let line = format!("url = \"{url}\"");
            self.section_of(&mut text, "enrich.line_data", &[&line]);
        }
        text + &self.more
    }

    fn tokens(&mut self, text: &mut String) {
        for (role, seat) in [
            ("admin", None),
            ("supervisor", Some("800")),
            ("module", None),
        ] {
            let seat = seat
                .map(|seat| format!("seat = \"{seat}\""))
                .unwrap_or_default();
            self.named(
                text,
                &format!(
                    "api.tokens.{}",
                    if role == "module" { "dispatch" } else { role }
                ),
                &format!("token-{role}"),
                &[&format!("role = \"{role}\""), &seat],
            );
        }
    }

    fn listeners_and_trunks(&self, text: &mut String) {
        for (id, transport, bind) in &self.listeners {
            self.section_of(
                text,
                &format!("sip.listeners.{id}"),
                &[
                    &format!("transport = \"{transport}\""),
                    &format!("bind = \"{bind}\""),
                ],
            );
        }
        for trunk in &self.trunks {
            let mut lines = vec![
                format!("sources = [\"{}\"]", trunk.source),
                format!("profile = \"{}\"", trunk.profile),
            ];
            lines.extend(trunk.remote.map(|remote| format!("remote = \"{remote}\"")));
            lines.extend(trunk.outbound.map(|order| format!("outbound = {order}")));
            lines.extend(trunk.lines.iter().cloned());
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            self.section_of(text, &format!("trunks.{}", trunk.id), &lines);
        }
    }

    /// A section that may get further lines from `self.lines`.
    fn section(&self, text: &mut String, name: &'static str, lines: &[&str]) {
        let more = self
            .lines
            .get(name)
            .into_iter()
            .flatten()
            .map(String::as_str);
        let all: Vec<&str> = lines.iter().copied().chain(more).collect();
        self.section_of(text, name, &all);
    }

    #[expect(clippy::unused_self, reason = "one way to write a section")]
    fn section_of(&self, text: &mut String, name: &str, lines: &[&str]) {
        text.push_str(&format!("\n[{name}]\n"));
        for line in lines.iter().filter(|line| !line.is_empty()) {
            text.push_str(line);
            text.push('\n');
        }
    }

    /// A section with a secret of its own.
    fn named(&mut self, text: &mut String, name: &str, secret: &str, lines: &[&str]) {
        self.secret(secret);
        let file = format!("secret_file = \"{}\"", self.secret_file(secret).display());
        let all: Vec<&str> = lines.iter().copied().chain([file.as_str()]).collect();
        self.section_of(text, name, &all);
    }
}

/// The working directory when it holds the prompts, else where `make install` puts them.
fn share() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    if here.join("prompts").is_dir() {
        here
    } else {
        PathBuf::from("/usr/local/share/firstring")
    }
}

/// 256 random bits; webhook secrets in their own spelling.
fn fresh(name: &str) -> String {
    let bytes: Vec<u8> = [Uuid::new_v4(), Uuid::new_v4()]
        .iter()
        .flat_map(|id| id.into_bytes())
        .collect();
    if name.starts_with("destination-") {
        return format!(
            "whsec_{}",
            base64::engine::general_purpose::STANDARD.encode(bytes)
        );
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
