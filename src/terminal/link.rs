//! The way to the server: who we are, the live stream, commands. Only the public API.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;

use super::acts::Request;
use super::picture::{Me, Picture};

/// Bytes of one picture; a centre of 1,000 calls needs one.
const PICTURE_BYTES_MAX: usize = 16 << 20;
/// A live stream that is silent for so long is dead; the server says something every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// A report of a month is folded from a whole journal.
const READ_SPAN: Duration = Duration::from_secs(30);
/// From one attempt to connect to the next.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Why the server gives us nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("{url} is no address of a server; write it like https://firstring.example:8120")]
    Address { url: String },
    #[error("{url} would send the token in clear; use https, or 127.0.0.1 on the server itself")]
    Clear { url: String },
    #[error("{}: {source}", path.display())]
    Authority {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("no HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    #[error("{server} does not answer: {reason}")]
    NoAnswer { server: String, reason: String },
    /// In the server's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the live stream broke off: {reason}")]
    Broken { reason: String },
}

/// What the live stream tells.
pub(super) enum News {
    Seen(Box<Picture>),
    Lost,
}

/// A server and our token.
pub(super) struct Link {
    http: reqwest::Client,
    server: String,
    token: String,
}

/// A refusal (RFC 9457).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
}

impl Link {
    /// `authority`: a PEM file whose certificates are good besides the public ones.
    pub(super) fn new(
        server: &str,
        token: String,
        authority: Option<PathBuf>,
    ) -> Result<Self, LinkError> {
        let url = server.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&url).ok();
        let Some(parsed) = parsed.filter(|u| u.has_host()) else {
            return Err(LinkError::Address { url });
        };
        let host = parsed.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let here = host == "localhost" || address.is_ok_and(|own| own.is_loopback());
        match parsed.scheme() {
            "https" => {}
            "http" if here => {}
            "http" => return Err(LinkError::Clear { url }),
            _ => return Err(LinkError::Address { url }),
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = authority {
            let pem =
                std::fs::read(&path).map_err(|source| LinkError::Authority { path, source })?;
            for certificate in
                reqwest::Certificate::from_pem_bundle(&pem).map_err(LinkError::Client)?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            http: builder.build().map_err(LinkError::Client)?,
            server: url,
            token,
        })
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v1{path}", self.server);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    fn silent(&self, error: reqwest::Error) -> LinkError {
        // The cause says more than reqwest's own words, which hold the address again.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        LinkError::NoAnswer {
            server: self.server.clone(),
            reason: cause.to_string(),
        }
    }

    /// Whom the server takes us for.
    pub(super) async fn me(&self) -> Result<Me, LinkError> {
        self.read("/me").await
    }

    /// What stands at a path.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, LinkError> {
        let request = self.request(reqwest::Method::GET, path);
        let request = request.timeout(READ_SPAN);
        let response = request.send().await.map_err(|e| self.silent(e))?;
        let response = accepted(response).await?;
        response.json().await.map_err(|e| self.silent(e))
    }

    /// Gives a command.
    pub(super) async fn ask(&self, wish: Request) -> Result<(), LinkError> {
        self.send(wish).await.map(drop)
    }

    /// Gives a command and reads the answer.
    pub(super) async fn asked<T: DeserializeOwned>(&self, wish: Request) -> Result<T, LinkError> {
        let response = self.send(wish).await?;
        response.json().await.map_err(|e| self.silent(e))
    }

    async fn send(&self, wish: Request) -> Result<reqwest::Response, LinkError> {
        let method = reqwest::Method::from_bytes(wish.method.as_bytes()).unwrap_or_default();
        let mut request = self.request(method, &wish.path);
        if let Some(body) = &wish.body {
            request = request.json(body);
        }
        let request = request.timeout(Duration::from_secs(5));
        let response = request.send().await.map_err(|e| self.silent(e))?;
        accepted(response).await
    }

    /// Pictures as they come, again and again until nobody listens.
    pub(super) async fn follow(&self, news: Sender<News>) {
        while !news.is_closed() {
            let told = self
                .stream(|picture| news.try_send(News::Seen(picture)).is_ok())
                .await;
            drop(told);
            if news.send(News::Lost).await.is_err() {
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// The picture as it is now.
    pub(super) async fn look(&self) -> Result<Picture, LinkError> {
        let mut seen = None;
        self.stream(|picture| {
            seen = Some(picture);
            false
        })
        .await?;
        let reason = String::from("it ended before a picture came");
        seen.map(|picture| *picture)
            .ok_or(LinkError::Broken { reason })
    }

    /// Hands each picture over until `take` wants no more or the stream ends.
    async fn stream(&self, mut take: impl FnMut(Box<Picture>) -> bool) -> Result<(), LinkError> {
        let request = self.request(reqwest::Method::GET, "/live");
        let response = tokio::time::timeout(SILENCE_MAX, request.send()).await;
        let broken = |reason: &str| LinkError::Broken {
            reason: reason.to_owned(),
        };
        let response = response
            .map_err(|_| broken("no answer"))?
            .map_err(|e| self.silent(e))?;
        let mut response = accepted(response).await?;
        let mut waiting = Vec::new();
        loop {
            let chunk = tokio::time::timeout(SILENCE_MAX, response.chunk()).await;
            let chunk = chunk
                .map_err(|_| broken("silence"))?
                .map_err(|e| self.silent(e))?;
            let Some(chunk) = chunk else {
                return Ok(());
            };
            waiting.extend_from_slice(&chunk);
            if waiting.len() > PICTURE_BYTES_MAX {
                return Err(broken("a picture too large"));
            }
            while let Some(event) = next_event(&mut waiting) {
                let Ok(picture) = serde_json::from_slice(&event) else {
                    return Err(broken("a picture that cannot be read"));
                };
                if !take(Box::new(picture)) {
                    return Ok(());
                }
            }
        }
    }
}

/// The data of the next whole server-sent event, taken out of what has come.
fn next_event(waiting: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let end = waiting.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = waiting.drain(..end + 2).collect();
        let lines = event.split(|byte| *byte == b'\n');
        let data = lines.filter_map(|line| line.strip_prefix(b"data:"));
        let data = data.map(<[u8]>::trim_ascii_start);
        let data = data.collect::<Vec<_>>().join(&b'\n');
        // A comment keeps the line alive and says nothing.
        if !data.is_empty() {
            return Some(data);
        }
    }
}

async fn accepted(response: reqwest::Response) -> Result<reqwest::Response, LinkError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem: Problem = response.json().await.unwrap_or_default();
    let text = if problem.detail.is_empty() {
        format!("HTTP {}", status.as_u16())
    } else {
        format!("{}: {}", problem.code, problem.detail)
    };
    Err(LinkError::Refused(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_out_of_the_stream_whole_and_comments_say_nothing() {
        let mut waiting = b":\n\ndata: {\"a\":1}\n\nid: 7\ndata: x\ndata: y\n\ndata: half".to_vec();
        assert_eq!(next_event(&mut waiting).as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(next_event(&mut waiting).as_deref(), Some(&b"x\ny"[..]));
        assert_eq!(next_event(&mut waiting), None);
        assert_eq!(waiting, b"data: half");
    }

    #[test]
    fn a_token_never_goes_in_clear_to_another_machine() {
        let token = || String::from("t");
        let refused = |url| Link::new(url, token(), None).err().map(|e| e.to_string());
        assert!(refused("http://192.0.2.7:8120").is_some_and(|e| e.contains("https")));
        assert!(refused("http://127.0.0.1.example:8120").is_some_and(|e| e.contains("https")));
        for url in ["firstring", "ftp://x", "https://"] {
            assert!(
                refused(url).is_some_and(|e| e.contains("no address")),
                "{url}"
            );
        }
    }
}
