//! Spans as a tree of names.

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

/// The names of the spans, two spaces a level, siblings in the order of their start.
pub(super) fn tree(spans: &[SpanData]) -> String {
    let mut spans: Vec<_> = spans.iter().collect();
    spans.sort_by_key(|span| span.start_time);
    let ended = |id: SpanId| spans.iter().any(|span| span.span_context.span_id() == id);
    let mut text = String::new();
    for root in spans.iter().filter(|span| !ended(span.parent_span_id)) {
        write_below(&mut text, &spans, root, 0);
    }
    text
}

fn write_below(text: &mut String, spans: &[&SpanData], span: &SpanData, level: usize) {
    text.push_str(&"  ".repeat(level));
    text.push_str(&span.name);
    text.push('\n');
    for child in spans.iter().filter(|child| child.parent_span_id == span.span_context.span_id()) {
        write_below(text, spans, child, level + 1);
    }
}

/// The level and the name in each line of a tree that may be indented by any steps.
pub(super) fn levels(tree: &str) -> Vec<(usize, &str)> {
    let mut above: Vec<usize> = Vec::new();
    let mut levels = Vec::new();
    for (number, line) in tree.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let name = line.trim();
        // The first line may begin right after the quote.
        let indent = if number == 0 { 0 } else { line.len() - line.trim_start().len() };
        while above.last().is_some_and(|outer| *outer >= indent) {
            above.pop();
        }
        levels.push((above.len(), name));
        above.push(indent);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_the_indentation_do_not_matter() {
        let tree = "a\n  b\n    c\n  d\ne\n";
        assert_eq!(levels(tree), [(0, "a"), (1, "b"), (2, "c"), (1, "d"), (0, "e")]);
        assert_eq!(levels("a\n\tb\n\t\tc\n\td\ne"), levels(tree));
        assert_ne!(levels("a\n  b\n  c\n  d\ne"), levels(tree));
    }
}
