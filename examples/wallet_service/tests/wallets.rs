use crate::service::{assert_refused, service};
use serde_json::json;

#[tokio::test]
async fn a_created_wallet_is_listed() {
    let service = service().await;
    let new = json!({ "chain": "ethereum", "asset": "USDC", "opening_balance": 5 });
    let (status, created) = service.post("/api/v1/wallets", &new).await;
    assert_eq!(status, 201);
    assert_eq!(created["asset"], "USDC");
    assert_eq!(created["balance"], 5);
    let (status, page) = service.get("/api/v1/wallets").await;
    assert_eq!(status, 200);
    assert_eq!(page, json!({ "items": [created], "next": null }));
}

#[tokio::test]
async fn pages_of_wallets_join_without_gap_or_repeat() {
    let service = service().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(service.wallet("bitcoin", "BTC", 0).await);
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/wallets?limit=2".to_owned();
    loop {
        let (_, page) = service.get(&path).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|wallet| wallet["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/wallets?limit=2&after={next}");
    }
    assert_eq!(seen, created);
}

#[tokio::test]
async fn a_batch_creates_all_its_wallets() {
    let service = service().await;
    let one = json!({ "chain": "solana", "asset": "SOL" });
    let batch = json!({ "wallets": vec![one; 100] });
    let (status, body) = service.post("/api/v1/wallets/batch", &batch).await;
    assert_eq!(status, 201);
    assert_eq!(body["items"].as_array().unwrap().len(), 100);
    let (_, page) = service.get("/api/v1/wallets?limit=100").await;
    assert_eq!(page["items"], body["items"]);
}

#[tokio::test]
async fn a_batch_with_one_wallet_that_exists_creates_none() {
    let service = service().await;
    let phrase = ["legal"; 12].join(" ");
    let imported = json!({ "chain": "bitcoin", "asset": "BTC", "mnemonic": phrase });
    let batch = json!({ "wallets": [{ "chain": "solana", "asset": "SOL" }, imported, imported] });
    let answer = service.post("/api/v1/wallets/batch", &batch).await;
    assert_refused(&answer, 409, "wallet_exists");
    let (_, page) = service.get("/api/v1/wallets").await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn a_wallet_for_an_asset_that_is_not_on_the_chain_is_refused() {
    let service = service().await;
    let new = json!({ "chain": "bitcoin", "asset": "USDC" });
    let answer = service.post("/api/v1/wallets", &new).await;
    assert_refused(&answer, 422, "wrong_chain");
}

#[tokio::test]
async fn an_opening_balance_below_zero_is_refused() {
    let service = service().await;
    let new = json!({ "chain": "bitcoin", "asset": "BTC", "opening_balance": -1 });
    let answer = service.post("/api/v1/wallets", &new).await;
    assert_refused(&answer, 422, "bad_amount");
}

#[tokio::test]
async fn health_is_ok_while_the_store_answers() {
    let service = service().await;
    let (status, body) = service.get("/health").await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("ok")));
    service.store.close().await;
    assert_refused(&service.get("/health").await, 503, "store_unavailable");
}
