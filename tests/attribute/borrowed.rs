//! Errors that borrow, or whose type is a parameter: they are not `'static`.

use super::{assert_ended, lines};
use ironcore_telemetry as telemetry;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use telemetry::testing::Capture;

#[derive(Debug)]
struct Unread<'text>(&'text str);

impl fmt::Display for Unread<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot read {}", self.0)
    }
}

impl Error for Unread<'_> {}

#[telemetry::instrument_business(wallet)]
fn parsed(text: &str) -> Result<u8, Unread<'_>> {
    text.parse().map_err(|_| Unread(text))
}

#[telemetry::instrument_business(wallet, record_error)]
fn parsed_recorded(text: &str) -> Result<u8, Unread<'_>> {
    text.parse().map_err(|_| Unread(text))
}

#[telemetry::instrument_business(wallet)]
async fn parsed_later(text: &str) -> Result<u8, Unread<'_>> {
    tokio::task::yield_now().await;
    text.parse().map_err(|_| Unread(text))
}

#[telemetry::instrument_business(wallet, record_error)]
async fn parsed_later_recorded<'text>(text: &'text str) -> Result<u8, Unread<'text>> {
    tokio::task::yield_now().await;
    text.parse().map_err(|_| Unread(text))
}

#[telemetry::instrument_business(wallet)]
fn generic<E: Error>(error: E) -> Result<u8, E> {
    Err(error)
}

#[telemetry::instrument_business(wallet, record_error)]
fn generic_recorded<E: Error>(error: E) -> Result<u8, E> {
    Err(error)
}

#[telemetry::instrument_business(wallet)]
async fn generic_later<E: Error>(error: E) -> Result<u8, E> {
    Err(error)
}

#[telemetry::instrument_business(wallet, record_error)]
async fn generic_later_recorded<E: Error>(error: E) -> Result<u8, E> {
    Err(error)
}

#[telemetry::instrument_business(wallet, record_error)]
fn displayed_recorded<E: fmt::Display>(error: E) -> Result<u8, E> {
    Err(error)
}

#[telemetry::instrument_business(wallet)]
fn held<'text>(text: &'text str) -> Result<u8, Box<dyn Error + Send + Sync + 'text>> {
    Ok(parsed(text).map_err(Box::new)?)
}

#[telemetry::instrument_business(wallet, record_error)]
fn held_recorded<'text>(text: &'text str) -> Result<u8, Box<dyn Error + Send + Sync + 'text>> {
    Err(Box::new(Unread(text)))
}

#[telemetry::instrument_business(wallet)]
async fn held_later<'text>(text: &'text str) -> Result<u8, Box<dyn Error + Send + Sync + 'text>> {
    Err(Box::new(Unread(text)))
}

#[telemetry::instrument_business(wallet, record_error)]
async fn held_later_recorded<'text>(text: &'text str) -> Result<u8, Box<dyn Error + Send + Sync + 'text>> {
    Err(Box::new(Unread(text)))
}

#[telemetry::instrument_business(wallet, record_error)]
fn held_here_recorded<'text>(text: &'text str) -> Result<u8, Box<dyn Error + 'text>> {
    Err(Box::new(Unread(text)))
}

#[telemetry::instrument_business(wallet, record_error)]
fn held_of_one_kind_recorded<'text>(text: &'text str) -> Result<u8, Arc<Unread<'text>>> {
    Err(Arc::new(Unread(text)))
}

#[telemetry::instrument_business(wallet)]
fn locked(amount: &Mutex<u8>) -> Result<MutexGuard<'_, u8>, PoisonError<MutexGuard<'_, u8>>> {
    amount.lock()
}

#[telemetry::instrument_business(wallet, record_error)]
fn locked_recorded(amount: &Mutex<u8>) -> Result<MutexGuard<'_, u8>, PoisonError<MutexGuard<'_, u8>>> {
    amount.lock()
}

#[telemetry::instrument_business(wallet)]
fn tried<'lock>(amount: &'lock Mutex<u8>) -> Result<MutexGuard<'lock, u8>, TryLockError<MutexGuard<'lock, u8>>> {
    amount.try_lock()
}

#[telemetry::instrument_business(wallet, record_error)]
async fn read(amount: &RwLock<u8>) -> Result<RwLockReadGuard<'_, u8>, PoisonError<RwLockReadGuard<'_, u8>>> {
    amount.read()
}

#[tokio::test]
async fn errors_that_borrow_are_counted_and_recorded() {
    const TEXT: &str = r#""error":"cannot read "#;
    let capture = Capture::new();
    let text = String::from("no number");
    let unread = || Unread(&text);
    capture.run(|| parsed(&text)).unwrap_err();
    capture.run_async(parsed_later(&text)).await.unwrap_err();
    capture.run(|| generic(unread())).unwrap_err();
    capture.run_async(generic_later(unread())).await.unwrap_err();
    // The text is compared with that of the operation inside: one failure, one error line.
    capture.run(|| held(&text)).unwrap_err();
    let errors = lines(&capture).into_iter().filter(|(level, ..)| level == "ERROR");
    assert_eq!(errors.filter(|(_, operation, _)| operation == "wallet.held").count(), 0);
    capture.run_async(held_later(&text)).await.unwrap_err();
    capture.assert_absent("no number");
    for operation in ["parsed_later", "generic", "generic_later", "held", "held_later"] {
        assert_ended(&capture, operation, "failed", "error", 1);
    }

    let capture = Capture::new();
    capture.run(|| parsed_recorded(&text)).unwrap_err();
    capture.run_async(parsed_later_recorded(&text)).await.unwrap_err();
    capture.run(|| generic_recorded(unread())).unwrap_err();
    capture.run_async(generic_later_recorded(unread())).await.unwrap_err();
    capture.run(|| displayed_recorded(unread())).unwrap_err();
    capture.run(|| held_recorded(&text)).unwrap_err();
    capture.run_async(held_later_recorded(&text)).await.unwrap_err();
    capture.run(|| held_here_recorded(&text)).unwrap_err();
    capture.run(|| held_of_one_kind_recorded(&text)).unwrap_err();
    let lines = lines(&capture);
    assert_eq!(lines.len(), 9);
    for (_, _, line) in lines {
        assert!(line.contains(TEXT), "{line}");
    }
}

#[tokio::test]
async fn guards_of_locks_are_returned_and_the_errors_that_hold_them() {
    let capture = Capture::new();
    let (amount, other) = (Mutex::new(7), RwLock::new(8));
    assert_eq!(*capture.run(|| locked(&amount)).unwrap(), 7);
    assert_eq!(*capture.run_async(read(&other)).await.unwrap(), 8);
    let guard = capture.run(|| tried(&amount)).unwrap();
    assert!(capture.run(|| tried(&amount)).is_err());
    drop(guard);
    std::thread::scope(|scope| {
        let poison = scope.spawn(|| {
            let _guard = amount.lock();
            std::panic::resume_unwind(Box::new(()));
        });
        poison.join().unwrap_err();
    });
    assert_eq!(*capture.run(|| locked(&amount)).unwrap_err().into_inner(), 7);
    assert_eq!(*capture.run(|| locked_recorded(&amount)).unwrap_err().into_inner(), 7);
    assert_ended(&capture, "locked_recorded", "failed", "error", 1);
    assert!(lines(&capture).last().unwrap().2.contains(r#""error":"poisoned lock"#));
}
