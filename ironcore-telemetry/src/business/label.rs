//! Labels of metrics: closed sets, so that no caller can make series.

/// A value that may be a label of a metric: one out of a set that is fixed when the program is compiled. Derive it on an
/// enum without fields; `bool` has it. Strings, numbers, ids, addresses and amounts do not: each new value would be a
/// new series for ever.
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
    note = "each value of a label is a series for ever: derive `telemetry::Label` on an enum without fields and give that, \
            or put the value on the span with `fields(…)`"
)]
pub trait Label {
    /// Every value, in the order of [`index`](Self::index).
    const VALUES: &'static [&'static str];

    /// Which of the values this is.
    fn index(&self) -> usize;
}

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

/// The labels of one site: a tuple of up to four.
pub trait LabelSet {
    /// Whether there is no label at all.
    const IS_EMPTY: bool = false;

    /// How many combinations of values there are.
    const SIZE: usize;

    /// Which combination this is.
    fn index(&self) -> usize;

    /// The values of a combination, in the order of the tuple.
    fn values(index: usize) -> Vec<&'static str>;
}

/// Series a site may have for each metric: the combinations of its labels with the five outcomes.
const SERIES: usize = 200;
const OUTCOMES: usize = 5;

/// Evaluated when a site with these labels is compiled.
pub(super) const fn check<S: LabelSet>() {
    assert!(
        S::SIZE * OUTCOMES <= SERIES,
        "too many combinations of labels: a site may have 200 series, that is 40 combinations with 5 outcomes each; leave a \
         label out, or put its value on the span with `fields(…)`"
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

    struct Asset(usize);

    impl Label for Asset {
        const VALUES: &'static [&'static str] = &["btc", "eth", "sol"];

        fn index(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn each_combination_has_an_index_of_its_own_and_its_values_back() {
        type Set<'label> = (&'label Asset, &'label bool);
        let mut seen = Vec::new();
        for asset in 0..3 {
            for sold in [false, true] {
                let set = (&Asset(asset), &sold);
                let values = Set::values(set.index());
                assert_eq!(values, [Asset::VALUES[asset], bool::VALUES[usize::from(sold)]]);
                seen.push(set.index());
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..Set::SIZE).collect::<Vec<_>>());
    }
}
