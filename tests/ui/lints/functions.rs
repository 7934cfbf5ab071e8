//! Small functions, each with something that a lint reports. `//@ instrument` becomes the attribute.

/// A wallet.
#[derive(Debug)]
pub struct Wallet {
    name: String,
    amounts: Vec<u64>,
}

/// Documented, without its errors.
//@ instrument
pub fn missing_errors_doc(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

/// Documented, without its errors.
//@ instrument
pub async fn missing_errors_doc_later(text: &str) -> Result<u64, std::num::ParseIntError> {
    std::future::ready(()).await;
    text.parse()
}

/// Documented, without its panics.
//@ instrument
pub fn missing_panics_doc(text: &str) {
    assert!(text.len() > 7, "too short");
}

/// Documented, without its panics.
//@ instrument
pub async fn missing_panics_doc_later(text: Option<u64>) {
    std::future::ready(()).await;
    drop(text.unwrap());
}

//@ instrument
fn too_many_lines(mut amount: u64) -> u64 {
    LINES
    amount
}

//@ instrument
fn many_single_char_names(a: u64) -> u64 {
    let b = a + 1;
    let c = b + a;
    let d = c + b;
    let e = d + c;
    e
}

//@ instrument
fn needless_pass_by_value(text: String) -> usize {
    text.len()
}

//@ instrument
fn needless_pass_by_value_beside_a_mutable_one(text: String, amounts: &mut Vec<u64>) {
    amounts.push(text.len() as u64);
}

//@ instrument
fn needless_return(amount: u64) -> u64 {
    return amount + 1;
}

//@ instrument
async fn needless_return_later(amount: u64) -> u64 {
    std::future::ready(()).await;
    return amount + 1;
}

//@ instrument
fn let_and_return(amount: u64) -> u64 {
    let more = amount + 1;
    more
}

//@ instrument
fn cast_possible_truncation(amount: u64) -> u8 {
    amount as u8
}

//@ instrument
fn fn_params_excessive_bools(a: bool, b: bool, c: bool, d: bool) -> bool {
    a && b && c && d
}

//@ instrument
fn too_many_arguments(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
    a.max(b).max(c).max(d).max(e).max(f).max(g).max(h)
}

//@ instrument
fn ptr_arg(amounts: &Vec<u64>) -> usize {
    amounts.len()
}

//@ instrument
fn trivially_copy_pass_by_ref(amount: &u8) -> u8 {
    *amount
}

//@ instrument
fn unused_variable(amount: u64, text: &str) -> usize {
    text.len()
}

//@ instrument
fn unused_mutable_variable(amount: u64, text: &mut String) -> u64 {
    let mut unused = amount;
    unused
}

//@ instrument
fn unused_mut(mut amount: u64) -> u64 {
    amount
}

//@ instrument
async fn unused_variable_later(amount: u64) {
    std::future::ready(()).await;
}

//@ instrument
fn unreachable(amount: u64) -> u64 {
    return amount;
    println!("never");
}

//@ instrument
fn redundant_clone(text: &String) -> String {
    let same: String = text.clone().into();
    same
}

//@ instrument
fn uninlined(amount: u64) -> String {
    format!("{}", amount)
}

//@ instrument
fn unused_result(text: &str) {
    text.parse::<u64>();
}

//@ instrument
fn single_match(amount: Option<u64>) {
    match amount {
        Some(amount) => println!("{amount}"),
        None => {}
    }
}

//@ instrument
pub fn missing_docs() {}

//@ instrument
pub fn must_use_candidate(amount: u64) -> u64 {
    amount
}

impl Wallet {
    //@ instrument
    fn unused_self(&self) -> u64 {
        7
    }

    //@ instrument
    fn needless_pass_by_value_of_a_method(&mut self, name: String) {
        self.name.push_str(&name);
    }

    //@ instrument
    fn wrong_self(&self, amount: u64) -> &u64 {
        &self.amounts[amount as usize]
    }

    /// Documented.
    //@ instrument
    pub fn new(amount: u64) -> u64 {
        amount
    }

    //@ instrument
    fn into_name(&self) -> String {
        self.name.to_string()
    }
}

//@ instrument
fn non_snake_Case(Amount: u64) -> u64 {
    Amount
}

//@ instrument
unsafe fn missing_safety(amount: *const u64) -> u64 {
    *amount
}

/// Documented.
//@ instrument
pub unsafe fn missing_safety_doc(amount: *const u64) -> u64 {
    unsafe { *amount }
}

//@ instrument
#[inline(always)]
fn inline_always() {}

//@ instrument
fn needless_lifetimes<'a>(text: &'a str) -> &'a str {
    text
}

//@ instrument
fn unused_type_parameter<T>(amount: u64) -> u64 {
    amount
}

//@ instrument
fn deprecated_inside() -> u64 {
    old()
}

#[deprecated]
fn old() -> u64 {
    7
}

//@ instrument
#[allow(clippy::cast_possible_truncation)]
fn allowed(amount: u64) -> u8 {
    amount as u8
}

//@ instrument
#[must_use]
fn must_use() -> u64 {
    7
}

//@ instrument
#[deprecated = "use another"]
fn deprecated() -> u64 {
    7
}

fn uses() {
    must_use();
    let _ = deprecated();
}
