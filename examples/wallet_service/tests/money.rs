use crate::service::{Service, assert_refused, empty_database, service, service_on};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

#[tokio::test]
async fn a_send_moves_the_amount() {
    let service = service().await;
    let from = service.wallet("ethereum", "ETH", 100).await;
    let to = service.wallet("ethereum", "ETH", 1).await;
    let (status, sent) = service.send(&from, &to, "ETH", 40).await;
    assert_eq!((status.as_u16(), &sent["amount"]), (201, &json!(40)));
    assert_eq!((service.balance(&from).await, service.balance(&to).await), (60, 41));
}

#[tokio::test]
async fn the_history_of_a_wallet_holds_both_directions_newest_first() {
    let service = service().await;
    let one = service.wallet("ethereum", "ETH", 100).await;
    let two = service.wallet("ethereum", "ETH", 100).await;
    let three = service.wallet("ethereum", "ETH", 100).await;
    for (from, to, amount) in [(&one, &two, 1), (&two, &one, 2), (&one, &three, 3)] {
        service.send(from, to, "ETH", amount).await;
    }
    let amounts = |page: &serde_json::Value| -> Vec<i64> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|sent| sent["amount"].as_i64().unwrap()).collect()
    };
    let (_, page) = service.get(&format!("/api/v1/tx?wallet={one}&limit=2")).await;
    assert_eq!(amounts(&page), [3, 2]);
    let next = page["next"].as_str().unwrap();
    let (_, page) = service.get(&format!("/api/v1/tx?wallet={one}&limit=2&after={next}")).await;
    assert_eq!(amounts(&page), [1]);
    assert!(page["next"].is_null());
}

