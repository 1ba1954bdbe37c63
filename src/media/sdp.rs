//! Offer and answer of one audio stream (RFC 3264) in SDP (RFC 8866), tolerant of what carriers really send.
//!
//! Owns: reading a description, choosing codec, payload types, packet time, direction and addresses, writing ours.
//! Refuses to know: SIP, sockets, name resolution, ICE, DTLS. Every stream that is not plain RTP audio is refused
//! with port 0 in its place, never dropped, so that the m-lines of offer and answer always match.
//!
//! ```text
//! far offer --answer()--> our answer + Session      our offer() --> far answer --accept()--> Session
//! ```
//! Forgiven: missing `v= o= s= t=`, LF or CR endings, stray lines, `c=` per stream or only in `o=`, a host name as
//! address, spaces after a colon, static payload types without `rtpmap`, two `a=ptime`, lower case names.
//! Comfort noise: we never list it (that would invite silence suppression, and a silent caller is a sign), but a far
//! side that lists it gets it in [`Session::comfort_noise`], so that what comes anyway is known for what it is.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::session::{Codec, Direction, Session};

/// Streams of one description; an answer has to mirror each.
pub const STREAMS_MAX: usize = 32;
/// Formats read of one stream.
const FORMATS_MAX: usize = 64;
/// Packet times we can send, in ms, ascending.
const PTIMES_MS: [u16; 5] = [10, 20, 30, 40, 60];
/// Payload type of `telephone-event` in our own offers.
const DTMF_PAYLOAD_TYPE: u8 = 101;

/// Our half of a media session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Where we receive RTP; RTCP is one port above.
    pub address: SocketAddr,
    /// `o=` session id; stays for the life of the dialog.
    pub session_id: u64,
    /// `o=` version; grows by one with each changed description.
    pub version: u64,
    /// In order of preference. Never empty.
    pub codecs: Vec<Codec>,
    /// Packet time when the far side names none: 10, 20, 30, 40 or 60.
    pub ptime_ms: u16,
    /// What we want to do; the outcome is never more than this.
    pub direction: Direction,
}

/// Why two descriptions make no session. Each answers an INVITE with 488 (RFC 3261 21.4.26).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// No m-line anywhere.
    #[error("not a session description: no m= line in {bytes} bytes")]
    NoStream {
        /// Length of the text.
        bytes: usize,
    },
    /// More m-lines than an answer may mirror.
    #[error("{got} m= lines, at most {STREAMS_MAX} are read")]
    TooManyStreams {
        /// m-lines found.
        got: usize,
    },
    /// No plain RTP audio stream with a port; `offered` lists the streams as written (`video 5004 RTP/AVP`).
    #[error("no plain RTP audio stream among: {}", offered.join("; "))]
    NoAudio {
        /// Media, port and protocol of each stream.
        offered: Vec<String>,
    },
    /// Audio, but nothing we speak; `offered` lists the codecs (`AMR-WB/16000`).
    #[error("no common audio codec among: {}", offered.join(", "))]
    NoCommonCodec {
        /// Name and rate, or the bare payload type.
        offered: Vec<String>,
    },
}

/// An offer of ours: one audio stream with every codec of `local`, and `telephone-event`.
#[must_use]
pub fn offer(local: &Local) -> String {
    let mut text = head(local);
    let codecs: Vec<(u8, Codec)> = local.codecs.iter().map(|c| (static_type(*c), *c)).collect();
    let audio = Audio {
        protocol: "RTP/AVP",
        codecs: &codecs,
        dtmf: Some(DTMF_PAYLOAD_TYPE),
        ptime_ms: nearest_ptime(local.ptime_ms),
        direction: local.direction,
    };
    audio.write(&mut text, local.address.port());
    text
}

/// Our answer to a far side's offer, and the session it makes. m-lines keep count, order and payload numbers of the
/// offer; one codec is chosen by our preference.
///
/// # Errors
/// [`SdpError`]: nothing in the offer can carry this call.
pub fn answer(offer: &str, local: &Local) -> Result<(String, Session), SdpError> {
    let far = Description::read(offer)?;
    let (chosen, stream, codec) = far.choose(|stream| {
        local
            .codecs
            .iter()
            .find_map(|codec| stream.payload_type(*codec).map(|pt| (pt, *codec)))
    })?;
    let session = far.session(stream, codec, local);
    let mut text = head(local);
    for (index, stream) in far.streams.iter().enumerate() {
        if index == chosen {
            let audio = Audio {
                protocol: &stream.protocol,
                codecs: &[codec],
                dtmf: session.dtmf,
                ptime_ms: session.ptime_ms,
                direction: session.direction,
            };
            audio.write(&mut text, local.address.port());
            stream.write_preconditions(&mut text);
        } else {
            let format = stream.formats.first().map_or("0", String::as_str);
            let _ = write!(
                text,
                "m={} 0 {} {format}\r\n",
                stream.media, stream.protocol
            );
        }
    }
    Ok((text, session))
}

