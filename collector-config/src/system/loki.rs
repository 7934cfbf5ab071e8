use super::{Launch, Start};
use crate::{
    addresses::Port,
    paths,
    process::argument,
    run_config::RunConfig,
    stack::{Error, Pace, url},
};

/// Loki expands variables in its configuration, so it reads the shipped file itself; its rules it reads as a run copy,
/// as they have times in them.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch, Error> {
    let shipped = paths::config_dir().join("loki");
    let folder = start.folder.join("loki");
    let rules = folder.join("rules");
    RunConfig::new(start.addresses, start.options.pace)
        .copy_folder(&shipped.join("rules/fake"), &rules.join("fake"))?;
    let address = start.address(Port::Loki);
    let interval = match start.options.pace {
        Pace::Shipped => "15s",
        Pace::Quick => "1s",
    };
    let mut command = start.command();
    command
        .arg(argument("-config.file=", &shipped.join("config.yaml")))
        .arg("-config.expand-env=true")
        .env("LOKI_HTTP_PORT", address.port().to_string())
        .env(
            "LOKI_GRPC_PORT",
            start.address(Port::LokiGrpc).port().to_string(),
        )
        .env("LOKI_EVALUATION_INTERVAL", interval)
        .env("LOKI_DATA", folder.join("data"))
        .env("LOKI_RULES", rules)
        .env("LOKI_ALERTMANAGER", url(start.address(Port::Alertmanager)));
    Ok(Launch {
        command,
        health: format!("{}/ready", url(address)),
        url: url(address),
    })
}
