//! The engine: only the gateway calls it, so the trace of a call goes on in it.

use crate::proto::{ExecuteReply, ExecuteRequest, Swap, SwapServer};
use axum::body::Body;
use axum::http::{Request as HttpRequest, Uri};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ironcore_telemetry as telemetry;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use std::error::Error;
use telemetry::client::HttpClientTelemetryService;
use telemetry::{Boundary, GrpcTelemetryLayer, HttpClientTelemetryLayer};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower::{Layer, ServiceExt};
use tracing::Instrument;

pub(crate) async fn serve(listener: TcpListener, engine: Engine) -> Result<(), Box<dyn Error>> {
    let layer = GrpcTelemetryLayer::new().boundary(Boundary::Trusted).methods(["ironcore.swap.v1.Swap/Execute"])?;
    Server::builder()
        .layer(layer)
        .add_service(SwapServer::new(engine))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}

pub(crate) struct Engine {
    /// Each request is a client span, and carries the trace to the oracle.
    http: HttpClientTelemetryService<Client<HttpConnector, Body>>,
    oracle: Uri,
    database: SqlitePool,
}

#[tonic::async_trait]
impl Swap for Engine {
    #[telemetry::instrument_business(swap)]
    async fn execute(&self, call: Request<ExecuteRequest>) -> Result<Response<ExecuteReply>, Status> {
        let ExecuteRequest { from, to, amount } = call.into_inner();
        if from == to || amount == 0 {
            return Err(Status::invalid_argument("swap an amount above 0 of one asset for another asset"));
        }
        let price = self.price().await.map_err(|error| {
            tracing::error!(error, "no price");
            Status::unavailable("no price at the moment")
        })?;
        let received = amount.checked_mul(price).ok_or_else(|| Status::out_of_range("the amount is too large"))?;
        self.insert_swap(&to, received).await?;
        Ok(Response::new(ExecuteReply { received }))
    }
}

impl Engine {
    pub(crate) async fn new(oracle: Uri) -> Result<Self, sqlx::Error> {
        // The database lives in its one connection.
        let database = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect("sqlite::memory:")
            .await?;
        sqlx::query("CREATE TABLE swaps (id INTEGER PRIMARY KEY, bought TEXT, received INTEGER)")
            .execute(&database)
            .await?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let http = HttpClientTelemetryLayer::new("price-oracle").layer(client);
        Ok(Self { http, oracle, database })
    }

    async fn price(&self) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let request = HttpRequest::get(self.oracle.clone()).body(Body::empty())?;
        let response = self.http.clone().oneshot(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok(str::from_utf8(&body)?.parse()?)
    }

    async fn insert_swap(&self, bought: &str, received: u64) -> Result<(), Status> {
        let insert = sqlx::query("INSERT INTO swaps (bought, received) VALUES (?, ?)")
            .bind(bought)
            .bind(i64::try_from(received).map_err(|_| Status::out_of_range("the amount is too large"))?);
        // Named by operation and table, as OpenTelemetry asks; the values are not recorded.
        let span = tracing::info_span!(
            "INSERT swaps",
            otel.kind = "client",
            db.system.name = "sqlite",
            db.operation.name = "INSERT"
        );
        insert.execute(&self.database).instrument(span).await.map(drop).map_err(|error| {
            tracing::error!(%error, "the swap was not stored");
            Status::unavailable("the swap was not stored")
        })
    }
}