/// The far side's answer to our [`offer`]: its first codec that we offered.
///
/// # Errors
/// [`SdpError`]: the far side refused the audio or chose what we did not offer.
pub fn accept(answer: &str, local: &Local) -> Result<Session, SdpError> {
    let far = Description::read(answer)?;
    let (_, stream, codec) = far.choose(|stream| {
        stream
            .codecs()
            .find(|(_, codec)| local.codecs.contains(codec))
    })?;
    Ok(far.session(stream, codec, local))
}

// ---- writing

fn head(local: &Local) -> String {
    let ip = local.address.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- {} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
        local.session_id, local.version
    )
}

/// An audio stream as we write it.
struct Audio<'a> {
    protocol: &'a str,
    codecs: &'a [(u8, Codec)],
    dtmf: Option<u8>,
    ptime_ms: u16,
    direction: Direction,
}

impl Audio<'_> {
    fn write(&self, text: &mut String, port: u16) {
        let _ = write!(text, "m=audio {port} {}", self.protocol);
        for payload_type in self.codecs.iter().map(|c| c.0).chain(self.dtmf) {
            let _ = write!(text, " {payload_type}");
        }
        text.push_str("\r\n");
        for (payload_type, codec) in self.codecs {
            let _ = write!(text, "a=rtpmap:{payload_type} {}/8000\r\n", name(*codec));
        }
        if let Some(payload_type) = self.dtmf {
            let _ = write!(text, "a=rtpmap:{payload_type} telephone-event/8000\r\n");
            let _ = write!(text, "a=fmtp:{payload_type} 0-15\r\n");
        }
        let _ = write!(
            text,
            "a=ptime:{}\r\na={}\r\n",
            self.ptime_ms,
            direction_word(self.direction)
        );
    }
}

const fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcma => "PCMA",
        Codec::Pcmu => "PCMU",
    }
}

/// RFC 3551 table 4.
const fn static_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcma => 8,
        Codec::Pcmu => 0,
    }
}

const fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

// ---- reading

/// What a description says, as far as we care.
#[derive(Default)]
struct Description {
    /// Address of `o=`, the last resort.
    origin: Option<IpAddr>,
    connection: Option<IpAddr>,
    direction: Option<Direction>,
    ptime_ms: Option<u16>,
    streams: Vec<Stream>,
}

/// One m-line and what follows it.
#[derive(Default)]
struct Stream {
    media: String,
    port: u16,
    protocol: String,
    formats: Vec<String>,
    connection: Option<IpAddr>,
    direction: Option<Direction>,
    ptime_ms: Option<u16>,
    ptime_ms_max: Option<u16>,
    rtcp: Option<(u16, Option<IpAddr>)>,
    /// Payload type and `NAME/RATE[/1]` in upper case.
    maps: Vec<(u8, String)>,
    /// RFC 3312: `des:qos mandatory local sendrecv` and its kin, without `a=`.
    preconditions: Vec<String>,
}

impl Description {
    fn read(text: &str) -> Result<Self, SdpError> {
        let mut description = Self::default();
        let mut streams = 0;
        for line in text.split(['\r', '\n']).map(str::trim) {
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim();
            match kind.trim() {
                "m" => {
                    streams += 1;
                    if streams <= STREAMS_MAX {
                        description.streams.push(Stream::read(value));
                    }
                }
                "o" => description.origin = value.split_whitespace().nth(5).and_then(address),
                "c" => {
                    let connection = value.split_whitespace().nth(2).and_then(address);
                    match description.streams.last_mut() {
                        Some(stream) => stream.connection = stream.connection.or(connection),
                        None => description.connection = description.connection.or(connection),
                    }
                }
                "a" => description.attribute(value),
                _ => {}
            }
        }
        match streams {
            0 => Err(SdpError::NoStream { bytes: text.len() }),
            1..=STREAMS_MAX => Ok(description),
            got => Err(SdpError::TooManyStreams { got }),
        }
    }

    fn attribute(&mut self, text: &str) {
        let (key, value) = text.split_once(':').unwrap_or((text, ""));
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        if let Some(stream) = self.streams.last_mut() {
            stream.attribute(&key, value);
        } else if let Some(direction) = direction_of(&key) {
            self.direction = Some(direction);
        } else if key == "ptime" {
            self.ptime_ms = self.ptime_ms.or(millis(value));
        }
    }

