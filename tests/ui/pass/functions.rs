//! Every kind of function.
#![deny(warnings, unused, clippy::all, clippy::pedantic)]

use ironcore_telemetry as telemetry;
use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::num::ParseIntError;
use std::pin::{Pin, pin};
use std::sync::Arc;

/// # Safety
/// `place` must be valid.
#[telemetry::instrument_business(wallet, fields(place = ?place))]
unsafe fn read_wallet(place: *const u64) -> u64 {
    // SAFETY: the caller guarantees it.
    unsafe { *place }
}

#[telemetry::instrument_business(wallet)]
extern "C" fn foreign_wallet(value: u64) -> u64 {
    value
}

/// # Safety
/// There are no conditions.
#[telemetry::instrument_business(wallet)]
unsafe extern "C" fn unsafe_foreign_wallet(value: u64) -> u64 {
    value
}

#[telemetry::instrument_business(wallet, fields(name = %name, values = ?values))]
fn generic_wallet<'name, T: Display + Debug, const N: usize>(
    name: &'name str,
    values: &[T; N],
) -> Cow<'name, str>
where
    T: Clone,
{
    let _copy = values.clone();
    name.into()
}

#[telemetry::instrument_business(wallet, fields(first = ?values.size_hint()))]
fn opaque_wallet(values: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    values.map(|value| value + 1)
}

#[telemetry::instrument_business(wallet, fields(shown = %shown))]
async fn opaque_wallet_async(shown: impl Display) -> Result<impl Display, ParseIntError> {
    let parsed: u64 = shown.to_string().parse()?;
    std::future::ready(()).await;
    Ok(parsed)
}

#[telemetry::instrument_business(wallet, fields(by = by))]
fn boxed_wallet(by: u64) -> Pin<Box<dyn Future<Output = Result<u64, ParseIntError>> + Send>> {
    Box::pin(async move {
        let one: u64 = "1".parse()?;
        Ok(one + by)
    })
}

#[must_use]
#[inline]
#[telemetry::instrument_business(wallet, fields(id.low = pair.0), labels(flag = flag))]
fn patterns_wallet(pair @ (_, _): (u64, u64), [flag, ..]: [bool; 2]) -> u64 {
    pair.1
}

#[telemetry::instrument_business(wallet, fields(text = text, owned = owned, by_ref = &owned))]
fn moves_what_it_named_wallet(text: &str, owned: String) -> String {
    owned + text
}

#[telemetry::instrument_business(wallet, fields(values = values.len()))]
async fn borrows_wallet(values: &mut Vec<u64>, more: u64) -> Option<&mut u64> {
    values.push(more);
    values.last_mut()
}

trait Ledger {
    #[telemetry::instrument_business(payment)]
    fn pay(&self) -> u64 {
        self.due()
    }

    fn due(&self) -> u64;

    fn settle(&self, more: u64) -> impl Future<Output = Result<u64, ParseIntError>>;
}

struct Book<T>(T);

#[telemetry::instrument_business(payment)]
impl<T> Ledger for Book<T>
where
    T: Copy + Into<u64>,
{
    fn due(&self) -> u64 {
        self.0.into()
    }

    #[telemetry::instrument_business(fields(due = self.due(), more = more), err = judge)]
    async fn settle(&self, more: u64) -> Result<u64, ParseIntError> {
        let parsed: u64 = "1".parse()?;
        Ok(parsed + more + self.due())
    }
}

fn judge(_: &ParseIntError) -> (telemetry::OutcomeClass, &'static str) {
    (telemetry::OutcomeClass::Rejected, "not_a_number")
}

struct Owned(u64);

#[telemetry::instrument_business(user)]
impl Owned {
    fn boxed(self: Box<Self>) -> u64 {
        self.0
    }

    #[telemetry::instrument_business(fields(id = self.0))]
    fn shared(self: Arc<Self>) -> u64 {
        self.0
    }

    #[telemetry::instrument_business(fields(id = self.0))]
    async fn pinned(mut self: Pin<&mut Self>) -> u64 {
        self.0 += 1;
        self.0
    }

    /// # Safety
    /// There are no conditions.
    async unsafe fn risky(self) -> Result<Box<dyn Display + Send>, ParseIntError> {
        let parsed: u64 = "7".parse()?;
        Ok(Box::new(parsed + self.0))
    }

    fn text(&self, text: Option<&str>) -> Option<Cow<'_, str>> {
        let text = text?;
        Some(format!("{text}{}", self.0).into())
    }
}

macro_rules! operations {
    ($($name:ident $value:expr;)+) => {
        $(#[telemetry::instrument_business(swap, fields(value = $value))]
        fn $name() -> u64 { $value })+
    };
}

operations! { one 1; two 1 + 1; }

fn main() {
    let seven = 7;
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { read_wallet(&raw const seven) }, 7);
    assert_eq!(foreign_wallet(1), 1);
    // SAFETY: there are no conditions.
    assert_eq!(unsafe { unsafe_foreign_wallet(2) }, 2);
    assert_eq!(generic_wallet("a", &[1, 2]), "a");
    assert_eq!(opaque_wallet([1].into_iter()).next(), Some(2));
    assert_eq!(patterns_wallet((1, 2), [true, false]), 2);
    assert_eq!(moves_what_it_named_wallet("b", "a".to_owned()), "ab");
    assert_eq!(Book(3_u32).pay() + one() + two(), 6);
    drop((opaque_wallet_async(1), boxed_wallet(2), Book(3_u32).settle(1)));
    assert_eq!(Box::new(Owned(1)).boxed() + Arc::new(Owned(2)).shared(), 3);
    assert_eq!(Owned(1).text(Some("a")).as_deref(), Some("a1"));
    drop(pin!(Owned(1)).as_mut().pinned());
    // SAFETY: there are no conditions.
    drop(unsafe { Owned(1).risky() });
    drop(borrows_wallet(&mut vec![1], 2));
}
