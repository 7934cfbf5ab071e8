//! The shipped files, checked by the programs that read them, and the conventions for alerts, runbooks and dashboards.

mod support;

use serde_json::json;
use stack::native::Program;
use stack::packaged::Packaged;
use stack::{System, paths};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::{fs, thread};
use support::expressions::Expression;

fn config() -> PathBuf {
    paths::config_dir()
}

/// All files of a folder of the configuration and its subfolders with this ending; there must be one.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let found = support::expressions::files(&config().join(folder), ending);
    assert!(!found.is_empty(), "no {ending} in {folder}");
    found
}

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn program(program: Program) -> Command {
    Command::new(program.path().unwrap())
}

fn flag(flag: &str, path: &Path) -> OsString {
    stack::process::argument(flag, path)
}

#[test]
fn promtool_accepts_the_configuration_and_rules_with_all_lints() {
    let lint = ["--lint=all", "--lint-fatal"];
    succeeds(
        program(Program::Promtool).args(["check", "config"]).args(lint).arg(config().join("prometheus/prometheus.yml")),
    );
    succeeds(program(Program::Promtool).args(["check", "rules"]).args(lint).args(files("prometheus/rules", ".yml")));
}

#[test]
fn every_rule_file_is_loaded() {
    let text = fs::read_to_string(config().join("prometheus/prometheus.yml")).unwrap();
    for file in files("prometheus/rules", ".yml") {
        let folder = file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        assert!(text.contains(&format!("- rules/{folder}/*.yml")), "{file:?}");
    }
}

#[test]
fn the_collector_keeps_every_attribute_of_the_library() {
    let names = paths::workspace().join("ironcore-telemetry/src/names.rs");
    let names = fs::read_to_string(names).unwrap();
    let (_, attributes) = names.split_once("mod attribute {").unwrap();
    let (attributes, _) = attributes.split_once("\n}").unwrap();
    let attributes: Vec<&str> = attributes.split('"').skip(1).step_by(2).collect();
    assert!(attributes.len() > 10, "{attributes:?}");
    for file in ["collector/base.yaml", "collector/agent.yaml"] {
        let allowed = fs::read_to_string(config().join(file)).unwrap();
        for attribute in &attributes {
            let line = format!("      - {attribute}\n");
            assert!(allowed.contains(&line), "{file} drops {attribute}");
        }
    }
}

#[test]
fn every_job_belongs_to_a_system_or_to_the_service() {
    let jobs = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(config().join(folder)).unwrap();
        let stems = entries.map(|entry| entry.unwrap().path());
        stems
            .filter(|path| path.extension().is_some_and(|ending| ending == "yml") || path.join(".").is_dir())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let mut known: BTreeSet<String> = System::ALL
        .iter()
        .chain([&System::Loki])
        .flat_map(|system| system.jobs())
        .map(|job| (*job).to_owned())
        .collect();
    known.insert("ironcore".into());
    known.extend(["optional", "services", "targets"].map(str::to_owned));
    let unknown: Vec<_> = jobs("prometheus/scrape").difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "`cargo stack` never starts {unknown:?}: add them to System::jobs");
    known.extend(["cockroachdb", "objectives"].map(str::to_owned));
    let unknown: Vec<_> = jobs("prometheus/rules").difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn prometheus_accepts_the_optional_jobs() {
    let folder = paths::run_dir("test_optional_jobs");
    let _ = fs::remove_dir_all(&folder);
    for file in files("prometheus", ".yml") {
        let copied = file.strip_prefix(config()).unwrap().to_string_lossy().into_owned();
        let copied =
            copied.replace("scrape/optional/targets", "scrape/targets/targets").replace("scrape/optional", "scrape");
        let copy = folder.join(copied);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, &copy).unwrap();
    }
    succeeds(program(Program::Promtool).args(["check", "config"]).arg(folder.join("prometheus/prometheus.yml")));
    assert!(folder.join("prometheus/scrape/cockroachdb.yml").is_file());
}

