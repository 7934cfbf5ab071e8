//! An error with the errors underneath it, as one bounded text.

use crate::caught::caught;
use crate::redact::{VALUE_LIMIT, bounded, truncate};
use std::error::Error;
use std::fmt;

/// The errors of one chain that are shown. A source may name itself, and then the chain has no end.
const MOST: usize = 16;

/// Shows an error and its sources: `outer: source: source of the source`.
///
/// A source whose text ends the text before it is left out, because many errors print their source themselves. The whole
/// is at most [`VALUE_LIMIT`] bytes and [`MOST`] errors long. A text that panics is shown as a mark.
pub(crate) struct Causes<'error>(pub(crate) &'error (dyn Error + 'error));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = bounded(format_args!("{}", self.0));
        let mut error: &dyn Error = self.0;
        for _ in 1..MOST {
            let Some(source) = caught(|| error.source()).flatten() else {
                break;
            };
            error = source;
            let of_source = bounded(format_args!("{error}"));
            if !text.ends_with(&of_source) {
                text.push_str(": ");
                text.push_str(&of_source);
            }
            if text.len() >= VALUE_LIMIT {
                break;
            }
        }
        formatter.write_str(truncate(&text, VALUE_LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a text and a source.
    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|source| &**source as _)
        }
    }

    fn chain(texts: &[&'static str]) -> Layer {
        let layer = |below, text: &&'static str| Some(Box::new(Layer(text, below)));
        *texts.iter().rev().fold(None, layer).unwrap()
    }

    #[test]
    fn a_source_is_shown_once_even_where_the_error_prints_it_itself() {
        for (texts, shown) in [
            (&["timed out"][..], "timed out"),
            (&["cannot pay", "signer", "timed out"], "cannot pay: signer: timed out"),
            (&["cannot pay: signer", "signer", "timed out"], "cannot pay: signer: timed out"),
            (&["a: b: c", "b: c", "c"], "a: b: c"),
            (&["transparent", "transparent", "below"], "transparent: below"),
            (&["", "below"], ": below"),
            (&["above", ""], "above"),
        ] {
            assert_eq!(Causes(&chain(texts)).to_string(), shown);
        }
    }

    #[test]
    fn a_chain_without_an_end_and_a_text_without_an_end_are_bounded() {
        #[derive(Debug)]
        struct Endless(std::cell::Cell<u32>);

        impl fmt::Display for Endless {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                write!(formatter, "{}", self.0.get())
            }
        }

        impl Error for Endless {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }

        let shown = Causes(&Endless(0.into())).to_string();
        assert_eq!(shown.split(": ").count(), MOST);
        let long: &'static str = Box::leak("é".repeat(VALUE_LIMIT).into_boxed_str());
        let shown = Causes(&chain(&["x", long, "below"])).to_string();
        assert!(shown.len() <= VALUE_LIMIT && shown.len() > VALUE_LIMIT - 2, "{}", shown.len());
        assert!(shown.starts_with("x: é"));
    }

    #[test]
    fn a_text_or_a_source_that_panics_costs_no_more_than_itself() {
        #[derive(Debug)]
        struct Broken;

        impl fmt::Display for Broken {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("begun")?;
                panic!("in Display");
            }
        }

        impl Error for Broken {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                panic!("in source");
            }
        }

        assert_eq!(Causes(&Broken).to_string(), "begun<panicked>");
    }
}
