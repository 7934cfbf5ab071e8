//! What the headers of a request ask for, as RFC 9110 says (section 12.5): weights, wildcards, the most specific range
//! decides, parameters, several lines of a header. What cannot be read counts as absent: a scraper gets a page.

use crate::series::Format;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

/// The most elements of a header that are looked at.
const ELEMENTS: usize = 64;

/// A weight in thousandths: 1,000 for `q=1`.
type Weight = u16;

/// What the page can be served as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text(Format),
    /// The messages of `io.prometheus.client`, with native histograms.
    #[cfg(feature = "prometheus")]
    Protobuf,
}

/// A form of the page, as requests name it.
struct Representation {
    form: Form,
    media_type: (&'static str, &'static str),
    parameters: &'static [(&'static str, &'static str)],
}

/// Of formats that a request weighs alike, the first one is served, or the last one that it names.
const REPRESENTATIONS: &[Representation] = &[
    Representation {
        form: Form::Text(Format::Text),
        media_type: ("text", "plain"),
        parameters: &[("version", "0.0.4"), ("charset", "utf-8")],
    },
    Representation {
        form: Form::Text(Format::OpenMetrics),
        media_type: ("application", "openmetrics-text"),
        parameters: &[("version", "1.0.0"), ("charset", "utf-8")],
    },
    #[cfg(feature = "prometheus")]
    Representation {
        form: Form::Protobuf,
        media_type: ("application", "vnd.google.protobuf"),
        parameters: &[("proto", "io.prometheus.client.MetricFamily"), ("encoding", "delimited")],
    },
];

/// The form of the page for a request. It is text when the request accepts none of ours: 406 would leave the scraper
/// without a page.
pub(super) fn form(headers: &HeaderMap) -> Form {
    let ranges = elements(headers, ACCEPT);
    let mut best = ((0, false), Form::Text(Format::Text));
    for representation in REPRESENTATIONS {
        let Fit { weight, specificity } = representation.weight(&ranges);
        let key = (weight, specificity.is_named());
        let is_better = if specificity.is_named() { key >= best.0 } else { key > best.0 };
        if weight > 0 && is_better {
            best = (key, representation.form);
        }
    }
    best.1
}

/// Whether the request asks for gzip, and not rather for the page as it is.
pub(super) fn wants_gzip(headers: &HeaderMap) -> bool {
    let codings = elements(headers, ACCEPT_ENCODING);
    let weight = |names: &[&str]| {
        let named = codings.iter().filter(|coding| names.iter().any(|name| coding.name.eq_ignore_ascii_case(name)));
        named.map(Element::weight).max()
    };
    let gzip = weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"])).unwrap_or(0);
    gzip > 0 && gzip >= weight(&["identity"]).unwrap_or(0)
}

/// How well a range fits, from the least to the most specific.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    None,
    /// `*/*`
    Any,
    /// `text/*`
    Type,
    /// `text/plain`, with so many parameters.
    Named(usize),
}

impl Specificity {
    const fn is_named(self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// The range that decides for a format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    specificity: Specificity,
    weight: Weight,
}

impl Fit {
    const NONE: Self = Self { specificity: Specificity::None, weight: 0 };
}

impl Representation {
    /// The weight of the most specific range that fits; without ranges everything is accepted, as with `*/*`.
    fn weight(&self, ranges: &[Element<'_>]) -> Fit {
        if ranges.is_empty() {
            return Fit { specificity: Specificity::Any, weight: 1_000 };
        }
        let fits = ranges.iter().map(|range| Fit { specificity: self.specificity(range), weight: range.weight() });
        fits.filter(|fit| fit.specificity > Specificity::None).max().unwrap_or(Fit::NONE)
    }

    fn specificity(&self, range: &Element<'_>) -> Specificity {
        let Some((kind, subtype)) = range.name.split_once('/') else {
            return Specificity::None;
        };
        let (own_kind, own_subtype) = self.media_type;
        let parameters = range.media_parameters();
        if !parameters.iter().all(|(name, value)| self.has(name, value)) {
            return Specificity::None;
        }
        match (kind, subtype) {
            ("*", "*") => Specificity::Any,
            (kind, "*") if kind.eq_ignore_ascii_case(own_kind) => Specificity::Type,
            (kind, subtype) if kind.eq_ignore_ascii_case(own_kind) && subtype.eq_ignore_ascii_case(own_subtype) => {
                Specificity::Named(parameters.len())
            }
            _ => Specificity::None,
        }
    }

    /// Whether the page has this parameter. It has every `escaping` of Prometheus: all names are plain ones.
    fn has(&self, name: &str, value: &str) -> bool {
        name.eq_ignore_ascii_case("escaping")
            || self
                .parameters
                .iter()
                .any(|(own, own_value)| name.eq_ignore_ascii_case(own) && value.eq_ignore_ascii_case(own_value))
    }
}

/// One element of a header: a media range or a coding, with its parameters.
struct Element<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Element<'_> {
    /// The weight, 1 when there is none that can be read.
    fn weight(&self) -> Weight {
        let weights = self.parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case("q"));
        weights.map(|(_, value)| weight(value)).next().flatten().unwrap_or(1_000)
    }

