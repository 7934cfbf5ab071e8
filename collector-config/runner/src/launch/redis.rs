//! Redis and its exporter.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::paths::{self, cannot};
use anyhow::{Context as _, Result};
use std::fs;

pub(super) fn server(start: &Start<'_>) -> Result<Launch> {
    let address = start.address(Port::Redis);
    let data = start.folder.join("redis");
    fs::create_dir_all(&data).with_context(cannot("create the folder", &data))?;
    let mut command = start.command();
    command
        .arg(paths::config_dir().join("redis/redis.conf"))
        .arg("--bind")
        .arg(address.ip().to_string())
        .arg("--port")
        .arg(address.port().to_string())
        .arg("--dir")
        .arg(data);
    Ok(Launch::new(command, format!("tcp://{address}"), format!("redis://{address}")))
}

pub(super) fn exporter(start: &Start<'_>) -> Launch {
    let address = start.address(Port::RedisExporter);
    let mut command = start.command();
    command
        .arg(format!("-redis.addr=redis://{}", start.address(Port::Redis)))
        .arg(format!("-web.listen-address={address}"));
    Launch::new(command, format!("{}/health", url(address)), format!("{}/metrics", url(address)))
}
