//! The answers to clients when the database or the chain node is down.

use crate::service::{assert_refused, empty_database, service, service_on};
use serde_json::json;

#[tokio::test]
async fn a_chain_node_that_does_not_answer_is_a_502() {
    let service = service_on(&empty_database().await, 1.0).await;
    let gas = service.get("/api/v1/gas/estimate?chain=bitcoin").await;
    assert_refused(&gas, 502, "chain_unavailable");
    let quote = service.get("/api/v1/swap/quote?from=ETH&to=SOL&amount=10").await;
    assert_refused(&quote, 502, "chain_unavailable");
}

#[tokio::test]
async fn a_swap_without_a_quote_moves_nothing() {
    let service = service_on(&empty_database().await, 1.0).await;
    let eth = service.wallet("ethereum", "ETH", 1_000).await;
    let sol = service.wallet("solana", "SOL", 0).await;
    let swap = json!({ "from": eth, "to": sol, "amount": 100 });
    assert_refused(&service.post("/api/v1/swap", &swap).await, 502, "chain_unavailable");
    assert_eq!(service.balance(&eth).await, 1_000);
}

#[tokio::test]
async fn an_answer_after_a_fault_of_the_service_shows_no_internals() {
    let service = service().await;
    service.store.close().await;
    let answer = service.get("/api/v1/wallets").await;
    assert_refused(&answer, 503, "store_unavailable");
    let text = answer.1.to_string().to_lowercase();
    assert!(!text.contains("pool") && !text.contains("sqlx"), "{text}");
}
