//! `async_trait` in either order, axum handlers with extractors, tonic services.
#![deny(warnings, unused, clippy::all, clippy::pedantic)]

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::get;
use ironcore_telemetry as telemetry;
use tonic::{Request, Response, Status};

#[async_trait::async_trait]
trait Signer {
    async fn sign(&self, text: &str) -> Result<u64, String>;
    async fn forget(&mut self);
    async fn make(size: u64) -> Result<u64, String>;
}

#[async_trait::async_trait]
trait Patterns {
    async fn take(&self, pair: (u64, String), last: Last) -> String;
}

struct Last {
    hot: bool,
}

// Fields and labels can use names that patterns bind.
#[async_trait::async_trait]
impl Patterns for Inside {
    #[telemetry::instrument_business(wallet, fields(low = low, text = text), labels(hot = hot))]
    async fn take(&self, (mut low, text): (u64, String), Last { hot }: Last) -> String {
        low += u64::from(hot);
        format!("{low}{text}")
    }
}

struct Inside(u64);

// The attribute on the methods: `async_trait` comes first.
#[async_trait::async_trait]
impl Signer for Inside {
    #[telemetry::instrument_business(wallet, fields(key = self.0, text = text, twice = self.twice()), err = judge)]
    async fn sign(&self, text: &str) -> Result<u64, String> {
        let parsed: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
        Ok(self.0 + parsed)
    }

    #[telemetry::instrument_business(wallet)]
    async fn forget(&mut self) {
        self.0 = 0;
    }

    #[telemetry::instrument_business(wallet, labels(large = size > 3))]
    async fn make(size: u64) -> Result<u64, String> {
        Ok(size)
    }
}

impl Inside {
    fn twice(&self) -> u64 {
        self.0 * 2
    }
}

struct Before(u64);

// The attribute on the block, before `async_trait`.
#[telemetry::instrument_business(wallet)]
#[async_trait::async_trait]
impl Signer for Before {
    #[telemetry::instrument_business(fields(key = self.0, text = text))]
    async fn sign(&self, text: &str) -> Result<u64, String> {
        let parsed: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
        Ok(self.0 + parsed)
    }

    async fn forget(&mut self) {
        self.0 = 0;
    }

    async fn make(size: u64) -> Result<u64, String> {
        Ok(size)
    }
}

struct After(u64);

// The attribute on the block, after `async_trait`.
#[async_trait::async_trait]
#[telemetry::instrument_business(wallet)]
impl Signer for After {
    #[telemetry::instrument_business(fields(key = self.0, text = text), ok = |_| telemetry::OutcomeClass::Ok)]
    async fn sign(&self, text: &str) -> Result<u64, String> {
        let parsed: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
        Ok(self.0 + parsed)
    }

    #[telemetry::instrument_business(skip)]
    async fn forget(&mut self) {
        self.0 = 0;
    }

    async fn make(size: u64) -> Result<u64, String> {
        Ok(size)
    }
}

fn judge(error: &String) -> telemetry::OutcomeClass {
    if error.is_empty() {
        telemetry::OutcomeClass::Failed
    } else {
        telemetry::OutcomeClass::Rejected
    }
}

#[derive(Clone)]
struct Wallets(u64);

#[telemetry::instrument_business(fields(wallet.id = id, uri = %uri))]
async fn show_wallet(
    State(wallets): State<Wallets>,
    Path(id): Path<u64>,
    uri: Uri,
) -> Result<String, StatusCode> {
    if id == wallets.0 && uri.query().is_none() {
        Ok(id.to_string())
    } else {
        Err(StatusCode::NOT_FOUND)
    }
}

#[telemetry::instrument_business]
async fn list_wallets(State(Wallets(count)): State<Wallets>) -> impl IntoResponse {
    (StatusCode::OK, count.to_string())
}

struct SwapRequest {
    amount: u64,
}

/// As `tonic-build` writes it.
#[tonic::async_trait]
trait SwapService: Send + Sync + 'static {
    async fn execute(&self, request: Request<SwapRequest>) -> Result<Response<u64>, Status>;
    async fn cancel(&self, request: Request<SwapRequest>) -> Result<Response<()>, Status>;
}

struct Service;

#[tonic::async_trait]
impl SwapService for Service {
    #[telemetry::instrument_business(swap, fields(amount = request.get_ref().amount))]
    async fn execute(&self, request: Request<SwapRequest>) -> Result<Response<u64>, Status> {
        let amount = request.into_inner().amount;
        if amount == 0 {
            return Err(Status::invalid_argument("nothing to swap"));
        }
        Ok(Response::new(amount))
    }

    #[telemetry::instrument_business(swap)]
    async fn cancel(&self, _request: Request<SwapRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for signer in [&mut Inside(1) as &mut dyn SendSigner, &mut Before(1), &mut After(1)] {
        assert_eq!(signer.run().await, Ok(3));
    }
    assert_eq!((Inside::make(5).await, Before::make(5).await, After::make(5).await), (Ok(5), Ok(5), Ok(5)));
    assert_eq!(Inside(1).take((1, "a".to_owned()), Last { hot: true }).await, "2a");
    let _app: axum::Router<()> = axum::Router::new()
        .route("/wallets/{id}", get(show_wallet))
        .route("/wallets", get(list_wallets))
        .with_state(Wallets(1));
    assert!(Service.execute(Request::new(SwapRequest { amount: 0 })).await.is_err());
    assert!(Service.cancel(Request::new(SwapRequest { amount: 0 })).await.is_ok());
}

#[async_trait::async_trait]
trait SendSigner: Send {
    async fn run(&mut self) -> Result<u64, String>;
}

#[async_trait::async_trait]
impl<T: Signer + Send + Sync> SendSigner for T {
    async fn run(&mut self) -> Result<u64, String> {
        let signed = self.sign("2").await;
        self.forget().await;
        signed
    }
}
