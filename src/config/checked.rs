//! The checked configuration: every value is in range, every name resolves, every file was readable. Each key's
//! unit, default and limit is stated where it is parsed (`raw`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::id::{DestinationId, SeatId, TrunkId};
use crate::sip::auth::Algorithm;
use crate::switch::Policy;

/// The whole configuration of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the core decides by.
    pub policy: Policy,
    pub sip: Sip,
    /// PINs by which seats sign in on phones that are not their own.
    pub pins: BTreeMap<SeatId, Secret>,
    pub media: Media,
    pub recording: Recording,
    pub store: Store,
    pub api: Api,
    pub destinations: Vec<Destination>,
    pub enrich: Enrich,
    /// Ed25519 key in PEM that signs the evidence of marks.
    pub evidence_key: Option<PathBuf>,
    /// Directory of prompts; `<dir>/<language>/<id>.wav`, `<dir>/music/hold.wav`.
    pub prompts: PathBuf,
}

/// A secret read from a file or the environment; prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Signalling.
#[derive(Clone, Debug)]
pub struct Sip {
    pub listeners: Vec<SipListener>,
    pub trunks: Vec<Trunk>,
    pub seats: Vec<SeatAccount>,
    /// Digest realm.
    pub realm: String,
    /// Digest algorithms that challenges name, best first; answers may use any.
    pub digests: Vec<Algorithm>,
    /// Interval of OPTIONS to trunks and registered seats.
    pub options_every: Duration,
    /// Whose certificates are good when we connect to a trunk over TLS.
    pub tls_trust: TlsTrust,
    /// What stands in `sip-profiles/`, by file name without `.toml`. Every trunk's profile is among them.
    pub profiles: BTreeMap<String, crate::sip::profile::Profile>,
}

/// Whose certificates are good on our own TLS connections to trunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsTrust {
    /// No TLS connection of ours is made.
    #[default]
    Nobody,
    /// Those issued by an authority of this PEM file, or in it themselves.
    Authorities(PathBuf),
    /// Any: encrypted, but anyone may be at the other end.
    Anybody,
}

/// One listening socket.
#[derive(Clone, Debug)]
pub struct SipListener {
    /// Name used by trunks to pick their way out.
    pub id: String,
    pub transport: Transport,
    pub bind: SocketAddr,
    /// Host put into Via and Contact; the bind address when absent.
    pub advertised: Option<String>,
    /// Certificate chain and key (PEM), for TLS only.
    pub tls: Option<TlsFiles>,
    /// Differentiated services code point, 0-63.
    pub dscp: u8,
}

/// Transport of a SIP listener.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// PEM files; re-read when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// One carrier trunk. A trunk without a source rule does not exist.
#[derive(Clone, Debug)]
pub struct Trunk {
    pub id: TrunkId,
    /// INVITEs from these networks are this trunk's. Never empty.
    pub sources: Vec<Cidr>,
    /// Where outbound INVITEs and OPTIONS go; absent = inbound only, not pinged.
    pub remote: Option<SocketAddr>,
    pub transport: Transport,
    /// Listener id used for outbound requests.
    pub listener: String,
    /// Name of the profile in `sip-profiles/`.
    pub profile: String,
}

/// An address range.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Cidr {
    pub network: IpAddr,
    pub prefix: u8,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Why a text is no address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// The part before the slash.
    #[error("{got:?} is no IP address")]
    Address { got: String },
    /// The part behind the slash.
    #[error("{got:?} is no prefix length from 0 to {max}")]
    Prefix { got: String, max: u8 },
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// `192.0.2.10` (one address) or `192.0.2.0/28`.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let network: IpAddr = address.parse().map_err(|_| CidrError::Address {
            got: address.to_owned(),
        })?;
        let max = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => max,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|length| *length <= max)
                .ok_or_else(|| CidrError::Prefix {
                    got: prefix.to_owned(),
                    max,
                })?,
        };
        Ok(Self { network, prefix })
    }
}

impl Cidr {
    /// Whether some address lies in both ranges.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.prefix <= other.prefix {
            self.contains(other.network)
        } else {
            other.contains(self.network)
        }
    }

    /// Whether `address` lies in the range. IPv4-mapped IPv6 addresses count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// One seat's softphone account.
#[derive(Clone, Debug)]
pub struct SeatAccount {
    pub seat: SeatId,
    pub secret: Secret,
}

/// Media ports and workers.
#[derive(Clone, Debug)]
pub struct Media {
    pub bind: IpAddr,
    /// Address in SDP; the bind address when absent.
    pub advertised: Option<IpAddr>,
    /// Even RTP ports from `port_first` to `port_last`; RTCP is the odd one above.
    pub port_first: u16,
    pub port_last: u16,
    /// 0 = cores - 1, at least 1.
    pub workers: usize,
    pub dscp: u8,
}

/// Where recordings go.
#[derive(Clone, Debug)]
pub struct Recording {
    pub dir: PathBuf,
}

/// Where the journal and the records live.
#[derive(Clone, Debug)]
pub struct Store {
    /// Directory of the journal's segments.
    pub journal: PathBuf,
    pub database: Database,
}

/// The database of records, cursors and the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    /// `postgres://...`; a password comes from a file or the environment.
    Postgres(String),
}

/// The HTTP API and pages.
#[derive(Clone, Debug)]
pub struct Api {
    pub bind: SocketAddr,
    /// Needed unless `bind` is a loopback address.
    pub tls: Option<TlsFiles>,
    pub tokens: Vec<Token>,
}

/// One API token. Only the SHA-256 of the secret is kept.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who it is in audit events.
    pub name: String,
    pub role: crate::switch::Role,
    /// The seat it speaks for (roles seat and supervisor).
    pub seat: Option<SeatId>,
    pub sha256: [u8; 32],
}

/// One receiver of call records.
#[derive(Clone, Debug)]
pub struct Destination {
    pub id: DestinationId,
    pub url: String,
    /// Standard Webhooks secret, `whsec_...`.
    pub secret: Secret,
    /// Event types wanted; empty = `call.arrived`, `call.enriched`, `call.closed`.
    pub events: Vec<String>,
    pub timeout: Duration,
}

/// Enrichment sources.
#[derive(Clone, Debug, Default)]
pub struct Enrich {
    pub line_data: Option<LineDataSource>,
}

/// An HTTP line-data source (机主, 装机地址).
#[derive(Clone, Debug)]
pub struct LineDataSource {
    /// `{number}` is replaced by the caller's national digits: `13800138000`, `075588888888`.
    pub url: String,
    pub timeout: Duration,
    pub bearer: Option<Secret>,
}
