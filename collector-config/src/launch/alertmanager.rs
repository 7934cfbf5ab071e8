//! Alertmanager, with every channel led to this machine.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::error::{Error, io_error};
use crate::paths;
use crate::process::argument;
use crate::run_config::{self, RunConfig};
use std::fs;
use std::path::Path;

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
        copy = run_config::set(&copy, key, &value)?;
    }
    stays_here(&copy)?;
    let config = run_config::write(&folder.join("alertmanager.yml"), &copy)?;
    write_secrets(&text, &folder, &inbox)?;

    let address = start.address(Port::Alertmanager);
    let mut command = start.command();
    command
        .arg(argument("--config.file=", &config))
        .arg(argument("--storage.path=", &folder.join("data")))
        .arg(format!("--web.listen-address={address}"))
        // For the links in its messages.
        .arg(format!("--web.external-url={}", url(address)))
        // It reads most files of secrets relative to the folder that it was started in.
        .current_dir(&folder)
        // One alone: without this it looks for others of a cluster.
        .args(["--cluster.listen-address=", "--log.level=warn"]);
    Ok(Launch::new(command, format!("{}/-/ready", url(address)), url(address)))
}

/// No line but a comment may name a host that is not this one.
fn stays_here(config: &str) -> Result<(), Error> {
    let names_a_host = |line: &str| line.contains("://") || line.contains("smarthost:");
    let away = lines(config).find(|line| names_a_host(line) && !line.contains("127.0.0.1:"));
    match away {
        Some(line) => Err(Error::LeavesTheMachine(line.trim().to_owned())),
        None => Ok(()),
    }
}

/// A file for each secret that the configuration names: an address leads to a path of the inbox of that name, anything
/// else is nothing that would open a door.
fn write_secrets(config: &str, folder: &Path, inbox: &str) -> Result<(), Error> {
    for name in secrets(config) {
        let content = match name.strip_suffix("_url") {
            // Its gateway takes the text from the address, as README.md beside the configuration says.
            Some("sms_webhook") => {
                format!("{inbox}/sms_webhook?text={{{{ template \"ironcore.sms.query\" . }}}}")
            }
            Some(channel) => format!("{inbox}/{channel}"),
            None => "none".to_owned(),
        };
        run_config::write(&folder.join("secrets").join(name), &content)?;
    }
    Ok(())
}

/// The names after `secrets/`, wherever they are no comment.
fn secrets(config: &str) -> impl Iterator<Item = &str> {
    lines(config).flat_map(|line| {
        line.split("secrets/").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
    })
}

/// What is no comment.
fn lines(config: &str) -> impl Iterator<Item = &str> {
    config.lines().filter(|line| !line.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_are_read_from_the_configuration() {
        let config = "# in secrets/ beside\napi_url_file: secrets/slack_api_url\nkey_file: \"secrets/pager_key\"\n";
        assert_eq!(secrets(config).collect::<Vec<_>>(), ["slack_api_url", "pager_key"]);
    }

    #[test]
    fn a_copy_that_would_tell_somebody_is_refused() {
        assert!(stays_here("# https://x.example\nurl: http://127.0.0.1:9095/x\n").is_ok());
        for away in ["  url: https://hooks.example/x", "smarthost: mail.example:25"] {
            assert!(stays_here(away).is_err(), "{away}");
        }
    }
}
