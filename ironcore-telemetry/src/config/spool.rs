//! Where what waits for export is kept on disk.

use super::Config;
use super::resolver::{Given, Resolver};
use super::table;
use crate::error::InitError;
use std::path::PathBuf;

/// Where what waits for export is kept on disk.
#[derive(Debug)]
#[cfg_attr(not(all(unix, feature = "spool")), expect(dead_code, reason = "there is no spool"))]
pub(crate) struct Spool {
    pub(crate) folder: PathBuf,
    /// The most bytes of one signal.
    pub(crate) bytes: u64,
}

/// The spool. One that the environment asks for, and that is not compiled in, is left out.
pub(super) fn spool(config: &Config, resolver: &mut Resolver<'_>) -> Result<Option<Spool>, InitError> {
    let setting = &table::SPOOL_DIR;
    #[cfg(all(unix, feature = "spool"))]
    let in_code = config.spool.as_ref();
    #[cfg(not(all(unix, feature = "spool")))]
    let (in_code, _) = (None::<&PathBuf>, config);
    let in_code = in_code.map(|path| {
        let check = path.is_absolute().then_some(()).ok_or_else(|| table::SPOOL_DIR_ALLOWED.to_owned());
        Given::Value("Config::spool", Some(path.clone()), check)
    });
    let (folder, origin) = resolver.read_unnoted(setting, in_code)?;
    let Some(folder) = folder else {
        return Ok(None);
    };
    if !resolver.has("spool") {
        let value = folder.display().to_string();
        let Some(variable) = resolver.forgiven(setting, origin) else {
            return Err(Resolver::missing("spool", &value, origin, "leave it unset".to_owned()));
        };
        let allowed = "it needs the cargo feature `spool` of ironcore-telemetry, on Unix";
        resolver.forgive(setting, (variable, &value, origin), allowed, "none");
        return Ok(None);
    }
    resolver.note_value(setting, &Some(folder.clone()), origin);
    Ok(Some(Spool { folder, bytes: resolver.read(&table::SPOOL_BYTES)? }))
}
