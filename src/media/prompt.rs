//! Stored sounds, read once at start: `<dir>/<language>/<id>.wav`, `<dir>/music/hold.wav` (SHELL: reads files).
//!
//! Owns: reading and checking WAV (RIFF, 8 kHz, mono, 16-bit PCM), a table per codec for each, names -> sounds.
//! A missing, short or wrong file is told at start with its path, and callers hear silence in its place: calls are served
//! with the sounds there are.
//! Refuses to know: who hears what, when.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::player::{Clip, Item};
use super::{tone, touch};
use crate::id::PromptId;
use crate::switch::Sound;

/// Longest sound (10 min).
const SAMPLES_MAX: usize = 10 * 60 * 8000;
/// Shortest sound (20 ms).
const SAMPLES_MIN: usize = 160;
/// Sounds of one language.
const PROMPTS_MAX: usize = 1000;

/// Why the prompts cannot be used. Each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A file or folder cannot be read.
    #[error("prompt {}: {source}; put the file there or correct `prompts` in the configuration", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file is no WAV file.
    #[error("prompt {}: not a WAV file ({reason}); render it as 8 kHz mono 16-bit PCM WAV", path.display())]
    NotWav { path: PathBuf, reason: &'static str },
    /// A WAV file of another format.
    #[error("prompt {}: wanted PCM (1), 1 channel, 8000 Hz, 16 bit; got format {format}, {channels} channels, {hz} Hz, {bits} bit", path.display())]
    Format {
        path: PathBuf,
        format: u16,
        channels: u16,
        hz: u32,
        bits: u16,
    },
    /// Too short or too long.
    #[error("prompt {}: {samples} samples; wanted {SAMPLES_MIN} to {SAMPLES_MAX} (20 ms to 10 min)", path.display())]
    Length { path: PathBuf, samples: usize },
    /// Sounds that the policy plays do not exist.
    #[error(
        "prompts missing, callers hear silence in their place: {}; put them there",
        list(paths)
    )]
    Missing { paths: Vec<PathBuf> },
    /// The folder holds too many.
    #[error("{} holds more than {PROMPTS_MAX} prompts", path.display())]
    TooMany { path: PathBuf },
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    names.join(", ")
}

/// All sounds that can be played.
#[derive(Clone, Debug)]
pub struct Prompts {
    folder: PathBuf,
    clips: BTreeMap<PromptId, Arc<Clip>>,
    ring_back: Arc<Clip>,
    busy: Arc<Clip>,
    congestion: Arc<Clip>,
    no_such_number: Arc<Clip>,
    entry: Arc<Clip>,
    music: Arc<Clip>,
    soft: Arc<Clip>,
}

impl Prompts {
    /// Read every `<dir>/<language>/*.wav` and `<dir>/music/hold.wav`. A file `entry.wav` replaces the entry tone. The sounds of
    /// `others`, languages that menus offer, are named `en/greeting`.
    ///
    /// What cannot be used is left out and told; the ring-back tone stands in for the music.
    #[must_use]
    pub fn load<'a>(
        dir: &Path,
        language: &str,
        others: impl IntoIterator<Item = &'a str>,
    ) -> (Self, Vec<PromptError>) {
        let folder = dir.join(language);
        let mut faults = Vec::new();
        let mut clips = read_folder(&folder, "", &mut faults);
        for other in others {
            let prefix = format!("{other}/");
            clips.extend(read_folder(&dir.join(other), &prefix, &mut faults));
        }
        let music = read_clip(&dir.join("music").join("hold.wav")).unwrap_or_else(|fault| {
            faults.push(fault);
            Arc::new(Clip::new(&tone::ring_back()))
        });
        let mut prompts = Self::from_clips(clips, music);
        prompts.folder = folder;
        (prompts, faults)
    }

    /// Sounds made in memory (tests, simulation).
    #[must_use]
    pub fn from_clips(clips: BTreeMap<PromptId, Arc<Clip>>, music: Arc<Clip>) -> Self {
        let made = |samples: Vec<i16>| Arc::new(Clip::new(&samples));
        let entry = clips.get(&PromptId::from("entry")).cloned();
        Self {
            folder: PathBuf::new(),
            clips,
            ring_back: made(tone::ring_back()),
            busy: made(tone::busy()),
            congestion: made(tone::congestion()),
            no_such_number: made(tone::no_such_number()),
            entry: entry.unwrap_or_else(|| made(tone::entry())),
            music,
            soft: made(tone::soft()),
        }
    }

    /// Check that every one of `ids` exists.
    ///
    /// # Errors
    /// [`PromptError::Missing`] with the paths where they were looked for.
    pub fn require(&self, ids: impl IntoIterator<Item = PromptId>) -> Result<(), PromptError> {
        let paths: Vec<_> = ids
            .into_iter()
            .filter(|id| !self.clips.contains_key(id))
            .map(|id| self.folder.join(format!("{id}.wav")))
            .collect();
        if paths.is_empty() {
            return Ok(());
        }
        Err(PromptError::Missing { paths })
    }

    /// A stored announcement.
    #[must_use]
    pub fn clip(&self, id: &PromptId) -> Option<&Arc<Clip>> {
        self.clips.get(id)
    }

    /// What to play for `sounds`; what misses in another language is played in the centre's, what is unknown left out and told.
    #[must_use]
    pub fn resolve(&self, sounds: &[Sound]) -> (Vec<Item>, Vec<PromptId>) {
        let mut items = Vec::with_capacity(sounds.len());
        let mut unknown = Vec::new();
        for sound in sounds {
            let clip = match sound {
                Sound::Prompt(id) => {
                    let own = || self.clips.get(&PromptId::from(id.0.split_once('/')?.1));
                    let Some(clip) = self.clips.get(id).or_else(own) else {
                        unknown.push(id.clone());
                        continue;
                    };
                    clip
                }
                Sound::RingBack => &self.ring_back,
                Sound::Busy => &self.busy,
                Sound::Congestion => &self.congestion,
                Sound::NoSuchNumber => &self.no_such_number,
                Sound::Entry => &self.entry,
                Sound::Music => &self.music,
                Sound::Soft => &self.soft,
                Sound::Keys(digits) => {
                    items.push(Item::Clip(Arc::new(Clip::new(&touch::keys(digits)))));
                    continue;
                }
                Sound::Silence(ms) => {
                    let samples = usize::try_from(*ms).unwrap_or(0).saturating_mul(8);
                    items.push(Item::Silence(samples.min(SAMPLES_MAX)));
                    continue;
                }
            };
            items.push(Item::Clip(Arc::clone(clip)));
        }
        (items, unknown)
    }
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    faults: &mut Vec<PromptError>,
) -> BTreeMap<PromptId, Arc<Clip>> {
    let mut clips = BTreeMap::new();
    for path in wav_files(folder, faults) {
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        match read_clip(&path) {
            Ok(clip) => drop(clips.insert(PromptId(format!("{prefix}{id}")), clip)),
            Err(fault) => faults.push(fault),
        }
    }
    clips
}

