//! A trace as data and as indented text, from Jaeger's API or from the [`receiver`](crate::receiver).

use crate::otlp::Span;
use std::collections::HashSet;
use std::fmt::Write as _;

/// All known spans of one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// 32 lower-case hex digits.
    pub trace_id: String,
    /// In no particular order.
    pub spans: Vec<Span>,
}

impl Trace {
    /// The trace with this id among `spans`; `None` if it has none.
    pub(crate) fn of(trace_id: &str, spans: impl Iterator<Item = Span>) -> Option<Self> {
        let spans: Vec<Span> = spans.filter(|span| span.trace_id == trace_id).collect();
        (!spans.is_empty()).then(|| Self { trace_id: trace_id.into(), spans })
    }

    /// The first span with this name.
    pub fn span(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.name == name)
    }

    /// The parent of a span, if it is in the trace.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        let id = span.parent_span_id.as_deref()?;
        self.spans.iter().find(|other| other.span_id == id)
    }

    /// The spans as indented text, children by start time:
    ///
    /// ```text
    /// trace 4bf92f3577b34da6a3ce929d0e0e4736, 2 spans
    /// POST /api/v1/wallets  12.3 ms  [wallet_service]
    /// └─ wallet.create_wallet  10.0 ms  ERROR
    /// ```
    ///
    /// A span whose parent is missing, or has not arrived yet, is a root and marked as such. The service is named where
    /// it changes.
    pub fn tree(&self) -> String {
        let mut text = format!("trace {}, {} span{}\n", self.trace_id, self.spans.len(), plural(self.spans.len()));
        let mut printed = HashSet::new();
        for root in self.sorted(|span| self.parent(span).is_none()) {
            self.branch(root, "", "", &mut printed, &mut text);
        }
        // Spans that are each other's parents have no root. They are shown as well, as broken data is worth seeing.
        for span in self.sorted(|_| true) {
            self.branch(span, "", "", &mut printed, &mut text);
        }
        text
    }

    fn branch<'a>(
        &'a self,
        span: &'a Span,
        own_indent: &str,
        child_indent: &str,
        printed: &mut HashSet<&'a str>,
        text: &mut String,
    ) {
        if !printed.insert(&span.span_id) {
            return;
        }
        text.push_str(own_indent);
        text.push_str(&self.line(span));
        text.push('\n');
        let children = self.sorted(|other| other.parent_span_id.as_ref() == Some(&span.span_id));
        for (n, child) in children.iter().enumerate() {
            let (own, below) = if n + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.branch(child, &format!("{child_indent}{own}"), &format!("{child_indent}{below}"), printed, text);
        }
    }

    fn line(&self, span: &Span) -> String {
        let mut line = format!("{}  {}", span.name, duration(span.end_ns.saturating_sub(span.start_ns) / 1_000));
        let parent = self.parent(span);
        if parent.is_none_or(|parent| parent.service() != span.service()) {
            // Writing to a string cannot fail.
            let _ = write!(line, "  [{}]", span.service());
        }
        if span.is_error() {
            line.push_str("  ERROR");
        }
        if let (None, Some(id)) = (parent, &span.parent_span_id) {
            let _ = write!(line, "  (parent {id} is not here)");
        }
        line
    }

    fn sorted(&self, keep: impl Fn(&Span) -> bool) -> Vec<&Span> {
        let mut spans: Vec<&Span> = self.spans.iter().filter(|span| keep(span)).collect();
        spans.sort_by_key(|span| (span.start_ns, &span.span_id));
        spans
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// With one decimal place, which is enough to see where the time goes.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, name: &str, start_us: u64, duration_us: u64) -> Span {
        Span {
            span_id: id.into(),
            parent_span_id: parent.map(Into::into),
            name: name.into(),
            start_ns: start_us * 1_000,
            end_ns: (start_us + duration_us) * 1_000,
            resource: vec![("service.name".into(), "wallet".into())],
            ..Span::default()
        }
    }

    fn trace(spans: Vec<Span>) -> Trace {
        Trace { trace_id: "4bf9".into(), spans }
    }

    #[test]
    fn a_tree_shows_nesting_order_durations_services_and_errors() {
        let mut chain = span("c", Some("b"), "GET /quote", 30, 900);
        chain.resource[0].1 = "chain".into();
        let mut insert = span("d", Some("a"), "INSERT", 50, 1_250_000);
        insert.status = "error";
        let tree = trace(vec![
            insert,
            chain,
            span("b", Some("a"), "swap.quote", 20, 10_000),
            span("a", None, "POST /swap", 10, 61_234_567),
        ])
        .tree();
        assert_eq!(
            tree,
            "trace 4bf9, 4 spans\n\
             POST /swap  61.2 s  [wallet]\n\
             ├─ swap.quote  10.0 ms\n\
             │  └─ GET /quote  900 µs  [chain]\n\
             └─ INSERT  1.2 s  ERROR\n"
        );
    }

    #[test]
    fn a_span_without_its_parent_is_shown_and_marked() {
        let tree = trace(vec![span("b", Some("lost"), "orphan", 0, 1)]).tree();
        assert_eq!(tree, "trace 4bf9, 1 span\norphan  1 µs  [wallet]  (parent lost is not here)\n");
    }

    #[test]
    fn spans_that_are_each_others_parents_are_printed_once() {
        let tree = trace(vec![span("a", Some("b"), "one", 0, 1), span("b", Some("a"), "two", 1, 1)]).tree();
        assert_eq!(tree.lines().count(), 3, "{tree}");
    }
}
