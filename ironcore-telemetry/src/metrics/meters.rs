//! The meters that users and libraries get: those of the SDK, with bounds in seconds for histograms of seconds that ask
//! for none, callbacks that cost no other instrument anything, and names that are claimed in the order of creation.

use super::callbacks::Callbacks;
#[cfg(feature = "prometheus")]
use super::claims::{Claims, Instrument};
#[cfg(feature = "prometheus")]
use super::naming::Kind;
use crate::names::DURATION_BOUNDS;
use crate::series;
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{
    AsyncInstrumentBuilder, Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter,
    MeterProvider, ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter,
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use std::sync::Arc;

/// The provider of these meters.
#[derive(Debug)]
pub(crate) struct Provider {
    sdk: SdkMeterProvider,
    callbacks: Arc<Callbacks>,
    /// Absent when there is no page.
    #[cfg(feature = "prometheus")]
    claims: Option<Arc<Claims>>,
}

/// The instruments of one scope.
struct Instruments {
    sdk: Meter,
    callbacks: Arc<Callbacks>,
    #[cfg(feature = "prometheus")]
    scope: String,
    #[cfg(feature = "prometheus")]
    claims: Option<Arc<Claims>>,
}

impl Provider {
    pub(super) const fn new(
        sdk: SdkMeterProvider,
        callbacks: Arc<Callbacks>,
        #[cfg(feature = "prometheus")] claims: Option<Arc<Claims>>,
    ) -> Self {
        Self {
            sdk,
            callbacks,
            #[cfg(feature = "prometheus")]
            claims,
        }
    }
}

impl MeterProvider for Provider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(Instruments {
            #[cfg(feature = "prometheus")]
            scope: scope.name().to_owned(),
            #[cfg(feature = "prometheus")]
            claims: self.claims.clone(),
            callbacks: Arc::clone(&self.callbacks),
            sdk: self.sdk.meter_with_scope(scope),
        }))
    }
}

#[cfg(feature = "prometheus")]
impl Instruments {
    fn claim(&self, name: &str, unit: Option<&str>, bounds: &[f64], kind: Kind, is_observed: bool) {
        // The SDK makes other instruments that record nothing, and logs an error.
        let is_valid = unit.is_none_or(|unit| unit.len() <= 63 && unit.is_ascii())
            && bounds.iter().all(|bound| bound.is_finite())
            && bounds.is_sorted_by(|before, after| before < after)
            && name.len() <= 255
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c));
        if let Some(claims) = self.claims.as_ref().filter(|_| is_valid) {
            let unit = unit.unwrap_or_default();
            claims.claim(Instrument { scope: &self.scope, name, unit, kind, is_observed });
        }
    }
}

/// Passes name, description and unit on.
macro_rules! described {
    ($builder:ident, $given:ident) => {{
        if let Some(description) = $given.description {
            $builder = $builder.with_description(description);
        }
        if let Some(unit) = $given.unit {
            $builder = $builder.with_unit(unit);
        }
    }};
}

macro_rules! instruments {
    ($($method:ident: $instrument:ty, $kind:ident;)*) => {$(
        fn $method(&self, given: InstrumentBuilder<'_, $instrument>) -> $instrument {
            #[cfg(feature = "prometheus")]
            self.claim(&given.name, given.unit.as_deref(), &[], Kind::$kind, false);
            let mut builder = self.sdk.$method(given.name);
            described!(builder, given);
            builder.build()
        }
    )*};
}

macro_rules! observed_instruments {
    ($($method:ident: $instrument:ty, $value:ty, $kind:ident;)*) => {$(
        fn $method(&self, given: AsyncInstrumentBuilder<'_, $instrument, $value>) -> $instrument {
            #[cfg(feature = "prometheus")]
            self.claim(&given.name, given.unit.as_deref(), &[], Kind::$kind, true);
            let name: Arc<str> = Arc::from(&*given.name);
            let mut builder = self.sdk.$method(given.name);
            described!(builder, given);
            for callback in given.callbacks {
                builder = builder.with_callback(self.callbacks.register(Arc::clone(&name), callback));
            }
            builder.build()
        }
    )*};
}

macro_rules! histograms {
    ($($method:ident: $instrument:ty;)*) => {$(
        fn $method(&self, given: HistogramBuilder<'_, $instrument>) -> $instrument {
            #[cfg(feature = "prometheus")]
            {
                let bounds = given.boundaries.as_deref().unwrap_or_default();
                self.claim(&given.name, given.unit.as_deref(), bounds, Kind::Histogram, false);
            }
            let is_seconds = given.unit.as_deref() == Some("s");
            let mut builder = self.sdk.$method(given.name);
            described!(builder, given);
            // The SDK's own bounds fit milliseconds.
            let bounds = given.boundaries.or_else(|| is_seconds.then(bounds_in_seconds));
            if let Some(bounds) = bounds {
                builder = builder.with_boundaries(bounds);
            }
            builder.build()
        }
    )*};
}

impl InstrumentProvider for Instruments {
    instruments! {
        u64_counter: Counter<u64>, Counter;
        f64_counter: Counter<f64>, Counter;
        i64_up_down_counter: UpDownCounter<i64>, UpDown;
        f64_up_down_counter: UpDownCounter<f64>, UpDown;
        u64_gauge: Gauge<u64>, Gauge;
        f64_gauge: Gauge<f64>, Gauge;
        i64_gauge: Gauge<i64>, Gauge;
    }
    observed_instruments! {
        u64_observable_counter: ObservableCounter<u64>, u64, Counter;
        f64_observable_counter: ObservableCounter<f64>, f64, Counter;
        i64_observable_up_down_counter: ObservableUpDownCounter<i64>, i64, UpDown;
        f64_observable_up_down_counter: ObservableUpDownCounter<f64>, f64, UpDown;
        u64_observable_gauge: ObservableGauge<u64>, u64, Gauge;
        i64_observable_gauge: ObservableGauge<i64>, i64, Gauge;
        f64_observable_gauge: ObservableGauge<f64>, f64, Gauge;
    }
    histograms! {
        f64_histogram: Histogram<f64>;
        u64_histogram: Histogram<u64>;
    }
}

fn bounds_in_seconds() -> Vec<f64> {
    DURATION_BOUNDS.iter().map(|nanos| series::seconds(*nanos)).collect()
}
