//! The schema: what each key says, as the values of the variables that it replaces.

use super::exporters;
use super::fault::Fault;
use super::section::{Entry, Section};
use super::yaml::{Node, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The values by variable, each with its line.
pub(super) struct Values(BTreeMap<&'static str, (String, usize)>);

impl Values {
    pub(super) fn set(&mut self, variable: &'static str, text: impl Into<String>, line: usize) {
        self.0.insert(variable, (text.into(), line));
    }

    /// Sets what a key says, or the default of the schema.
    pub(super) fn set_number(
        &mut self,
        variable: &'static str,
        entry: Option<&Entry<'_>>,
        (default, line): (u64, usize),
    ) -> Result<(), Fault> {
        match entry {
            Some(entry) => self.set(variable, entry.number()?.to_string(), entry.line()),
            None => self.set(variable, default.to_string(), line),
        }
        Ok(())
    }
}

/// Reads a whole file.
pub(super) fn read(
    root: &Node,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<&'static str, (String, usize)>, Fault> {
    let mut values = Values(BTreeMap::new());
    let mut root = Section::of_root(root)?;
    let line = root.place().line;
    check_format(&mut root)?;
    if let Some(disabled) = root.take("disabled") {
        values.set("OTEL_SDK_DISABLED", disabled.boolean()?.to_string(), disabled.line());
    }
    if let Some(level) = root.take("log_level") {
        level.require("info")?;
    }
    resource(root.take("resource"), env, line, &mut values)?;
    propagator(root.take("propagator"), line, &mut values)?;
    let general = root.take("attribute_limits").map(|limits| attribute_limits(&limits)).transpose()?.flatten();
    tracer_provider(root.take("tracer_provider"), general.as_ref(), line, &mut values)?;
    meter_provider(root.take("meter_provider"), line, &mut values)?;
    logger_provider(root.take("logger_provider"), &mut values)?;
    root.refuse("instrumentation/development", "it is not supported")?;
    root.refuse("distribution", "it is not supported: the library has no settings here")?;
    root.finish()?;
    Ok(values.0)
}

fn check_format(root: &mut Section<'_>) -> Result<(), Fault> {
    const ALLOWED: &str = "write the version of the schema, as in file_format: \"1.1\"; versions 1.x are supported";
    let Some(format) = root.take("file_format") else {
        return Err(Fault::new(root.place(), format!("file_format: {ALLOWED}")));
    };
    let minor = format.text()?.strip_prefix("1.").and_then(|minor| minor.parse::<u16>().ok());
    minor.map(drop).ok_or_else(|| format.fault(ALLOWED))
}

fn resource(
    entry: Option<Entry<'_>>,
    env: &dyn Fn(&str) -> Option<String>,
    line: usize,
    values: &mut Values,
) -> Result<(), Fault> {
    let Some(entry) = entry else {
        values.set("IRONCORE_RESOURCE_DETECTORS", "none", line);
        return Ok(());
    };
    let mut section = entry.section()?;
    let mut list = match section.take("attributes_list") {
        Some(list) => vec![list.text()?.to_owned()],
        None => Vec::new(),
    };
    // Behind the list, so that they win.
    if let Some(attributes) = section.take("attributes") {
        for attribute in attributes.list()? {
            list.push(resource_attribute(&attribute)?);
        }
    }
    section.refuse("schema_url", "it is not supported")?;
    let detection = section.take("detection/development");
    section.finish()?;
    detectors(detection, env, entry.line(), values)?;
    if !list.is_empty() {
        values.set("OTEL_RESOURCE_ATTRIBUTES", list.join(","), entry.line());
    }
    Ok(())
}

fn resource_attribute(entry: &Entry<'_>) -> Result<String, Fault> {
    let mut section = entry.section()?;
    let (name, value) = (section.take("name"), section.take_or_null("value"));
    if let Some(kind) = section.take("type")
        && !matches!(kind.text()?, "string" | "bool" | "int" | "double")
    {
        return Err(kind.fault("use string, bool, int or double"));
    }
    section.finish()?;
    let name = name.ok_or_else(|| entry.fault("a name is missing"))?;
    let value = value.ok_or_else(|| entry.fault("a value is missing"))?;
    let text = if matches!(value.node.value, Value::Null) { "" } else { value.text()? };
    Ok(format!("{}={}", encoded(name.text()?), encoded(text)))
}

/// Only what is listed is detected. `service` takes the name of the service from its variable.
fn detectors(
    entry: Option<Entry<'_>>,
    env: &dyn Fn(&str) -> Option<String>,
    line: usize,
    values: &mut Values,
) -> Result<(), Fault> {
    let Some(entry) = entry else {
        values.set("IRONCORE_RESOURCE_DETECTORS", "none", line);
        return Ok(());
    };
    let mut section = entry.section()?;
    section.refuse("attributes", "it is not supported: leave detectors out instead")?;
    let mut names = Vec::new();
    if let Some(list) = section.take("detectors") {
        for detector in list.list()? {
            let (name, settings) = detector.choice()?;
            match name {
                "service" => {
                    if let Some(name) = env("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
                        values.set("OTEL_SERVICE_NAME", name, detector.line());
                    }
                }
                // What the schema has as the operating system is part of its host.
                "host" => names.extend(["host", "os"]),
                name @ ("process" | "container") => names.push(name),
                _ => return Err(detector.fault("use one of service, host, process, container")),
            }
            settings.require_no_settings()?;
        }
    }
    section.finish()?;
    let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    values.set("IRONCORE_RESOURCE_DETECTORS", names, entry.line());
    Ok(())
}

fn propagator(entry: Option<Entry<'_>>, line: usize, values: &mut Values) -> Result<(), Fault> {
    let mut names = Vec::new();
    let mut line = line;
    if let Some(entry) = entry {
        line = entry.line();
        let mut section = entry.section()?;
        if let Some(list) = section.take("composite") {
            for propagator in list.list()? {
                let (name, settings) = propagator.choice()?;
                settings.require_no_settings()?;
                names.push(name);
            }
        }
        if let Some(list) = section.take("composite_list") {
            names.push(list.text()?);
        }
        section.finish()?;
    }
    let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    values.set("OTEL_PROPAGATORS", names, line);
    Ok(())
}

/// The general limit of attributes.
fn attribute_limits<'a>(entry: &Entry<'a>) -> Result<Option<Entry<'a>>, Fault> {
    let mut section = entry.section()?;
    let count = section.take("attribute_count_limit");
    value_limits(&mut section)?;
    section.finish()?;
    Ok(count)
}

