//! Who has which name on the page. A name belongs to the instrument that was created first; one that would become part
//! of another family, or a family of another type, is left out.

use super::naming::{Kind, family_name};
use crate::names;
use crate::series;
use crate::worker;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Names that Prometheus gives to series about each scrape, and the family of the resource.
const OF_PROMETHEUS: &[&str] = &[
    "up",
    "target_info",
    "target",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
    "ALERTS",
    "ALERTS_FOR_STATE",
];

/// The names that the families of this library and of Prometheus itself take.
static RESERVED: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let ours = names::ALL.iter().flat_map(|metric| {
        let (base, family_type) = match metric.kind {
            series::Kind::Counter => (metric.name.strip_suffix("_total").unwrap_or(metric.name), "counter"),
            series::Kind::Gauge => (metric.name, "gauge"),
            series::Kind::Durations(_) => (metric.name, "histogram"),
        };
        taken_names(base, family_type)
    });
    ours.chain(OF_PROMETHEUS.iter().map(|name| (*name).to_owned())).collect()
});

/// The longest list of instruments that were said to be left out.
const SAID_LIMIT: usize = 1_000;

/// The families of all instruments of a provider.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    families: BTreeMap<String, Claimed>,
    /// Each name that a family takes, with the name of the family.
    taken: HashMap<String, String>,
    /// The instruments that were left out, by scope, name and kind.
    said: HashSet<(String, String, Kind)>,
    /// The families that did not fit onto a page.
    too_large: HashSet<String>,
}

#[derive(Debug)]
struct Claimed {
    family_type: &'static str,
    /// The instrument that was first, for messages.
    owner: String,
    /// Whether a callback gives its values, so that nobody knows since when they are counted.
    is_observed: bool,
}

/// An instrument as its user creates it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instrument<'a> {
    pub(super) scope: &'a str,
    pub(super) name: &'a str,
    pub(super) unit: &'a str,
    pub(super) kind: Kind,
    pub(super) is_observed: bool,
}

/// Why an instrument is not on the page: the values of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    ReservedName,
    OtherType,
    NameClash,
}

impl Reason {
    const fn label(self) -> &'static str {
        match self {
            Self::ReservedName => "reserved_name",
            Self::OtherType => "other_type",
            Self::NameClash => "name_clash",
        }
    }
}

/// Two instruments of one family give series with the same labels, which cannot be added up.
const DUPLICATE_SERIES: &str = "duplicate_series";
/// The page would become larger than Prometheus accepts.
const TOO_LARGE: &str = "too_large";

impl Claims {
    /// Makes the counters of what is left out, at zero.
    pub(super) fn declare_counters() {
        let reasons = [Reason::ReservedName, Reason::OtherType, Reason::NameClash].map(Reason::label);
        for reason in reasons.into_iter().chain([DUPLICATE_SERIES, TOO_LARGE]) {
            let _ = series::counter(&names::TELEMETRY_INSTRUMENTS_DROPPED, &[reason]);
        }
    }

    /// Claims the family of an instrument. One that is left out is counted and said, once.
    pub(super) fn claim(&self, instrument: Instrument<'_>) {
        let mut state = self.lock();
        let Err((reason, owner)) = state.claim(instrument) else {
            return;
        };
        let Instrument { scope, name, kind, .. } = instrument;
        let is_new = state.said.len() < SAID_LIMIT && state.said.insert((scope.to_owned(), name.to_owned(), kind));
        // A subscriber may create instruments itself.
        drop(state);
        if is_new {
            count(reason.label());
            say(reason.label(), &described(scope, name), &owner);
        }
    }

    /// Whether the family is on the page with this type, and whether callbacks give its values.
    pub(super) fn find(&self, base: &str, family_type: &str) -> Option<bool> {
        let state = self.lock();
        let family = state.families.get(base).filter(|family| family.family_type == family_type)?;
        Some(family.is_observed)
    }

    /// Counts and says, once per family, that a series is left out because another one has its labels.
    pub(super) fn say_duplicate(&self, base: &str, scope: &str, name: &str, kind: Kind) {
        let mut state = self.lock();
        let is_new = state.said.len() < SAID_LIMIT && state.said.insert((String::new(), base.to_owned(), kind));
        let owner = state.families.get(base).map(|family| family.owner.clone()).unwrap_or_default();
        drop(state);
        if is_new {
            count(DUPLICATE_SERIES);
            let dropped = described(scope, name);
            worker::log(move || say(DUPLICATE_SERIES, &dropped, &owner));
        }
    }

