//! Playing stored sounds to one hearer, byte by byte out of tables made at load.
//!
//! ```text
//! item 1 -> item 2 -> ... -> last -> Ended        (repeat: last -> last -> ...)
//! ```
//! Refuses to know: files, packets, time.

use std::sync::Arc;

use super::session::Codec;
use crate::id::PlayId;

/// A sound in every codec, one byte per sample at 8 kHz.
#[derive(Clone)]
pub struct Clip {
    alaw: Box<[u8]>,
    ulaw: Box<[u8]>,
}

impl Clip {
    /// Encode linear samples once.
    #[must_use]
    pub fn new(samples: &[i16]) -> Self {
        let encode = |codec: Codec| samples.iter().map(|sample| codec.encode(*sample)).collect();
        Self {
            alaw: encode(Codec::Pcma),
            ulaw: encode(Codec::Pcmu),
        }
    }

    /// Its bytes in `codec`.
    #[must_use]
    pub fn bytes(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcma => &self.alaw,
            Codec::Pcmu => &self.ulaw,
        }
    }

    /// Its length in ms.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        u64::try_from(self.alaw.len() / 8).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clip({} ms)", self.duration_ms())
    }
}

/// One piece of a playback.
#[derive(Clone, Debug)]
pub enum Item {
    Clip(Arc<Clip>),
    /// So many samples of nothing.
    Silence(usize),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Clip(clip) => clip.alaw.len(),
            Self::Silence(samples) => *samples,
        }
    }
}

/// Whether a playback goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Playing {
    Going,
    /// The last sample lies in this frame or before; the rest of it is silence.
    Ended,
}

/// A playback under way.
#[derive(Clone, Debug)]
pub struct Player {
    play: PlayId,
    items: Vec<Item>,
    repeat: bool,
    item: usize,
    offset: usize,
}

impl Player {
    /// Play `items` in order; with `repeat` the last goes on for ever.
    #[must_use]
    pub fn new(play: PlayId, items: Vec<Item>, repeat: bool) -> Self {
        // A last item without a sample cannot be repeated.
        let repeat = repeat && items.last().is_some_and(|item| item.len() > 0);
        Self {
            play,
            items,
            repeat,
            item: 0,
            offset: 0,
        }
    }

    /// Which playback this is.
    #[must_use]
    pub const fn play(&self) -> PlayId {
        self.play
    }

    /// The next `out.len()` samples in `codec`.
    pub fn fill(&mut self, codec: Codec, out: &mut [u8]) -> Playing {
        let mut rest = out;
        while !rest.is_empty() {
            let Some(item) = self.items.get(self.item) else {
                rest.fill(codec.silence());
                return Playing::Ended;
            };
            let count = rest.len().min(item.len() - self.offset);
            let (now, later) = rest.split_at_mut(count);
            match item {
                Item::Clip(clip) => {
                    let bytes = clip.bytes(codec).get(self.offset..self.offset + count);
                    now.copy_from_slice(bytes.unwrap_or(&[]));
                }
                Item::Silence(_) => now.fill(codec.silence()),
            }
            rest = later;
            self.offset += count;
            if self.offset >= item.len() {
                self.offset = 0;
                self.item += usize::from(!(self.repeat && self.item + 1 == self.items.len()));
            }
        }
        if self.item < self.items.len() {
            Playing::Going
        } else {
            Playing::Ended
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(value: i16, samples: usize) -> Item {
        Item::Clip(Arc::new(Clip::new(&vec![value; samples])))
    }

    fn play(player: &mut Player, frames: usize) -> (Vec<u8>, usize) {
        let mut all = Vec::new();
        for n in 0..frames {
            let mut frame = [0; 160];
            let state = player.fill(Codec::Pcma, &mut frame);
            all.extend(frame);
            if state == Playing::Ended {
                return (all, n + 1);
            }
        }
        (all, frames)
    }

    #[test]
    fn sounds_follow_each_other_without_a_gap_and_end_once() {
        let items = vec![clip(1000, 100), Item::Silence(50), clip(-1000, 100)];
        let (all, frames) = play(&mut Player::new(PlayId(1), items, false), 10);
        assert_eq!(frames, 2);
        let (a, b) = (Codec::Pcma.encode(1000), Codec::Pcma.encode(-1000));
        let mut expected = vec![a; 100];
        expected.extend([0xD5; 50]);
        expected.extend([b; 100]);
        expected.extend([0xD5; 70]);
        assert_eq!(all, expected);
    }

    #[test]
    fn the_last_sound_repeats_for_ever() {
        let items = vec![clip(1000, 100), clip(-1000, 7)];
        let (all, frames) = play(&mut Player::new(PlayId(1), items, true), 500);
        assert_eq!(frames, 500);
        assert!(
            all[100..]
                .iter()
                .all(|byte| *byte == Codec::Pcma.encode(-1000))
        );
    }

    #[test]
    fn nothing_to_play_ends_at_once_even_when_repeated() {
        for items in [vec![], vec![clip(5, 0)], vec![Item::Silence(0)]] {
            assert_eq!(play(&mut Player::new(PlayId(1), items, true), 3).1, 1);
        }
    }
}