/// The limits on one value: it is cut at 8 KiB, and never nested.
fn value_limits(section: &mut Section<'_>) -> Result<(), Fault> {
    section.refuse("attribute_value_length_limit", "it is not supported: a value is cut at 8 KiB")?;
    if let Some(depth) = section.take("attribute_value_depth_limit") {
        depth.number()?;
    }
    Ok(())
}

fn tracer_provider(
    entry: Option<Entry<'_>>,
    general: Option<&Entry<'_>>,
    line: usize,
    values: &mut Values,
) -> Result<(), Fault> {
    let Some(entry) = entry else {
        values.set("OTEL_TRACES_EXPORTER", "none", line);
        return Ok(());
    };
    let mut section = entry.section()?;
    let processors = section.take("processors").ok_or_else(|| entry.fault("processors are missing; [] is none"))?;
    match processors.list()?.as_slice() {
        [] => values.set("OTEL_TRACES_EXPORTER", "none", entry.line()),
        [processor] => exporters::span_processor(processor, values)?,
        [_, second, ..] => return Err(second.fault("one processor is supported")),
    }
    let limits = section.take("limits");
    span_limits(limits.as_ref(), general, entry.line(), values)?;
    sampler(section.take("sampler").as_ref(), entry.line(), values)?;
    section.finish()
}

/// The variable, the key and the default of each limit.
const LIMITS: [(&str, &str); 5] = [
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "attribute_count_limit"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "event_count_limit"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "link_count_limit"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "event_attribute_count_limit"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "link_attribute_count_limit"),
];

fn span_limits(
    entry: Option<&Entry<'_>>,
    general: Option<&Entry<'_>>,
    line: usize,
    values: &mut Values,
) -> Result<(), Fault> {
    const DEFAULT: u64 = 128;
    let mut section = entry.map(Entry::section).transpose()?;
    for (variable, key) in LIMITS {
        let own = section.as_mut().and_then(|section| section.take(key));
        let counts_attributes = key == "attribute_count_limit";
        let count = own.as_ref().or(general.filter(|_| counts_attributes));
        values.set_number(variable, count, (DEFAULT, line))?;
    }
    let Some(mut section) = section else {
        return Ok(());
    };
    value_limits(&mut section)?;
    section.finish()
}

