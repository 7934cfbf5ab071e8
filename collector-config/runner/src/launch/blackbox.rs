//! The blackbox exporter, which probes from outside.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::paths;
use crate::process::argument;

pub(super) fn launch(start: &Start<'_>) -> Launch {
    let address = start.address(Port::Blackbox);
    let mut command = start.command();
    command
        .arg(argument("--config.file=", &paths::config_dir().join("blackbox/blackbox.yml")))
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn");
    Launch::new(command, format!("{}/-/healthy", url(address)), url(address))
}
