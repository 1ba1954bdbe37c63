//! A telephone over real UDP for the demo, benches and tests: registers (digest MD5), calls, answers, speaks a sound and keeps what it
//! hears. It reads SIP with a small reader of its own, so that it is a second opinion on the engine's, not an echo.
//!
//! ```text
//! Phone::call   INVITE -> 200 -> ACK -> Talk          Phone::answer   INVITE -> 180 -> 200 -> ACK -> Talk
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use md5::{Digest, Md5};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::media::session::Codec;

/// Samples of 20 ms at 8 kHz.
const FRAME: usize = 160;
const PCMA: u8 = 8;

/// Why a phone could not do it.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    #[error("socket: {0}")]
    Socket(#[from] std::io::Error),
    #[error("no {wanted} within {within:?}")]
    Silent {
        wanted: &'static str,
        within: Duration,
    },
    #[error("{wanted} was answered {status}")]
    Refused { wanted: &'static str, status: u16 },
    #[error("the answer has no usable SDP")]
    NoMedia,
}

/// A phone with one SIP socket.
pub struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
    user: String,
    secret: String,
    /// Requests that came while something else was awaited.
    waiting: VecDeque<Message>,
}

/// What a caller's INVITE carries besides the usual.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    /// User part of the Request-URI: `120`.
    pub number: String,
    /// Further header lines, whole: `P-Access-Network-Info: ...`.
    pub headers: Vec<String>,
    /// A PIDF-LO document to send beside the SDP.
    pub pidf: Option<String>,
}

impl Phone {
    /// A phone at `local` (port 0 = any) that speaks with `server`.
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub async fn new(
        local: SocketAddr,
        server: SocketAddr,
        user: &str,
        secret: &str,
    ) -> Result<Self, PhoneError> {
        let socket = UdpSocket::bind(local).await?;
        Ok(Self {
            socket,
            server,
            user: user.to_owned(),
            secret: secret.to_owned(),
            waiting: VecDeque::new(),
        })
    }

