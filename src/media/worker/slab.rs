//! Things by number: stable places, no hashing on the packet path.

/// A vector with holes.
#[derive(Debug)]
pub(super) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, item: T) -> usize {
        if let Some(key) = self.free.pop() {
            if let Some(place) = self.items.get_mut(key) {
                *place = Some(item);
            }
            return key;
        }
        self.items.push(Some(item));
        self.items.len() - 1
    }

    pub(super) fn remove(&mut self, key: usize) -> Option<T> {
        let item = self.items.get_mut(key)?.take();
        if item.is_some() {
            self.free.push(key);
        }
        item
    }

    pub(super) fn get(&self, key: usize) -> Option<&T> {
        self.items.get(key)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        self.items.get_mut(key)?.as_mut()
    }

    /// Places to look at, holes included.
    pub(super) fn places(&self) -> usize {
        self.items.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused_and_others_keep_theirs() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.insert('c'), a);
        assert_eq!(slab.get(b), Some(&'b'));
        assert_eq!((slab.places(), slab.iter().count()), (2, 2));
    }
}
