//! Values of named fields on their way onto a span.
//!
//! The expansion writes `fields(key = expr)` as `value(&expr)`, `%expr` as `(&&Shown(&expr)).as_display()` and
//! `?expr` as `(&&Shown(&expr)).as_debug()`. Method lookup finds a [`Secret`](crate::Secret) first, and what it gives is
//! no [`Field`], so that it does not compile.

use crate::redact::{Secret, VALUE_LIMIT, truncate};
use opentelemetry::Value;
use std::fmt;
use zeroize::Zeroize;

/// A value that may stand on a span.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a span",
    label = "a secret must not leave the process",
    note = "leave it out, or name a part that is not secret, such as its length or kind"
)]
pub trait Field {
    /// The value as the span keeps it.
    fn into_value(self) -> Value;
}

impl Field for Value {
    fn into_value(self) -> Value {
        self
    }
}

/// What a secret gives: it is no [`Field`].
#[derive(Debug)]
pub struct Refused;

/// A value named in `fields(…)`.
#[derive(Debug)]
pub struct Shown<'value, T: ?Sized>(pub &'value T);

/// Types that a span keeps as they are: `fields(key = expr)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field as it stands",
    label = "neither a boolean, a number nor text",
    note = "write `key = %expr` to show it by `Display`, or `key = ?expr` by `Debug`; a `Secret` cannot be a field at all"
)]
pub trait FieldValue {
    /// The value as the span keeps it.
    fn to_value(&self) -> Value;
}

/// The value of `fields(key = expr)`.
pub fn value<T: FieldValue + ?Sized>(value: &T) -> Value {
    value.to_value()
}

impl<T: FieldValue + ?Sized> FieldValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl FieldValue for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl FieldValue for f64 {
    fn to_value(&self) -> Value {
        Value::F64(*self)
    }
}

impl FieldValue for f32 {
    fn to_value(&self) -> Value {
        Value::F64(f64::from(*self))
    }
}

impl FieldValue for str {
    fn to_value(&self) -> Value {
        Value::String(truncate(self, VALUE_LIMIT).to_owned().into())
    }
}

impl FieldValue for String {
    fn to_value(&self) -> Value {
        self.as_str().to_value()
    }
}

/// Integers that a span's 64 bits hold are numbers; larger ones are exact as text, as amounts must be.
macro_rules! integers {
    ($($integer:ty),+) => {
        $(impl FieldValue for $integer {
            fn to_value(&self) -> Value {
                i64::try_from(*self).map_or_else(|_| Value::String(self.to_string().into()), Value::I64)
            }
        })+
    };
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

/// `fields(key = %expr)`.
pub trait AsDisplay {
    /// What it gives.
    type Output;

    /// The value by `Display`.
    fn as_display(&self) -> Self::Output;
}

/// `fields(key = ?expr)`.
pub trait AsDebug {
    /// What it gives.
    type Output;

    /// The value by `Debug`.
    fn as_debug(&self) -> Self::Output;
}

impl<T: fmt::Display + ?Sized> AsDisplay for Shown<'_, T> {
    type Output = Value;

    fn as_display(&self) -> Value {
        text(format_args!("{}", self.0))
    }
}

impl<T: fmt::Debug + ?Sized> AsDebug for Shown<'_, T> {
    type Output = Value;

    fn as_debug(&self) -> Value {
        text(format_args!("{:?}", self.0))
    }
}

macro_rules! refused {
    ($($secret:ty),+) => {
        $(
            impl<T: Zeroize> AsDisplay for &Shown<'_, $secret> {
                type Output = Refused;

                fn as_display(&self) -> Refused {
                    Refused
                }
            }

            impl<T: Zeroize> AsDebug for &Shown<'_, $secret> {
                type Output = Refused;

                fn as_debug(&self) -> Refused {
                    Refused
                }
            }
        )+
    };
}

refused!(Secret<T>, &Secret<T>, Option<Secret<T>>, &Option<Secret<T>>);

/// Formats into a bounded string; a value that panics or fails as it is shown costs the value.
fn text(arguments: fmt::Arguments<'_>) -> Value {
    struct Bounded(String);

    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let left = VALUE_LIMIT - self.0.len();
            let kept = truncate(text, left);
            self.0.push_str(kept);
            // Ends the formatting early: a value of megabytes is not worth its time.
            if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut bounded = Bounded(String::new());
    let _ = fmt::write(&mut bounded, arguments);
    Value::String(bounded.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_numbers_and_amounts_beyond_them_stay_exact() {
        assert_eq!(7_u64.to_value(), Value::I64(7));
        assert_eq!(u128::MAX.to_value().as_str(), u128::MAX.to_string());
        assert_eq!(true.to_value(), Value::Bool(true));
    }

    #[test]
    fn long_values_are_cut_at_a_character_boundary() {
        let long = "é".repeat(VALUE_LIMIT);
        assert_eq!(long.to_value().as_str().len(), VALUE_LIMIT);
        assert_eq!(Shown(&format!("x{long}")).as_display().as_str().len(), VALUE_LIMIT - 1);
        assert_eq!(Shown(&long).as_debug().as_str().len(), VALUE_LIMIT - 1);
    }
}