    /// Where this phone's SIP socket is.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> Result<SocketAddr, PhoneError> {
        Ok(self.socket.local_addr()?)
    }

    /// Register for `expires` seconds (0 = leave).
    ///
    /// # Errors
    /// No answer, or the credentials are refused.
    pub async fn register(&mut self, expires: u32) -> Result<(), PhoneError> {
        let local = self.address()?;
        let (call_id, tag) = (Uuid::new_v4().simple().to_string(), short());
        let mut authorization = String::new();
        for cseq in 1..=2 {
            let request = format!(
                "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag={tag}\r\n\
                 To: <sip:{user}@{server}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{local}>\r\nExpires: {expires}\r\n{authorization}Content-Length: 0\r\n\r\n",
                server = self.server,
                user = self.user,
                branch = short(),
            );
            let answer = self
                .transact(&request, "REGISTER", Duration::from_secs(5))
                .await?;
            match answer.status {
                200 => return Ok(()),
                401 if cseq == 1 => authorization = self.authorize(&answer, "REGISTER"),
                status => {
                    return Err(PhoneError::Refused {
                        wanted: "REGISTER",
                        status,
                    });
                }
            }
        }
        Err(PhoneError::Refused {
            wanted: "REGISTER",
            status: 401,
        })
    }

    /// RFC 2617 digest, MD5, qop=auth.
    fn authorize(&self, challenge: &Message, method: &str) -> String {
        let challenges: Vec<_> = challenge
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"))
            .collect();
        let md5 = challenges
            .iter()
            .find(|(_, value)| !value.contains("SHA-256"))
            .or_else(|| challenges.first());
        let Some((_, value)) = md5 else {
            return String::new();
        };
        let (realm, nonce) = (parameter(value, "realm"), parameter(value, "nonce"));
        let uri = format!("sip:{}", self.server);
        let ha1 = md5_hex(&format!("{}:{realm}:{}", self.user, self.secret));
        let ha2 = md5_hex(&format!("{method}:{uri}"));
        let response = md5_hex(&format!("{ha1}:{nonce}:00000001:cafe:auth:{ha2}"));
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"cafe\", response=\"{response}\"\r\n",
            self.user
        )
    }

    /// Send `request` until a final answer to it comes (RFC 3261 timer A and E, shortened).
    async fn transact(
        &mut self,
        request: &str,
        wanted: &'static str,
        within: Duration,
    ) -> Result<Message, PhoneError> {
        let cseq = head_line(request, "CSeq").unwrap_or_default().to_owned();
        let call_id = head_line(request, "Call-ID").unwrap_or_default().to_owned();
        let end = Instant::now() + within;
        let mut pause = Duration::from_millis(500);
        let mut answered = false;
        while Instant::now() < end {
            if !answered {
                self.socket.send_to(request.as_bytes(), self.server).await?;
            }
            let until = (Instant::now() + pause).min(end);
            pause = (pause * 2).min(Duration::from_secs(4));
            while let Ok(got) = timeout_at(until, self.receive()).await {
                let message = got?;
                if message.status == 0 {
                    self.waiting.push_back(message);
                } else if message.header("CSeq") == Some(cseq.as_str())
                    && message.header("Call-ID") == Some(call_id.as_str())
                {
                    answered = true;
                    if message.status >= 200 {
                        return Ok(message);
                    }
                }
            }
        }
        Err(PhoneError::Silent { wanted, within })
    }

    async fn receive(&self) -> Result<Message, PhoneError> {
        let mut buffer = vec![0_u8; 65_536];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).await?;
            if let Some(message) = buffer
                .get(..length)
                .and_then(|bytes| Message::read(&String::from_utf8_lossy(bytes)))
            {
                return Ok(message);
            }
        }
    }

    /// Call and talk: `speech` is said when the call is up.
    ///
    /// # Errors
    /// Refused, unanswered, or without media.
    pub async fn call(
        &mut self,
        dial: &Dial,
        speech: Speech,
        within: Duration,
    ) -> Result<Talk, PhoneError> {
        let media = Media::start(self.address()?.ip(), speech).await?;
        let line = self.invite(dial, &media.sdp, within).await?;
        media.aim(line.remote);
        Ok(Talk { media, line })
    }

    /// Call with media of the caller's own: send `sdp`, give back where the other side wants its RTP.
    ///
    /// # Errors
    /// Refused, unanswered, or without media.
    pub async fn invite(
        &mut self,
        dial: &Dial,
        sdp: &str,
        within: Duration,
    ) -> Result<Line, PhoneError> {
        let local = self.address()?;
        let (call_id, tag, server, user) = (
            Uuid::new_v4().simple().to_string(),
            short(),
            self.server,
            self.user.clone(),
        );
        let uri = format!("sip:{}@{server}", dial.number);
        let (content_type, body) = body(sdp, dial.pidf.as_deref());
        let extra: String = dial
            .headers
            .iter()
            .map(|header| format!("{header}\r\n"))
            .collect();
        let head = |method: &str, cseq: u32, to: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@{local}>;tag={tag}\r\n{to}\r\nCall-ID: {call_id}\r\n\
                 CSeq: {cseq} {method}\r\nContact: <sip:{user}@{local}>\r\n",
                branch = short(),
            )
        };
        let to = format!("To: <{uri}>");
        let invite = format!(
            "{}Content-Type: {content_type}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            head("INVITE", 1, &to),
            body.len()
        );
        let answer = self.transact(&invite, "INVITE", within).await?;
        let to = format!("To: {}", answer.header("To").unwrap_or_default());
        self.socket
            .send_to(
                format!("{}Content-Length: 0\r\n\r\n", head("ACK", 1, &to)).as_bytes(),
                self.server,
            )
            .await?;
        if answer.status != 200 {
            return Err(PhoneError::Refused {
                wanted: "INVITE",
                status: answer.status,
            });
        }
        let bye = format!("{}Content-Length: 0\r\n\r\n", head("BYE", 2, &to));
        Ok(Line {
            remote: remote_media(&answer.body).ok_or(PhoneError::NoMedia)?,
            call_id,
            bye,
        })
    }

    /// Wait for a call, ring for `ring`, answer it. `None` when it was cancelled while it rang.
    ///
    /// # Errors
    /// Nothing came within `within`, or the offer has no media.
    pub async fn answer(
        &mut self,
        ring: Duration,
        speech: Speech,
        within: Duration,
    ) -> Result<Option<Talk>, PhoneError> {
        let media = Media::start(self.address()?.ip(), speech).await?;
        let Some(line) = self.accept(ring, &media.sdp, within).await? else {
            return Ok(None);
        };
        media.aim(line.remote);
        Ok(Some(Talk { media, line }))
    }

    /// Answer with media of one's own: like [`Phone::answer`], with this SDP.
    ///
    /// # Errors
    /// Nothing came within `within`, or the offer has no media.
    pub async fn accept(
        &mut self,
        ring: Duration,
        sdp: &str,
        within: Duration,
    ) -> Result<Option<Line>, PhoneError> {
        let invite = self.next_request("INVITE", within).await?;
        let tag = short();
        self.respond(&invite, 180, "Ringing", &tag, "").await?;
        let answer_at = Instant::now() + ring;
        while let Ok(got) = timeout_at(answer_at, self.receive()).await {
            let message = got?;
            if message.method == "CANCEL" {
                self.respond(&message, 200, "OK", &tag, "").await?;
                self.respond(&invite, 487, "Request Terminated", &tag, "")
                    .await?;
                return Ok(None);
            }
            self.answer_other(&message).await?;
        }
        let remote = remote_media(&invite.body).ok_or(PhoneError::NoMedia)?;
        self.respond(&invite, 200, "OK", &tag, sdp).await?;
        let bye = self.bye_of_answered(&invite, &tag)?;
        Ok(Some(Line {
            remote,
            call_id: invite.header("Call-ID").unwrap_or_default().to_owned(),
            bye,
        }))
    }

    fn bye_of_answered(&self, invite: &Message, tag: &str) -> Result<String, PhoneError> {
        let contact = invite.header("Contact").map_or_else(
            || format!("sip:{}", self.server),
            |value| between(value, '<', '>').unwrap_or(value).to_owned(),
        );
        Ok(format!(
            "BYE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\nFrom: {to};tag={tag}\r\nTo: {from}\r\nCall-ID: {call_id}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
            local = self.address()?,
            branch = short(),
            to = invite.header("To").unwrap_or_default(),
            from = invite.header("From").unwrap_or_default(),
            call_id = invite.header("Call-ID").unwrap_or_default(),
        ))
    }

    async fn next_request(
        &mut self,
        method: &'static str,
        within: Duration,
    ) -> Result<Message, PhoneError> {
        let end = Instant::now() + within;
        loop {
            let message =
                match self.waiting.pop_front() {
                    Some(message) => message,
                    None => timeout_at(end, self.receive()).await.map_err(|_| {
                        PhoneError::Silent {
                            wanted: method,
                            within,
                        }
                    })??,
                };
            if message.method == method {
                return Ok(message);
            }
            self.answer_other(&message).await?;
        }
    }

    /// OPTIONS and late BYEs are answered 200; ACKs and responses need nothing.
    async fn answer_other(&self, message: &Message) -> Result<(), PhoneError> {
        if message.status == 0 && message.method != "ACK" {
            self.respond(message, 200, "OK", "x", "").await?;
        }
        Ok(())
    }

    async fn respond(
        &self,
        request: &Message,
        status: u16,
        reason: &str,
        tag: &str,
        sdp: &str,
    ) -> Result<(), PhoneError> {
        let local = self.address()?;
        let vias: String = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("via") || name == "v")
            .map(|(_, value)| format!("Via: {value}\r\n"))
            .collect();
        let to = request.header("To").unwrap_or_default();
        let to = if to.contains("tag=") {
            to.to_owned()
        } else {
            format!("{to};tag={tag}")
        };
        let routes: String = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("record-route"))
            .map(|(_, value)| format!("Record-Route: {value}\r\n"))
            .collect();
        let kind = if sdp.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "SIP/2.0 {status} {reason}\r\n{vias}{routes}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\nContact: <sip:{user}@{local}>\r\n{kind}Content-Length: {length}\r\n\r\n{sdp}",
            from = request.header("From").unwrap_or_default(),
            call_id = request.header("Call-ID").unwrap_or_default(),
            cseq = request.header("CSeq").unwrap_or_default(),
            user = self.user,
            length = sdp.len(),
        );
        self.socket.send_to(text.as_bytes(), self.server).await?;
        Ok(())
    }

    /// Hang up and wait for the 200.
    ///
    /// # Errors
    /// No answer to the BYE.
    pub async fn hang_up(&mut self, talk: Talk) -> Result<Heard, PhoneError> {
        let answer = self.release(&talk.line).await;
        let heard = talk.media.stop().await;
        answer.map(|()| heard)
    }

    /// End a line whose media is one's own.
    ///
    /// # Errors
    /// No answer to the BYE.
    pub async fn release(&mut self, line: &Line) -> Result<(), PhoneError> {
        self.transact(&line.bye, "BYE", Duration::from_secs(5))
            .await
            .map(|_| ())
    }

    /// Wait until the other side hangs up a line whose media is one's own.
    ///
    /// # Errors
    /// It did not within `within`.
    pub async fn released(&mut self, within: Duration) -> Result<(), PhoneError> {
        let bye = self.next_request("BYE", within).await?;
        self.respond(&bye, 200, "OK", "x", "").await
    }

    /// Wait until the other side hangs up.
    ///
    /// # Errors
    /// It did not within `within`.
    pub async fn hung_up(&mut self, talk: Talk, within: Duration) -> Result<Heard, PhoneError> {
        self.released(within).await?;
        Ok(talk.media.stop().await)
    }
}

