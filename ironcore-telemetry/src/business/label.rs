//! Labels of metrics: closed sets of values, so that requests cannot create series.

/// A value that can be a label of a metric: one of a set that is fixed when the program is compiled.
///
/// Derive it on an enum without fields; `bool` implements it too. Strings, numbers, ids, addresses and amounts do not:
/// each new value would create a series that is never removed. The trait is sealed: an index outside `VALUES` would
/// lose the operation, so it cannot be implemented by hand.
///
/// ```
/// use ironcore_telemetry::Label;
///
/// #[derive(Label)]
/// enum Asset {
///     Eth,
///     WrappedBtc,
/// }
///
/// assert_eq!(Asset::VALUES, ["eth", "wrapped_btc"]);
/// assert_eq!(Asset::WrappedBtc.index(), 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a label of a metric",
    label = "not a closed set of values",
    note = "each value of a label creates a series that is never removed: derive `telemetry::Label` on an enum without \
            fields and use that, or put the value on the span with `fields(…)`"
)]
pub trait Label: SealedLabel {
    /// All values, in the order of [`index`](Self::index).
    const VALUES: &'static [&'static str];

    /// The position of this value in [`VALUES`](Self::VALUES).
    fn index(&self) -> usize;
}

/// Keeps hand-written implementations of [`Label`] out; the derive implements it.
#[diagnostic::on_unimplemented(
    message = "`Label` cannot be implemented by hand for `{Self}`",
    label = "`Label` is not derived for this type",
    note = "an index outside `VALUES` would lose the operation: write `#[derive(telemetry::Label)]` on an enum without \
            fields"
)]
pub trait SealedLabel {}

impl SealedLabel for bool {}

impl<L: Label + ?Sized> SealedLabel for &L {}

impl Label for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    fn index(&self) -> usize {
        usize::from(*self)
    }
}

impl<L: Label + ?Sized> Label for &L {
    const VALUES: &'static [&'static str] = L::VALUES;

    fn index(&self) -> usize {
        (**self).index()
    }
}

/// The labels of an instrumented function: a tuple of up to four.
pub trait LabelSet {
    /// Whether there are no labels.
    const IS_EMPTY: bool = false;

    /// The number of combinations of values.
    const SIZE: usize;

    /// The index of this combination.
    fn index(&self) -> usize;

    /// The values of a combination, in the order of the tuple.
    fn values(index: usize) -> Vec<&'static str>;
}

/// The limit of series per metric of one instrumented function: combinations of its labels times the five outcomes.
const SERIES: usize = 200;
const OUTCOMES: usize = 5;

/// Fails the compilation of a function whose labels have too many combinations.
pub(super) const fn check<S: LabelSet>() {
    assert!(
        S::SIZE * OUTCOMES <= SERIES,
        "too many combinations of labels: a function may have 200 series, that is 40 combinations with 5 outcomes each; \
         leave a label out, or put its value on the span with `fields(…)`"
    );
}

impl LabelSet for () {
    const IS_EMPTY: bool = true;
    const SIZE: usize = 1;

    fn index(&self) -> usize {
        0
    }

    fn values(_: usize) -> Vec<&'static str> {
        Vec::new()
    }
}

macro_rules! label_set {
    ($($name:ident $place:tt),+) => {
        impl<$($name: Label),+> LabelSet for ($(&$name,)+) {
            const SIZE: usize = 1 $(* $name::VALUES.len())+;

            fn index(&self) -> usize {
                let index = 0;
                $(let index = index * $name::VALUES.len() + self.$place.index();)+
                index
            }

            fn values(mut index: usize) -> Vec<&'static str> {
                let sets = [$($name::VALUES),+];
                let mut values: Vec<_> = sets.iter().rev().map(|set| {
                    let value = index.checked_rem(set.len()).and_then(|place| set.get(place));
                    index = index.checked_div(set.len()).unwrap_or_default();
                    value.copied().unwrap_or_default()
                }).collect();
                values.reverse();
                values
            }
        }
    };
}

label_set!(A 0);
label_set!(A 0, B 1);
label_set!(A 0, B 1, C 2);
label_set!(A 0, B 1, C 2, D 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(ironcore_telemetry_macros::Label)]
    #[label(crate = crate)]
    enum Asset {
        Btc,
        Eth,
        Sol,
    }

    #[test]
    fn each_combination_has_its_own_index_which_gives_back_its_values() {
        type Set<'label> = (&'label Asset, &'label bool);
        let mut seen = Vec::new();
        for (asset, name) in [(Asset::Btc, "btc"), (Asset::Eth, "eth"), (Asset::Sol, "sol")] {
            for sold in [false, true] {
                let set = (&asset, &sold);
                let values = Set::values(set.index());
                assert_eq!(values, [name, bool::VALUES[usize::from(sold)]]);
                seen.push(set.index());
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..Set::SIZE).collect::<Vec<_>>());
    }
}