#[test]
fn the_unit_tests_of_the_rules_pass() {
    // One process for each file and as many at once as there are cores: a test over days takes half a minute.
    let next = Mutex::new(files("prometheus/tests", ".yml"));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    // From the end: the recording rules of the objectives take longest.
                    let Some(file) = next.lock().unwrap().pop() else {
                        return;
                    };
                    once_for_the_same_rules(&file, || {
                        succeeds(program(Program::Promtool).args(["test", "rules"]).arg(&file));
                    });
                }
            });
        }
    });
}

/// Skips a test of rules that has passed with the same rules, the same test and the same promtool: its result is a
/// function of these files, and all of them together take minutes.
fn once_for_the_same_rules(test: &Path, run: impl FnOnce()) {
    let mut hasher = DefaultHasher::new();
    Program::Promtool.path().unwrap().hash(&mut hasher);
    for file in files("prometheus/rules", ".yml").iter().map(PathBuf::as_path).chain([test]) {
        file.strip_prefix(config()).unwrap().hash(&mut hasher);
        fs::read(file).unwrap().hash(&mut hasher);
    }
    let passed = paths::target_dir().join(format!("stack/promtool/{:016x}", hasher.finish()));
    if !passed.exists() {
        run();
        fs::create_dir_all(passed.parent().unwrap()).unwrap();
        fs::write(passed, "").unwrap();
    }
}

#[test]
fn jaeger_accepts_its_configurations() {
    for file in files("jaeger", ".yaml") {
        succeeds(program(Program::Jaeger).arg("validate").arg(flag("--config=", &file)));
    }
}

/// The layers that are run together, in this order.
const LAYERS: [&[&str]; 7] = [
    &["base"],
    &["base", "backends"],
    &["base", "backends", "logs"],
    &["base", "backends", "production"],
    &["base", "backends", "logs", "production"],
    &["agent"],
    &["agent", "agent-production"],
];

#[test]
fn the_collector_accepts_every_combination_of_layers() {
    let folder = paths::run_dir("test_configuration");
    fs::create_dir_all(&folder).unwrap();
    for layers in LAYERS {
        let mut command = program(Program::Collector);
        command.arg("validate").env("COLLECTOR_STORAGE", &folder);
        for layer in layers {
            command.arg(flag("--config=", &config().join("collector").join(format!("{layer}.yaml"))));
        }
        succeeds(&mut command);
    }
    let layered: BTreeSet<&str> = LAYERS.iter().flat_map(|layers| layers.iter().copied()).collect();
    for file in files("collector", ".yaml") {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(name == "builder" || layered.contains(name.as_str()), "{name} is in none of LAYERS");
    }
}

/// The text of each entry of a top-level key.
fn entries(text: &str, key: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        if !line.starts_with(' ') && !line.is_empty() {
            inside = line == format!("{key}:");
        } else if inside && !line.is_empty() {
            if !line.starts_with("   ") {
                let key = line.trim().split(": ").next().unwrap();
                name = String::from(key.trim_end_matches(':'));
            }
            let entry = found.entry(name.clone()).or_default();
            entry.push_str(line);
            entry.push('\n');
        }
    }
    found
}

#[test]
fn an_agent_masks_like_the_gateways() {
    let processors = |layer: &str| {
        let file = config().join(format!("collector/{layer}.yaml"));
        entries(&fs::read_to_string(file).unwrap(), "processors")
    };
    let (base, mut agent) = (processors("base"), processors("agent"));
    // Its memory limit differs.
    assert!(agent.remove("memory_limiter").is_some());
    assert!(agent.len() >= 5, "{:?}", agent.keys());
    for (name, text) in agent {
        assert_eq!(Some(&text), base.get(&name), "{name}");
    }
}

