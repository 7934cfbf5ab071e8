//! Requests that are calls of JSON-RPC: their method, out of a fixed set.

use std::borrow::Cow;

/// The longest part of a body that is searched for the method. Clients write it in front of the parameters.
#[cfg(feature = "reqwest")]
const SEARCHED: usize = 4_096;

/// The JSON-RPC method of a request. Put it into the extensions of the request, for a layer that
/// [`HttpClientTelemetryLayer::json_rpc`](crate::HttpClientTelemetryLayer::json_rpc) was called on: the layer does not
/// read bodies. A method that is not declared there is not recorded.
///
/// ```
/// use ironcore_telemetry::client::JsonRpcMethod;
///
/// let mut request = http::Request::post("http://eth.internal/").body(()).unwrap();
/// request.extensions_mut().insert(JsonRpcMethod::new("eth_call"));
/// ```
#[derive(Debug, Clone)]
pub struct JsonRpcMethod(Cow<'static, str>);

impl JsonRpcMethod {
    /// A method, as it stands in the request.
    pub fn new(method: impl Into<Cow<'static, str>>) -> Self {
        Self(method.into())
    }
}

/// A call of JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JsonRpc {
    /// `None` for one that is not declared, and for a batch.
    pub(super) method: Option<&'static str>,
}

impl JsonRpc {
    pub(super) fn of(method: Option<&JsonRpcMethod>, declared: &[&'static str]) -> Self {
        Self { method: method.and_then(|method| known(&method.0, declared)) }
    }

    /// By the body of its request.
    #[cfg(feature = "reqwest")]
    pub(super) fn of_body(body: &[u8], declared: &[&'static str]) -> Self {
        let searched = body.get(..SEARCHED).unwrap_or(body);
        Self { method: method_in(searched).and_then(|method| known(method, declared)) }
    }
}

fn known(method: &str, declared: &[&'static str]) -> Option<&'static str> {
    declared.iter().copied().find(|declared| *declared == method)
}

/// The value of the key `method` of the outermost object of a JSON text, which may be cut off behind it. `None` for one
/// that is written with escapes: no method needs them.
#[cfg(feature = "reqwest")]
fn method_in(json: &[u8]) -> Option<&str> {
    let mut rest = json.trim_ascii_start().strip_prefix(b"{")?;
    // Objects and arrays that have begun, inside of the outermost object.
    let mut depth = 0_usize;
    let mut last_string: &[u8] = b"";
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let end = end_of_string(rest)?;
                last_string = rest.get(..end)?;
                rest = rest.get(end + 1..)?;
            }
            b':' if depth == 0 && last_string == b"method" => {
                let value = rest.trim_ascii_start().strip_prefix(b"\"")?;
                return std::str::from_utf8(value.get(..end_of_string(value)?)?).ok();
            }
            _ => {}
        }
    }
}

/// The place of the quote that ends a string.
#[cfg(feature = "reqwest")]
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}

#[cfg(all(test, feature = "reqwest"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_method_is_that_of_the_outermost_object() {
        for (body, method) in [
            (r#"{"jsonrpc":"2.0","method":"eth_call","params":[],"id":1}"#, Some("eth_call")),
            (r#" { "method" : "eth_call" } "#, Some("eth_call")),
            (
                r#"{"params":[{"method":"inner"},"method"],"id":{"method":"inner"},"method":"eth_call"}"#,
                Some("eth_call"),
            ),
            (r#"{"id":"a \"method\":\"inner\"","method":"eth_call""#, Some("eth_call")),
            (r#"{"id":"\\","method":"eth_call""#, Some("eth_call")),
            (r#"{"params":["method","inner"]}"#, None),
            (r#"[{"method":"eth_call"},{"method":"eth_call"}]"#, None),
            (r#"{"method":7}"#, None),
            (r#"{"method":"eth_ca"#, None),
            (r#""method":"eth_call""#, None),
            ("", None),
            ("{", None),
        ] {
            assert_eq!(method_in(body.as_bytes()), method, "{body}");
        }
    }

    #[test]
    fn a_method_that_is_not_declared_or_stands_behind_much_else_has_no_name() {
        let declared = ["eth_call", "eth_blockNumber"];
        let of = |body: &str| JsonRpc::of_body(body.as_bytes(), &declared).method;
        assert_eq!(of(r#"{"method":"eth_blockNumber"}"#), Some("eth_blockNumber"));
        assert_eq!(of(r#"{"method":"0xc0ffee"}"#), None);
        let long = format!(r#"{{"params":["{}"],"method":"eth_call"}}"#, "0".repeat(1_000_000));
        assert_eq!(of(&long), None);
        let named = |method: &'static str| JsonRpc::of(Some(&JsonRpcMethod::new(method)), &declared).method;
        assert_eq!((named("eth_call"), named("other")), (Some("eth_call"), None));
    }

    proptest! {
        #[test]
        fn any_text_is_searched_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            method_in(&body);
        }
    }
}
