//! Values on their way out of the process: without the secrets that they hold, each of which is counted.

use crate::names;
use crate::redact::{Counts, KeyClass, Kind, MASK, Redaction, truncate, write_bounded};
use crate::series::{self, Counter};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether anything is scanned (`IRONCORE_REDACT`).
static IS_ON: AtomicBool = AtomicBool::new(true);

static REDACTION: LazyLock<Redaction> = LazyLock::new(Redaction::default);

/// For the values of spans.
pub(crate) static TRACES: LazyLock<Scrub> = LazyLock::new(|| Scrub::new("traces"));
/// For the values of log lines.
#[cfg(feature = "json-logs")]
pub(crate) static LOGS: LazyLock<Scrub> = LazyLock::new(|| Scrub::new("logs"));

/// The part of a name that is looked at, in bytes.
const LONGEST_NAME: usize = 128;
/// Numbers from here on may be those of a card.
const SHORTEST_CARD: u64 = 1_000_000_000_000;

thread_local! {
    static NAMES: RefCell<Vec<(String, Class)>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

/// Decides once, at `init`, whether values are scanned, and puts the counters on the page.
pub(crate) fn switch(is_on: bool) {
    IS_ON.store(is_on, Ordering::Relaxed);
    LazyLock::force(&TRACES);
    #[cfg(feature = "json-logs")]
    LazyLock::force(&LOGS);
}

/// What the name of a value says of it; nothing where values are not scanned.
#[derive(Clone, Copy)]
pub(crate) struct Class(Option<KeyClass>);

/// The classes of names that live as long as the program, by their addresses: fields of log lines have few.
const REMEMBERED: usize = 64;

thread_local! {
    static CLASSES: [Cell<(usize, usize, Class)>; REMEMBERED] = const { [const { Cell::new((0, 0, Class::NOT_SCANNED)) }; REMEMBERED] };
}

impl Class {
    /// Of a value that is known to hold no secret.
    pub(crate) const NOT_SCANNED: Self = Self(None);

    /// Of a value without a name, or with one that says nothing.
    pub(crate) fn plain() -> Self {
        Self(IS_ON.load(Ordering::Relaxed).then_some(KeyClass::Plain))
    }

    /// As [`of`](Self::of), for a name that lives as long as the program.
    pub(crate) fn of_static(name: &'static str) -> Self {
        let (address, length) = (name.as_ptr().addr(), name.len());
        let slot = (address >> 3 ^ length) % REMEMBERED;
        let look_up = |classes: &[Cell<(usize, usize, Self)>; REMEMBERED]| {
            let known = classes.get(slot)?;
            let (at, of_length, class) = known.get();
            if (at, of_length) == (address, length) {
                return Some(class);
            }
            let class = Self::of(name);
            known.set((address, length, class));
            Some(class)
        };
        CLASSES.try_with(look_up).ok().flatten().unwrap_or_else(|| Self::of(name))
    }

    /// As [`of`](Self::of), for names that come again and again.
    pub(crate) fn remembered(name: &str) -> Self {
        let bytes = name.as_bytes();
        let ends = [bytes.first(), bytes.last()].into_iter().flatten();
        let slot = ends.fold(name.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let look_up = |names: &RefCell<Vec<(String, Self)>>| {
            let mut names = names.try_borrow_mut().ok()?;
            if names.is_empty() {
                names.resize(REMEMBERED, (String::new(), Self::plain()));
            }
            let known = names.get_mut(slot % REMEMBERED)?;
            if known.0 != name {
                known.1 = Self::of(name);
                known.0.clear();
                known.0.push_str(truncate(name, LONGEST_NAME));
            }
            Some(known.1)
        };
        NAMES.try_with(look_up).ok().flatten().unwrap_or_else(|| Self::of(name))
    }

    pub(crate) fn of(name: &str) -> Self {
        let name = truncate(name, LONGEST_NAME);
        Self(IS_ON.load(Ordering::Relaxed).then(|| REDACTION.names.class_of(name)))
    }
}

/// The label value of an instrument, cut to `limit` bytes. Its secrets are not counted: a page and a push show the same value
/// again and again.
pub(crate) fn label(Class(class): Class, text: &str, limit: usize) -> Cow<'_, str> {
    match class {
        Some(class) => REDACTION.scrub(class, text, limit, &mut Counts::new()),
        None => Cow::Borrowed(truncate(text, limit)),
    }
}

/// Masks the secrets of one signal.
pub(crate) struct Scrub {
    counters: [Counter; Kind::ALL.len()],
}

impl Scrub {
    fn new(signal: &'static str) -> Self {
        Self { counters: Kind::ALL.map(|kind| series::counter(&names::TELEMETRY_SCRUBBED, &[signal, kind.name()])) }
    }

    /// A text of this class, cut to `limit` bytes.
    pub(crate) fn text<'text>(&self, class: Class, text: &'text str, limit: usize) -> Cow<'text, str> {
        let Class(Some(class)) = class else {
            return Cow::Borrowed(truncate(text, limit));
        };
        let mut counts = Counts::new();
        let shown = REDACTION.scrub(class, text, limit, &mut counts);
        self.count(&counts);
        shown
    }

    /// A value that is text when it is written, cut to `limit` bytes.
    pub(crate) fn display(&self, Class(class): Class, value: &dyn fmt::Display, limit: usize, show: impl FnOnce(&str)) {
        // A value that logs while it is written gets a buffer of its own.
        let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        let mut counts = Counts::new();
        let arguments = format_args!("{value}");
        if let Some(class) = class {
            show(&REDACTION.scrub_display(class, arguments, limit, &mut scratch, &mut counts));
        } else {
            write_bounded(&mut scratch, limit, arguments);
            show(&scratch);
        }
        self.count(&counts);
        scratch.clear();
        if scratch.capacity() <= 2 * limit {
            let _ = SCRATCH.try_with(|kept| kept.set(scratch));
        }
    }

    /// The mask in place of a number; nothing if it may be shown.
    pub(crate) fn number(&self, Class(class): Class, number: u64) -> Option<&'static str> {
        let class = class?;
        let mut counts = Counts::new();
        let masked = if class == KeyClass::Secret || number >= SHORTEST_CARD {
            let text = number.to_string();
            let shown = REDACTION.scrub(class, &text, text.len() + 64, &mut counts);
            (*shown != *text).then(|| counts.iter().next().map_or(MASK, |(kind, _)| kind.mask()))
        } else {
            None
        };
        self.count(&counts);
        masked
    }

    fn count(&self, counts: &Counts) {
        if *counts != Counts::new() {
            for (kind, number) in counts.iter() {
                if let Some(counter) = self.counters.get(kind as usize) {
                    counter.add(number.into());
                }
            }
        }
    }
}
