//! The seal of a closed segment: a small file beside it with a hash of every block, so that a flipped byte is found
//! wherever it lies, also where SQLite keeps no row.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;
use super::chain::hex;
use super::segment::Tip;

/// Bytes per hash.
const BLOCK_BYTES: usize = 16 * 1024;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    file: String,
    bytes: u64,
    block_bytes: usize,
    last_seq: u64,
    last_event_seq: u64,
    chain: String,
    /// First 16 hexadecimal digits of each block's BLAKE3 hash.
    blocks: Vec<String>,
    /// Hash over all fields above.
    seal: String,
}

impl Seal {
    fn own_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for text in [&self.file, &self.chain].into_iter().chain(&self.blocks) {
            hasher.update(text.as_bytes());
            hasher.update(b"\n");
        }
        for number in [
            self.bytes,
            self.block_bytes as u64,
            self.last_seq,
            self.last_event_seq,
        ] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Where the seal of `segment` lies.
pub(super) fn path(segment: &Path) -> PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push(".seal");
    PathBuf::from(name)
}

/// Seal a segment whose log is folded in. Written beside and renamed, so that half a seal is never seen.
pub(super) fn write(segment: &Path, tip: Tip) -> Result<(), JournalError> {
    let (bytes, blocks) = hash_blocks(segment, BLOCK_BYTES)?;
    let mut seal = Seal {
        file: file_name(segment),
        bytes,
        block_bytes: BLOCK_BYTES,
        last_seq: tip.seq,
        last_event_seq: tip.event_seq,
        chain: tip.chain.to_hex(),
        blocks,
        seal: String::new(),
    };
    seal.seal = seal.own_hash();
    let target = path(segment);
    let unfinished = target.with_extension("seal-new");
    let text = serde_json::to_vec(&seal).unwrap_or_default();
    std::fs::write(&unfinished, text).map_err(JournalError::io(&unfinished))?;
    File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .map_err(JournalError::io(&unfinished))?;
    std::fs::rename(&unfinished, &target).map_err(JournalError::io(&target))
}

/// What the seal says of its segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The process that wrote it did not end in order: only the chain vouches for the rows.
    Unsealed,
    /// Each byte is as it was; the rows must end with this number and link.
    Sound { last_seq: u64, chain: String },
    /// `what` names the bytes.
    Damaged { what: String },
}

/// Compare a segment with its seal.
pub(super) fn check(segment: &Path) -> Result<Verdict, JournalError> {
    let target = path(segment);
    let text = match std::fs::read(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Verdict::Unsealed),
        Err(error) => return Err(JournalError::io(&target)(error)),
    };
    let damaged = |what: String| Ok(Verdict::Damaged { what });
    let seal = match serde_json::from_slice::<Seal>(&text) {
        Ok(seal) if seal.own_hash() == seal.seal && seal.block_bytes == BLOCK_BYTES => seal,
        Ok(_) => return damaged(format!("the seal {} is not whole", file_name(&target))),
        Err(error) => return damaged(format!("the seal {}: {error}", file_name(&target))),
    };
    let (bytes, blocks) = hash_blocks(segment, BLOCK_BYTES)?;
    for (index, expected) in seal.blocks.iter().enumerate() {
        if blocks.get(index) != Some(expected) {
            let from = index * BLOCK_BYTES;
            let to = (from + BLOCK_BYTES).min(usize::try_from(seal.bytes).unwrap_or(usize::MAX));
            return damaged(format!("bytes {from}..{to} differ from the seal"));
        }
    }
    if bytes != seal.bytes {
        return damaged(format!(
            "the file has {bytes} bytes where the seal says {}",
            seal.bytes
        ));
    }
    Ok(Verdict::Sound {
        last_seq: seal.last_seq,
        chain: seal.chain,
    })
}

fn hash_blocks(path: &Path, block_bytes: usize) -> Result<(u64, Vec<String>), JournalError> {
    let mut file = BufReader::new(File::open(path).map_err(JournalError::io(path))?);
    let (mut bytes, mut blocks) = (0, Vec::new());
    loop {
        let mut block = Vec::with_capacity(block_bytes);
        (&mut file)
            .take(block_bytes as u64)
            .read_to_end(&mut block)
            .map_err(JournalError::io(path))?;
        if block.is_empty() {
            return Ok((bytes, blocks));
        }
        bytes += block.len() as u64;
        let hash = blake3::hash(&block);
        blocks.push(hex(hash
            .as_bytes()
            .first_chunk::<8>()
            .map_or(&[], |head| head)));
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