#[tokio::test]
async fn insufficient_funds_are_refused_and_nothing_moves() {
    let service = service().await;
    // Ids grow with time: one transfer in each order of the two row locks.
    let one = service.wallet("ethereum", "ETH", 10).await;
    let two = service.wallet("ethereum", "ETH", 10).await;
    for (from, to) in [(&one, &two), (&two, &one)] {
        assert_refused(&service.send(from, to, "ETH", 11).await, 422, "insufficient_funds");
    }
    assert_eq!((service.balance(&one).await, service.balance(&two).await), (10, 10));
    let (_, page) = service.get(&format!("/api/v1/tx?wallet={one}")).await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn a_balance_cannot_grow_past_its_limit() {
    let service = service().await;
    let from = service.wallet("ethereum", "ETH", 10).await;
    let full = service.wallet("ethereum", "ETH", (1 << 53) - 1).await;
    assert_refused(&service.send(&from, &full, "ETH", 1).await, 422, "balance_limit");
    assert_eq!(service.balance(&from).await, 10);
}

#[tokio::test]
async fn a_send_between_wallets_that_do_not_fit_is_refused() {
    let service = service().await;
    let eth = service.wallet("ethereum", "ETH", 10).await;
    let usdc = service.wallet("ethereum", "USDC", 10).await;
    let unknown = Uuid::now_v7().to_string();
    for (from, to, amount, status, code) in [
        (&eth, &usdc, 1, 422, "wrong_asset"),
        (&usdc, &eth, 1, 422, "wrong_asset"),
        (&eth, &eth, 1, 422, "same_ends"),
        (&eth, &unknown, 1, 404, "unknown_wallet"),
        (&unknown, &eth, 1, 404, "unknown_wallet"),
        (&eth, &usdc, 0, 422, "bad_amount"),
        (&eth, &usdc, -5, 422, "bad_amount"),
        (&eth, &usdc, i64::MAX, 422, "bad_amount"),
    ] {
        assert_refused(&service.send(from, to, "ETH", amount).await, status, code);
    }
    let path = format!("/api/v1/tx?wallet={unknown}");
    assert_refused(&service.get(&path).await, 404, "unknown_wallet");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_concurrent_sends_only_the_60_that_are_covered_succeed() {
    sixty_of_a_hundred(&empty_database().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_concurrent_sends_on_an_sqlite_file_only_60_succeed() {
    let folder = std::env::temp_dir().join(format!("wallet-{}", Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let url = format!("sqlite://{}/wallet.db?mode=rwc", folder.display());
    sixty_of_a_hundred(&url).await;
    // The tables are kept, and opening them again applies no migration twice.
    let (_, page) = service_on(&url, 0.0).await.get("/api/v1/wallets").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    std::fs::remove_dir_all(folder).unwrap();
}

async fn sixty_of_a_hundred(url: &str) {
    let service = Arc::new(service_on(url, 0.0).await);
    let from = service.wallet("ethereum", "ETH", 605).await;
    let to = service.wallet("ethereum", "ETH", 0).await;
    let sends: Vec<_> = (0..100)
        .map(|_| {
            let (service, from, to) = (service.clone(), from.clone(), to.clone());
            tokio::spawn(async move { service.send(&from, &to, "ETH", 10).await })
        })
        .collect();
    let mut sent = 0;
    for send in sends {
        let answer = send.await.unwrap();
        if answer.0 == 201 {
            sent += 1;
        } else {
            assert_refused(&answer, 422, "insufficient_funds");
        }
    }
    assert_eq!(sent, 60);
    assert_eq!((service.balance(&from).await, service.balance(&to).await), (5, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_in_both_directions_at_once_all_succeed() {
    let service = Arc::new(service().await);
    let one = service.wallet("ethereum", "ETH", 1_000).await;
    let two = service.wallet("ethereum", "ETH", 1_000).await;
    let sends: Vec<_> = (0..100)
        .map(|turn| {
            let (mut from, mut to) = (one.clone(), two.clone());
            if turn % 2 == 0 {
                std::mem::swap(&mut from, &mut to);
            }
            let service = service.clone();
            tokio::spawn(async move { service.send(&from, &to, "ETH", 1).await })
        })
        .collect();
    for send in sends {
        assert_eq!(send.await.unwrap().0, 201);
    }
    assert_eq!((service.balance(&one).await, service.balance(&two).await), (1_000, 1_000));
}

#[tokio::test]
async fn gas_is_estimated_in_the_asset_of_the_chain() {
    let (status, gas) = service().await.get("/api/v1/gas/estimate?chain=solana").await;
    assert_eq!((status.as_u16(), &gas["asset"]), (200, &json!("SOL")));
    let price = |speed: &str| gas[speed].as_i64().unwrap();
    assert!(0 < price("slow") && price("slow") < price("standard"));
    assert!(price("standard") < price("fast"));
}

#[tokio::test]
async fn a_quote_follows_the_prices_less_the_fee() {
    let service = service().await;
    let path = "/api/v1/swap/quote?from=ETH&to=USDC&amount=1000000000";
    let (status, quote) = service.get(path).await;
    assert_eq!(status, 200);
    // One ETH at 3200 dollars, either price up to 0.2 % off, less 0.3 %.
    let received = quote["received"].as_i64().unwrap();
    assert!((3_177_000_000..=3_204_000_000).contains(&received), "{received}");
}

#[tokio::test]
async fn a_quote_that_rounds_to_nothing_or_past_the_limit_is_refused() {
    let service = service().await;
    let quote = "/api/v1/swap/quote";
    // A millionth of a dollar buys no satoshi.
    let answer = service.get(&format!("{quote}?from=USDC&to=BTC&amount=1")).await;
    assert_refused(&answer, 422, "amount_too_small");
    let most = (1_i64 << 53) - 1;
    let answer = service.get(&format!("{quote}?from=BTC&to=SOL&amount={most}")).await;
    assert_refused(&answer, 422, "balance_limit");
}

#[tokio::test]
async fn a_swap_pays_one_asset_and_receives_the_other() {
    let service = service().await;
    let (eth, usdc) = swap_wallets(&service).await;
    let swap = json!({ "from": eth, "to": usdc, "amount": 500_000_000, "min_received": 1_000_000 });
    let (status, done) = service.post("/api/v1/swap", &swap).await;
    assert_eq!(status, 201, "{done}");
    assert_eq!(service.balance(&eth).await, 500_000_000);
    assert_eq!(service.balance(&usdc).await, done["received"]);
    let (_, page) = service.get(&format!("/api/v1/tx?wallet={usdc}")).await;
    assert_eq!(page["items"], json!([done]));
}

#[tokio::test]
async fn a_swap_that_cannot_be_done_is_refused_and_nothing_moves() {
    let service = service().await;
    let (eth, usdc) = swap_wallets(&service).await;
    let other = service.wallet("ethereum", "ETH", 0).await;
    let unknown = Uuid::now_v7().to_string();
    for (to, amount, least, status, code) in [
        (&usdc, 2_000_000_000, 0, 422, "insufficient_funds"),
        (&usdc, 1_000_000_000, 9_000_000_000_i64, 422, "price_moved"),
        (&usdc, 1_000_000_000_000_000_i64, 0, 422, "insufficient_funds"),
        (&usdc, 0, 0, 422, "bad_amount"),
        (&other, 1, 0, 422, "same_ends"),
        (&unknown, 1, 0, 404, "unknown_wallet"),
    ] {
        let swap = json!({ "from": eth, "to": to, "amount": amount, "min_received": least });
        assert_refused(&service.post("/api/v1/swap", &swap).await, status, code);
    }
    assert_eq!(service.balance(&eth).await, 1_000_000_000);
    assert_eq!(service.balance(&usdc).await, 0);
}

async fn swap_wallets(service: &Service) -> (String, String) {
    let eth = service.wallet("ethereum", "ETH", 1_000_000_000).await;
    (eth, service.wallet("ethereum", "USDC", 0).await)
}

#[tokio::test]
async fn a_payment_moves_money_and_is_refused_like_a_send() {
    let service = service().await;
    let from = service.wallet("ethereum", "ETH", 100).await;
    let to = service.wallet("ethereum", "ETH", 1).await;
    let pay = |amount: i64| json!({"from": from, "to": to, "asset": "ETH", "amount": amount});
    let (status, paid) = service.post("/api/v1/payments", &pay(40)).await;
    assert_eq!((status.as_u16(), &paid["received"]), (201, &json!(40)));
    let refused = service.post("/api/v1/payments", &pay(61)).await;
    assert_refused(&refused, 422, "insufficient_funds");
    assert_eq!(service.balance(&from).await, 60);
}

#[tokio::test]
async fn users_are_registered_without_personal_data() {
    let service = service().await;
    let (status, user) = service.post("/api/v1/users", &json!({})).await;
    assert_eq!(status.as_u16(), 201);
    let keys: Vec<_> = user.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["created_at", "id"]);
}
