//! vmalert: the alerts on the lines in `VictoriaLogs`.

use super::{Launch, Start, environment};
use crate::addresses::{Port, url};
use crate::options::Pace;
use crate::paths;
use crate::process::argument;
use crate::run_config::{QUICK_INTERVAL, RunConfig};
use crate::system::System;
use anyhow::Result;

/// Its flags are in the shipped file of variables. Its rules contain times, so it reads run copies of them.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch> {
    let rules = start.folder.join("vmalert/rules");
    RunConfig::new(start.addresses, start.options.pace)
        .copy_folder(&paths::config_dir().join("victorialogs/rules"), &rules)?;
    let address = start.address(Port::Vmalert);
    let store = url(start.address(Port::VictoriaLogs));
    let mut command = start.command();
    command
        .envs(environment("victorialogs/vmalert.env")?)
        .args(["-envflag.enable", "-envflag.prefix=VMALERT_"])
        .arg(argument("-rule=", &rules.join("*.yml")))
        .arg(format!("-httpListenAddr={address}"))
        .arg(format!("-datasource.url={store}"))
        // For the links in alerts.
        .arg(format!("-external.url={store}"));
    if start.has(System::Alertmanager) {
        command.arg(format!("-notifier.url={}", url(start.address(Port::Alertmanager))));
    } else {
        // An Alertmanager on the usual port is not part of this stack.
        command.arg("-notifier.blackhole");
    }
    if start.options.pace == Pace::Quick {
        command.arg(format!("-evaluationInterval={QUICK_INTERVAL}")).arg("-rule.evalDelay=1s");
    }
    Ok(Launch::new(command, format!("{}/health", url(address)), url(address)))
}
