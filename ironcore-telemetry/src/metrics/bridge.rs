//! The OpenTelemetry instruments of users and libraries on the `/metrics` page.

use super::claims::Claims;
use super::families::{Family, LABELS_LIMIT, VALUE_LIMIT, gather};
use super::naming::valid_label;
use super::protobuf;
use super::reader::Reader;
use crate::flag::{self, Raised};
use crate::names;
use crate::redact::truncate;
use crate::series::{self, Format, braced, push_label};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// The bridge of the installed provider.
static INSTALLED: OnceLock<Bridge> = OnceLock::new();

/// The most lines of series, and the most bytes, that instruments have on a page. Prometheus refuses a page above its limits
/// as a whole, with our own series; these are half of the shipped ones.
const PAGE_SAMPLES: usize = 10_000;
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The most threads that collect or wait for it: a callback that hangs must not take all blocking threads of the
/// application.
const WAITERS: usize = 4;

thread_local! {
    /// Whether this thread is collecting: a callback that asks for the page would wait for itself.
    static COLLECTING: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread one that is collecting, until the guard is dropped; `None` if it is one already.
fn collect_here() -> Option<Raised> {
    let collecting = flag::raise(&COLLECTING);
    (!collecting.was_raised()).then_some(collecting)
}

/// One of the few threads that may collect or wait for it.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Option<Self> {
        let waiter = (waiting.fetch_add(1, Ordering::Relaxed), Self(waiting));
        (waiter.0 < WAITERS).then_some(waiter.1)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads the instruments of a provider for the page.
pub(crate) struct Bridge {
    reader: Reader,
    claims: Arc<Claims>,
    resource: Resource,
    births: Mutex<Births>,
    /// The number of threads that collect or wait for it.
    waiting: AtomicUsize,
}

impl Bridge {
    /// A bridge to the provider that has this reader, whose instruments claim their names here.
    pub(super) fn new(reader: Reader, claims: Arc<Claims>, resource: Resource) -> Self {
        Self { reader, claims, resource, births: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Puts the instruments on the page from here on.
    pub(crate) fn install(self) {
        Claims::declare_counters();
        // Set once: `init` refuses a second call.
        let _ = INSTALLED.set(self);
    }

    fn render(&self, page: &mut String, format: Format) {
        self.write_target(page, format);
        self.append(page, String::len, String::truncate, |page, base, family| {
            // Writing to a string cannot fail.
            let _ = family.write(page, base, format);
        });
    }

    fn encode(&self, page: &mut Vec<u8>) {
        protobuf::append_target(page, self.target().into_iter());
        self.append(page, Vec::len, Vec::truncate, protobuf::append_family);
    }

    /// Appends the families, but for those with which the page would be too large.
    fn append<P>(
        &self,
        page: &mut P,
        length: impl Fn(&P) -> usize,
        truncate: impl Fn(&mut P, usize),
        write: impl Fn(&mut P, &str, &Family),
    ) {
        let Some(collecting) = collect_here() else {
            return;
        };
        let families = self.families();
        drop(collecting);
        let (mut samples, limit) = (0, length(page) + PAGE_BYTES);
        for (base, family) in &families {
            let before = length(page);
            samples += family.samples();
            write(page, base, family);
            if samples > PAGE_SAMPLES || length(page) > limit {
                // Half a family would be wrong sums.
                truncate(page, before);
                samples -= family.samples();
                self.claims.say_too_large(base);
            }
        }
    }

    /// The families by their names; empty when the instruments cannot be collected, as when the application has shut the
    /// provider down, or when too many threads wait for them already.
    fn families(&self) -> BTreeMap<String, Family> {
        let Some(_waiter) = Waiter::enter(&self.waiting) else {
            series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]).add(1);
            return BTreeMap::new();
        };
        let mut births = self.births.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let mut metrics = ResourceMetrics::default();
        let collected = catch_unwind(AssertUnwindSafe(|| self.reader.collect(&mut metrics)));
        if !matches!(collected, Ok(Ok(()))) {
            series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]).add(1);
            return BTreeMap::new();
        }
        let mut families = gather(&metrics, &self.claims);
        births.date(&mut families, now);
        families
    }

    /// The attributes of the resource: an info metric, which text has as a gauge.
    fn write_target(&self, page: &mut String, format: Format) {
        let mut text = String::new();
        for (name, value) in &self.target() {
            push_label(&mut text, name, value);
        }
        let (family, family_type) = match format {
            Format::Text => ("target_info", "gauge"),
            Format::OpenMetrics => ("target", "info"),
        };
        let text = braced(&text);
        let _ = write!(page, "# HELP {family} Target metadata\n# TYPE {family} {family_type}\ntarget_info{text} 1\n");
    }

    /// The labels of `target_info`.
    fn target(&self) -> BTreeMap<String, String> {
        // The id of the process would make a new series at each start.
        let mut attributes: Vec<_> = self.resource.iter().filter(|(key, _)| key.as_str() != "process.pid").collect();
        // What names the service comes first, should there be too many.
        attributes.sort_by_key(|(key, _)| (!key.as_str().starts_with("service."), key.as_str()));
        let mut labels = BTreeMap::new();
        for (key, value) in attributes.into_iter().take(LABELS_LIMIT) {
            let value = truncate(&value.as_str(), VALUE_LIMIT).to_owned();
            labels.entry(valid_label(key.as_str())).or_insert(value);
        }
        labels
    }
}

/// Since when the series of instruments are counted. The SDK only knows when an instrument was created; a series that
/// was not there at the last collection was zero then.
#[derive(Default)]
struct Births {
    known: HashMap<u64, SystemTime>,
    last_collection: Option<SystemTime>,
}

impl Births {
    fn date(&mut self, families: &mut BTreeMap<String, Family>, now: SystemTime) {
        let mut known = HashMap::with_capacity(self.known.len());
        for (base, family) in families {
            for (id, created) in family.births(base) {
                let born = self.known.get(&id).copied();
                let born = born.unwrap_or_else(|| self.last_collection.map_or(*created, |last| last.max(*created)));
                *created = born;
                known.insert(id, born);
            }
        }
        self.known = known;
        self.last_collection = Some(now);
    }
}

/// Appends the instruments to the page.
pub(super) fn render(page: &mut String, format: Format) {
    if let Some(bridge) = INSTALLED.get() {
        bridge.render(page, format);
    }
}

/// Appends the instruments to a page in protobuf.
pub(super) fn encode(page: &mut Vec<u8>) {
    if let Some(bridge) = INSTALLED.get() {
        bridge.encode(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_threads_wait_and_each_that_leaves_makes_room() {
        let waiting = AtomicUsize::new(0);
        let mut waiters: Vec<_> = (0..WAITERS).filter_map(|_| Waiter::enter(&waiting)).collect();
        assert_eq!(waiters.len(), WAITERS);
        assert!(Waiter::enter(&waiting).is_none() && Waiter::enter(&waiting).is_none());
        waiters.pop();
        assert!(Waiter::enter(&waiting).is_some());
        drop(waiters);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_thread_that_panics_while_it_collects_can_collect_again() {
        let panicked = catch_unwind(|| {
            let _collecting = collect_here().unwrap();
            // However often it asks.
            assert!(collect_here().is_none() && collect_here().is_none());
            panic!("while collecting");
        });
        assert!(panicked.is_err() && collect_here().is_some());
    }
}
