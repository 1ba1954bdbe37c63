//! Questions to the disk: secrets, certificates, folders, profiles. Each answer is a value or a reason and a
//! fix in words; nothing is created or changed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::checked::Secret;
use crate::sip::profile::Profile;

/// Bytes of a secret file; more is some other file.
const SECRET_BYTES_MAX: u64 = 4096;

/// What is wrong and what to do.
pub(super) struct Complaint {
    pub(super) reason: String,
    pub(super) fix: String,
}

fn complain<T>(reason: impl Into<String>, fix: impl Into<String>) -> Result<T, Complaint> {
    Err(Complaint {
        reason: reason.into(),
        fix: fix.into(),
    })
}

/// Reads a secret: the file's text without the white space around it. The flag says whether everybody may read it.
pub(super) fn secret(path: &Path) -> Result<(Secret, bool), Complaint> {
    let named = path.display();
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => {
            return complain(
                format!("names {named}, which cannot be read ({error})"),
                "create it, owned by the user that runs firstring, mode 0600",
            );
        }
    };
    if !meta.is_file() || meta.len() > SECRET_BYTES_MAX {
        return complain(
            format!("names {named}, which is no small file"),
            "a secret file holds one line of at most 4096 bytes",
        );
    }
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => complain(
            format!("names {named}, which is empty"),
            format!("put the secret into it, for example: openssl rand -base64 24 > {named}"),
        ),
        Ok(text) => Ok((
            Secret(text.trim().to_owned()),
            meta.permissions().mode() & 0o004 != 0,
        )),
        Err(error) => complain(
            format!("names {named}, which cannot be read ({error})"),
            "let the user that runs firstring read it (mode 0600, its owner)",
        ),
    }
}

/// Whether files can be made in `folder`, or `folder` itself below its nearest existing parent.
pub(super) fn writable(folder: &Path) -> Result<(), Complaint> {
    let Some(existing) = folder
        .ancestors()
        .find(|path| path.as_os_str().is_empty() || path.exists())
    else {
        return complain(
            format!("is {}, of which no part exists", folder.display()),
            "name an absolute folder",
        );
    };
    let existing = if existing.as_os_str().is_empty() {
        Path::new(".")
    } else {
        existing
    };
    if !existing.is_dir() {
        return complain(
            format!(
                "is {}, but {} is no folder",
                folder.display(),
                existing.display()
            ),
            "name a folder",
        );
    }
    let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(existing, wanted) {
        Ok(()) => Ok(()),
        Err(error) => complain(
            format!(
                "is {}, and {} cannot be written ({error})",
                folder.display(),
                existing.display()
            ),
            format!(
                "give it to the user that runs firstring: chown firstring {}",
                existing.display()
            ),
        ),
    }
}

/// Whether the certificate chain and its key can be read.
pub(super) fn certificate(path: &Path) -> Result<(), Complaint> {
    let good = CertificateDer::pem_file_iter(path)
        .map_err(|error| error.to_string())
        .and_then(|chain| {
            chain
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| error.to_string())
        });
    match good {
        Ok(chain) if !chain.is_empty() => Ok(()),
        Ok(_) => complain(
            format!("names {}, which holds no certificate", path.display()),
            "it must be PEM: -----BEGIN CERTIFICATE-----, the server's own first, then its chain",
        ),
        Err(error) => complain(
            format!("names {}, which cannot be used ({error})", path.display()),
            "give a PEM file with the server's certificate first, readable by the user that runs firstring",
        ),
    }
}

/// Whether the private key can be read.
pub(super) fn private_key(path: &Path) -> Result<(), Complaint> {
    match PrivateKeyDer::from_pem_file(path) {
        Ok(_) => Ok(()),
        Err(error) => complain(
            format!("names {}, which cannot be used ({error})", path.display()),
            "give a PEM file with an unencrypted PKCS#8, PKCS#1 or SEC1 key, readable by the user that runs firstring",
        ),
    }
}

/// Whether the certificate is that of the key; both can be read.
pub(super) fn pair(certificate: &Path, key: &Path) -> Result<(), Complaint> {
    let chain = CertificateDer::pem_file_iter(certificate).map(|all| all.flatten().collect());
    let signing = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| error.to_string())
        .and_then(|key| {
            rustls::crypto::ring::sign::any_supported_type(&key).map_err(|error| error.to_string())
        });
    let (Ok(chain), Ok(signing)) = (chain, signing) else {
        return complain(
            format!("names {}, of a kind that TLS does not know", key.display()),
            "make an RSA, ECDSA (P-256, P-384) or Ed25519 key",
        );
    };
    match rustls::sign::CertifiedKey::new(chain, signing).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => complain(
            format!(
                "names {}, which is not the key of the certificate {}",
                key.display(),
                certificate.display()
            ),
            "name the key that the certificate was made with; the server's own certificate must stand first in its file",
        ),
        // What cannot be compared is not judged here.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The profiles of a folder by name, and what is wrong with which file.
pub(super) type Profiles = (BTreeMap<String, Profile>, Vec<(PathBuf, Complaint)>);

/// Reads every `.toml` file of `folder`.
pub(super) fn profiles(folder: &Path) -> Result<Profiles, Complaint> {
    let files = toml_files(
        folder,
        "name the folder of the SIP profiles that came with firstring (sip-profiles)",
    )?;
    let mut good = BTreeMap::new();
    let mut bad = Vec::new();
    for path in files {
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        match profile(&path) {
            Ok(profile) => drop(good.insert(name.to_owned(), profile)),
            Err(complaint) => bad.push((path, complaint)),
        }
    }
    Ok((good, bad))
}

/// Every `.toml` file of `folder`, by name.
pub(super) fn toml_files(folder: &Path, fix: &str) -> Result<Vec<PathBuf>, Complaint> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            return complain(
                format!("is {}, which cannot be read ({error})", folder.display()),
                fix,
            );
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

fn profile(path: &Path) -> Result<Profile, Complaint> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return complain(
                format!("cannot be read ({error})"),
                "let the user that runs firstring read it",
            );
        }
    };
    let profile: Profile = match toml::from_str(&text) {
        Ok(profile) => profile,
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            return complain(
                format!("line {line}: {}", error.message().replace('\n', "; ")),
                "compare it with sip-profiles/generic-ims.toml",
            );
        }
    };
    match profile.check() {
        Ok(()) => Ok(profile),
        Err(error) => complain(error.to_string(), "correct that key"),
    }
}
