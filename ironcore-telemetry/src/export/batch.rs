//! Encoded items, grouped to requests. Spans and log records have the same frame in OTLP: a resource, in it scopes, in
//! each scope the items.

use super::spool::Place;
use super::wire::{self, varint_len};
use crate::names;
use bytes::Bytes;
use opentelemetry::{InstrumentationScope, Key, Value};
use std::sync::Arc;
use std::time::Instant;

/// The field numbers of the frame, the same in `ExportTraceServiceRequest`, `ResourceSpans` and `ScopeSpans` as in those
/// of logs.
const RESOURCES: u32 = 1;
const SCOPES: u32 = 2;

/// Each scope of a batch costs its head once. A batch with more scopes than this is cut.
const MOST_SCOPES: usize = 32;

/// The id of all batches of an earlier process.
const RECOVERED: u64 = u64::MAX;

/// The items of one request. Its bytes are shared: a clone copies none.
#[derive(Clone)]
pub(super) struct Batch {
    /// Rises from batch to batch; the parts of a batch that was split keep it.
    pub(super) id: u64,
    /// The encoded resource, the head of the request.
    resource: Bytes,
    parts: Vec<Part>,
    /// Since when attempts fail that reached the collector.
    pub(super) failing_since: Option<Instant>,
    /// Its place in the spool, which it leaves once all of its parts are dropped.
    pub(super) place: Option<Arc<Place>>,
}

/// The items of one scope.
#[derive(Clone)]
struct Part {
    /// The encoded scope and its schema URL.
    head: Bytes,
    items: Bytes,
    /// Where each item ends.
    ends: Arc<[usize]>,
    /// The items that are meant, by their numbers: a batch is split without a copy.
    from: usize,
    to: usize,
}

impl Part {
    fn count(&self) -> usize {
        self.to - self.from
    }

    /// Where the items before `index` end.
    fn offset(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
    }

    fn bytes(&self) -> Bytes {
        self.items.slice(self.offset(self.from)..self.offset(self.to))
    }

    fn len(&self) -> usize {
        self.offset(self.to) - self.offset(self.from)
    }
}

impl Batch {
    /// The number of items.
    pub(super) fn count(&self) -> usize {
        self.parts.iter().map(Part::count).sum()
    }

    /// The bytes of the items.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether it is of an earlier process, whose items do not count as those of this one.
    pub(super) const fn is_recovered(&self) -> bool {
        self.id == RECOVERED
    }

    /// The message of the request, in parts that follow each other.
    pub(super) fn request(&self) -> Vec<Bytes> {
        let scopes: Vec<_> = self.parts.iter().map(|part| part.head.len() + part.len()).collect();
        let framed = |length: usize| 1 + varint_len(length) + length;
        let length = self.resource.len() + scopes.iter().map(|length| framed(*length)).sum::<usize>();
        let mut request = Vec::with_capacity(2 * self.parts.len());
        let mut head = Vec::with_capacity(self.resource.len() + 64);
        wire::delimited(&mut head, RESOURCES, length);
        head.extend_from_slice(&self.resource);
        for (part, length) in self.parts.iter().zip(scopes) {
            wire::delimited(&mut head, SCOPES, length);
            head.extend_from_slice(&part.head);
            request.push(Bytes::from(std::mem::take(&mut head)));
            request.push(part.bytes());
        }
        request
    }

