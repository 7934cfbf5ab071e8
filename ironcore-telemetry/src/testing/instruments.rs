//! The OpenTelemetry instruments of users in tests: what they measure goes to the capture in whose context it happens.

use crate::recorder::{self, Measurement};
use opentelemetry::metrics::{
    Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, MeterProvider,
    SyncInstrument, UpDownCounter,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};
use std::sync::{Arc, Once};

/// Makes the instruments of this process measure into captures. After `init` they measure into the process as usual.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if !recorder::is_process_recorded() {
            global::set_meter_provider(Meters);
        }
    });
}

struct Meters;

impl MeterProvider for Meters {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(Instruments))
    }
}

struct Instruments;

/// The synchronous instruments. Observable ones are read by a scrape, which a capture has not.
impl InstrumentProvider for Instruments {
    fn u64_counter(&self, builder: InstrumentBuilder<'_, Counter<u64>>) -> Counter<u64> {
        Counter::new(Captured::of(&builder.name))
    }

    fn f64_counter(&self, builder: InstrumentBuilder<'_, Counter<f64>>) -> Counter<f64> {
        Counter::new(Captured::of(&builder.name))
    }

    fn i64_up_down_counter(&self, builder: InstrumentBuilder<'_, UpDownCounter<i64>>) -> UpDownCounter<i64> {
        UpDownCounter::new(Captured::of(&builder.name))
    }

    fn f64_up_down_counter(&self, builder: InstrumentBuilder<'_, UpDownCounter<f64>>) -> UpDownCounter<f64> {
        UpDownCounter::new(Captured::of(&builder.name))
    }

    fn u64_gauge(&self, builder: InstrumentBuilder<'_, Gauge<u64>>) -> Gauge<u64> {
        Gauge::new(Captured::of(&builder.name))
    }

    fn i64_gauge(&self, builder: InstrumentBuilder<'_, Gauge<i64>>) -> Gauge<i64> {
        Gauge::new(Captured::of(&builder.name))
    }

    fn f64_gauge(&self, builder: InstrumentBuilder<'_, Gauge<f64>>) -> Gauge<f64> {
        Gauge::new(Captured::of(&builder.name))
    }

    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        Histogram::new(Captured::of(&builder.name))
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(Captured::of(&builder.name))
    }
}

/// An instrument that hands its measurements to the capture of the current context.
struct Captured(String);

impl Captured {
    fn of(name: &str) -> Arc<Self> {
        Arc::new(Self(name.to_owned()))
    }

    fn keep(&self, value: f64, attributes: &[KeyValue]) {
        let attributes = attributes.iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect();
        let measurement = Measurement { instrument: self.0.clone(), value, attributes };
        recorder::keep_measurement(&Context::current(), measurement);
    }
}

impl SyncInstrument<f64> for Captured {
    fn measure(&self, value: f64, attributes: &[KeyValue]) {
        self.keep(value, attributes);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a test that needs more than 53 bits of a value is not known")]
impl SyncInstrument<u64> for Captured {
    fn measure(&self, value: u64, attributes: &[KeyValue]) {
        self.keep(value as f64, attributes);
    }
}

#[expect(clippy::cast_precision_loss, reason = "as for u64")]
impl SyncInstrument<i64> for Captured {
    fn measure(&self, value: i64, attributes: &[KeyValue]) {
        self.keep(value as f64, attributes);
    }
}
