//! A strict parser of `/metrics` pages: Prometheus text 0.0.4 and `OpenMetrics` 1.0.0. It accepts what the formats allow,
//! and of that only what every reader takes: names in ASCII, one block per family, no series twice, no name in two
//! families.

use std::collections::{BTreeMap, HashMap, HashSet};

/// The format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text, version 0.0.4.
    Text,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

/// One family of a page.
#[derive(Debug, Clone, Default)]
pub struct Family {
    /// As its `TYPE` line names it.
    pub name: String,
    /// As its `TYPE` line says.
    pub kind: String,
    /// The text of its `HELP` line.
    pub help: Option<String>,
    /// The text of its `UNIT` line.
    pub unit: Option<String>,
    /// In the order of the page.
    pub samples: Vec<Sample>,
}

/// One line of a page.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The name before the labels.
    pub name: String,
    /// Its labels, with their values as they were before they were escaped.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Exposition {
    /// The families of a page.
    ///
    /// # Errors
    /// The first line that is not as the format says, and why.
    pub fn parse(self, page: &str) -> Result<Vec<Family>, String> {
        let body = match self {
            Self::Text => page,
            Self::OpenMetrics => page.strip_suffix("# EOF\n").ok_or("the page does not end in # EOF")?,
        };
        if !body.is_empty() && !body.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        let mut families: Vec<Family> = Vec::new();
        for line in body.split_terminator('\n') {
            self.line(&mut families, line).map_err(|reason| format!("{reason}: {line:?}"))?;
        }
        self.check(&families)?;
        Ok(families)
    }

    fn line(self, families: &mut Vec<Family>, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').ok_or("a comment that is no metadata")?;
            let (name, text) = rest.split_once(' ').ok_or("metadata without a text")?;
            if !is_name(name, true) {
                return Err(format!("{name:?} is no name"));
            }
            let is_new = families.last().is_none_or(|family| family.name != name || !family.samples.is_empty());
            if is_new {
                families.push(Family { name: name.to_owned(), ..Family::default() });
            }
            let family = families.last_mut().ok_or("no family")?;
            match (word, self) {
                ("HELP", _) if family.help.is_none() => family.help = Some(text.to_owned()),
                ("TYPE", _) if family.kind.is_empty() => text.clone_into(&mut family.kind),
                ("UNIT", Self::OpenMetrics) if family.unit.is_none() => family.unit = Some(text.to_owned()),
                _ => return Err(format!("{word} is unknown or there twice")),
            }
            return Ok(());
        }
        let sample = self.sample(line)?;
        let family = families.last_mut().ok_or("a sample before its family")?;
        if !self.suffixes(&family.kind)?.iter().any(|suffix| sample.name == format!("{}{suffix}", family.name)) {
            return Err(format!("a sample that is none of the {} {}", family.kind, family.name));
        }
        family.samples.push(sample);
        Ok(())
    }

    fn sample(self, line: &str) -> Result<Sample, String> {
        let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
        let (name, rest) = line.split_at(end);
        if !is_name(name, true) {
            return Err(format!("{name:?} is no name"));
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let rest = rest.strip_prefix(' ').ok_or("no space before the value")?;
        let (value, exemplar) = match rest.split_once(" # ") {
            Some((value, exemplar)) => (value, Some(exemplar)),
            None => (rest, None),
        };
        if let Some(exemplar) = exemplar {
            self.exemplar(name, exemplar)?;
        }
        Ok(Sample { name: name.to_owned(), labels, value: number(value)? })
    }

    fn exemplar(self, name: &str, exemplar: &str) -> Result<(), String> {
        if self == Self::Text || !(name.ends_with("_total") || name.ends_with("_bucket")) {
            return Err("an exemplar where none may be".to_owned());
        }
        let (labels, rest) = labels(exemplar.strip_prefix('{').ok_or("an exemplar without labels")?)?;
        let length: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if length > 128 {
            return Err("an exemplar with more than 128 characters".to_owned());
        }
        for word in rest.trim_start().split(' ') {
            number(word)?;
        }
        Ok(())
    }

    /// The suffixes of the samples of a type.
    fn suffixes(self, kind: &str) -> Result<&'static [&'static str], String> {
        Ok(match (kind, self) {
            ("counter", Self::Text) | ("gauge", _) => &[""],
            ("counter", Self::OpenMetrics) => &["_total", "_created"],
            ("histogram", Self::Text) => &["_bucket", "_sum", "_count"],
            ("histogram", Self::OpenMetrics) => &["_bucket", "_sum", "_count", "_created"],
            ("info", Self::OpenMetrics) => &["_info"],
            _ => return Err(format!("the type {kind:?}")),
        })
    }

    fn check(self, families: &[Family]) -> Result<(), String> {
        let mut taken: HashMap<String, &str> = HashMap::new();
        let mut series = HashSet::new();
        for family in families {
            let Family { name, unit, samples, kind, .. } = family;
            let names = self.suffixes(kind)?.iter().map(|suffix| format!("{name}{suffix}")).chain([name.clone()]);
            for taking in names.collect::<HashSet<_>>() {
                if let Some(other) = taken.insert(taking.clone(), name) {
                    return Err(format!("{taking} is of the family {name} and of {other}"));
                }
            }
            if unit.as_ref().is_some_and(|unit| !name.ends_with(&format!("_{unit}"))) {
                return Err(format!("{name} does not end in its unit {unit:?}"));
            }
            for sample in samples {
                if !series.insert((&sample.name, &sample.labels)) {
                    return Err(format!("a series twice: {sample:?}"));
                }
            }
            if kind == "histogram" {
                self.check_buckets(family)?;
            }
        }
        Ok(())
    }

    /// Buckets rise to the one above all bounds, which is the count.
    fn check_buckets(self, Family { name, samples, .. }: &Family) -> Result<(), String> {
        let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
            let mut labels = sample.labels.clone();
            let text = labels.remove("le").ok_or("a bucket without le")?;
            if self == Self::OpenMetrics && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                return Err(format!("the bound {text} of {name} is written like an integer"));
            }
            buckets.entry(labels).or_default().push((number(&text)?, sample.value));
        }
        for (labels, buckets) in &buckets {
            let rise = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
            let last = buckets.last().copied().unwrap_or_default();
            let counts = samples.iter().filter(|sample| sample.name == format!("{name}_count"));
            let count = counts.filter(|sample| &sample.labels == labels).map(|sample| sample.value).next();
            if !rise || last.0 < f64::INFINITY || Some(last.1) != count {
                return Err(format!("the buckets of {name} {labels:?}: {buckets:?}"));
            }
        }
        Ok(())
    }
}