/// What a phone says: samples at 8 kHz, said once, or for ever.
#[derive(Clone, Debug, Default)]
pub struct Speech {
    pub samples: Arc<[i16]>,
    pub repeat: bool,
}

impl Speech {
    /// A sine of `hz` for ever.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a sine of 8000 fits into i16"
    )]
    pub fn tone(hz: u32) -> Self {
        let samples = (0..8000_u32)
            .map(|n| (8000.0 * (f64::from(n * hz) * std::f64::consts::TAU / 8000.0).sin()) as i16)
            .collect();
        Self {
            samples,
            repeat: true,
        }
    }
}

/// The signalling of a call that is up.
pub struct Line {
    /// Where the other side wants its RTP.
    pub remote: SocketAddr,
    pub call_id: String,
    bye: String,
}

/// A call that is up, with its sound.
pub struct Talk {
    media: Media,
    line: Line,
}

impl Talk {
    /// Samples heard so far.
    #[must_use]
    pub fn heard(&self) -> Vec<i16> {
        self.media.heard().clone()
    }
}

/// What was heard in a whole call, at 8 kHz, packets one after the other.
pub type Heard = Vec<i16>;

/// One RTP socket that speaks and listens until stopped.
struct Media {
    sdp: String,
    heard: Arc<Mutex<Vec<i16>>>,
    remote: tokio::sync::watch::Sender<Option<SocketAddr>>,
    task: tokio::task::JoinHandle<()>,
}