#[test]
fn loki_accepts_its_configuration() {
    let Ok(loki) = Packaged::Loki.path() else {
        return eprintln!("skipped: no `loki` on the PATH");
    };
    succeeds(
        Command::new(loki)
            .arg("-verify-config")
            .arg("-config.expand-env=true")
            .arg(flag("-config.file=", &config().join("loki/config.yaml"))),
    );
}

#[test]
fn vmalert_accepts_its_rules() {
    // It also reads the LogsQL of each; whether VictoriaLogs answers it is tested in tests/log_lines.rs.
    succeeds(
        program(Program::Vmalert)
            .args(["-dryRun", "-rule.defaultRuleType=vlogs"])
            .arg(flag("-rule=", &config().join("victorialogs/rules/*.yml"))),
    );
}

#[test]
fn every_variable_of_victorialogs_and_vmalert_is_a_flag() {
    for (name, server) in [("victorialogs", Program::VictoriaLogs), ("vmalert", Program::Vmalert)] {
        let help = program(server).arg("-help").output().unwrap();
        let help = [help.stdout, help.stderr].concat();
        let help = String::from_utf8_lossy(&help);
        let file = fs::read_to_string(config().join(format!("victorialogs/{name}.env"))).unwrap();
        let variables: Vec<&str> = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        assert!(variables.len() >= 5, "{variables:?}");
        for line in variables {
            let (variable, _) = line.split_once('=').unwrap();
            let flag = variable.strip_prefix(&format!("{}_", name.to_uppercase())).unwrap().replace('_', ".");
            // An unknown variable is ignored.
            let known = help.lines().any(|line| line.trim().split(' ').next() == Some(&format!("-{flag}")));
            assert!(known, "{name} has no flag -{flag}");
        }
    }
}

/// The parser of Grafana reads every `LogQL` expression: rules, queries, dashboards and the blocks in the texts.
#[test]
fn every_logql_expression_parses() {
    let installed =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if let Some(missing) = ["node", "npm"].into_iter().find(|program| !installed(program)) {
        return eprintln!("skipped: no `{missing}` on the PATH, which runs the parser of LogQL");
    }
    let mut expressions = support::expressions::rules("loki/rules/fake");
    expressions.extend(support::expressions::blocks("logql"));
    expressions.extend(support::expressions::dashboards("loki"));
    for query in support::expressions::queries() {
        let named = |text| Expression { place: format!("logs/queries.yaml: {}", query.name), text };
        expressions.extend(query.usual.map(named));
        expressions.push(named(query.logql));
    }
    assert!(expressions.len() > 30, "{}", expressions.len());

    let folder = paths::run_dir("logql");
    fs::create_dir_all(&folder).unwrap();
    for file in ["package.json", "package-lock.json", "check.mjs"] {
        fs::copy(config().join("runner/tests/logql").join(file), folder.join(file)).unwrap();
    }
    succeeds(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"])
            .current_dir(&folder),
    );
    let parse = |expressions: &[Expression]| {
        let line = |Expression { place, text }: &Expression| json!({"place": place, "text": text}).to_string();
        let lines: Vec<String> = expressions.iter().map(line).collect();
        let input = folder.join("expressions.jsonl");
        fs::write(&input, lines.join("\n")).unwrap();
        let input = fs::File::open(&input).unwrap();
        Command::new("node").arg("check.mjs").current_dir(&folder).stdin(input).output().unwrap()
    };
    let output = parse(&expressions);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It does report a fault, with its position.
    let output = parse(&[Expression { place: "here".into(), text: "{a=\"b\"} |= ".into() }]);
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && report.contains("here: line 1, column 12"), "{report}");
}

#[test]
fn the_blackbox_exporter_accepts_its_configuration() {
    succeeds(
        Command::new(Packaged::Blackbox.path().unwrap())
            .arg("--config.check")
            .arg(flag("--config.file=", &config().join("blackbox/blackbox.yml"))),
    );
}

