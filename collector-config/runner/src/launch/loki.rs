//! Loki, with its log alerts.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::options::Pace;
use crate::paths;
use crate::process::argument;
use crate::run_config::{QUICK_INTERVAL, RunConfig};
use crate::system::System;
use anyhow::Result;

/// Loki expands variables in its configuration, so it reads the shipped file itself. Its rules contain times, so it
/// reads run copies of them.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch> {
    let shipped = paths::config_dir().join("loki");
    let folder = start.folder.join("loki");
    let rules = folder.join("rules");
    RunConfig::new(start.addresses, start.options.pace)
        .copy_folder(&shipped.join("rules/fake"), &rules.join("fake"))?;
    let address = start.address(Port::Loki);
    let alertmanager = if start.has(System::Alertmanager) {
        url(start.address(Port::Alertmanager))
    } else {
        // An Alertmanager on the usual port is not part of this stack; nothing listens on this port.
        "http://127.0.0.1:9".to_owned()
    };
    let mut command = start.command();
    command
        .arg(argument("-config.file=", &shipped.join("config.yaml")))
        .arg("-config.expand-env=true")
        .env("LOKI_HTTP_PORT", address.port().to_string())
        .env("LOKI_GRPC_PORT", start.address(Port::LokiGrpc).port().to_string())
        .env("LOKI_DATA", folder.join("data"))
        .env("LOKI_RULES", rules)
        .env("LOKI_ALERTMANAGER", alertmanager);
    if start.options.pace == Pace::Quick {
        command.env("LOKI_EVALUATION_INTERVAL", QUICK_INTERVAL);
    }
    Ok(Launch::new(command, format!("{}/ready", url(address)), url(address)))
}