impl Media {
    async fn start(ip: IpAddr, speech: Speech) -> Result<Self, PhoneError> {
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).await?;
        let sdp = sdp(socket.local_addr()?);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (remote, aimed) = tokio::sync::watch::channel(None);
        let task = spawn(run_media(socket, speech, aimed, Arc::clone(&heard)));
        Ok(Self {
            sdp,
            heard,
            remote,
            task,
        })
    }

    fn aim(&self, remote: SocketAddr) {
        self.remote.send_replace(Some(remote));
    }

    fn heard(&self) -> MutexGuard<'_, Vec<i16>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stop(self) -> Heard {
        self.task.abort();
        drop(self.task.await);
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the handle is kept in Media, which ends it"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(task)
}

async fn run_media(
    socket: UdpSocket,
    speech: Speech,
    aimed: tokio::sync::watch::Receiver<Option<SocketAddr>>,
    heard: Arc<Mutex<Vec<i16>>>,
) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let (mut sequence, mut timestamp, mut at, mut buffer) = (1_u16, 160_u32, 0_usize, [0_u8; 2048]);
    let ssrc = Uuid::new_v4().as_u128() as u32;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let Some(remote) = *aimed.borrow() else { continue };
                let packet = rtp(sequence, timestamp, ssrc, &frame(&speech, &mut at));
                drop(socket.send_to(&packet, remote).await);
                sequence = sequence.wrapping_add(1);
                timestamp = timestamp.wrapping_add(160);
            }
            got = socket.recv_from(&mut buffer) => {
                let Ok((length, _)) = got else { continue };
                let Some(bytes) = buffer.get(..length) else { continue };
                if let Ok(packet) = rtp_rs::RtpReader::new(bytes) && packet.payload_type() == PCMA {
                    let mut samples = [0_i16; 480];
                    let count = Codec::Pcma.decode_into(packet.payload(), &mut samples);
                    heard.lock().unwrap_or_else(PoisonError::into_inner).extend(samples.iter().take(count));
                }
            }
        }
    }
}