fn wav_files(folder: &Path, faults: &mut Vec<PromptError>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) => {
            let path = folder.to_owned();
            faults.push(PromptError::Unreadable { path, source });
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "wav") {
            files.push(path);
        }
        if files.len() > PROMPTS_MAX {
            files.pop();
            faults.push(PromptError::TooMany {
                path: folder.to_owned(),
            });
            break;
        }
    }
    files.sort();
    files
}

/// The samples of one WAV in the prompts' format, outside of any language: a speech of the demo.
///
/// # Errors
/// [`PromptError`]: unreadable, or of another format.
pub fn speech(path: &Path) -> Result<Vec<i16>, PromptError> {
    let bytes = std::fs::read(path).map_err(|source| PromptError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse_wav(path, &bytes)
}

fn read_clip(path: &Path) -> Result<Arc<Clip>, PromptError> {
    let bytes = std::fs::read(path).map_err(|source| PromptError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let samples = parse_wav(path, &bytes)?;
    if !(SAMPLES_MIN..=SAMPLES_MAX).contains(&samples.len()) {
        return Err(PromptError::Length {
            path: path.to_owned(),
            samples: samples.len(),
        });
    }
    Ok(Arc::new(Clip::new(&samples)))
}

/// RIFF chunks: `fmt ` (PCM or extensible PCM) and `data`; others are passed over.
fn parse_wav(path: &Path, bytes: &[u8]) -> Result<Vec<i16>, PromptError> {
    let not_wav = |reason| PromptError::NotWav {
        path: path.to_owned(),
        reason,
    };
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(not_wav("no RIFF/WAVE header"));
    }
    let mut rest = bytes.get(12..).unwrap_or(&[]);
    let mut is_format_known = false;
    while let Some((id, body, next)) = take_chunk(rest) {
        match id {
            b"fmt " => {
                check_format(path, body).ok_or_else(|| not_wav("fmt chunk too short"))??;
                is_format_known = true;
            }
            b"data" if is_format_known => {
                let (samples, _) = body.as_chunks::<2>();
                return Ok(samples.iter().map(|s| i16::from_le_bytes(*s)).collect());
            }
            _ => {}
        }
        rest = next;
    }
    Err(not_wav("no fmt and data chunk"))
}

/// Id, body (cut at the end of the file) and what follows.
fn take_chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    let body = rest.get(..size.min(rest.len()))?;
    // Chunks are padded to even sizes.
    let next = rest.get(size.saturating_add(size % 2)..).unwrap_or(&[]);
    Some((id, body, next))
}