    /// The parameters that belong to the media type: those before the weight.
    fn media_parameters(&self) -> Vec<(&str, &str)> {
        self.parameters.iter().copied().take_while(|(name, _)| !name.eq_ignore_ascii_case("q")).collect()
    }
}

/// A weight from `0` to `1` with at most three digits behind the point.
fn weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: Weight = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

/// The elements of all lines of a header, in order.
fn elements(headers: &HeaderMap, name: HeaderName) -> Vec<Element<'_>> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',')).filter_map(element).take(ELEMENTS).collect()
}

fn element(text: &str) -> Option<Element<'_>> {
    let mut parts = split(text, ';');
    let name = parts.next()?.trim();
    let parameters = parts.filter_map(|part| part.split_once('='));
    let parameters = parameters.map(|(name, value)| (name.trim(), unquoted(value.trim()))).collect();
    (!name.is_empty()).then_some(Element { name, parameters })
}

/// The parts of a text between separators outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c: char| {
        let is_separator = c == separator && !is_quoted;
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        is_separator
    })
}

/// The value without its quotes. None of our parameters has a character that would be escaped.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn the_format_is_the_one_that_the_request_weighs_most() {
        const TEXT: Form = Form::Text(Format::Text);
        const OPEN: Form = Form::Text(Format::OpenMetrics);
        let of_prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let of_browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
        for (lines, expected) in [
            (&[][..], TEXT),
            (&[""], TEXT),
            (&["*/*"], TEXT),
            (&["text/html"], TEXT),
            (&[of_browser], TEXT),
            (&[of_prometheus], OPEN),
            (&["application/openmetrics-text"], OPEN),
            (&["Application/OpenMetrics-Text ; Q=0.1"], OPEN),
            (&["application/openmetrics-text;version=\"1.0.0\""], OPEN),
            (&["application/openmetrics-text;version=2.0.0"], TEXT),
            (&["application/openmetrics-text;version=2.0.0", "*/*;q=0.1"], TEXT),
            (&["application/openmetrics-text;q=0"], TEXT),
            (&["application/openmetrics-text;q=0, */*"], TEXT),
            (&["application/openmetrics-text;q=0.2,text/plain;q=0.9"], TEXT),
            (&["application/openmetrics-text;q=0.9,text/plain;q=0.91"], TEXT),
            (&["application/openmetrics-text,text/plain"], OPEN),
            (&["application/openmetrics-text,*/*"], OPEN),
            (&["application/*"], OPEN),
            (&["application/*;q=0.5,text/*;q=0.4"], OPEN),
            (&["application/*;q=0.5,*/*;q=0.5"], TEXT),
            (&["text/plain;q=0,*/*"], OPEN),
            (&["text/plain;version=0.0.4;q=0,text/plain,application/openmetrics-text;q=0.1"], OPEN),
            (&["text/plain;q=0.1", "application/openmetrics-text;q=0.5"], OPEN),
            (&["text/plain;q=0.5", "application/openmetrics-text;q=0.1"], TEXT),
            (&["text/plain;x=\",application/openmetrics-text\""], TEXT),
            (&["application/openmetrics-text;q=2, text/plain;q=0.9"], OPEN),
            (&["application/openmetrics-text;q=0.0001, text/plain;q=0.9"], OPEN),
            (&[",,;;q=;/,=,text,application/openmetrics-text"], OPEN),
            (&["\u{e9}", "application/openmetrics-text"], OPEN),
        ] {
            assert_eq!(form(&headers(&ACCEPT, lines)), expected, "{lines:?}");
        }
    }

    #[cfg(feature = "prometheus")]
    #[test]
    fn protobuf_is_for_requests_that_name_it() {
        let of_prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
            encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3";
        for (lines, expected) in [
            (&[of_prometheus][..], Form::Protobuf),
            (&["application/vnd.google.protobuf"], Form::Protobuf),
            (&["application/vnd.google.protobuf;encoding=text;q=0.7", "text/plain;q=0.1"], Form::Text(Format::Text)),
            (&["application/vnd.google.protobuf;proto=other"], Form::Text(Format::Text)),
            (&["application/*"], Form::Text(Format::OpenMetrics)),
            (&["*/*"], Form::Text(Format::Text)),
        ] {
            assert_eq!(form(&headers(&ACCEPT, lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn gzip_is_for_requests_that_ask_for_it() {
        for (lines, expected) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["X-GZip"], true),
            (&["deflate, GZIP;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["gzip;q=0"], false),
            (&["identity, gzip;q=0.5"], false),
            (&["identity;q=0.5, gzip;q=0.5"], true),
            (&["identity"], false),
            (&["br, zstd"], false),
            (&["gzip;q=x"], true),
        ] {
            assert_eq!(wants_gzip(&headers(&ACCEPT_ENCODING, lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_weight_has_at_most_three_digits_and_is_at_most_one() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0.5", Some(500)),
            ("0.125", Some(125)),
            ("1", Some(1_000)),
            ("1.000", Some(1_000)),
            ("1.", Some(1_000)),
            ("1.001", None),
            ("0.1234", None),
            ("-1", None),
            ("1e0", None),
            ("", None),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }
}
