//! Functions that compile bare compile with the attribute.

use super::assert_ended;
use ironcore_telemetry as telemetry;
use std::borrow::Cow;
use std::cell::Cell;
use std::pin::Pin;
use telemetry::testing::Capture;

#[telemetry::instrument_business(wallet)]
fn borrowing_closure() -> impl Fn(&str) -> Option<&str> {
    |text| text.split(' ').next()
}

#[telemetry::instrument_business(wallet)]
fn higher_ranked_closure() -> impl for<'a> Fn(&'a str) -> &'a str {
    |text| text.trim()
}

#[telemetry::instrument_business(wallet)]
async fn borrowing_closure_later() -> impl Fn(&str) -> Option<&str> {
    tokio::task::yield_now().await;
    |text| text.split(' ').next()
}

#[telemetry::instrument_business(wallet, fields(kind = kind))]
async fn higher_ranked_closure_later(kind: u8) -> impl for<'a> Fn(&'a str) -> &'a str {
    move |text| if kind == 0 { text } else { text.trim() }
}

#[telemetry::instrument_business(wallet)]
fn closure_or_error(fail: bool) -> Result<impl Fn(&str) -> &str, String> {
    if fail {
        return Err("no closure".to_owned());
    }
    Ok(str::trim)
}

#[telemetry::instrument_business(wallet)]
async fn closure_or_error_later(fail: bool) -> Result<impl Fn(&str) -> &str, String> {
    if fail {
        return Err("no closure".to_owned());
    }
    Ok(str::trim)
}

#[telemetry::instrument_business(wallet)]
fn two_closures(prefix: String) -> (impl Fn(&str) -> bool, impl FnMut(&mut u64) -> &mut u64) {
    (move |text| text.starts_with(&prefix), |amount| amount)
}

struct Prefix<T>(T);

impl<T: AsRef<str> + PartialEq> Prefix<T> {
    #[telemetry::instrument_business(wallet)]
    fn compared<'a, U: ?Sized>(&'a self, _: &U) -> impl for<'b> Fn(&'b T, &'a T) -> (&'b T, &'a Self) {
        move |given, other| {
            assert!(given.as_ref().len() == other.as_ref().len());
            (given, self)
        }
    }
}

#[telemetry::instrument_business(wallet)]
fn closure_that_takes_a_closure() -> impl Fn(&dyn Fn(&str) -> &str, &str) -> usize {
    |shorten, text| shorten(text).len()
}

#[telemetry::instrument_business(wallet)]
fn constant<'text>(text: &'text str) -> impl Fn(&str) -> &'text str {
    move |_| text
}

#[telemetry::instrument_business(wallet)]
fn constant_or<'text>(text: &'text str) -> impl Fn(&str, Cow<'text, str>) -> Cow<'text, str> {
    move |given, other| if given.is_empty() { other } else { text.into() }
}

struct Priced<Price>(Price);

impl<Price: Copy> Priced<Price> {
    #[telemetry::instrument_business(wallet)]
    fn prices(&self) -> impl Fn(&str) -> Price {
        |_| self.0
    }
}

#[telemetry::instrument_business(wallet)]
fn cows<T: Clone>() -> impl Fn(&[T]) -> Cow<'_, [T]> {
    |all| Cow::Borrowed(all)
}

#[telemetry::instrument_business(wallet)]
fn shows() -> impl Fn(&dyn std::fmt::Display, &[u64]) -> String {
    |value, all| format!("{value} {}", all.len())
}

#[telemetry::instrument_business(wallet)]
fn finds<Value: PartialEq>() -> impl Fn(&[Value]) -> Option<(&Value, Cow<'_, Node>)> {
    |all| Some((all.first()?, Cow::Owned(Node { value: 0, next: None })))
}

#[tokio::test]
async fn closures_that_name_what_belongs_to_the_call_are_returned() {
    let capture = Capture::new();
    let text = "text".to_owned();
    assert_eq!(capture.run(|| constant(&text))(""), "text");
    assert_eq!(capture.run(|| constant_or(&text))("", "other".into()), "other");
    let priced = Priced(7);
    assert_eq!(capture.run(|| priced.prices())(""), 7);
    assert_eq!(capture.run(cows::<u8>)(&[1]).len(), 1);
    assert_eq!(*capture.run(finds::<u8>)(&[1]).unwrap().0, 1);
    assert_eq!(capture.run(shows)(&text, &[1]), "text 1");
    for operation in ["constant", "constant_or", "prices", "cows", "shows"] {
        assert_ended(&capture, operation, "ok", "", 1);
    }
}

#[tokio::test]
async fn closures_over_borrowed_input_are_returned() {
    let capture = Capture::new();
    assert_eq!(capture.run(borrowing_closure)("a b"), Some("a"));
    assert_eq!(capture.run(higher_ranked_closure)(" a "), "a");
    assert_eq!(capture.run_async(borrowing_closure_later()).await("a b"), Some("a"));
    assert_eq!(capture.run_async(higher_ranked_closure_later(1)).await(" a "), "a");
    assert_eq!(capture.run(|| closure_or_error(false)).unwrap()(" a "), "a");
    assert!(capture.run(|| closure_or_error(true)).is_err());
    assert_eq!(capture.run_async(closure_or_error_later(false)).await.unwrap()(" a "), "a");
    assert!(capture.run_async(closure_or_error_later(true)).await.is_err());
    let (starts, mut same) = capture.run(|| two_closures("a".to_owned()));
    assert!(starts("ab") && *same(&mut 7) == 7);
    assert_eq!(capture.run(closure_that_takes_a_closure)(&|text| &text[1..], "abc"), 2);
    let prefix = Prefix("ab");
    let compare = capture.run(|| prefix.compared("unused"));
    assert_eq!(compare(&"cd", &"ef").1.0, "ab");
    for operation in ["borrowing_closure", "higher_ranked_closure_later", "two_closures"] {
        assert_ended(&capture, operation, "ok", "", 1);
    }
}