/// The next 20 ms of `speech`, then silence.
fn frame(speech: &Speech, at: &mut usize) -> [u8; FRAME] {
    let mut samples = [0_i16; FRAME];
    for sample in &mut samples {
        if speech.repeat && *at >= speech.samples.len() {
            *at = 0;
        }
        *sample = speech.samples.get(*at).copied().unwrap_or(0);
        *at += 1;
    }
    let mut payload = [0_u8; FRAME];
    Codec::Pcma.encode_into(&samples, &mut payload);
    payload
}

fn rtp(sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, PCMA];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// One SIP message, read just well enough for a phone.
struct Message {
    /// 0 for a request.
    status: u16,
    method: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let status = first
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3))
            .map_or(Some(0), |code| code.parse().ok())?;
        let method = if status == 0 {
            first.split(' ').next()?.to_owned()
        } else {
            String::new()
        };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Some(Self {
            status,
            method,
            headers,
            body: body.to_owned(),
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

fn head_line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split("\r\n")
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn parameter(value: &str, name: &str) -> String {
    let at = value
        .find(&format!("{name}=\""))
        .map(|at| at + name.len() + 2);
    at.and_then(|at| value.get(at..))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default()
        .to_owned()
}

fn between(text: &str, open: char, close: char) -> Option<&str> {
    text.split_once(open)?
        .1
        .split_once(close)
        .map(|(inner, _)| inner)
}

/// An offer or answer of plain PCMA at `address`.
#[must_use]
pub fn sdp(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {PCMA} 101\r\na=rtpmap:{PCMA} PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

fn remote_media(sdp: &str) -> Option<SocketAddr> {
    let ip: IpAddr = sdp
        .lines()
        .find_map(|line| {
            line.strip_prefix("c=IN IP4 ")
                .or_else(|| line.strip_prefix("c=IN IP6 "))
        })?
        .trim()
        .parse()
        .ok()?;
    let port: u16 = sdp
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    Some(SocketAddr::new(ip, port))
}

/// Content type and body: the SDP alone, or SDP and PIDF-LO in one multipart (RFC 5621).
fn body(sdp: &str, pidf: Option<&str>) -> (String, String) {
    match pidf {
        None => ("application/sdp".to_owned(), sdp.to_owned()),
        Some(pidf) => (
            "multipart/mixed;boundary=part".to_owned(),
            format!(
                "--part\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--part\r\nContent-Type: application/pidf+xml\r\nContent-ID: <place@phone>\r\n\r\n{pidf}\r\n--part--\r\n"
            ),
        ),
    }
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn short() -> String {
    Uuid::new_v4().simple().to_string()[..16].to_owned()
}
