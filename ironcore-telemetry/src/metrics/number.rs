//! Numbers of instruments, as the page writes them.

use std::fmt;

/// A value of an instrument, of the type that the instrument has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Number {
    /// As Prometheus stores it.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus stores floats")]
    pub(super) const fn float(self) -> f64 {
        match self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The sum. Instruments of one name may have different types.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unsigned(one), Self::Unsigned(other)) => Self::Unsigned(one.wrapping_add(other)),
            (Self::Signed(one), Self::Signed(other)) => Self::Signed(one.wrapping_add(other)),
            _ => Self::Float(self.float() + other.float()),
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => value.fmt(formatter),
            Self::Signed(value) => value.fmt(formatter),
            Self::Float(value) => Float(*value).fmt(formatter),
        }
    }
}

/// A float in the fewest digits that mean it, as Go's `%g` writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float(pub(super) f64);

impl Float {
    /// As `OpenMetrics` wants it for a bound: never like an integer.
    pub(super) fn canonical(self) -> String {
        let text = self.to_string();
        let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if is_whole { text + ".0" } else { text }
    }
}

impl fmt::Display for Float {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return formatter.write_str("NaN");
        }
        if value.is_infinite() {
            return formatter.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{value:e}");
        let exponent = scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse().ok()?)));
        match exponent {
            Some((digits, exponent @ (..=-5 | 6..))) => {
                let exponent: i32 = exponent;
                let sign = if exponent < 0 { '-' } else { '+' };
                write!(formatter, "{digits}e{sign}{:02}", exponent.unsigned_abs())
            }
            _ => write!(formatter, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, text, canonical) in [
            (0.0, "0", "0.0"),
            (5.0, "5", "5.0"),
            (-2.5, "-2.5", "-2.5"),
            (-3.0, "-3", "-3.0"),
            (0.005, "0.005", "0.005"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_01, "1e-05", "1e-05"),
            (100_000.0, "100000", "100000.0"),
            (1_000_000.0, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (1e308, "1e+308", "1e+308"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(Float(value).to_string(), text);
            assert_eq!(Float(value).canonical(), canonical);
        }
    }

    #[test]
    fn sums_of_one_type_are_exact() {
        assert_eq!(Number::from(u64::MAX - 1).plus(Number::from(1_u64)), Number::Unsigned(u64::MAX));
        assert_eq!(Number::from(-3_i64).plus(Number::from(1_i64)), Number::Signed(-2));
        assert_eq!(Number::from(-3_i64).plus(Number::from(0.5)), Number::Float(-2.5));
    }
}
