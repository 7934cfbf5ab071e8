//! `VictoriaLogs`.

use super::{Launch, Start, environment};
use crate::addresses::{Port, url};
use crate::process::argument;
use anyhow::Result;

/// It has no configuration file: its flags are in the shipped file of variables.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch> {
    let address = start.address(Port::VictoriaLogs);
    let mut command = start.command();
    command
        .envs(environment("victorialogs/victorialogs.env")?)
        .args(["-envflag.enable", "-envflag.prefix=VICTORIALOGS_"])
        .arg(argument("-storageDataPath=", &start.folder.join("victorialogs")))
        .arg(format!("-httpListenAddr={address}"));
    Ok(Launch::new(command, format!("{}/health", url(address)), url(address)))
}
