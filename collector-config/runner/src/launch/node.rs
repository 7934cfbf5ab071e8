//! The node exporter, for the metrics of the host.

use super::{Launch, Start};
use crate::addresses::{Port, url};

pub(super) fn launch(start: &Start<'_>) -> Launch {
    let address = start.address(Port::Node);
    let mut command = start.command();
    command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
    Launch::new(command, url(address), format!("{}/metrics", url(address)))
}
