//! The OpenTelemetry instruments of users and libraries on the `/metrics` page.

use super::births::Births;
use super::claims::Claims;
use super::families::{Family, LABELS_LIMIT, VALUE_LIMIT, gather};
use super::naming::valid_label;
use super::protobuf;
use super::reader::Reader;
use crate::flag::{self, Raised};
use crate::redact::truncate;
use crate::series::{Format, braced, push_label};
use opentelemetry_sdk::Resource;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// The bridge of the installed provider.
static INSTALLED: OnceLock<Bridge> = OnceLock::new();

/// The most lines of series, and the most bytes, that instruments have on a page. Prometheus refuses a page above its limits
/// as a whole, with our own series; these are half of the shipped ones.
const PAGE_SAMPLES: usize = 10_000;
const PAGE_BYTES: usize = 8 * 1024 * 1024;

thread_local! {
    /// Whether this thread is collecting: a layer of the user that asks for the page when the SDK logs would wait for
    /// itself.
    static COLLECTING: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread one that is collecting, until the guard is dropped; `None` if it is one already.
fn collect_here() -> Option<Raised> {
    let collecting = flag::raise(&COLLECTING);
    (!collecting.was_raised()).then_some(collecting)
}

/// Reads the instruments of a provider for the page.
pub(crate) struct Bridge {
    reader: Reader,
    claims: Arc<Claims>,
    resource: Resource,
    births: Mutex<Births<SystemTime>>,
}

impl Bridge {
    /// A bridge to the provider that has this reader, whose instruments claim their names here.
    pub(super) fn new(reader: Reader, claims: Arc<Claims>, resource: Resource) -> Self {
        Self { reader, claims, resource, births: Mutex::default() }
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

    /// The families by their names; empty when the instruments cannot be collected.
    fn families(&self) -> BTreeMap<String, Family> {
        let mut births = self.births.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let Some(metrics) = self.reader.gather() else {
            return BTreeMap::new();
        };
        let mut families = gather(&metrics, &self.claims);
        births.date(families.iter_mut().flat_map(|(base, family)| family.births(base)), now);
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

/// Runs the callbacks of the instruments, for a bounded time. It comes before the page, on which our own series say how
/// that went.
pub(super) fn refresh() {
    if let Some(bridge) = INSTALLED.get() {
        bridge.reader.refresh();
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
    use std::panic::catch_unwind;

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
