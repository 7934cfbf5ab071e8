//! An imported mnemonic appears nowhere: not in an answer, a log line, a span or the database.

use crate::service::{Service, service};
use serde_json::{Value, json};
use std::fmt::{Debug, Write};
use std::sync::{Mutex, OnceLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use wallet_service::{Settings, Store};

/// A word that no other text of the tests holds.
const WORD: &str = "quokka";

#[tokio::test]
async fn an_imported_mnemonic_appears_nowhere() {
    record_everything();
    let service = service().await;
    for (body, status) in bodies() {
        for (path, body) in
            [("/api/v1/wallets", body.clone()), ("/api/v1/wallets/batch", format!(r#"{{"wallets":[{body}]}}"#))]
        {
            let (got, answer) = service.ask("POST", path, body.into()).await;
            // The second import of the good phrase finds the wallet of the first.
            assert!(got == status || got == 409, "{got} {answer}");
            assert_absent(&answer.to_string());
        }
    }
    let (_, page) = service.get("/api/v1/wallets").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_absent(&page.to_string());
    strange_places(&service).await;
    database_passwords().await;
    let seen = SEEN.get().unwrap().lock().unwrap();
    assert!(seen.contains("db.insert_wallets"), "spans were recorded");
    assert!(seen.contains("INSERT INTO"), "events of sqlx were recorded");
    assert_absent(&seen);
}

/// Bodies of imports, from good to malformed, with the status of the answer.
fn bodies() -> Vec<(String, u16)> {
    let body = |mnemonic: Value| json!({ "chain": "bitcoin", "asset": "BTC", "mnemonic": mnemonic }).to_string();
    let phrase = [WORD; 12].join(" ");
    vec![
        (body(json!(phrase)), 201),
        (body(json!([WORD; 11].join(" "))), 422),
        (body(json!(phrase.to_uppercase())), 422),
        (body(json!([phrase])), 400),
        (body(json!({ &phrase: 1 })), 400),
        (json!({ "chain": phrase, "asset": "BTC" }).to_string(), 400),
        (json!({ "chain": "bitcoin", "asset": "BTC", "opening_balance": phrase }).to_string(), 400),
        (json!({ "chain": "bitcoin", "asset": "BTC", &phrase: phrase }).to_string(), 400),
        (json!(phrase).to_string(), 400),
        (format!(r#"{{"mnemonic":"{phrase}","#), 400),
        (format!(r#"{{"mnemonic":"{phrase}" "#), 400),
        (phrase, 400),
    ]
}

/// A phrase in places where none belongs.
async fn strange_places(service: &Service) {
    for path in [
        format!("/api/v1/wallets?mnemonic={WORD}"),
        format!("/api/v1/wallets?after={WORD}"),
        format!("/api/v1/gas/estimate?chain={WORD}"),
        format!("/api/v1/{WORD}"),
    ] {
        let (status, answer) = service.get(&path).await;
        assert!(status.is_client_error());
        assert_absent(&answer.to_string());
    }
}

/// A database URL is a secret too: in a refusal, and in the errors and events of the database driver.
async fn database_passwords() {
    let read = |url: String| Settings::read(|name| (name == "DATABASE_URL").then(|| url.clone()));
    let refused = read(format!("postgres://u:{WORD}@127.0.0.1:1/db?sslpassword={WORD}"));
    assert_absent(&refused.err().unwrap().to_string());
    let settings = read(format!("postgres://u:{WORD}@127.0.0.1:1/db?sslmode=disable")).unwrap();
    assert_absent(&format!("{settings:?}"));
    let error = Store::open(settings.database_url.expose()).await;
    assert_absent(&error.unwrap_err().to_string());
}

#[track_caller]
fn assert_absent(text: &str) {
    if let Some(at) = text.to_lowercase().find(WORD) {
        let from = text.floor_char_boundary(at.saturating_sub(200));
        panic!("the mnemonic is in: {}", &text[from..at + WORD.len()]);
    }
}

static SEEN: OnceLock<Mutex<String>> = OnceLock::new();

/// Records every span and event of the process, at every level.
fn record_everything() {
    SEEN.get_or_init(Mutex::default);
    tracing::subscriber::set_global_default(Registry::default().with(Recorder)).unwrap();
}

struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        note(attributes.metadata().name(), |line| attributes.record(line));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        note("record", |line| values.record(line));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        note(event.metadata().target(), |line| event.record(line));
    }
}

fn note(name: &str, fields: impl FnOnce(&mut Line)) {
    let mut line = Line(name.to_owned());
    fields(&mut line);
    if let Some(seen) = SEEN.get() {
        seen.lock().unwrap().push_str(&line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
