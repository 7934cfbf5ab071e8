//! Context that goes on in later jobs, on other tasks and threads, and through channels.

use ironcore_telemetry as telemetry;
use telemetry::saved_context::{self, Carried, InContext, SavedContext};
use telemetry::testing::{Capture, Span};
use tokio_stream::StreamExt as _;

#[telemetry::instrument_business(transaction)]
fn submit() -> String {
    SavedContext::current().to_string()
}

#[telemetry::instrument_business(transaction)]
fn publish() {}

fn find(capture: &Capture, name: &str) -> Vec<Span> {
    let mut spans = capture.spans();
    spans.retain(|span| span.name == name);
    spans
}

#[test]
fn the_first_attempt_of_a_job_belongs_to_the_trace_that_created_it() {
    let capture = Capture::new();
    capture.run(|| {
        let job: SavedContext = submit().parse().unwrap();
        job.attempt(1).call("outbox.publish", publish);
    });
    let origin = &find(&capture, "transaction.submit")[0];
    let attempt = &find(&capture, "outbox.publish")[0];
    assert_eq!(attempt.trace_id, origin.trace_id);
    assert_eq!(attempt.parent_id.as_ref(), Some(&origin.span_id));
    assert_eq!(attempt.attribute("ironcore.attempt"), Some("1"));
    let age: f64 = attempt.attribute("ironcore.age_seconds").unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    let work = &find(&capture, "transaction.publish")[0];
    assert_eq!(work.parent_id.as_ref(), Some(&attempt.span_id));
}

#[test]
fn a_later_attempt_is_a_trace_of_its_own_with_a_link() {
    let capture = Capture::new();
    capture.run(|| {
        let job: SavedContext = submit().parse().unwrap();
        job.attempt(2).call("outbox.publish", publish);
    });
    let origin = &find(&capture, "transaction.submit")[0];
    let attempt = &find(&capture, "outbox.publish")[0];
    assert_ne!(attempt.trace_id, origin.trace_id);
    assert_eq!(attempt.parent_id, None);
    assert_eq!(attempt.attribute("ironcore.attempt"), Some("2"));
    assert_eq!(attempt.links, [(origin.trace_id.clone(), origin.span_id.clone())]);
}

#[tokio::test]
async fn a_job_that_is_given_up_or_panics_has_the_error_on_its_span() {
    let capture = Capture::new();
    let job = capture.run(submit);
    let job: SavedContext = job.parse().unwrap();
    let never = job.attempt(1).run("given.up", std::future::pending::<()>());
    let never = tokio::time::timeout(std::time::Duration::from_millis(10), never);
    // A job that begins outside of the capture is not recorded, and still runs.
    assert!(never.await.is_err());
    let given_up = capture.run_async(async {
        let never = job.attempt(1).run("given.up", std::future::pending::<()>());
        let never = tokio::time::timeout(std::time::Duration::from_millis(10), never);
        assert!(never.await.is_err());
    });
    given_up.await;
    let panics = std::panic::AssertUnwindSafe(|| {
        capture.run(|| job.attempt(1).call("panics", || panic!("planned")));
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(find(&capture, "given.up")[0].attribute("error.type"), Some("cancelled"));
    let caught = capture.run_async(async {
        let panics = job.attempt(1).run("caught", async { panic!("planned") });
        let panics = std::panic::AssertUnwindSafe(panics);
        assert!(futures_util::FutureExt::catch_unwind(panics).await.is_err());
    });
    caught.await;
    assert_eq!(find(&capture, "caught")[0].attribute("error.type"), Some("panic"));
    assert_eq!(find(&capture, "panics")[0].attribute("error.type"), Some("panic"));
}

#[telemetry::instrument_business(wallet)]
async fn fan_out() {
    saved_context::spawn(async { publish() }).await.unwrap();
    saved_context::spawn_blocking(publish).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    sender.send(Carried::new(())).await.unwrap();
    // As a worker would: on a task without the context of the request.
    tokio::spawn(async move {
        let job = receiver.recv().await.unwrap();
        job.run(|()| async { publish() }).await;
    })
    .await
    .unwrap();
    let stream = InContext::new(tokio_stream::once(()).map(|()| publish()));
    tokio::spawn(stream.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn tasks_threads_channels_and_streams_go_on_in_the_context() {
    let capture = Capture::new();
    capture.run_async(fan_out()).await;
    let outer = &find(&capture, "wallet.fan_out")[0];
    let inner = find(&capture, "transaction.publish");
    assert_eq!(inner.len(), 4);
    for span in inner {
        assert_eq!(span.parent_id.as_ref(), Some(&outer.span_id));
    }
}