#[derive(Clone)]
struct Node {
    value: u64,
    next: Option<Box<Node>>,
}

impl Node {
    #[telemetry::instrument_business(wallet)]
    fn last_value<'node>(mut node: &'node mut Node) -> &'node mut u64 {
        while node.next.is_some() {
            node = node.next.as_mut().unwrap();
        }
        &mut node.value
    }

    #[telemetry::instrument_business(wallet)]
    fn pinned(self: Pin<&mut Self>) -> &mut u64 {
        &mut self.get_mut().value
    }

    #[telemetry::instrument_business(wallet)]
    fn rest(mut self: Box<Self>) -> Option<Box<Self>> {
        self.value = 0;
        self.next.take()
    }
}

/// Holds a mutable reference that it gives away.
struct Cursor<'data> {
    left: &'data mut [u64],
}

#[telemetry::instrument_business(wallet)]
fn first_of_cursor(cursor: Cursor<'_>) -> &mut u64 {
    &mut cursor.left[0]
}

#[telemetry::instrument_business(wallet)]
fn shortened<'data>(mut data: &'data [u64], (mut skipped, longest): (usize, &mut usize)) -> &'data [u64] {
    while skipped > 0 {
        data = &data[1..];
        skipped -= 1;
    }
    *longest = data.len();
    data
}

#[telemetry::instrument_business(wallet)]
fn configured(
    #[cfg(test)] mut amount: u64,
    #[cfg(not(test))] mut other: &mut str,
    #[allow(unused, reason = "spare")] spare: u8,
) -> u64 {
    amount += 1;
    amount
}

#[telemetry::instrument_business(wallet)]
fn formatted(mut text: String, amounts: &mut Vec<u64>) -> String {
    text.push('!');
    amounts.push(1);
    format!("{text} {amounts:?}")
}

/// Not `Sync`: a future that holds a reference to it is not `Send`.
#[telemetry::instrument_business(wallet)]
async fn not_shared(cell: Cell<u64>) -> u64 {
    tokio::task::yield_now().await;
    cell.into_inner()
}

#[telemetry::instrument_business(wallet)]
fn boxed<'text>(text: &'text str, suffix: &'text str) -> Box<dyn Fn(&str) -> Cow<'text, str> + 'text> {
    Box::new(move |between| if between.is_empty() { text.into() } else { (text.to_owned() + between + suffix).into() })
}

#[tokio::test]
async fn what_is_borrowed_from_the_arguments_is_returned() {
    let capture = Capture::new();
    let inner = Node { value: 2, next: None };
    let mut outer = Node { value: 1, next: Some(Box::new(inner)) };
    capture.run(|| *Node::last_value(&mut outer) += 5);
    capture.run(|| *Pin::new(&mut outer).pinned() += 5);
    assert_eq!(outer.value, 6);
    assert_eq!(capture.run(|| Box::new(outer).rest()).unwrap().value, 7);
    let mut data = [1, 2, 3];
    capture.run(|| *first_of_cursor(Cursor { left: &mut data }) = 9);
    let mut longest = 0;
    assert_eq!(capture.run(|| shortened(&data, (1, &mut longest))), [2, 3]);
    assert_eq!((data[0], longest), (9, 2));
    assert_eq!(capture.run(|| configured(1, 0)), 2);
    assert_eq!(capture.run(|| formatted("a".to_owned(), &mut vec![0])), "a! [0, 1]");
    assert_eq!(boxed("a", "c")("b"), "abc");
    let spawned = tokio::spawn(not_shared(Cell::new(7)));
    assert_eq!(spawned.await.unwrap(), 7);
    assert_ended(&capture, "shortened", "ok", "", 1);
}

/// Says when it is dropped.
struct Dropped(&'static str, std::rc::Rc<std::cell::RefCell<Vec<&'static str>>>);

impl Dropped {
    fn rename(&mut self, name: &'static str) {
        self.0 = name;
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[telemetry::instrument_business(wallet)]
fn both_mutable(mut a: Dropped, mut b: Dropped) {
    a.rename("a");
    b.rename("b");
}

#[telemetry::instrument_business(wallet)]
fn first_mutable(mut a: Dropped, b: Dropped) {
    a.rename(if b.0.is_empty() { "" } else { "a" });
}

#[telemetry::instrument_business(wallet)]
fn last_mutable(a: Dropped, mut b: Dropped) {
    b.rename(if a.0.is_empty() { "" } else { "b" });
}

#[telemetry::instrument_business(wallet)]
fn silent(mut a: Dropped, _b: Dropped) {
    a.rename("a");
}

#[telemetry::instrument_business(wallet)]
async fn dropped_later(a: Dropped, b: Dropped) {
    tokio::task::yield_now().await;
    let _ = (&a, &b);
}

#[tokio::test]
async fn arguments_are_dropped_from_the_last_to_the_first() {
    let functions: [(&str, fn(Dropped, Dropped)); 4] =
        [("both", both_mutable), ("first", first_mutable), ("last", last_mutable), ("silent", silent)];
    for (name, function) in functions {
        let log = std::rc::Rc::default();
        function(Dropped("a", std::rc::Rc::clone(&log)), Dropped("b", std::rc::Rc::clone(&log)));
        assert_eq!(*log.borrow(), ["b", "a"], "{name}");
    }
    let log = std::rc::Rc::default();
    dropped_later(Dropped("a", std::rc::Rc::clone(&log)), Dropped("b", std::rc::Rc::clone(&log))).await;
    assert_eq!(*log.borrow(), ["b", "a"]);
}
