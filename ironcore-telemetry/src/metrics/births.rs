//! Since when series are counted. The SDK only knows when an instrument was created.

use std::collections::HashMap;

/// The time of birth of each series: one that was not there at the last collection was zero then.
#[derive(Debug)]
pub(super) struct Births<T> {
    known: HashMap<u64, T>,
    last_collection: Option<T>,
}

/// How many series that are gone are remembered besides as many as there are: one that comes back, because its callback has
/// failed in between, is not a new one.
const GONE: usize = 1_000;

impl<T> Default for Births<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), last_collection: None }
    }
}

impl<T: Copy + Ord> Births<T> {
    /// Dates the series of the collection that began at `now`, each by its id and the creation of its instrument.
    pub(super) fn date<'a>(&mut self, series: impl Iterator<Item = (u64, &'a mut T)>, now: T)
    where
        T: 'a,
    {
        let mut seen = Vec::with_capacity(self.known.len());
        for (id, created) in series {
            let last = self.last_collection;
            let born = *self.known.entry(id).or_insert_with(|| last.map_or(*created, |last| last.max(*created)));
            *created = born;
            seen.push((id, born));
        }
        if self.known.len() > 2 * seen.len() + GONE {
            self.known = seen.into_iter().collect();
        }
        self.last_collection = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(births: &mut Births<u64>, ids: &[u64], created: u64, now: u64) -> Vec<u64> {
        let mut times: Vec<_> = ids.iter().map(|id| (*id, created)).collect();
        births.date(times.iter_mut().map(|(id, time)| (*id, time)), now);
        times.into_iter().map(|(_, time)| time).collect()
    }

    #[test]
    fn a_series_is_born_after_the_last_collection_without_it_and_keeps_its_birth() {
        let mut births = Births::default();
        assert_eq!(dated(&mut births, &[1], 5, 10), [5]);
        assert_eq!(dated(&mut births, &[1, 2], 5, 20), [5, 10]);
        assert_eq!(dated(&mut births, &[2], 5, 30), [10]);
        assert_eq!(dated(&mut births, &[1, 2, 3], 5, 40), [5, 10, 30], "the first one was away");
        assert_eq!(dated(&mut births, &[4], 45, 50), [45], "its instrument is newer than the last collection");
    }

    #[test]
    fn what_is_gone_is_forgotten_when_there_is_too_much_of_it() {
        let mut births = Births::default();
        for round in 0..100 {
            let ids: Vec<_> = (0..500).map(|id| round * 500 + id).collect();
            let _ = dated(&mut births, &ids, 5, round);
            assert!(births.known.len() <= 2 * ids.len() + GONE);
        }
    }
}