    /// Two halves by the number of items; `None` for a batch of one.
    pub(super) fn split(self) -> Option<(Self, Self)> {
        let half = self.count() / 2;
        if half == 0 {
            return None;
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let mut left = half;
        for part in self.parts {
            let count = part.count().min(left);
            left -= count;
            let middle = part.from + count;
            if count > 0 {
                first.push(Part { to: middle, ..part.clone() });
            }
            if middle < part.to {
                second.push(Part { from: middle, ..part });
            }
        }
        let with = |parts| Self {
            id: self.id,
            resource: self.resource.clone(),
            parts,
            failing_since: self.failing_since,
            place: self.place.clone(),
        };
        Some((with(first), with(second)))
    }
}

#[cfg(all(unix, feature = "spool"))]
impl Batch {
    /// The batch of a request that an earlier process has [encoded](Self::request); `None` for other bytes.
    pub(super) fn recovered(request: &Bytes, place: Arc<Place>) -> Option<Self> {
        let (field, body) = wire::first_delimited(request)?;
        if field != RESOURCES || body.end != request.len() {
            return None;
        }
        let body = request.slice(body);
        let (mut resource, mut parts) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < body.len() {
            let (field, value) = wire::first_delimited(body.get(at..)?)?;
            let end = at + value.end;
            if field == SCOPES {
                parts.push(Part::recovered(&body.slice(at + value.start..end))?);
            } else {
                resource.extend_from_slice(body.get(at..end)?);
            }
            at = end;
        }
        Some(Self { id: RECOVERED, resource: resource.into(), parts, failing_since: None, place: Some(place) })
    }
}

#[cfg(all(unix, feature = "spool"))]
impl Part {
    fn recovered(scope: &Bytes) -> Option<Self> {
        /// The field of the items, the last of a scope that is written here.
        const ITEMS: u32 = 2;
        let (mut at, mut head) = (0, 0);
        let mut ends = Vec::new();
        while at < scope.len() {
            let (field, value) = wire::first_delimited(scope.get(at..)?)?;
            at += value.end;
            match field {
                ITEMS => ends.push(at - head),
                _ if ends.is_empty() => head = at,
                _ => return None,
            }
        }
        let to = ends.len();
        Some(Self { head: scope.slice(..head), items: scope.slice(head..), ends: ends.into(), from: 0, to })
    }
}

/// The batch that is being filled.
#[derive(Default)]
pub(super) struct Open {
    parts: Vec<OpenPart>,
    count: usize,
    /// The bytes of the items and of the heads of their scopes.
    len: usize,
    /// When its first item arrived.
    since: Option<Instant>,
}

struct OpenPart {
    scope: InstrumentationScope,
    head: Bytes,
    items: Vec<u8>,
    ends: Vec<usize>,
}

impl Open {
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether an item of this scope and length fits beside the others.
    pub(super) fn fits(&self, scope: &InstrumentationScope, length: usize, most: (usize, usize)) -> bool {
        let (most_items, most_bytes) = most;
        let is_new = || self.part_of(scope).is_none();
        self.count < most_items && self.len + length <= most_bytes && (self.parts.len() < MOST_SCOPES || !is_new())
    }

    /// Appends an encoded item, which has waited since then. Its scope carries the number of the request, if there is one.
    pub(super) fn push(
        &mut self,
        scope: &InstrumentationScope,
        item: &[u8],
        since: Option<Instant>,
        number: Option<u64>,
    ) {
        let at = self.part_of(scope).unwrap_or_else(|| {
            let head = scope_head(scope, number);
            self.len += head.len();
            self.parts.push(OpenPart { scope: scope.clone(), head, items: Vec::new(), ends: Vec::new() });
            self.parts.len() - 1
        });
        if let Some(part) = self.parts.get_mut(at) {
            part.items.extend_from_slice(item);
            part.ends.push(part.items.len());
            self.count += 1;
            self.len += item.len();
            self.since = self.since.or(since);
        }
    }

    /// The batch, and an empty one in its place.
    pub(super) fn cut(&mut self, id: u64, resource: &Bytes) -> Batch {
        let parts = std::mem::take(self).parts.into_iter();
        let parts = parts.map(|part| Part {
            from: 0,
            to: part.ends.len(),
            head: part.head,
            items: shared(part.items),
            ends: part.ends.into(),
        });
        Batch { id, resource: resource.clone(), parts: parts.collect(), failing_since: None, place: None }
    }

    fn part_of(&self, scope: &InstrumentationScope) -> Option<usize> {
        self.parts.iter().position(|part| part.scope == *scope)
    }
}

/// The bytes without spare room: they may wait for long.
fn shared(mut bytes: Vec<u8>) -> Bytes {
    bytes.shrink_to_fit();
    Bytes::from(bytes)
}

/// The fields of a scope before its items.
fn scope_head(scope: &InstrumentationScope, number: Option<u64>) -> Bytes {
    const SCOPE: u32 = 1;
    const ATTRIBUTES: u32 = 3;
    const SCHEMA_URL: u32 = 3;
    let mut head = Vec::new();
    wire::message(&mut head, SCOPE, |to| {
        super::values::scope(to, scope);
        if let Some(number) = number {
            let number = Value::I64(number.cast_signed());
            super::values::attribute(to, ATTRIBUTES, &Key::from_static_str(names::REQUEST_NUMBER), &number);
        }
    });
    wire::bytes(&mut head, SCHEMA_URL, scope.schema_url().unwrap_or_default().as_bytes());
    Bytes::from(head)
}
