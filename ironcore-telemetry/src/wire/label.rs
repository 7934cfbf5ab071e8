//! Label values that are learned while the service runs, and bounded.

use crate::names::OTHER;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::thread::LocalKey;

/// Places of a thread's hint.
const HINTS: usize = 64;

/// What a thread found last, by a few bytes of the name that it asked for. A hint only: the name is compared.
pub(crate) type ThreadCache<T> = [Cell<Option<&'static T>>; HINTS];

/// Things with a name that live as long as the process: so many at most, the others are one, named `_OTHER`.
pub(crate) struct Interned<T: 'static> {
    most: usize,
    all: RwLock<BTreeMap<&'static str, &'static T>>,
}

/// A thing with a name.
pub(crate) trait Key {
    fn name(&self) -> &'static str;
}

impl<T: Key> Interned<T> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, all: RwLock::new(BTreeMap::new()) }
    }

    /// The one of this name, made when it is new; `_OTHER` when there are too many already.
    #[inline]
    pub(crate) fn get(
        &self,
        hints: &'static LocalKey<ThreadCache<T>>,
        name: &str,
        new: impl FnOnce(&'static str) -> T,
    ) -> &'static T {
        self.look(hints, name).unwrap_or_else(|| self.find(name, new))
    }

    /// The one of this name, if there is one already.
    #[inline]
    pub(crate) fn look(&self, hints: &'static LocalKey<ThreadCache<T>>, name: &str) -> Option<&'static T> {
        let hint = hints.try_with(|hints| hints.get(place(name)).and_then(Cell::get));
        if let Ok(Some(hint)) = hint
            && hint.name() == name
        {
            return Some(hint);
        }
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let known = *all.get(name)?;
        let _ = hints.try_with(|hints| hints.get(place(name)).map(|hint| hint.set(Some(known))));
        Some(known)
    }

    /// As [`get`](Self::get), for names of which a thread has no hint.
    pub(crate) fn find(&self, name: &str, new: impl FnOnce(&'static str) -> T) -> &'static T {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let is_full = |all: &BTreeMap<_, _>| all.len() >= self.most;
        let known = all.get(name).or_else(|| {
            // No caller can make anybody wait for a table that is full.
            is_full(&all).then(|| all.get(OTHER)).flatten()
        });
        if let Some(known) = known {
            return known;
        }
        drop(all);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let name = if is_full(&all) { OTHER } else { name };
        if let Some(known) = all.get(name) {
            return known;
        }
        let name: &'static str = Box::leak(name.into());
        let made: &'static T = Box::leak(Box::new(new(name)));
        all.insert(name, made);
        made
    }
}

/// Where the hint of a name lies: by its length and its last bytes, in which names differ.
#[inline]
fn place(name: &str) -> usize {
    let end = name.len().saturating_sub(8);
    let last = name.as_bytes().get(end..).unwrap_or_default();
    let mix = |mix: usize, byte: &u8| mix.wrapping_mul(31).wrapping_add(usize::from(*byte));
    last.iter().fold(name.len(), mix) % HINTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Thing(&'static str);

    impl Key for Thing {
        fn name(&self) -> &'static str {
            self.0
        }
    }

    thread_local! {
        static FOUND: ThreadCache<Thing> = const { [const { Cell::new(None) }; _] };
    }

    #[test]
    fn so_many_are_told_apart_and_the_rest_is_one() {
        static KNOWN: Interned<Thing> = Interned::new(3);
        let name_of = |name: &str| KNOWN.find(name, Thing).name();
        for name in ["a", "b", "c"] {
            assert_eq!(name_of(name), name);
        }
        for junk in 0..1_000 {
            assert_eq!(name_of(&format!("junk{junk}")), OTHER);
        }
        // Who came first stays, and the rest has one place.
        assert_eq!(name_of("b"), "b");
        let all = KNOWN.all.read().unwrap();
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [OTHER, "a", "b", "c"]);
    }

    #[test]
    fn a_hint_of_another_name_in_the_same_place_is_not_taken() {
        static KNOWN: Interned<Thing> = Interned::new(1_000);
        let names: Vec<_> = (0..500).map(|number| format!("/route/{number}")).collect();
        for name in &names {
            assert!(KNOWN.look(&FOUND, name).is_none());
            KNOWN.find(name, Thing);
        }
        for _ in 0..2 {
            for name in &names {
                assert_eq!(KNOWN.look(&FOUND, name).unwrap().name(), name);
            }
        }
    }
}
