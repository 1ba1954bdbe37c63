//! What a configuration needs of the machine and its neighbours (`firstring check`): addresses, folders, certificates' dates, the
//! database, the clock. Looks only; nothing is made or changed, and each finding names its key, reason and fix.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use super::certificate::{self, Validity};
use crate::api::ClockState;
use crate::clock::Clock;
use crate::config::checked::{Config, Database, Media, TlsFiles, Transport};
use crate::config::{Fault, Origin, Origins, Severity};
use crate::store::records::Store;

/// A database that has not answered by then does not answer.
const DATABASE_WITHIN: Duration = Duration::from_secs(3);
/// A certificate that ends sooner is worth a word.
const ENDS_SOON_S: i64 = 14 * 24 * 60 * 60;
/// Signs of time services that do not speak to systemd.
const OTHER_TIME_SERVICES: [&str; 4] = [
    "/run/chrony",
    "/run/chrony.pid",
    "/run/chronyd.pid",
    "/run/ntpd.pid",
];

/// Gathers findings about the keys of one file.
struct Site<'a> {
    file: &'a Path,
    origins: &'a Origins,
    found: Vec<Fault>,
}

/// What is wrong with the site, for a configuration that is good in itself. With `offline` only files are looked at.
pub async fn look(file: &Path, config: &Config, origins: &Origins, offline: bool) -> Vec<Fault> {
    let mut site = Site {
        file,
        origins,
        found: Vec::new(),
    };
    site.look_at_folders(config);
    site.look_at_certificates(config);
    if !offline {
        site.look_at_addresses(config);
        site.look_at_ports(&config.media);
        site.look_at_database(&config.store.database).await;
        site.look_at_clock();
    }
    site.found
}

impl Site<'_> {
    fn tell(&mut self, severity: Severity, key: &str, reason: String, fix: &str) {
        let written = self.origins.values.iter().find(|value| value.key == key);
        self.found.push(Fault {
            severity,
            file: self.file.to_owned(),
            origin: written.map_or(Origin::Default, |value| value.origin.clone()),
            key: key.to_owned(),
            reason,
            fix: fix.to_owned(),
        });
    }

    fn look_at_folders(&mut self, config: &Config) {
        for (key, folder) in [
            ("recording.dir", &config.recording.dir),
            ("store.journal", &config.store.journal),
        ] {
            if !folder.is_dir() {
                let reason = format!("is {}, which does not exist yet", folder.display());
                let fix = "it is made at start; if it is to be a disk of its own, mount that first";
                self.tell(Severity::Warning, key, reason, fix);
            }
        }
    }

    fn look_at_certificates(&mut self, config: &Config) {
        for listener in &config.sip.listeners {
            if let Some(files) = &listener.tls {
                self.look_at_certificate(
                    &format!("sip.listeners.{}.certificate", listener.id),
                    files,
                );
            }
        }
        if let Some(files) = &config.api.tls {
            self.look_at_certificate("api.certificate", files);
        }
    }

    fn look_at_certificate(&mut self, key: &str, files: &TlsFiles) {
        let named = files.certificate.display();
        let Some(Validity { from, until }) = certificate::validity(&files.certificate) else {
            let reason = format!("names {named}, whose dates cannot be read");
            let fix = "look at it: openssl x509 -noout -dates -in FILE";
            return self.tell(Severity::Warning, key, reason, fix);
        };
        let now = Clock::process().now().as_micros() / 1_000_000;
        let (what, when, fix) = if now < from {
            (
                "is not valid before",
                from,
                "look at the system's clock; or have it made again",
            )
        } else if now > until {
            (
                "has expired at",
                until,
                "renew it; the new file is used without restart",
            )
        } else if until - now < ENDS_SOON_S {
            (
                "expires at",
                until,
                "renew it; the new file is used without restart",
            )
        } else {
            return;
        };
        let when = crate::time::Timestamp::from_micros(when * 1_000_000).rfc3339();
        let reason = format!("names {named}, which {what} {when}");
        self.tell(Severity::Warning, key, reason, fix);
    }

    fn look_at_addresses(&mut self, config: &Config) {
        for listener in &config.sip.listeners {
            let key = format!("sip.listeners.{}.bind", listener.id);
            self.look_at_address(&key, listener.bind, listener.transport == Transport::Udp);
        }
        self.look_at_address("api.bind", config.api.bind, false);
        let media = SocketAddr::new(config.media.bind, 0);
        self.look_at_address("media.bind", media, true);
    }

    fn look_at_address(&mut self, key: &str, address: SocketAddr, is_udp: bool) {
        let bound = if is_udp {
            UdpSocket::bind(address).map(drop)
        } else {
            TcpListener::bind(address).map(drop)
        };
        let Err(error) = bound else { return };
        let kind = error.kind();
        let (severity, reason, fix) = if kind == ErrorKind::AddrInUse {
            (
                Severity::Warning,
                format!("is {address}, which a running program has taken"),
                format!(
                    "if that is firstring itself, all is well; otherwise `ss -lpn 'sport = :{}'` names it: stop it, or take another port",
                    address.port()
                ),
            )
        } else if kind == ErrorKind::PermissionDenied {
            (
                Severity::Warning,
                format!("is {address}, which this user may not take"),
                "check as the user that runs firstring; ports below 1024 need CAP_NET_BIND_SERVICE"
                    .to_owned(),
            )
        } else {
            (
                Severity::Error,
                format!("is {address}, which is no address of this machine ({error})"),
                "`ip addr` lists them; what others see goes into `advertised`".to_owned(),
            )
        };
        self.tell(severity, key, reason, &fix);
    }

    fn look_at_ports(&mut self, media: &Media) {
        if !is_ours(media.bind) {
            return; // told already
        }
        let taken = (media.port_first..=media.port_last)
            .filter(|port| {
                UdpSocket::bind((media.bind, *port))
                    .is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
            })
            .count();
        if taken > 0 {
            let reason = format!(
                "begins a range up to {} of which running programs have taken {taken} ports",
                media.port_last
            );
            let fix = "if that is firstring itself, all is well; otherwise `ss -lupn` names them: move the range away";
            self.tell(Severity::Warning, "media.port_first", reason, fix);
        }
    }

    async fn look_at_database(&mut self, database: &Database) {
        let asked = tokio::time::timeout(DATABASE_WITHIN, Store::answers(database)).await;
        let why = match asked {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", DATABASE_WITHIN.as_secs()),
        };
        let fix = "start it, or correct address and password; until then calls go on and are journaled, but no record is made and no module is told";
        let reason = format!("names a database that cannot be used now: {why}");
        self.tell(Severity::Warning, "store.database", reason, fix);
    }

    fn look_at_clock(&mut self) {
        let known_elsewhere = OTHER_TIME_SERVICES
            .iter()
            .any(|sign| Path::new(sign).exists());
        let reason = match ClockState::read().synchronised {
            Some(true) => return,
            None if known_elsewhere => return,
            Some(false) => "the system's clock is not synchronised",
            None => "no time service is seen that keeps the system's clock right",
        };
        let fix = "timedatectl set-ntp true, or run chrony; records carry this clock's time";
        self.tell(Severity::Warning, "", reason.to_owned(), fix);
    }
}

fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