    /// The first plain RTP audio stream in which `pick` finds a codec.
    fn choose(
        &self,
        pick: impl Fn(&Stream) -> Option<(u8, Codec)>,
    ) -> Result<(usize, &Stream, (u8, Codec)), SdpError> {
        let usable = || {
            self.streams
                .iter()
                .enumerate()
                .filter(|(_, s)| s.is_plain_audio())
        };
        if let Some(found) = usable().find_map(|(n, s)| pick(s).map(|codec| (n, s, codec))) {
            return Ok(found);
        }
        let offered: Vec<String> = usable().flat_map(|(_, s)| s.codec_names()).collect();
        if offered.is_empty() {
            let streams = self.streams.iter();
            Err(SdpError::NoAudio {
                offered: streams
                    .map(|s| format!("{} {} {}", s.media, s.port, s.protocol))
                    .collect(),
            })
        } else {
            Err(SdpError::NoCommonCodec { offered })
        }
    }

    fn session(&self, stream: &Stream, codec: (u8, Codec), local: &Local) -> Session {
        let said = stream.connection.or(self.connection);
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let ip = said.or(self.origin).unwrap_or(unspecified);
        let offered = stream
            .direction
            .or(self.direction)
            .unwrap_or(Direction::SendRecv);
        let mut direction = both(mirrored(offered), local.direction);
        if said.is_some_and(|ip| ip.is_unspecified()) {
            // Hold of RFC 2543: c=0.0.0.0 means "send me nothing" (RFC 3264 8.4).
            direction = both(direction, Direction::RecvOnly);
        }
        let (rtcp_port, rtcp_ip) = stream.rtcp.unwrap_or((stream.port.saturating_add(1), None));
        let ptime = stream.ptime_ms.or(self.ptime_ms).unwrap_or(local.ptime_ms);
        let ptime_max = stream.ptime_ms_max.unwrap_or(u16::MAX);
        Session {
            remote: SocketAddr::new(ip, stream.port),
            remote_rtcp: SocketAddr::new(rtcp_ip.unwrap_or(ip), rtcp_port),
            codec: codec.1,
            payload_type: codec.0,
            ptime_ms: nearest_ptime(ptime.min(ptime_max)),
            dtmf: stream.named("TELEPHONE-EVENT"),
            comfort_noise: stream.comfort_noise(),
            direction,
        }
    }
}

impl Stream {
    fn read(value: &str) -> Self {
        let mut words = value.split_whitespace();
        let mut word = |otherwise: &str| {
            // Mirrored into our answer: visible ASCII only.
            let word: String = words
                .next()
                .unwrap_or(otherwise)
                .chars()
                .filter(char::is_ascii_graphic)
                .collect();
            if word.is_empty() {
                otherwise.to_owned()
            } else {
                word
            }
        };
        let media = word("audio").to_ascii_lowercase();
        let port = word("0");
        let protocol = word("RTP/AVP");
        let port = port
            .split('/')
            .next()
            .and_then(|p| p.parse().ok())
            .unwrap_or(0);
        let formats = words
            .take(FORMATS_MAX)
            .map(|w| w.chars().filter(char::is_ascii_graphic).collect())
            .filter(|format: &String| !format.is_empty())
            .collect();
        Self {
            media,
            port,
            protocol,
            formats,
            ..Self::default()
        }
    }

    fn attribute(&mut self, key: &str, value: &str) {
        match key {
            "rtpmap" if self.maps.len() < FORMATS_MAX => {
                let mut words = value.split_whitespace();
                if let (Some(Ok(payload_type)), Some(name)) =
                    (words.next().map(str::parse), words.next())
                {
                    self.maps.push((payload_type, name.to_ascii_uppercase()));
                }
            }
            // The first that can be read counts.
            "ptime" => self.ptime_ms = self.ptime_ms.or(millis(value)),
            "maxptime" => self.ptime_ms_max = self.ptime_ms_max.or(millis(value)),
            "rtcp" => {
                let mut words = value.split_whitespace();
                let port = words.next().and_then(|p| p.parse().ok());
                self.rtcp = port.map(|port| (port, words.nth(2).and_then(address)));
            }
            "curr" | "des" if self.preconditions.len() < 8 => {
                self.preconditions.push(format!("{key}:{value}"));
            }
            _ => self.direction = direction_of(key).or(self.direction),
        }
    }

    /// RTP without keys: all this stage can carry. RFC 3551, RFC 4585.
    fn is_plain_audio(&self) -> bool {
        let plain = ["RTP/AVP", "RTP/AVPF"];
        self.media == "audio"
            && self.port != 0
            && plain.iter().any(|p| p.eq_ignore_ascii_case(&self.protocol))
    }