fn check_format(path: &Path, body: &[u8]) -> Option<Result<(), PromptError>> {
    let word = |at: usize| {
        body.get(at..at + 2)
            .and_then(|b| b.first_chunk::<2>().copied())
            .map(u16::from_le_bytes)
    };
    // WAVE_FORMAT_EXTENSIBLE carries the real format in its GUID.
    let format = match word(0)? {
        0xFFFE => word(24)?,
        format => format,
    };
    let channels = word(2)?;
    let hz = u32::from(word(4)?) | (u32::from(word(6)?) << 16);
    let bits = word(14)?;
    if (format, channels, hz, bits) == (1, 1, 8000, 16) {
        return Some(Ok(()));
    }
    Some(Err(PromptError::Format {
        path: path.to_owned(),
        format,
        channels,
        hz,
        bits,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::session::Codec;
    use proptest::prelude::*;

    fn write(path: &Path, hz: u32, samples: &[i16]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples
            .iter()
            .for_each(|s| writer.write_sample(*s).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn prompts_are_read_and_resolved_by_name() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("zh-CN/greeting.wav"), 8000, &[1000; 800]);
        write(&dir.path().join("music/hold.wav"), 8000, &[2000; 8000]);
        let (prompts, faults) = Prompts::load(dir.path(), "zh-CN", []);
        assert!(faults.is_empty(), "{faults:?}");
        let clip = prompts.clip(&PromptId::from("greeting")).unwrap();
        assert_eq!(clip.bytes(Codec::Pcmu), [Codec::Pcmu.encode(1000); 800]);
        let sounds = [
            Sound::Entry,
            Sound::Prompt("greeting".into()),
            Sound::Prompt("nothing".into()),
            Sound::Music,
            Sound::Silence(20),
        ];
        let (items, unknown) = prompts.resolve(&sounds);
        assert_eq!(items.len(), 4);
        assert_eq!(unknown, [PromptId::from("nothing")]);
        assert!(prompts.require(["greeting".into()]).is_ok());
        let missing = prompts
            .require(["greeting".into(), "still_waiting".into()])
            .unwrap_err();
        assert!(
            missing.to_string().contains("zh-CN/still_waiting.wav"),
            "{missing}"
        );
    }

    #[test]
    fn another_language_is_played_where_it_is_and_the_centres_own_where_it_misses() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("zh-CN/greeting.wav"), 8000, &[1000; 800]);
        write(&dir.path().join("zh-CN/ask.wav"), 8000, &[1000; 240]);
        write(&dir.path().join("en/greeting.wav"), 8000, &[1000; 400]);
        write(&dir.path().join("music/hold.wav"), 8000, &[2000; 8000]);
        let (prompts, faults) = Prompts::load(dir.path(), "zh-CN", ["en"]);
        assert!(faults.is_empty(), "{faults:?}");
        let samples = |id: &str| {
            let (items, unknown) = prompts.resolve(&[Sound::Prompt(id.into())]);
            assert!(unknown.is_empty(), "{unknown:?}");
            match &items[..] {
                [Item::Clip(clip)] => clip.bytes(Codec::Pcmu).len(),
                other => panic!("{id} gives {} items", other.len()),
            }
        };
        assert_eq!((samples("greeting"), samples("en/greeting")), (800, 400));
        assert_eq!(samples("en/ask"), 240);
        let (_, unknown) = prompts.resolve(&[Sound::Prompt("en/nothing".into())]);
        assert_eq!(unknown, [PromptId::from("en/nothing")]);
    }

    #[test]
    fn a_missing_or_wrong_file_is_named_with_its_path_and_the_others_are_played() {
        let dir = tempfile::tempdir().unwrap();
        let told = || {
            let (prompts, faults) = Prompts::load(dir.path(), "zh-CN", []);
            let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
            (prompts, texts.join("; "))
        };
        let (_, error) = told();
        assert!(
            error.contains("zh-CN") && error.contains("music/hold.wav"),
            "{error}"
        );
        write(&dir.path().join("zh-CN/greeting.wav"), 16_000, &[0; 800]);
        let (_, error) = told();
        assert!(
            error.contains("greeting.wav") && error.contains("16000 Hz"),
            "{error}"
        );
        write(&dir.path().join("zh-CN/greeting.wav"), 8000, &[0; 80]);
        let (_, error) = told();
        assert!(error.contains("80 samples"), "{error}");
        write(&dir.path().join("zh-CN/greeting.wav"), 8000, &[0; 800]);
        let (_, error) = told();
        assert!(error.contains("music/hold.wav"), "{error}");
        write(
            &dir.path().join("zh-CN/still_waiting.wav"),
            16_000,
            &[0; 800],
        );
        let (prompts, error) = told();
        assert!(error.contains("still_waiting.wav"), "{error}");
        assert!(prompts.clip(&"greeting".into()).is_some());
        let (music, _) = prompts.resolve(&[Sound::Music]);
        assert_eq!(music.len(), 1, "something is heard in place of the music");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
            file.extend(bytes);
            let _ = parse_wav(Path::new("x.wav"), &file);
        }
    }
}
