use std::{fs, path::Path};

use super::{Launch, Start};
use crate::{
    addresses::Port,
    paths,
    process::argument,
    run_config::{self, RunConfig},
    stack::{Error, io_error, url},
};

/// Alertmanager expands no variables, so it reads a run copy, in which every channel leads to the inbox of this machine:
/// whoever tries the stack pages nobody.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch, Error> {
    let shipped = paths::config_dir().join("alertmanager");
    let folder = start.folder.join("alertmanager");
    let run = RunConfig::new(start.addresses, start.options.pace);
    run.copy_folder(&shipped.join("templates"), &folder.join("templates"))?;
    let file = shipped.join("alertmanager.yml");
    let text = fs::read_to_string(&file).map_err(io_error("read", &file))?;
    let inbox = url(start.address(Port::Inbox));
    let mut copy = run.of(&text);
    for (key, value) in [
        ("pagerduty_url", format!("{inbox}/pagerduty")),
        ("smtp_smarthost", start.address(Port::InboxMail).to_string()),
        ("smtp_require_tls", "false".to_owned()),
    ] {
        copy = RunConfig::set(&copy, key, &value);
    }
    let config = run_config::write(&folder.join("alertmanager.yml"), &copy)?;
    write_secrets(&text, &folder, &inbox)?;

    let address = start.address(Port::Alertmanager);
    let mut command = start.command();
    command
        .arg(argument("--config.file=", &config))
        .arg(argument("--storage.path=", &folder.join("data")))
        .arg(format!("--web.listen-address={address}"))
        // It reads most files of secrets relative to the folder that it was started in.
        .current_dir(&folder)
        // One alone: without this it looks for others of a cluster.
        .args(["--cluster.listen-address=", "--log.level=warn"]);
    Ok(Launch {
        command,
        health: format!("{}/-/ready", url(address)),
        url: url(address),
    })
}

/// A file for each secret that the configuration names: an address leads to a path of the inbox of that name, anything
/// else is nothing that would open a door.
fn write_secrets(config: &str, folder: &Path, inbox: &str) -> Result<(), Error> {
    for name in secrets(config) {
        let content = match name.strip_suffix("_url") {
            Some(channel) => format!("{inbox}/{channel}"),
            None => "none".to_owned(),
        };
        run_config::write(&folder.join("secrets").join(name), &content)?;
    }
    Ok(())
}

/// The names after `secrets/`, wherever they are no comment.
fn secrets(config: &str) -> impl Iterator<Item = &str> {
    let lines = config
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(|line| {
        line.split("secrets/").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_are_read_from_the_configuration() {
        let config = "# in secrets/ beside\napi_url_file: secrets/slack_api_url\nkey_file: \"secrets/pager_key\"\n";
        assert_eq!(
            secrets(config).collect::<Vec<_>>(),
            ["slack_api_url", "pager_key"]
        );
    }
}
