//! Prometheus, with the scrape jobs and rules of the started systems.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::options::Pace;
use crate::paths::{self, cannot};
use crate::process::argument;
use crate::run_config::{self, RunConfig};
use crate::system::System;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The scrape job of the service, which always exists.
const SERVICE: &str = "ironcore";

/// Exemplars, which lead from a slow bucket to its trace; and times of birth, with which a series that is born with its
/// value counts from zero.
const FEATURES: &str = "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion";

/// The folder of rules with the objectives of the services.
const OBJECTIVES: &str = "objectives";

/// Prometheus expands no variables, so it reads a run copy, with the scrape jobs and rules of the started systems.
pub(super) fn launch(start: &Start<'_>) -> Result<Launch> {
    let config = write_config(start)?;
    let address = start.address(Port::Prometheus);
    let mut command = start.command();
    command
        .arg(argument("--config.file=", &config))
        .arg(argument("--storage.tsdb.path=", &start.folder.join("prometheus/data")))
        .arg(format!("--web.listen-address={address}"))
        // For the links in alerts.
        .arg(format!("--web.external-url={}", url(address)))
        .args([FEATURES, "--log.level=warn"]);
    if start.options.pace == Pace::Quick {
        // By default it reloads its targets every 5 s, also at its start, which is slow when it scrapes every second.
        command.arg("--scrape.discovery-reload-interval=1s");
        // By default it sends a firing alert again every minute, which is longer than the group interval of a quick
        // route.
        command.arg("--rules.alert.resend-delay=2s");
    }
    Ok(Launch::new(command, format!("{}/-/ready", url(address)), url(address)))
}

fn write_config(start: &Start<'_>) -> Result<PathBuf> {
    let shipped = paths::config_dir().join("prometheus");
    let copies = start.folder.join("prometheus");
    let run = RunConfig::new(start.addresses, start.options.pace);
    let file = shipped.join("prometheus.yml");
    let mut text = run.adapt(&fs::read_to_string(&file).with_context(cannot("read", &file))?);
    if !start.has(System::Alertmanager) {
        // An Alertmanager on the usual port is not part of this stack.
        text = run_config::remove_key(&text, "alerting");
    }
    let config = run_config::write(&copies.join("prometheus.yml"), &text)?;
    let jobs = start.options.systems.iter().flat_map(|system| system.jobs());
    for job in jobs.chain(&[SERVICE]) {
        let scrape = format!("{job}.yml");
        // The job of one of the two stores of log lines is among the optional ones.
        let folders = ["scrape", "scrape/optional"].map(|folder| shipped.join(folder).join(&scrape));
        let [usual, optional] = folders;
        let file = if usual.is_file() { usual } else { optional };
        run.copy(&file, &copies.join("scrape").join(&scrape))?;
        copy_rules(&run, &shipped, &copies, job)?;
    }
    copy_rules(&run, &shipped, &copies, OBJECTIVES)?;
    // Further targets, which may also be added while it runs: it does not watch a folder that is created later.
    for folder in ["scrape/services", "scrape/targets"] {
        let (own, copy) = (shipped.join(folder), copies.join(folder));
        fs::create_dir_all(&copy).with_context(cannot("create the folder", &copy))?;
        if own.is_dir() {
            run.copy_folder(&own, &copy)?;
        }
    }
    Ok(config)
}

/// The rules of a job, if it has any.
fn copy_rules(run: &RunConfig, shipped: &Path, copies: &Path, job: &str) -> Result<()> {
    let folder = Path::new("rules").join(job);
    let rules = shipped.join(&folder);
    if rules.is_dir() { run.copy_folder(&rules, &copies.join(folder)) } else { Ok(()) }
}
