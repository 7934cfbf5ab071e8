//! The values of `fields(…)` as attributes of a span.
//!
//! The expansion turns `fields(key = expr)` into `value(&expr)`, `%expr` into `(&&Formatted(&expr)).__ironcore_telemetry_as_display()` and
//! `?expr` into `(&&Formatted(&expr)).__ironcore_telemetry_as_debug()`. Method lookup finds the implementation for a
//! [`Secret`](crate::Secret) first. It returns a [`SecretValue`], which is not a [`Field`], so that the code does not
//! compile.

use crate::redact::{Secret, VALUE_LIMIT, bounded, truncate};
use opentelemetry::Value;
use std::fmt;
use zeroize::Zeroize;

/// A value that a span can have as an attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a span",
    label = "a secret must not leave the process",
    note = "leave it out, or name a part that is not secret, such as its length or kind"
)]
pub trait Field {
    /// The value of the attribute.
    fn into_value(self) -> Value;
}

impl Field for Value {
    fn into_value(self) -> Value {
        self
    }
}

/// Stands for a secret. It is not a [`Field`].
#[derive(Debug)]
pub struct SecretValue;

/// A value of `fields(…)` that is to be formatted.
#[derive(Debug)]
pub struct Formatted<'value, T: ?Sized>(pub &'value T);

/// A type that needs no formatting: `fields(key = expr)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field as it is",
    label = "not a boolean, a number or text",
    note = "write `key = %expr` to format it with `Display`, or `key = ?expr` with `Debug`; a `Secret` cannot be a field at \
            all"
)]
pub trait FieldValue {
    /// The value of the attribute.
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

/// Integers outside the 64 bits of an attribute become text, because amounts must stay exact.
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
    /// [`Value`], or [`SecretValue`] for a secret.
    type Output;

    /// Formats the value with `Display`.
    fn __ironcore_telemetry_as_display(&self) -> Self::Output;
}

/// `fields(key = ?expr)`.
pub trait AsDebug {
    /// [`Value`], or [`SecretValue`] for a secret.
    type Output;

    /// Formats the value with `Debug`.
    fn __ironcore_telemetry_as_debug(&self) -> Self::Output;
}

impl<T: fmt::Display + ?Sized> AsDisplay for Formatted<'_, T> {
    type Output = Value;

    fn __ironcore_telemetry_as_display(&self) -> Value {
        Value::String(bounded(format_args!("{}", self.0)).into())
    }
}

impl<T: fmt::Debug + ?Sized> AsDebug for Formatted<'_, T> {
    type Output = Value;

    fn __ironcore_telemetry_as_debug(&self) -> Value {
        Value::String(bounded(format_args!("{:?}", self.0)).into())
    }
}

macro_rules! secrets {
    ($($secret:ty),+) => {
        $(
            impl<T: Zeroize> AsDisplay for &Formatted<'_, $secret> {
                type Output = SecretValue;

                fn __ironcore_telemetry_as_display(&self) -> SecretValue {
                    SecretValue
                }
            }

            impl<T: Zeroize> AsDebug for &Formatted<'_, $secret> {
                type Output = SecretValue;

                fn __ironcore_telemetry_as_debug(&self) -> SecretValue {
                    SecretValue
                }
            }
        )+
    };
}

secrets!(Secret<T>, &Secret<T>, Option<Secret<T>>, &Option<Secret<T>>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_beyond_64_bits_are_exact_as_text() {
        assert_eq!(7_u64.to_value(), Value::I64(7));
        assert_eq!(u128::MAX.to_value().as_str(), u128::MAX.to_string());
        assert_eq!(true.to_value(), Value::Bool(true));
    }

    #[test]
    fn long_values_are_cut_at_a_character_boundary() {
        let long = "é".repeat(VALUE_LIMIT);
        assert_eq!(long.to_value().as_str().len(), VALUE_LIMIT);
        assert_eq!(Formatted(&format!("x{long}")).__ironcore_telemetry_as_display().as_str().len(), VALUE_LIMIT - 1);
        assert_eq!(Formatted(&long).__ironcore_telemetry_as_debug().as_str().len(), VALUE_LIMIT - 1);
    }
}
