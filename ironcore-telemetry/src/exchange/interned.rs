//! Label values that are learned while the service runs: a bounded number of each kind.

use crate::names::OTHER;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::thread::LocalKey;

/// Slots of a thread's cache.
const SLOTS: usize = 64;

/// What a thread found last, by a few bytes of the key that it looked up. A cache only: the whole key is compared.
pub(crate) type ThreadCache<T> = [Cell<Option<&'static T>>; SLOTS];

/// Entries that live as long as the process: at most `limit`; all further keys share one entry, `_OTHER`.
pub(crate) struct Interned<T: 'static> {
    limit: usize,
    all: RwLock<BTreeMap<&'static str, &'static T>>,
}

/// An entry that is found by its key.
pub(crate) trait Key {
    fn key(&self) -> &'static str;
}

impl<T: Key> Interned<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, all: RwLock::new(BTreeMap::new()) }
    }

    /// The entry of a key, made when it is new; that of `_OTHER` once the limit is reached.
    #[inline]
    pub(crate) fn get(
        &self,
        cache: &'static LocalKey<ThreadCache<T>>,
        key: &str,
        new: impl FnOnce(&'static str) -> T,
    ) -> &'static T {
        self.look(cache, key).unwrap_or_else(|| self.find(key, new))
    }

    /// The entry of a key, if there is one already.
    #[inline]
    pub(crate) fn look(&self, cache: &'static LocalKey<ThreadCache<T>>, key: &str) -> Option<&'static T> {
        let cached = cache.try_with(|cache| cache.get(slot(key)).and_then(Cell::get));
        if let Ok(Some(cached)) = cached
            && cached.key() == key
        {
            return Some(cached);
        }
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let known = *all.get(key)?;
        let _ = cache.try_with(|cache| cache.get(slot(key)).map(|slot| slot.set(Some(known))));
        Some(known)
    }

    /// As [`get`](Self::get), without a thread's cache.
    pub(crate) fn find(&self, key: &str, new: impl FnOnce(&'static str) -> T) -> &'static T {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let is_full = |all: &BTreeMap<_, _>| all.len() >= self.limit;
        let known = all.get(key).or_else(|| {
            // A caller that invents keys never makes others wait for the write lock once the table is full.
            is_full(&all).then(|| all.get(OTHER)).flatten()
        });
        if let Some(known) = known {
            return known;
        }
        drop(all);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let key = if is_full(&all) { OTHER } else { key };
        if let Some(known) = all.get(key) {
            return known;
        }
        let key: &'static str = Box::leak(key.into());
        let made: &'static T = Box::leak(Box::new(new(key)));
        all.insert(key, made);
        made
    }
}

/// The slot of a key: by its length and its last bytes, in which keys differ.
#[inline]
fn slot(key: &str) -> usize {
    let end = key.len().saturating_sub(8);
    let last = key.as_bytes().get(end..).unwrap_or_default();
    let mix = |mix: usize, byte: &u8| mix.wrapping_mul(31).wrapping_add(usize::from(*byte));
    last.iter().fold(key.len(), mix) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Thing(&'static str);

    impl Key for Thing {
        fn key(&self) -> &'static str {
            self.0
        }
    }

    thread_local! {
        static FOUND: ThreadCache<Thing> = const { [const { Cell::new(None) }; _] };
    }

    #[test]
    fn keys_above_the_limit_share_one_entry() {
        static KNOWN: Interned<Thing> = Interned::new(3);
        let name_of = |name: &str| KNOWN.find(name, Thing).key();
        for name in ["a", "b", "c"] {
            assert_eq!(name_of(name), name);
        }
        for junk in 0..1_000 {
            assert_eq!(name_of(&format!("junk{junk}")), OTHER);
        }
        // The first keys stay, and all others share one entry.
        assert_eq!(name_of("b"), "b");
        let all = KNOWN.all.read().unwrap();
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [OTHER, "a", "b", "c"]);
    }

    #[test]
    fn a_cached_entry_of_another_key_in_the_same_slot_is_not_returned() {
        static KNOWN: Interned<Thing> = Interned::new(1_000);
        let names: Vec<_> = (0..500).map(|number| format!("/route/{number}")).collect();
        for name in &names {
            assert!(KNOWN.look(&FOUND, name).is_none());
            KNOWN.find(name, Thing);
        }
        for _ in 0..2 {
            for name in &names {
                assert_eq!(KNOWN.look(&FOUND, name).unwrap().key(), name);
            }
        }
    }
}