    /// Counts and says, once, that a family is left out because the page would be too large with it.
    pub(super) fn say_too_large(&self, base: &str) {
        let mut state = self.lock();
        let is_new = state.too_large.insert(base.to_owned());
        let owner = state.families.get(base).map(|family| family.owner.clone()).unwrap_or_default();
        drop(state);
        if is_new {
            count(TOO_LARGE);
            worker::log(move || {
                tracing::warn!(
                    target: "ironcore_telemetry",
                    reason = TOO_LARGE,
                    dropped = owner,
                    "an OpenTelemetry instrument is left out of /metrics, because the page has too many series of \
                     instruments: give it fewer attributes or fewer buckets"
                );
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn claim(&mut self, instrument: Instrument<'_>) -> Result<(), (Reason, String)> {
        let base = family_name(instrument.name, instrument.unit, instrument.kind).base;
        let family_type = instrument.kind.family_type();
        if let Some(family) = self.families.get_mut(&base) {
            if family.family_type != family_type {
                return Err((Reason::OtherType, family.owner.clone()));
            }
            family.is_observed |= instrument.is_observed;
            return Ok(());
        }
        let names = taken_names(&base, family_type);
        if let Some(name) = names.iter().find(|name| RESERVED.contains(*name)) {
            return Err((Reason::ReservedName, format!("{name} of ironcore-telemetry or Prometheus")));
        }
        if let Some(other) = names.iter().find_map(|name| self.taken.get(name)) {
            let owner = self.families.get(other).map(|family| family.owner.clone()).unwrap_or_default();
            return Err((Reason::NameClash, owner));
        }
        self.taken.extend(names.into_iter().map(|name| (name, base.clone())));
        let owner = described(instrument.scope, instrument.name);
        self.families.insert(base, Claimed { family_type, owner, is_observed: instrument.is_observed });
        Ok(())
    }
}

/// All names that a family takes, as a family and as samples, in both formats.
fn taken_names(base: &str, family_type: &str) -> Vec<String> {
    let suffixes: &[&str] = match family_type {
        "counter" => &["", "_total", "_created"],
        "histogram" => &["", "_bucket", "_sum", "_count", "_created"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
}

fn described(scope: &str, name: &str) -> String {
    format!("{name} of scope {scope:?}")
}

fn count(reason: &'static str) {
    series::counter(&names::TELEMETRY_INSTRUMENTS_DROPPED, &[reason]).add(1);
}

fn say(reason: &'static str, dropped: &str, kept: &str) {
    tracing::warn!(
        target: "ironcore_telemetry",
        reason,
        dropped,
        kept,
        "an OpenTelemetry instrument, or a series of it, is left out of /metrics, because another one has its name there: \
         rename it"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(claims: &Claims, name: &str, unit: &str, kind: Kind) -> Option<Reason> {
        let instrument = Instrument { scope: "test", name, unit, kind, is_observed: false };
        claims.lock().claim(instrument).err().map(|(reason, _)| reason)
    }

    #[test]
    fn the_first_instrument_keeps_the_name() {
        use Kind::{Counter, Gauge, Histogram, UpDown};
        let claims = Claims::default();
        for (name, unit, kind, refused) in [
            ("h", "", Histogram, None),
            ("h", "", Histogram, None),
            ("h", "", Gauge, Some(Reason::OtherType)),
            ("h.count", "", Gauge, Some(Reason::NameClash)),
            ("h_created", "", UpDown, Some(Reason::NameClash)),
            ("h_total", "", Gauge, None),
            ("h", "", Counter, Some(Reason::OtherType)),
            ("jobs", "", Histogram, None),
            ("jobs_total", "", Counter, Some(Reason::OtherType)),
            ("done_total", "", Gauge, None),
            ("done", "", Counter, Some(Reason::NameClash)),
            ("level", "", Gauge, None),
            ("level", "", UpDown, None),
            ("lasts", "s", Histogram, None),
            ("lasts_seconds", "", Gauge, Some(Reason::OtherType)),
            ("http.requests", "", Counter, Some(Reason::ReservedName)),
            ("http.request.duration", "s", Histogram, Some(Reason::ReservedName)),
            ("http_request_duration_seconds_count", "", Gauge, Some(Reason::ReservedName)),
            ("telemetry_queued", "", Gauge, Some(Reason::ReservedName)),
            ("up", "", Gauge, Some(Reason::ReservedName)),
            ("target.info", "", Gauge, Some(Reason::ReservedName)),
        ] {
            assert_eq!(claim(&claims, name, unit, kind), refused, "{kind:?} {name} in {unit}");
        }
    }
}
