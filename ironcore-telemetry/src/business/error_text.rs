//! The text of a returned error: recorded where the attribute says so, else only compared (`business/failure.rs`).
//!
//! The expansion calls `(&&&&&&Described(&error)).…_describe()` where the type is known. Method lookup tries the traits
//! in the order of their references: a [`Secret`](crate::Secret) has no text, whatever it implements.
//!
//! Method lookup ignores lifetimes: an impl that asks for `'static` would be chosen for an error that borrows, and then
//! not compile. So no impl asks for a lifetime.

use crate::causes::Causes;
use crate::redact::{Secret, bounded};
use std::any::type_name;
use std::error::Error;
use std::fmt::Display;
use zeroize::Zeroize;

/// The text of an error.
#[derive(Debug, Clone)]
pub struct ErrorText {
    /// The error with its sources.
    pub(super) text: String,
    /// The length of the part that is the error itself.
    own: usize,
    /// The name of its type.
    pub(super) kind: &'static str,
    /// Whether it may leave the process.
    pub(super) is_recorded: bool,
}

impl ErrorText {
    fn of_error<E: ?Sized>(error: &(dyn Error + '_)) -> Self {
        let own = bounded(format_args!("{error}")).len();
        Self { text: Causes(error).to_string(), own, kind: type_name::<E>(), is_recorded: false }
    }

    fn of_display<E: Display + ?Sized>(error: &E) -> Self {
        let text = bounded(format_args!("{error}"));
        Self { own: text.len(), text, kind: type_name::<E>(), is_recorded: false }
    }

    /// Whether this is `inner`, or an error around it: with or without the sources of `inner`.
    pub(super) fn ends_with(&self, inner: &Self) -> bool {
        let own = inner.text.get(..inner.own).unwrap_or_default();
        [inner.text.as_str(), own].iter().any(|inner| {
            let before = self.text.strip_suffix(inner);
            !inner.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with(": "))
        })
    }
}

/// An error that is to be described.
#[derive(Debug)]
pub struct Described<'error, E: ?Sized>(pub &'error E);

/// An error that has no text.
#[derive(Debug)]
pub struct NoText;

/// Stands for the text of a secret.
#[derive(Debug)]
pub struct SecretText;

/// What is known of an error's text.
pub trait MaybeText {
    /// The text, if there is one that may be compared.
    fn into_text(self) -> Option<ErrorText>;
}

impl MaybeText for ErrorText {
    fn into_text(self) -> Option<ErrorText> {
        Some(self)
    }
}

impl MaybeText for NoText {
    fn into_text(self) -> Option<ErrorText> {
        None
    }
}

impl MaybeText for SecretText {
    fn into_text(self) -> Option<ErrorText> {
        None
    }
}

/// A text that `record_error` can record.
#[diagnostic::on_unimplemented(
    message = "`record_error`: the error of this function has no text that can be recorded",
    label = "its error type is a secret, or implements neither `std::error::Error` nor `Display`",
    note = "implement `Display` (and `std::error::Error`, for the sources), or leave `record_error` out"
)]
pub trait RecordableText {
    /// The text.
    fn into_recorded(self) -> ErrorText;
}

impl RecordableText for ErrorText {
    fn into_recorded(self) -> Self {
        Self { is_recorded: true, ..self }
    }
}

/// First choice: a secret.
pub trait DescribeSecret {
    /// The description of the error.
    fn __ironcore_telemetry_describe(&self) -> SecretText;
}

macro_rules! secrets {
    ($($secret:ty),+) => {
        $(impl<T: Zeroize> DescribeSecret for &&&&&Described<'_, $secret> {
            fn __ironcore_telemetry_describe(&self) -> SecretText {
                SecretText
            }
        })+
    };
}

secrets!(Secret<T>, &Secret<T>, Box<Secret<T>>);

/// Second choice: an error, with its sources.
pub trait DescribeError {
    /// The description of the error.
    fn __ironcore_telemetry_describe(&self) -> ErrorText;
}

impl<E: Error> DescribeError for &&&&Described<'_, E> {
    fn __ironcore_telemetry_describe(&self) -> ErrorText {
        ErrorText::of_error::<E>(self.0)
    }
}

/// Third choice: what holds an error, such as `Box<dyn Error + Send + Sync>` or `anyhow::Error`.
pub trait DescribeHeld {
    /// The description of the error.
    fn __ironcore_telemetry_describe(&self) -> ErrorText;
}

impl<'held, E: AsRef<dyn Error + Send + Sync + 'held>> DescribeHeld for &&&Described<'_, E> {
    fn __ironcore_telemetry_describe(&self) -> ErrorText {
        ErrorText::of_error::<E>(self.0.as_ref())
    }
}

/// Fourth choice: what holds an error of one thread, such as `Box<dyn Error>`.
pub trait DescribeHeldHere {
    /// The description of the error.
    fn __ironcore_telemetry_describe(&self) -> ErrorText;
}

impl<'held, E: AsRef<dyn Error + 'held>> DescribeHeldHere for &&Described<'_, E> {
    fn __ironcore_telemetry_describe(&self) -> ErrorText {
        ErrorText::of_error::<E>(self.0.as_ref())
    }
}

/// Fifth choice: anything else that can be displayed.
pub trait DescribeDisplay {
    /// The description of the error.
    fn __ironcore_telemetry_describe(&self) -> ErrorText;
}

impl<E: Display> DescribeDisplay for &Described<'_, E> {
    fn __ironcore_telemetry_describe(&self) -> ErrorText {
        ErrorText::of_display(self.0)
    }
}

/// Last choice: nothing is known.
pub trait DescribeNothing {
    /// The description of the error.
    fn __ironcore_telemetry_describe(&self) -> NoText;
}

impl<E> DescribeNothing for Described<'_, E> {
    fn __ironcore_telemetry_describe(&self) -> NoText {
        NoText
    }
}
