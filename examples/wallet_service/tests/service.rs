//! Shared by the tests: a service without latency, and requests to it.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tower::ServiceExt;
use uuid::Uuid;
use wallet_service::{App, ChainNode, ChainSettings, Store, router};

pub(crate) struct Service {
    router: Router,
    pub(crate) store: Store,
}

pub(crate) type Answer = (StatusCode, Value);

/// A service on an empty store.
pub(crate) async fn service() -> Service {
    service_on(&empty_database().await, 0.0).await
}

/// A service on the database at `url`, with a chain node that drops a share of the calls.
pub(crate) async fn service_on(url: &str, failure_rate: f64) -> Service {
    let store = Store::open(url).await.unwrap();
    let chain = ChainNode::new(ChainSettings { latency_scale: 0.0, failure_rate, ..ChainSettings::default() });
    let app = App { store: store.clone(), chain };
    Service { router: router(app), store }
}

pub(crate) async fn empty_database() -> String {
    let Ok(server) = std::env::var("WALLET_TEST_POSTGRES") else {
        return "sqlite::memory:".to_owned();
    };
    sqlx::any::install_default_drivers();
    let schema = format!("t_{}", Uuid::new_v4().simple());
    let pool = sqlx::AnyPool::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&pool).await.unwrap();
    pool.close().await;
    format!("{server}?options[search_path]={schema}")
}

impl Service {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Body::from(body.to_string())).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Body) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header("content-type", "application/json").body(body).unwrap();
        json_of(self.raw(request).await).await
    }

    pub(crate) async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The id of a new wallet.
    pub(crate) async fn wallet(&self, chain: &str, asset: &str, balance: i64) -> String {
        let new = json!({ "chain": chain, "asset": asset, "opening_balance": balance });
        let (status, wallet) = self.post("/api/v1/wallets", &new).await;
        assert_eq!(status, 201, "{wallet}");
        wallet["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, from: &str, to: &str, asset: &str, amount: i64) -> Answer {
        let send = json!({ "from": from, "to": to, "asset": asset, "amount": amount });
        self.post("/api/v1/tx", &send).await
    }

    pub(crate) async fn balance(&self, id: &str) -> i64 {
        let (_, page) = self.get("/api/v1/wallets?limit=100").await;
        let wallets = page["items"].as_array().unwrap();
        let wallet = wallets.iter().find(|wallet| wallet["id"] == id).unwrap();
        wallet["balance"].as_i64().unwrap()
    }
}

pub(crate) async fn json_of(response: Response<Body>) -> Answer {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.0.as_u16(), &answer.1["error"]["code"]), (status, &json!(code)), "{answer:?}");
    assert!(answer.1["error"]["message"].is_string(), "{answer:?}");
}
