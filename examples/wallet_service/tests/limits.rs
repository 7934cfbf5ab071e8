//! Requests that the service cannot use.

use crate::service::{assert_refused, json_of, service};
use axum::body::Body;
use axum::http::Request;
use serde_json::json;

#[tokio::test]
async fn a_body_that_cannot_be_used_is_refused_with_what_is_allowed() {
    let service = service().await;
    for (body, fault) in [
        ("", "it is not valid JSON"),
        ("{", "it is not valid JSON"),
        ("{}", "a field is missing"),
        (r#"{"chain":"bitcoin","asset":"BTC","color":"red"}"#, "a field is unknown"),
        (r#"{"chain":"bitcoin","asset":"DOGE"}"#, "a value is not one of the allowed ones"),
        (r#"{"chain":"bitcoin","asset":"BTC","opening_balance":1.5}"#, "a value has the wrong type"),
        (r#"{"chain":"bitcoin","asset":"BTC","opening_balance":9223372036854775808}"#, "a value is out of range"),
    ] {
        let answer = service.ask("POST", "/api/v1/wallets", body.into()).await;
        assert_refused(&answer, 400, "bad_body");
        let message = answer.1["error"]["message"].as_str().unwrap();
        assert!(message.contains(fault) && message.contains("allowed: chain"), "{message}");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_used_is_refused_with_what_is_allowed() {
    let service = service().await;
    for path in [
        "/api/v1/wallets?limit=-1",
        "/api/v1/wallets?limit=ten",
        "/api/v1/wallets?after=yesterday",
        "/api/v1/wallets?color=red",
        "/api/v1/tx",
        "/api/v1/tx?wallet=mine",
        "/api/v1/gas/estimate",
        "/api/v1/gas/estimate?chain=dogecoin",
        "/api/v1/swap/quote?from=ETH&to=DOGE&amount=1",
        "/api/v1/swap/quote?from=ETH&to=USDC&amount=1.5",
    ] {
        let answer = service.get(path).await;
        assert_refused(&answer, 400, "bad_query");
        let message = answer.1["error"]["message"].as_str().unwrap();
        assert!(message.contains("allowed: "), "{message}");
    }
}

#[tokio::test]
async fn a_page_has_1_to_100_items() {
    let service = service().await;
    for (path, status) in [
        ("/api/v1/wallets?limit=0", 400),
        ("/api/v1/wallets?limit=1", 200),
        ("/api/v1/wallets?limit=100", 200),
        ("/api/v1/wallets?limit=101", 400),
    ] {
        assert_eq!(service.get(path).await.0, status, "{path}");
    }
    assert_refused(&service.get("/api/v1/wallets?limit=101").await, 400, "bad_count");
}

#[tokio::test]
async fn a_batch_has_1_to_100_wallets() {
    let service = service().await;
    for count in [0, 101] {
        let one = json!({ "chain": "solana", "asset": "SOL" });
        let batch = json!({ "wallets": vec![one; count] });
        assert_refused(&service.post("/api/v1/wallets/batch", &batch).await, 400, "bad_count");
    }
}

#[tokio::test]
async fn the_largest_allowed_batch_fits_the_body_limit() {
    let service = service().await;
    let one = |n: usize| {
        // Distinct phrases of 24 words of 8 letters.
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        let word = format!("{}{}abcdef", letter(n), letter(n / 26));
        json!({ "chain": "ethereum", "asset": "USDC", "opening_balance": (1_i64 << 53) - 1, "mnemonic": vec![word; 24].join(" ") })
    };
    let batch = json!({ "wallets": (0..100).map(one).collect::<Vec<_>>() });
    assert_eq!(service.post("/api/v1/wallets/batch", &batch).await.0, 201);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let body = Body::from(" ".repeat(65_537));
    let answer = service().await.ask("POST", "/api/v1/tx", body).await;
    assert_refused(&answer, 413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let request = Request::post("/api/v1/tx").body(Body::from("{}")).unwrap();
    let response = service().await.raw(request).await;
    assert_refused(&json_of(response).await, 415, "not_json");
}

#[tokio::test]
async fn an_unknown_path_answers_404_in_json() {
    let service = service().await;
    assert_refused(&service.get("/api/v2/wallets").await, 404, "unknown_route");
}

#[tokio::test]
async fn a_wrong_method_answers_405_in_json_with_the_allowed_ones() {
    let request = Request::delete("/api/v1/tx").body(Body::empty()).unwrap();
    let response = service().await.raw(request).await;
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    assert_refused(&json_of(response).await, 405, "wrong_method");
}