/// The labels up to the closing brace, and what follows.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, false) || name.starts_with("__") {
            return Err(format!("{name:?} is no label"));
        }
        let (value, after) = quoted(after)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label {name} twice"));
        }
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok((labels, after.strip_prefix('}').ok_or("labels without an end")?)),
        }
    }
}

/// The text up to the closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, '\\')) => value.push('\\'),
                Some((_, '"')) => value.push('"'),
                Some((_, 'n')) => value.push('\n'),
                other => return Err(format!("the escape {other:?}")),
            },
            other => value.push(other),
        }
    }
    Err("a value without an end".to_owned())
}

fn is_name(name: &str, is_metric: bool) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
    !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()) && name.chars().all(valid)
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => return Ok(f64::INFINITY),
        "-Inf" => return Ok(f64::NEG_INFINITY),
        "NaN" => return Ok(f64::NAN),
        _ => {}
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte));
    text.parse().ok().filter(|_| digits).ok_or_else(|| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::Exposition::{OpenMetrics, Text};

    #[test]
    fn what_readers_refuse_is_refused() {
        for (format, page) in [
            (Text, "a 1"),
            (Text, "a 1\n"),
            (Text, "# TYPE a counter\na 1\n# TYPE a gauge\na 1\n"),
            (Text, "# TYPE a gauge\na 1\na 1\n"),
            (Text, "# TYPE a gauge\na{} 1\n"),
            (Text, "# TYPE a gauge\na{b=\"x\",b=\"y\"} 1\n"),
            (Text, "# TYPE a gauge\na{__name__=\"x\"} 1\n"),
            (Text, "# TYPE a gauge\na{1=\"x\"} 1\n"),
            (Text, "# TYPE a gauge\na{b=\"\\t\"} 1\n"),
            (Text, "# TYPE a gauge\na 1 # {trace_id=\"x\"} 1\n"),
            (Text, "# TYPE é gauge\né 1\n"),
            (Text, "# TYPE a gauge\na one\n"),
            (Text, "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n"),
            (
                Text,
                "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# TYPE a_count gauge\na_count{b=\"c\"} 1\n",
            ),
            (OpenMetrics, "# TYPE a gauge\na 1\n"),
            (OpenMetrics, "# TYPE a_total counter\na_total 1\n# EOF\n"),
            (OpenMetrics, "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n"),
            (
                OpenMetrics,
                "# TYPE a histogram\na_bucket{le=\"1\"} 0\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# EOF\n",
            ),
            (OpenMetrics, "# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total{b=\"c\"} 1\n# EOF\n"),
        ] {
            assert!(format.parse(page).is_err(), "{page}");
        }
    }

    #[test]
    fn what_the_formats_allow_is_accepted() {
        let text = "# HELP a_total \"help\"\n# TYPE a_total counter\na_total{b=\"\\\\\\\"\\n é\"} 1e+06\n";
        let families = Text.parse(text).unwrap();
        assert_eq!(families[0].samples[0].labels["b"], "\\\"\n é");
        let open = "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
            a_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"00\"} 0.5 1.000\na_seconds_bucket{le=\"+Inf\"} 1\n\
            a_seconds_sum 0.5\na_seconds_count 1\na_seconds_created 1.000\n\
            # TYPE target info\ntarget_info{b=\"c\"} 1\n# EOF\n";
        assert_eq!(OpenMetrics.parse(open).unwrap().len(), 2);
    }
}