#[test]
fn alertmanager_accepts_its_configuration() {
    succeeds(program(Program::Amtool).arg("check-config").arg(config().join("alertmanager/alertmanager.yml")));
}

#[test]
fn every_severity_of_every_alert_has_a_route() {
    let names = alerts();
    let route = |severity: Option<&str>, name: &str| {
        let mut command = program(Program::Amtool);
        command
            .args(["config", "routes", "test"])
            .arg(flag("--config.file=", &config().join("alertmanager/alertmanager.yml")))
            .args([
                format!("alertname={name}"),
                "service=ironcore".to_owned(),
                "environment=production".to_owned(),
                "team=wallet".to_owned(),
            ]);
        if let Some(severity) = severity {
            command.arg(format!("severity={severity}"));
        }
        let output = succeeds(&mut command);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for name in names.keys().filter(|name| *name != "Watchdog") {
        for (severity, receiver) in [("P0", "p0"), ("P1", "p1"), ("P2", "p2"), ("P3", "p3")] {
            assert_eq!(route(Some(severity), name), receiver, "{name} as {severity}");
        }
        assert_eq!(route(None, name), "no-severity", "{name}");
    }
    for unknown in ["p0", "critical"] {
        assert_eq!(route(Some(unknown), "ServiceDown"), "no-severity", "{unknown:?}");
    }
    for severity in [None, Some("none"), Some("P0")] {
        assert_eq!(route(severity, "Watchdog"), "heartbeat", "{severity:?}");
    }
}

#[test]
fn yamllint_accepts_all_files() {
    succeeds(
        Command::new("yamllint").args(["--strict", "--config-file"]).arg(config().join(".yamllint")).arg(config()),
    );
}

/// The alerts of all rule files of Prometheus, Loki and vmalert, with the text of each rule.
fn alerts() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut all = files("prometheus/rules", ".yml");
    all.extend(files("loki/rules", ".yml"));
    all.extend(files("victorialogs/rules", ".yml"));
    for file in all {
        let text = fs::read_to_string(&file).unwrap();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("- alert: ") {
            let rule = &rest[at + "- alert: ".len()..];
            let end = ["\n      - alert: ", "\n      - record: ", "\n  - name: "]
                .iter()
                .filter_map(|next| rule.find(next))
                .min()
                .unwrap_or(rule.len());
            let name = rule.lines().next().unwrap().trim().to_owned();
            found.entry(name).or_default().push(rule[..end].to_owned());
            rest = rule;
        }
    }
    assert!(found.len() > 30, "{:?}", found.keys());
    found
}

