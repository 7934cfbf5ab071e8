//! Variables of the OpenTelemetry specification that telemetry reads, and does not act on: their values are checked, and
//! the start-up line names them.

use super::parse::{self, Parsed};
use super::resolver::Resolver;
use super::setting::{Setting, Show};
use crate::error::InitError;

/// What a value would need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing: telemetry works as the value says.
    AsIs,
    /// Something that telemetry does not do.
    NotActedOn,
}

use Effect::{AsIs, NotActedOn};

type Check = fn(&str) -> Parsed<Effect>;

/// Each variable, with its allowed values. Those of a signal's own form stand beside the common ones.
const VARIABLES: &[(&str, Check)] = &[
    ("OTEL_LOG_LEVEL", text),
    ("OTEL_BSP_EXPORT_TIMEOUT", number),
    ("OTEL_BLRP_SCHEDULE_DELAY", number),
    ("OTEL_BLRP_EXPORT_TIMEOUT", number),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", number),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", number),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", number),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", number),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", number),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", number),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", boolean),
    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", text),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", text),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", text),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", text),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", text),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", text),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", number),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", text),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", text),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", number),
    ("OTEL_SEMCONV_STABILITY_OPT_IN", text),
];

/// The variable of declarative configuration. The file replaces all others of OpenTelemetry, so it is never ignored.
pub(super) const CONFIG_FILE: &str = "OTEL_CONFIG_FILE";

/// Notes each variable that is set.
///
/// # Errors
/// In strict mode: a value that the specification does not allow.
pub(super) fn check(resolver: &mut Resolver<'_>) -> Result<(), InitError> {
    for (variable, parse) in VARIABLES {
        let setting = Setting {
            key: variable,
            variables: std::slice::from_ref(variable),
            default: || AsIs,
            parse: *parse,
            show: if variable.ends_with("_HEADERS") { Show::Secret } else { Show::Plain(|_| "nothing".to_owned()) },
        };
        if let (NotActedOn, _) = resolver.read_unnoted(&setting, None)? {
            resolver.not_acted_on(variable);
        }
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "has the form of the other checks")]
fn text(_: &str) -> Parsed<Effect> {
    Ok(NotActedOn)
}

fn number(text: &str) -> Parsed<Effect> {
    match parse::whole(text, &(0..=u64::MAX)) {
        Ok(_) => Ok(NotActedOn),
        Err(_) => Err("use a whole number".into()),
    }
}

fn boolean(text: &str) -> Parsed<Effect> {
    match parse::boolean(text) {
        Ok(_) => Ok(NotActedOn),
        Err(refused) => Err(refused.allowed.into()),
    }
}

/// The variables of the table.
#[cfg(test)]
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(variable, _)| *variable)
}
