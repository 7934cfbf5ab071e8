//! The layers and subscribers that a service has already: Sentry, tokio-console, tracing-error, formats of its own.

use ironcore_telemetry as telemetry;
use sentry_core::test::TestTransport;
use sentry_core::{ClientOptions, Hub};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use support::{Receiver, Report, in_child, shutdown};
use telemetry::Config;
use tracing_error::{ErrorLayer, SpanTrace};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

#[telemetry::instrument_business]
fn create_wallet() -> SpanTrace {
    tracing::info_span!("sign", key = 7).in_scope(|| {
        tracing::error!("the signer is locked");
        SpanTrace::capture()
    })
}

/// What every test asks of ours beside the other's layer.
fn assert_ours_is_unharmed(report: &Report, receiver: &Receiver) {
    assert_eq!(report.lost(), None);
    let spans = receiver.spans();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (operation, sign) = (span("wallet.create"), span("sign"));
    assert_eq!(sign.parent_span_id.as_ref(), Some(&operation.span_id));
    let line = report.log().into_iter().find(|line| line["message"] == "the signer is locked").unwrap();
    assert_eq!((&line["span_id"], &line["key"]), (&json!(sign.span_id), &json!(7)));
    assert_eq!(spans.len(), 2);
}

/// Keeps what a format writes.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Kept {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        fmt::layer().with_ansi(false).with_writer(self.clone()).with_filter(LevelFilter::WARN)
    }
}

#[test]
fn sentry_gets_the_errors_and_the_trace_stays_whole() {
    let child = in_child!(|| {
        let transport = TestTransport::new();
        let options = ClientOptions::new().dsn("https://public@sentry.invalid/1").transport(transport.clone());
        Hub::current().bind_client(Some(Arc::new(options.into())));
        let guard = telemetry::init_with(Config::new("tests").layer(sentry_tracing::layer())).unwrap();
        create_wallet();
        let messages: Vec<_> = transport.fetch_and_clear_events().into_iter().map(|event| event.message).collect();
        json!({ "lost": shutdown(&guard), "messages": messages })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert_eq!(report.result["messages"], json!(["the signer is locked"]));
    assert_ours_is_unharmed(&report, &receiver);
}

#[test]
fn a_span_trace_of_tracing_error_names_the_operation() {
    let child = in_child!(|| {
        #[telemetry::instrument_business]
        fn rename_wallet() -> SpanTrace {
            SpanTrace::capture()
        }
        let guard = telemetry::init_with(Config::new("tests").layer(ErrorLayer::default())).unwrap();
        let (inner, directly) = (create_wallet().to_string(), rename_wallet().to_string());
        json!({ "lost": shutdown(&guard), "inner": inner, "directly": directly })
    });
    let report = child.env("OTEL_TRACES_SAMPLER", "always_off").run();
    let inner = report.result["inner"].as_str().unwrap();
    assert!(inner.contains("sign") && inner.contains("key=7"), "{inner}");
    assert!(report.result["directly"].as_str().unwrap().contains("wallet.rename"), "{}", report.result);
}

/// tokio-console runs only where tokio is built with `--cfg tokio_unstable`; here it must compile.
#[expect(dead_code, reason = "compiled, not run")]
fn tokio_console_can_be_added() -> Config {
    Config::new("tests").layer(console_subscriber::ConsoleLayer::builder().spawn())
}

#[test]
fn formats_of_the_service_get_its_events_by_their_own_filters() {
    let child = in_child!(|| {
        let (first, second) = (Kept::default(), Kept::default());
        let config = Config::new("tests").layer(first.layer()).layer(second.layer());
        let guard = telemetry::init_with(config).unwrap();
        create_wallet();
        tracing::info!("below their filters");
        json!({ "lost": shutdown(&guard), "first": first.text(), "second": second.text() })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    for format in ["first", "second"] {
        let text = report.result[format].as_str().unwrap();
        assert!(text.contains("the signer is locked") && !text.contains("below"), "{format}: {text}");
    }
    assert_ours_is_unharmed(&report, &receiver);
}

#[test]
fn a_subscriber_of_the_service_gets_ours_on_top() {
    let child = in_child!(|| {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry()
            .with(ErrorLayer::default())
            .with(fmt::layer().with_ansi(false).with_writer(kept.clone()).with_filter(LevelFilter::ERROR));
        let guard = telemetry::init_on(subscriber, Config::new("tests")).unwrap();
        create_wallet();
        json!({ "lost": shutdown(&guard), "text": kept.text() })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert!(report.result["text"].as_str().unwrap().contains("the signer is locked"));
    assert_ours_is_unharmed(&report, &receiver);
}

#[test]
fn the_service_s_own_layers_work_where_telemetry_is_off() {
    let child = in_child!(|| {
        let kept = Kept::default();
        let guard = telemetry::init_with(Config::new("tests").layer(kept.layer())).unwrap();
        create_wallet();
        json!({ "lost": shutdown(&guard), "text": kept.text() })
    });
    let report = child.env("OTEL_SDK_DISABLED", "true").run();
    assert!(report.result["text"].as_str().unwrap().contains("the signer is locked"));
    assert!(report.lines.is_empty());
}

#[test]
fn a_layer_is_told_of_its_dispatcher() {
    struct Asks(Arc<Mutex<bool>>);

    impl<S: tracing::Subscriber> Layer<S> for Asks {
        fn on_register_dispatch(&self, _: &tracing::Dispatch) {
            *self.0.lock().unwrap() = true;
        }
    }

    let child = in_child!(|| {
        let told = Arc::new(Mutex::new(false));
        let config = Config::new("tests").layer(Asks(Arc::clone(&told))).layer(ErrorLayer::default());
        let guard = telemetry::init_with(config).unwrap();
        let told = *told.lock().unwrap();
        support::shutdown_at_once(&guard);
        json!({ "told": told })
    });
    assert_eq!(child.run().result["told"], json!(true));
}

#[test]
fn a_subscriber_that_is_already_set_is_an_error_that_says_what_to_do() {
    let child = in_child!(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        Value::String(telemetry::init().unwrap_err().to_string())
    });
    let message = child.run().result;
    let message = message.as_str().unwrap();
    assert!(message.contains("Config::layer") && message.contains("telemetry::init_on"), "{message}");
}
