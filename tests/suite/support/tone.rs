//! Who hears whom, by tones: make them, find them (Goertzel), read them back out of WAV files.

use std::f64::consts::TAU;
use std::path::Path;

/// Everything here is 8 kHz.
pub const HZ: f64 = 8000.0;

/// Samples `from..from + count` of an endless tone at about -9 dBFS; consecutive calls join without a click.
pub fn tone(hz: f64, from: usize, count: usize) -> Vec<i16> {
    (from..from + count)
        .map(|n| ((n as f64 * hz * TAU / HZ).sin() * 11_000.0) as i16)
        .collect()
}

/// The same as A-law payload.
pub fn alaw_tone(hz: f64, from: usize, count: usize) -> Vec<u8> {
    tone(hz, from, count).into_iter().map(alaw_encode).collect()
}

/// Share of the samples' energy that lies in the tone `hz`: 1.0 = nothing else, 0.0 = none (or silence).
pub fn tone_share(samples: &[i16], hz: f64) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    // Below -60 dBFS there is nothing to find.
    if samples.is_empty() || energy / (samples.len() as f64) < 33.0 * 33.0 {
        return 0.0;
    }
    let coefficient = 2.0 * (hz * TAU / HZ).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let now = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = now;
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power / (samples.len() as f64 * energy)
}

/// The tone that holds most of the energy, in steps of 10 Hz from 100 to 3900 Hz; none when no tone holds half.
pub fn loudest_tone(samples: &[i16]) -> Option<f64> {
    (10..=390)
        .map(|step| f64::from(step) * 10.0)
        .map(|hz| (hz, tone_share(samples, hz)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, share)| *share > 0.5)
        .map(|(hz, _)| hz)
}

/// Milliseconds from the first to the last 20 ms frame in which the tone holds at least half of the energy, and how
/// many frames between hold less.
pub fn tone_span(samples: &[i16], hz: f64) -> Option<(u64, u64, usize)> {
    let with: Vec<bool> = samples
        .chunks_exact(160)
        .map(|frame| tone_share(frame, hz) > 0.5)
        .collect();
    let first = with.iter().position(|w| *w)?;
    let last = with.iter().rposition(|w| *w)?;
    let without = with[first..=last].iter().filter(|w| !**w).count();
    Some((first as u64 * 20, (last as u64 + 1) * 20, without))
}

/// Root mean square.
pub fn rms(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// G.711 A-law decode (ITU-T G.711 table 1a), scaled to 16 bits. An own one, so that the engine's is checked by it.
pub fn alaw_decode(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 7;
    let mantissa = i16::from(byte & 15) << 4;
    let magnitude = match exponent {
        0 => mantissa + 8,
        n => (mantissa + 0x108) << (n - 1),
    };
    if byte & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// G.711 A-law encode by search: the code whose value is nearest.
pub fn alaw_encode(sample: i16) -> u8 {
    static CODES: std::sync::OnceLock<Vec<(i16, u8)>> = std::sync::OnceLock::new();
    let codes = CODES.get_or_init(|| {
        let mut codes: Vec<_> = (0..=255).map(|code| (alaw_decode(code), code)).collect();
        codes.sort_unstable();
        codes
    });
    let at = codes.partition_point(|(value, _)| *value < sample);
    let near = &codes[at.saturating_sub(1)..(at + 1).min(codes.len())];
    near.iter()
        .min_by_key(|(value, _)| (i32::from(*value) - i32::from(sample)).abs())
        .unwrap()
        .1
}

/// A WAV file, one vector of samples per channel.
#[derive(Debug)]
pub struct Wav {
    pub format_tag: u16,
    pub hz: u32,
    pub channels: Vec<Vec<i16>>,
}

impl Wav {
    pub fn duration_ms(&self) -> u64 {
        let frames = self.channels.first().map_or(0, Vec::len) as u64;
        frames * 1000 / u64::from(self.hz)
    }
}

/// Read a WAV file of A-law (tag 6) or 16-bit PCM (tag 1) samples. The header must be right: sizes are checked
/// against the file.
pub fn read_wav(path: &Path) -> Wav {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    assert_eq!(u32_at(4) as usize + 8, bytes.len(), "RIFF size");
    let (mut at, mut format, mut fact) = (12, None, None);
    loop {
        let size = u32_at(at + 4) as usize;
        match &bytes[at..at + 4] {
            b"fmt " => format = Some((u16_at(at + 8), u16_at(at + 10), u32_at(at + 12))),
            b"fact" => fact = Some(u32_at(at + 8) as usize),
            b"data" => {
                let (format_tag, count, hz) = format.expect("fmt before data");
                let data = &bytes[at + 8..at + 8 + size];
                let samples: Vec<i16> = match format_tag {
                    6 => data.iter().map(|b| alaw_decode(*b)).collect(),
                    1 => data
                        .chunks_exact(2)
                        .map(|b| i16::from_le_bytes([b[0], b[1]]))
                        .collect(),
                    other => panic!("format tag {other}"),
                };
                let count = usize::from(count);
                if format_tag != 1 {
                    assert_eq!(fact, Some(samples.len() / count), "fact chunk");
                }
                let channel = |n: usize| samples.iter().skip(n).step_by(count).copied().collect();
                return Wav {
                    format_tag,
                    hz,
                    channels: (0..count).map(channel).collect(),
                };
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
}

#[test]
fn tones_are_told_apart_and_survive_a_law() {
    let a = alaw_tone(440.0, 0, 800);
    let decoded: Vec<i16> = a.iter().map(|b| alaw_decode(*b)).collect();
    assert!(tone_share(&decoded, 440.0) > 0.99);
    assert!(tone_share(&decoded, 480.0) < 0.01);
    assert_eq!(loudest_tone(&decoded), Some(440.0));
    assert_eq!(loudest_tone(&[0; 800]), None);
    let mix: Vec<i16> = tone(440.0, 0, 800)
        .iter()
        .zip(tone(1000.0, 0, 800))
        .map(|(a, b)| a / 2 + b / 2)
        .collect();
    assert!((tone_share(&mix, 440.0) - 0.5).abs() < 0.05);
    assert!((tone_share(&mix, 1000.0) - 0.5).abs() < 0.05);
    // ITU-T G.711: 0xD5 and 0x55 are the two zeros, 0xAA and 0x2A the largest.
    assert_eq!((alaw_decode(0xD5), alaw_decode(0x55)), (8, -8));
    assert_eq!((alaw_decode(0xAA), alaw_decode(0x2A)), (32_256, -32_256));
    let spoken = [vec![0; 1600], tone(700.0, 0, 3200), vec![0; 800]].concat();
    assert_eq!(tone_span(&spoken, 700.0), Some((200, 600, 0)));
}
