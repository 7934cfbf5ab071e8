//! Alertmanager, with every receiver pointing at this machine.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::paths::{self, cannot};
use crate::process::argument;
use crate::run_config::{self, RunConfig};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;

/// Alertmanager expands no variables, so it reads a run copy. In it every receiver points at the inbox on this machine,
/// so that a local stack never pages the people on call.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch> {
    let shipped = paths::config_dir().join("alertmanager");
    let folder = start.folder.join("alertmanager");
    let run = RunConfig::new(start.addresses, start.options.pace);
    run.copy_folder(&shipped.join("templates"), &folder.join("templates"))?;
    let file = shipped.join("alertmanager.yml");
    let text = fs::read_to_string(&file).with_context(cannot("read", &file))?;
    let inbox = url(start.inbox.http());
    let mut copy = run.adapt(&text);
    for (key, value) in [
        ("pagerduty_url", format!("{inbox}/pagerduty")),
        ("smtp_smarthost", start.inbox.mail().to_string()),
        ("smtp_require_tls", "false".to_owned()),
    ] {
        copy = run_config::set_key(&copy, key, &value).context("alertmanager.yml")?;
    }
    ensure_local(&copy)?;
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
        // It resolves the paths of most secret files against its working directory.
        .current_dir(&folder)
        // A single instance: without this it looks for other members of a cluster.
        .args(["--cluster.listen-address=", "--log.level=warn"]);
    Ok(Launch::new(command, format!("{}/-/ready", url(address)), url(address)))
}

/// An error if any line, except comments, names another host.
fn ensure_local(config: &str) -> Result<()> {
    let names_a_host = |line: &str| line.contains("://") || line.contains("smarthost:");
    let remote = uncommented_lines(config).find(|line| names_a_host(line) && !line.contains("127.0.0.1:"));
    match remote {
        Some(line) => bail!("the run copy of alertmanager.yml would send alerts to another machine: `{}`", line.trim()),
        None => Ok(()),
    }
}

/// Writes a file for each secret that the configuration names: for a URL, the path of that name at the inbox; for
/// anything else, a placeholder.
fn write_secrets(config: &str, folder: &Path, inbox: &str) -> Result<()> {
    for name in secrets(config) {
        let content = match name.strip_suffix("_url") {
            // The gateway takes the text from the URL: see alertmanager/README.md.
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

/// The names after `secrets/`, except in comments.
fn secrets(config: &str) -> impl Iterator<Item = &str> {
    uncommented_lines(config).flat_map(|line| {
        line.split("secrets/").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
    })
}

fn uncommented_lines(config: &str) -> impl Iterator<Item = &str> {
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
    fn a_run_copy_that_names_another_host_is_an_error() {
        assert!(ensure_local("# https://x.example\nurl: http://127.0.0.1:9095/x\n").is_ok());
        for remote in ["  url: https://hooks.example/x", "smarthost: mail.example:25"] {
            assert!(ensure_local(remote).is_err(), "{remote}");
        }
    }
}