fn sampler(entry: Option<&Entry<'_>>, line: usize, values: &mut Values) -> Result<(), Fault> {
    let Some(entry) = entry else {
        values.set("OTEL_TRACES_SAMPLER", "parentbased_always_on", line);
        return Ok(());
    };
    let (name, ratio) = match entry.choice()?.0 {
        "parent_based" => {
            let mut section = entry.section()?;
            let parent_based = section.take_or_null("parent_based").map(|entry| entry.section()).transpose()?;
            section.finish()?;
            let Some(mut parts) = parent_based else {
                return Err(entry.fault("write a mapping"));
            };
            let root = parts.take("root").map(|root| root_sampler(&root)).transpose()?;
            for (key, only) in [
                ("remote_parent_sampled", "always_on"),
                ("remote_parent_not_sampled", "always_off"),
                ("local_parent_sampled", "always_on"),
                ("local_parent_not_sampled", "always_off"),
            ] {
                let Some(part) = parts.take(key) else {
                    continue;
                };
                let (name, settings) = part.choice()?;
                if name != only {
                    return Err(part.fault(&format!("only {only} is supported: the decision of the parent is kept")));
                }
                settings.require_no_settings()?;
            }
            parts.finish()?;
            match root.unwrap_or(("always_on", None)) {
                ("always_off", _) => ("parentbased_always_off", None),
                ("traceidratio", ratio) => ("parentbased_traceidratio", ratio),
                _ => ("parentbased_always_on", None),
            }
        }
        _ => root_sampler(entry)?,
    };
    values.set("OTEL_TRACES_SAMPLER", name, entry.line());
    if let Some(ratio) = ratio {
        values.set("OTEL_TRACES_SAMPLER_ARG", ratio, entry.line());
    }
    Ok(())
}

/// The name of a sampler without a parent in its variable, and its ratio.
fn root_sampler(entry: &Entry<'_>) -> Result<(&'static str, Option<String>), Fault> {
    let mut section = entry.section()?;
    let sampler = match entry.choice()?.0 {
        "always_on" => ("always_on", section.take("always_on"), None),
        "always_off" => ("always_off", section.take("always_off"), None),
        "trace_id_ratio_based" => {
            let settings = section.take_or_null("trace_id_ratio_based");
            let mut settings = settings.as_ref().map(Entry::section).transpose()?;
            let ratio = settings.as_mut().and_then(|settings| settings.take("ratio"));
            if let Some(settings) = settings {
                settings.finish()?;
            }
            let ratio = ratio.map(|ratio| ratio.text().map(ToOwned::to_owned)).transpose()?;
            ("traceidratio", None, Some(ratio.unwrap_or_else(|| "1.0".to_owned())))
        }
        _ => return Err(entry.fault("use one of always_on, always_off, trace_id_ratio_based, parent_based")),
    };
    section.finish()?;
    let (name, settings, ratio) = sampler;
    // `always_on` and `always_off` have none.
    settings.map_or(Ok(()), |settings| settings.require_no_settings())?;
    Ok((name, ratio))
}

fn meter_provider(entry: Option<Entry<'_>>, line: usize, values: &mut Values) -> Result<(), Fault> {
    let Some(entry) = entry else {
        values.set("OTEL_METRICS_EXPORTER", "none", line);
        return Ok(());
    };
    let mut section = entry.section()?;
    let readers = section.take("readers").ok_or_else(|| entry.fault("readers are missing; [] is none"))?;
    let mut names = Vec::new();
    for reader in readers.list()? {
        let name = exporters::metric_reader(&reader, values)?;
        if names.contains(&name) {
            return Err(reader.fault("one reader of each kind is supported"));
        }
        names.push(name);
    }
    section.refuse("views", "it is not supported")?;
    if let Some(filter) = section.take("exemplar_filter") {
        match filter.text()? {
            name @ ("trace_based" | "always_off") => values.set("OTEL_METRICS_EXEMPLAR_FILTER", name, filter.line()),
            _ => return Err(filter.fault("use trace_based or always_off")),
        }
    }
    section.finish()?;
    let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    values.set("OTEL_METRICS_EXPORTER", names, entry.line());
    Ok(())
}

/// Without a logger provider the log lines stay on stdout: they are those of `tracing`.
fn logger_provider(entry: Option<Entry<'_>>, values: &mut Values) -> Result<(), Fault> {
    let Some(entry) = entry else {
        return Ok(());
    };
    let mut section = entry.section()?;
    let processors = section.take("processors").ok_or_else(|| entry.fault("processors are missing; [] is none"))?;
    let exporter = match processors.list()?.as_slice() {
        [] => "none",
        [processor] => {
            exporters::log_processor(processor)?;
            "console"
        }
        [_, second, ..] => return Err(second.fault("one processor is supported")),
    };
    if let Some(limits) = section.take("limits") {
        let mut limits = limits.section()?;
        limits.refuse("attribute_count_limit", "it is not supported: a line has all of its fields")?;
        value_limits(&mut limits)?;
        limits.finish()?;
    }
    section.finish()?;
    values.set("OTEL_LOGS_EXPORTER", exporter, entry.line());
    Ok(())
}

/// A name or a value of a list, percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            result.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(result, "%{byte:02X}");
        }
    }
    result
}