    /// Payload types of the m-line, in its order.
    fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        let numbers = self.formats.iter().filter_map(|f| f.parse().ok());
        numbers.filter(|pt| *pt < 128)
    }

    /// Comfort noise, mapped or by its static number (RFC 3389).
    fn comfort_noise(&self) -> Option<u8> {
        let by_number = || {
            let mut listed = self.payload_types();
            listed.find(|pt| *pt == 13 && self.map(*pt).is_none())
        };
        self.named("CN").or_else(by_number)
    }

    /// The name and rate an `rtpmap` gives a payload type.
    fn map(&self, payload_type: u8) -> Option<&str> {
        let found = self.maps.iter().find(|(pt, _)| *pt == payload_type);
        found.map(|(_, name)| name.as_str())
    }

    /// The listed payload type of this name at 8000 Hz.
    fn named(&self, wanted: &str) -> Option<u8> {
        self.payload_types().find(|pt| {
            let mut parts = self.map(*pt).unwrap_or_default().split('/');
            let name = parts.next();
            name == Some(wanted) && parts.next().is_none_or(|rate| rate == "8000")
        })
    }

    /// Codecs we know, in the order of the m-line.
    fn codecs(&self) -> impl Iterator<Item = (u8, Codec)> + '_ {
        self.payload_types().filter_map(|pt| {
            let codec = match self.map(pt) {
                Some("PCMA/8000" | "PCMA/8000/1" | "PCMA") => Codec::Pcma,
                Some("PCMU/8000" | "PCMU/8000/1" | "PCMU") => Codec::Pcmu,
                None if pt == static_type(Codec::Pcma) => Codec::Pcma,
                None if pt == static_type(Codec::Pcmu) => Codec::Pcmu,
                Some(_) | None => return None,
            };
            Some((pt, codec))
        })
    }

    fn payload_type(&self, wanted: Codec) -> Option<u8> {
        let mut codecs = self.codecs();
        codecs.find_map(|(pt, codec)| (codec == wanted).then_some(pt))
    }

    /// For the error: `AMR-WB/16000`, or the bare number of a payload type without a map.
    fn codec_names(&self) -> impl Iterator<Item = String> + '_ {
        let formats = self.formats.iter();
        formats.map(|f| match f.parse().ok().and_then(|pt| self.map(pt)) {
            Some(name) => name.to_owned(),
            None => f.clone(),
        })
    }

    /// RFC 3312: our side is always ready, the far side stands where it said it stands.
    fn write_preconditions(&self, text: &mut String) {
        let qos = |line: &str, key: &str| line.starts_with(key);
        if !self.preconditions.iter().any(|l| qos(l, "des:qos ")) {
            return;
        }
        let theirs = self
            .preconditions
            .iter()
            .filter_map(|l| l.strip_prefix("curr:qos local "))
            .find_map(|word| direction_of(word).map(direction_word))
            .unwrap_or("none");
        let _ = write!(
            text,
            "a=curr:qos local sendrecv\r\na=curr:qos remote {theirs}\r\n\
             a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n"
        );
        if theirs == "none" {
            text.push_str("a=conf:qos remote sendrecv\r\n");
        }
    }
}

/// A literal address; `/ttl` and `%zone` cut off. Names give `None`: this module resolves nothing.
fn address(text: &str) -> Option<IpAddr> {
    text.split(['/', '%'])
        .next()?
        .trim_matches(['[', ']'])
        .parse()
        .ok()
}

/// Milliseconds of `a=ptime`; `20.0` and `20 ` are read, 0 and nonsense are not.
fn millis(text: &str) -> Option<u16> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|ms| *ms > 0)
}

/// The greatest packet time we can send that is not above `ms`.
fn nearest_ptime(ms: u16) -> u16 {
    let fits = PTIMES_MS.iter().rev().find(|p| **p <= ms);
    fits.copied().unwrap_or(PTIMES_MS[0])
}

fn direction_of(key: &str) -> Option<Direction> {
    match key {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// The far side's direction seen from ours.
const fn mirrored(direction: Direction) -> Direction {
    match direction {
        Direction::SendRecv => Direction::SendRecv,
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::Inactive => Direction::Inactive,
    }
}

/// What both allow (RFC 3264 6.1).
const fn both(a: Direction, b: Direction) -> Direction {
    let sends = sends(a) && sends(b);
    let receives = receives(a) && receives(b);
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

const fn sends(direction: Direction) -> bool {
    matches!(direction, Direction::SendRecv | Direction::SendOnly)
}

const fn receives(direction: Direction) -> bool {
    matches!(direction, Direction::SendRecv | Direction::RecvOnly)
}