#[test]
fn every_alert_has_a_severity_an_owner_and_a_text_and_names_no_service() {
    for (name, rules) in alerts() {
        for rule in rules {
            let has = |part: &str| assert!(rule.contains(part), "{name} lacks {part}:\n{rule}");
            if name == "Watchdog" {
                has("severity: none");
            } else {
                let known = ["P0", "P1", "P2", "P3"];
                assert!(known.iter().any(|level| rule.contains(&format!("severity: {level}"))), "{name}: severity");
            }
            for part in ["team: ", "summary: ", "description: "] {
                has(part);
            }
            // The service comes from the series; the addresses of runbooks are in alertmanager/templates/common.tmpl.
            assert!(!rule.contains("service: ironcore"), "{name} names a service:\n{rule}");
            for part in ["runbooks/", "runbook_url"] {
                assert!(!rule.contains(part), "{name} contains {part}:\n{rule}");
            }
        }
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = alerts();
    for name in alerts.keys() {
        let file = config().join(format!("runbooks/{name}.md"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        for heading in ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"] {
            assert!(text.contains(&format!("\n{heading}\n")), "{name}: {heading}");
        }
    }
    for file in files("runbooks", ".md") {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(name == "README" || alerts.contains_key(&name), "{name} is not an alert");
    }
}

/// Each target of a static list or of a target file.
#[test]
fn every_target_names_its_service_environment_cluster_and_host() {
    let mut targets = 0;
    for file in files("prometheus/scrape", ".yml") {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| line.contains("- targets: ")) {
            let labels = lines.get(at + 1).copied().unwrap_or_default();
            for label in ["service: ", "environment: ", "cluster: ", "host: "] {
                assert!(labels.contains(label), "{file:?}: no {label:?} in {labels:?}");
            }
            targets += 1;
        }
    }
    assert!(targets > 10, "{targets}");
}

/// One service, or one environment, must not be added to another.
#[test]
fn every_aggregation_of_services_keeps_service_and_environment() {
    let mut found = 0;
    for file in files("prometheus/rules/ironcore", ".yml") {
        let text = fs::read_to_string(&file).unwrap();
        for list in text.split("by (").skip(1) {
            assert!(list.starts_with("service, environment, cluster"), "{file:?}: by ({:?}", list.lines().next());
            found += 1;
        }
        for aggregation in ["sum(", "max(", "min(", "avg(", "count("] {
            assert!(!text.contains(&format!(" {aggregation}")), "{file:?}: {aggregation} without `by`");
        }
    }
    assert!(found > 50, "{found}");
}

/// What happens in one environment must not be sent as, or mute, what happens in another.
#[test]
fn alertmanager_groups_and_inhibits_by_environment_and_cluster() {
    let text = fs::read_to_string(config().join("alertmanager/alertmanager.yml")).unwrap();
    let lists: Vec<&str> = text
        .lines()
        .filter(|line| ["group_by: ", "equal: "].iter().any(|key| line.trim_start().starts_with(key)))
        .collect();
    assert!(lists.len() >= 7, "{lists:?}");
    for list in lists {
        for label in ["\"environment\"", "\"cluster\""] {
            assert!(list.contains(label), "no {label} in {list:?}");
        }
    }
    for matchers in text.lines().filter(|line| line.contains("_matchers: ")) {
        for required in ["environment!=\"\"", "cluster!=\"\""] {
            assert!(matchers.contains(required), "no {required} in {matchers:?}");
        }
    }
}

/// The cases that must be tested for every alert.
const CASES: [&str; 6] = [
    "fires at the breach, after its wait and not before",
    "is silent at half the breach",
    "is silent without traffic",
    "is silent at one error in low traffic",
    "holds over a counter reset",
    "says no data when its series vanish",
];

/// The case of an alert on a target that does not answer.
const HANGS: &str = "fires when its target hangs";

/// The gauges that are 0 when a target, or the system behind it, does not answer.
const UP: [&str; 4] = ["up{", "pg_up{", "redis_up{", "probe_success{"];

/// Whether the alert fires because one of [`UP`] is 0. `== 1` only asks whether a target is there to be judged.
fn is_about_a_target(rule: &str) -> bool {
    let expression = rule.split("\n        for: ").next().unwrap_or_default();
    let is_part_of_a_name = |last: char| last.is_ascii_alphanumeric() || last == '_' || last == ':';
    let reads =
        |gauge: &str| expression.match_indices(gauge).any(|(at, _)| !expression[..at].ends_with(is_part_of_a_name));
    UP.into_iter().any(reads) && expression.contains("== 0")
}

/// Whether it is an alert on log lines. `promtool` cannot evaluate `LogQL` and `LogsQL`, so `tests/log_lines.rs` tests these
/// with the real servers.
fn is_log_alert(name: &str) -> bool {
    ["loki/rules", "victorialogs/rules"]
        .iter()
        .flat_map(|folder| files(folder, ".yml"))
        .any(|file| fs::read_to_string(file).unwrap().contains(&format!("- alert: {name}\n")))
}

#[test]
fn every_prometheus_alert_tests_the_cases() {
    for (name, rules) in alerts().iter().filter(|(name, _)| !is_log_alert(name)) {
        let file = config().join(format!("prometheus/tests/{name}.yml"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        for case in CASES {
            assert!(text.contains(&format!("{name} {case}")), "{name}: no case \"{case}\"");
        }
        if rules.iter().any(|rule| is_about_a_target(rule)) {
            assert!(text.contains(&format!("{name} {HANGS}")), "{name}: no case \"{HANGS}\"");
        }
        // A case without an expected alert proves nothing unless another case expects the alert.
        let lookup = format!("alertname: {name}\n");
        let expected = text.split(&lookup).skip(1).any(|rest| {
            let case = rest.split("eval_time:").next().unwrap_or_default();
            case.contains("exp_labels:")
        });
        assert!(expected, "{name} is never expected to fire");
    }
}

/// The data sources: uid and type in Grafana.
const DATASOURCES: [(&str, &str); 4] =
    [("prometheus", "prometheus"), ("loki", "loki"), ("jaeger", "jaeger"), ("alertmanager", "alertmanager")];

#[test]
fn every_dashboard_is_complete() {
    let mut boards = BTreeSet::new();
    let provisioned: String = files("grafana/provisioning/datasources", ".yaml")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for (uid, kind) in DATASOURCES {
        assert!(provisioned.contains(&format!("uid: {uid}")), "{uid}");
        assert!(provisioned.contains(&format!("type: {kind}")), "{kind}");
    }
    for file in files("grafana/dashboards", ".json") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let board: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = |value: &serde_json::Value, what: &str| {
            let text = value.as_str().unwrap_or_default().trim().to_owned();
            assert!(!text.is_empty(), "{name}: no {what} in {value}");
            text
        };
        assert!(boards.insert(text(&board["uid"], "uid")), "{name}: duplicate uid");
        assert!(boards.insert(text(&board["title"], "title")), "{name}: duplicate title");
        let variables: Vec<_> = board["templating"]["list"].as_array().into_iter().flatten().collect();
        let first: Vec<_> = variables.iter().take(2).filter_map(|variable| variable["name"].as_str()).collect();
        assert_eq!(first, ["environment", "service"], "{name}");
        let mut ids = BTreeSet::new();
        let mut panels: Vec<&serde_json::Value> = Vec::new();
        for panel in board["panels"].as_array().unwrap() {
            panels.push(panel);
            panels.extend(panel["panels"].as_array().into_iter().flatten());
        }
        for panel in panels {
            let title = text(&panel["title"], "title of a panel");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}: duplicate id");
            if panel["type"] == "row" {
                continue;
            }
            text(&panel["description"], &format!("description of {title}"));
            let known = |uid: &serde_json::Value| DATASOURCES.iter().any(|(known, _)| uid == known);
            if panel["type"] != "text" {
                assert!(known(&panel["datasource"]["uid"]), "{name}: {title}: data source");
            }
            for target in panel["targets"].as_array().into_iter().flatten() {
                assert!(known(&target["datasource"]["uid"]), "{name}: {title}: data source of a query");
                if let Some(query) = target["expr"].as_str() {
                    assert!(query.contains("$environment"), "{name}: {title}: all environments together: {query}");
                }
            }
            if matches!(panel["type"].as_str(), Some("timeseries" | "stat" | "gauge" | "bargauge" | "heatmap")) {
                text(&panel["fieldConfig"]["defaults"]["unit"], &format!("unit of {title}"));
            }
        }
    }
    assert!(boards.contains("IronCore Backend Monitoring"), "{boards:?}");
}

/// Dashboards show the service that is selected. `service_name` of logs and traces is another label.
#[test]
fn no_dashboard_names_a_service() {
    for file in files("grafana/dashboards", ".json") {
        let text = fs::read_to_string(&file).unwrap();
        for literal in [r#"service=\"ironcore\""#, r#"service=~\"ironcore\""#] {
            assert!(!text.contains(literal), "{file:?}: {literal}");
        }
    }
}
