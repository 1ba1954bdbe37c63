//! Certificates of TLS listeners: read from PEM files, read again when they change, and whom we trust when we call out.
//!
//! A changed pair that cannot be used (half written, key of another certificate, expired format) leaves the old one
//! in force; the next check tries again. Established connections keep what they were made with.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};

use super::lock;
use crate::config::checked::TlsFiles;

/// Whose certificates are good enough when we connect to a trunk over TLS. Seats and phones connect to us, so this
/// is about carriers only. Names in a certificate are not compared: a trunk is configured by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// No outbound TLS connection is made.
    #[default]
    Nobody,
    /// Certificates issued by an authority of this PEM file (or the very certificates in it).
    Authorities(PathBuf),
    /// Any certificate: encrypted, but anyone may be at the other end.
    AnyCertificate,
}

/// Why TLS cannot be set up. Always names the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// The file is missing or may not be read.
    #[error("{}: cannot be read: {kind}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// No `BEGIN CERTIFICATE` in it.
    #[error("{}: holds no PEM certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No private key in it.
    #[error("{}: holds no PEM private key (PKCS#8, PKCS#1 or SEC1)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The pair does not fit or uses something unknown.
    #[error("{}: certificate and key cannot be used: {reason}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// In the words of rustls.
        reason: rustls::Error,
    },
    /// The trusted authorities cannot be used.
    #[error("{}: trusted certificates cannot be used: {reason}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// In the words of rustls.
        reason: String,
    },
}

/// Certificate, key and trust of one listener, always the newest usable ones.
pub(super) struct Identity {
    files: TlsFiles,
    trust: Trust,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    /// Of the files in use, or of those last refused.
    stamp: [FileStamp; 2],
    server: Arc<ServerConfig>,
    client: Option<Arc<ClientConfig>>,
}

/// What changes when a file is written or replaced.
type FileStamp = Option<(i64, i64, u64, u64)>;

impl Identity {
    pub(super) fn load(files: &TlsFiles, trust: &Trust) -> Result<Self, TlsError> {
        let stamp = stamps(files);
        let (server, client) = configs(files, trust)?;
        Ok(Self {
            files: files.clone(),
            trust: trust.clone(),
            loaded: Mutex::new(Loaded {
                stamp,
                server,
                client,
            }),
        })
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&lock(&self.loaded).server)
    }

    /// Absent when nobody is trusted.
    pub(super) fn client(&self) -> Option<Arc<ClientConfig>> {
        lock(&self.loaded).client.clone()
    }

    /// Looks at the files; `Ok(true)` when new ones are in force from now on. One error per change.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        let stamp = stamps(&self.files);
        {
            let mut loaded = lock(&self.loaded);
            if loaded.stamp == stamp {
                return Ok(false);
            }
            loaded.stamp = stamp;
        }
        let (server, client) = configs(&self.files, &self.trust)?;
        let mut loaded = lock(&self.loaded);
        loaded.server = server;
        loaded.client = client;
        Ok(true)
    }
}

fn stamps(files: &TlsFiles) -> [FileStamp; 2] {
    let stamp = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.mtime(), meta.mtime_nsec(), meta.ino(), meta.size()))
    };
    [stamp(&files.certificate), stamp(&files.key)]
}

type Configs = (Arc<ServerConfig>, Option<Arc<ClientConfig>>);

fn configs(files: &TlsFiles, trust: &Trust) -> Result<Configs, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |reason| TlsError::Unusable {
        path: files.certificate.clone(),
        reason,
    };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| TlsError::NoKey {
        path: files.key.clone(),
    })?;
    let client = match verifier(trust, &provider)? {
        None => None,
        Some(verifier) => {
            let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(unusable)?
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(unusable)?;
            Some(Arc::new(config))
        }
    };
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok((Arc::new(server), client))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable {
        path: path.to_owned(),
        kind: error.kind(),
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| TlsError::NoCertificate {
        path: path.to_owned(),
    })
}

fn verifier(
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, TlsError> {
    match trust {
        Trust::Nobody => Ok(None),
        Trust::AnyCertificate => Ok(Some(Arc::new(AnyCertificate(Arc::clone(provider))))),
        Trust::Authorities(path) => {
            let refused = |reason: String| TlsError::Authorities {
                path: path.clone(),
                reason,
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| refused(e.to_string()))?;
            }
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|e| refused(e.to_string()))?;
            Ok(Some(Arc::new(AnyName(inner))))
        }
    }
}

/// Checks the chain, not the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

/// Checks only that the far side holds the key of what it shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The name is looked at last: who fails there has a good chain.
        match verdict {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
