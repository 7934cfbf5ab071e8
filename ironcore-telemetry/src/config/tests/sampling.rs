//! Samplers of the environment and of code.

use super::{ALL_FEATURES, by_env, resolve, resolve_for};
use crate::config::sampling::RemoteSampling;
use crate::config::{Config, Sampler, Sampling};
use std::time::Duration;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

fn remote(argument: &str) -> RemoteSampling {
    let settings = by_env(&[(SAMPLER, "jaeger_remote"), (ARGUMENT, argument)]);
    assert!(settings.notices.ignored.is_empty(), "{:?}", settings.notices);
    settings.remote_sampling.unwrap()
}

#[test]
fn remote_sampling_is_asked_for_at_jaegers_port_by_default() {
    for (name, follows_parent) in [("jaeger_remote", false), ("ParentBased_Jaeger_Remote", true)] {
        let settings = by_env(&[(SAMPLER, name)]);
        assert_eq!(settings.sampler, Sampler { root: Sampling::Ratio(0.001), follows_parent });
        let remote = settings.remote_sampling.unwrap();
        assert_eq!((remote.endpoint.as_str(), remote.interval.as_secs()), ("http://localhost:5778/sampling", 60));
    }
    assert_eq!(by_env(&[]).remote_sampling, None);
}

#[test]
fn the_argument_of_remote_sampling_has_the_form_of_the_specification() {
    let all = remote("endpoint=http://jaeger:5778/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25");
    let endpoint = "http://jaeger:5778/sampling".to_owned();
    assert_eq!(all, RemoteSampling { endpoint, interval: Duration::from_secs(5), initial_ratio: 0.25 });
    assert_eq!(remote("endpoint=http://jaeger:5778").endpoint, "http://jaeger:5778/sampling");
    assert_eq!(remote(" endpoint = HTTP://[::1]:5778/ , ").endpoint, "http://[::1]:5778/sampling");
    assert_eq!(remote("endpoint=http://jaeger/api/sampling").endpoint, "http://jaeger/api/sampling");
    assert_eq!(remote("initialSamplingRate=0").initial_ratio.to_bits(), 0);
    let settings = by_env(&[(SAMPLER, "jaeger_remote"), (ARGUMENT, "pollingIntervalMs=5000")]);
    let shown = "sampler=jaeger_remote(OTEL_TRACES_SAMPLER) sampler_remote=endpoint=http://localhost:5778/sampling,\
                 pollingIntervalMs=5000,initialSamplingRate=0.001(OTEL_TRACES_SAMPLER_ARG)";
    assert!(settings.report.contains(shown), "{}", settings.report);
}

#[test]
fn an_argument_of_remote_sampling_that_cannot_be_used_is_ignored_as_a_whole() {
    for (argument, allowed) in [
        ("0.25", "endpoint=http://host:5778/sampling"),
        ("endpoint=http://jaeger:5778,interval=5", "pollingIntervalMs=60000"),
        ("endpoint=jaeger:14250", "endpoint: use http://host:port"),
        ("endpoint=http://u:p@jaeger:5778", "endpoint: put no user name"),
        ("endpoint=http://jaeger:5778,pollingIntervalMs=0", "pollingIntervalMs: use a whole number from 100"),
        ("endpoint=http://jaeger:5778,initialSamplingRate=2", "initialSamplingRate: use a number from 0.0 to 1.0"),
        ("endpoint=http://jaeger:5778,initialSamplingRate=NaN", "initialSamplingRate: use a number from 0.0 to 1.0"),
    ] {
        let env = [(SAMPLER, "jaeger_remote"), (ARGUMENT, argument)];
        let settings = by_env(&env);
        let [ignored] = settings.notices.ignored.as_slice() else { panic!("{argument}: {:?}", settings.notices) };
        assert_eq!(ignored.name, ARGUMENT);
        assert!(ignored.allowed.contains(allowed), "{ignored:?} should list {allowed}");
        assert!(ignored.used.starts_with("endpoint=http://localhost:5778/sampling,"), "{ignored:?}");
        assert!(!ignored.value.contains("u:p@"), "{ignored:?}");
        assert!(resolve(&Config::default().strict(), &env).unwrap_err().to_string().starts_with(ARGUMENT));
    }
}

#[test]
fn remote_sampling_needs_its_feature_and_gives_way_to_the_default_without_it() {
    let features: Vec<_> = ALL_FEATURES.iter().copied().filter(|feature| *feature != "jaeger-sampling").collect();
    let env = [(SAMPLER, "parentbased_jaeger_remote"), (ARGUMENT, "endpoint=http://jaeger:5778")];
    let settings = resolve_for(&features, &Config::default(), &env).unwrap();
    assert_eq!(settings.sampler, Sampler { root: Sampling::Always, follows_parent: true });
    assert_eq!(settings.remote_sampling, None);
    let [ignored] = settings.notices.ignored.as_slice() else { panic!("{:?}", settings.notices) };
    assert_eq!((ignored.name, ignored.used.as_str()), (SAMPLER, "parentbased_always_on"));
    assert!(ignored.allowed.contains("`jaeger-sampling`"), "{ignored:?}");
    assert_eq!(settings.notices.not_acted_on, [ARGUMENT]);
    assert!(settings.report.contains("sampler=parentbased_always_on(default)"), "{}", settings.report);
    let error = resolve_for(&features, &Config::default().strict(), &env).unwrap_err().to_string();
    let start = r#"OTEL_TRACES_SAMPLER="parentbased_jaeger_remote" needs the cargo feature `jaeger-sampling`"#;
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn code_wins_over_a_sampler_that_is_told_by_an_endpoint() {
    let settings =
        resolve(&Config::default().sampling(Sampling::PerSecond(5.0)), &[(SAMPLER, "jaeger_remote")]).unwrap();
    assert_eq!(settings.sampler, Sampler { root: Sampling::PerSecond(5.0), follows_parent: true });
    assert_eq!(settings.remote_sampling, None);
}

#[test]
fn rules_for_places_stand_beside_any_sampler() {
    let config = Config::default().sampling_for("swap", Sampling::Always).sampling_for("GET /health", Sampling::Never);
    for env in [&[][..], &[(SAMPLER, "always_off")], &[(SAMPLER, "jaeger_remote")]] {
        let settings = resolve(&config, env).unwrap();
        let rules = [("swap".to_owned(), Sampling::Always), ("GET /health".to_owned(), Sampling::Never)];
        assert_eq!(settings.sampling_for, rules);
        let shown = "sampling_for[swap]=Always(code) sampling_for[GET /health]=Never(code)";
        assert!(settings.report.contains(shown), "{}", settings.report);
    }
}

#[test]
fn a_number_in_code_that_cannot_be_used_is_an_error_that_names_the_method() {
    for (config, start) in [
        (Config::default().sampling(Sampling::PerSecond(-1.0)), r#"Config::sampling="-1" is not usable: use a number"#),
        (Config::default().sampling(Sampling::PerSecond(1e7)), r#"Config::sampling="10000000" is not usable: use"#),
        (Config::default().sampling(Sampling::PerSecond(f64::NAN)), r#"Config::sampling="NaN" is not usable: use"#),
        (
            Config::default().sampling_for("swap", Sampling::Ratio(1.5)),
            r#"Config::sampling_for="1.5" is not usable: use a number from 0.0 to 1.0"#,
        ),
        (
            Config::default().sampling_for("", Sampling::Always),
            r#"Config::sampling_for="" is not usable: name a domain"#,
        ),
    ] {
        let error = resolve(&config, &[]).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error} should start with {start}");
    }
}
