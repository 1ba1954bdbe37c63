//! The listener: HTTPS by rustls with certificates re-read when they change; plain HTTP on loopback only (the configuration refuses
//! anything else).

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

use crate::config::checked::{Api, TlsFiles};

/// How often certificate files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Open requests may end for this long after a stop.
const GRACE: Duration = Duration::from_secs(2);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the API cannot listen on {address}: {source}; is it in use by another process?")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the certificate {certificate} or its key cannot be used: {source}")]
    Certificate {
        certificate: String,
        source: std::io::Error,
    },
}

/// A running listener.
pub struct Served {
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
}

impl Served {
    /// Stop taking requests; open ones may end for 2 s.
    pub fn stop(&self) {
        self.handle.graceful_shutdown(Some(GRACE));
    }
}

/// Bind and hand back the future that serves.
///
/// # Errors
/// [`ServeError`]: the address or the certificate cannot be used.
pub async fn serve(
    config: &Api,
    router: Router,
) -> Result<
    (
        Served,
        impl Future<Output = std::io::Result<()>> + Send + use<>,
    ),
    ServeError,
> {
    let listen = |source| ServeError::Listen {
        address: config.bind,
        source,
    };
    let listener = std::net::TcpListener::bind(config.bind).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let tls = match &config.tls {
        Some(files) => Some((load(files).await?, files.clone())),
        None => None,
    };
    let handle = Handle::new();
    let served = Served {
        address,
        handle: handle.clone(),
    };
    let service = router.into_make_service();
    let future = async move {
        match tls {
            Some((rustls, files)) => {
                let server = axum_server::from_tcp_rustls(listener, rustls.clone())?
                    .handle(handle)
                    .serve(service);
                tokio::select! {
                    ended = server => ended,
                    () = reload(rustls, files) => Ok(()),
                }
            }
            None => {
                axum_server::from_tcp(listener)?
                    .handle(handle)
                    .serve(service)
                    .await
            }
        }
    };
    Ok((served, future))
}

async fn load(files: &TlsFiles) -> Result<RustlsConfig, ServeError> {
    RustlsConfig::from_pem_file(&files.certificate, &files.key)
        .await
        .map_err(|source| ServeError::Certificate {
            certificate: files.certificate.display().to_string(),
            source,
        })
}

/// Re-read the files when they change; a bad new file keeps the old certificate.
async fn reload(rustls: RustlsConfig, files: TlsFiles) {
    let mut seen = changed_at(&files);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = changed_at(&files);
        if now == seen {
            continue;
        }
        seen = now;
        match rustls
            .reload_from_pem_file(&files.certificate, &files.key)
            .await
        {
            Ok(()) => tracing::info!("the API's certificate was re-read"),
            Err(error) => {
                tracing::warn!(%error, "the API's new certificate cannot be used; the old one stays")
            }
        }
    }
}

fn changed_at(files: &TlsFiles) -> [Option<std::time::SystemTime>; 2] {
    [&files.certificate, &files.key]
        .map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
}
