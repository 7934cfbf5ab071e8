//! Routes and business operations. The attribute is on the function that *is* the operation: on the handler where only
//! the route uses it, on an inner function where a swap uses it too, so that each call has one span and is counted
//! once.

use crate::App;
use crate::chain::{GasEstimate, Prices};
use crate::error::ApiError;
use crate::extract::{JsonBody, QueryParams};
use crate::mnemonic;
use crate::model::{
    Asset, BODY_LIMIT, GasQuery, MAX_AMOUNT, NewWallet, NewWallets, Page, QuoteQuery, SwapRequest, Transaction,
    TransactionQuery, TransferRequest, User, Wallet, WalletQuery, check_amount, checked_count,
};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use ironcore_telemetry as telemetry;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The fee of a swap, in ten-thousandths of what it yields.
const SWAP_FEE_BPS: i64 = 30;

/// The API; the layer gives every request a server span, HTTP metrics and one access log line.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/api/v1/wallets", get(list_wallets).post(create_wallet))
        .route("/api/v1/wallets/batch", post(create_wallet_batch))
        .route("/api/v1/tx", get(list_transactions).post(post_transaction))
        .route("/api/v1/gas/estimate", get(estimate_gas))
        .route("/api/v1/swap/quote", get(get_quote))
        .route("/api/v1/swap", post(execute_swap))
        .route("/api/v1/payments", post(settle_payment))
        .route("/api/v1/users", post(register_user))
        .route("/health", get(health))
        .fallback(async || ApiError::UnknownRoute)
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(telemetry::HttpTelemetryLayer::new())
        .with_state(app)
}

#[telemetry::instrument_business]
async fn list_wallets(
    State(app): State<App>,
    QueryParams(query): QueryParams<WalletQuery>,
) -> Result<Json<Page<Wallet>>, ApiError> {
    let limit = checked_count(query.limit)?;
    let wallets = app.store.wallets(query.after, limit + 1).await?;
    Ok(Json(page(wallets, limit, |wallet| wallet.id)))
}

#[telemetry::instrument_business]
async fn create_wallet(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewWallet>,
) -> Result<(StatusCode, Json<Wallet>), ApiError> {
    let wallet = wallet_from(&new)?;
    app.store.insert_wallets(std::slice::from_ref(&wallet)).await?;
    Ok((StatusCode::CREATED, Json(wallet)))
}

#[telemetry::instrument_business]
async fn create_wallet_batch(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewWallets>,
) -> Result<(StatusCode, Json<Page<Wallet>>), ApiError> {
    checked_count(new.wallets.len())?;
    let wallets: Vec<_> = new.wallets.iter().map(wallet_from).collect::<Result<_, _>>()?;
    app.store.insert_wallets(&wallets).await?;
    let created = Page { items: wallets, next: None };
    Ok((StatusCode::CREATED, Json(created)))
}

#[telemetry::instrument_business]
async fn list_transactions(
    State(app): State<App>,
    QueryParams(query): QueryParams<TransactionQuery>,
) -> Result<Json<Page<Transaction>>, ApiError> {
    let limit = checked_count(query.limit)?;
    let wallet = known_wallet(&app, "wallet", query.wallet).await?;
    let transactions = app.store.transactions(wallet.id, query.after, limit + 1).await?;
    Ok(Json(page(transactions, limit, |transaction| transaction.id)))
}

async fn post_transaction(
    State(app): State<App>,
    JsonBody(request): JsonBody<TransferRequest>,
) -> Result<(StatusCode, Json<Transaction>), ApiError> {
    let transaction = send_transaction(&app, &Transfer::from(&request)).await?;
    Ok((StatusCode::CREATED, Json(transaction)))
}

/// A payment is an operation of its own, with the transaction that it makes as an operation inside.
#[telemetry::instrument_business]
async fn settle_payment(
    State(app): State<App>,
    JsonBody(request): JsonBody<TransferRequest>,
) -> Result<(StatusCode, Json<Transaction>), ApiError> {
    let transaction = send_transaction(&app, &Transfer::from(&request)).await?;
    Ok((StatusCode::CREATED, Json(transaction)))
}

#[telemetry::instrument_business]
async fn register_user(State(app): State<App>) -> Result<(StatusCode, Json<User>), ApiError> {
    let user = User { id: Uuid::now_v7(), created_at: now() };
    app.store.insert_user(&user).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

#[telemetry::instrument_business(domain = "gas", name = "estimate")]
async fn estimate_gas(
    State(app): State<App>,
    QueryParams(query): QueryParams<GasQuery>,
) -> Result<Json<GasEstimate>, ApiError> {
    Ok(Json(app.chain.gas_price(query.chain).await?))
}

async fn get_quote(
    State(app): State<App>,
    QueryParams(query): QueryParams<QuoteQuery>,
) -> Result<Json<Quote>, ApiError> {
    Ok(Json(quote_swap(&app, query).await?))
}

#[telemetry::instrument_business]
async fn execute_swap(
    State(app): State<App>,
    JsonBody(request): JsonBody<SwapRequest>,
) -> Result<(StatusCode, Json<Transaction>), ApiError> {
    let from = known_wallet(&app, "from", request.from).await?;
    let to = known_wallet(&app, "to", request.to).await?;
    let query = QuoteQuery { from: from.asset, to: to.asset, amount: request.amount };
    let quote = quote_swap(&app, query).await?;
    if quote.received < request.min_received {
        return Err(ApiError::PriceMoved);
    }
    let transfer =
        Transfer { from: from.id, pays: (quote.from, quote.amount), to: to.id, receives: (quote.to, quote.received) };
    let transaction = send_transaction(&app, &transfer).await?;
    tracing::info!(from = ?quote.from, to = ?quote.to, "swapped");
    Ok((StatusCode::CREATED, Json(transaction)))
}

/// Whether this instance can serve. Not a business operation, so it stays out of the business metrics.
async fn health(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    app.store.ping().await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// What leaves one wallet and what reaches the other; they differ in a swap.
struct Transfer {
    from: Uuid,
    pays: (Asset, i64),
    to: Uuid,
    receives: (Asset, i64),
}

/// What leaves one wallet reaches the other.
impl From<&TransferRequest> for Transfer {
    fn from(request: &TransferRequest) -> Self {
        let amount = (request.asset, request.amount);
        Self { from: request.from, pays: amount, to: request.to, receives: amount }
    }
}

#[telemetry::instrument_business]
async fn send_transaction(app: &App, transfer: &Transfer) -> Result<Transaction, ApiError> {
    let (asset, amount) = transfer.pays;
    let (received_asset, received) = transfer.receives;
    check_amount(amount, 1)?;
    if transfer.from == transfer.to {
        return Err(ApiError::SameEnds("wallets"));
    }
    let from = known_wallet(app, "from", transfer.from).await?;
    let to = known_wallet(app, "to", transfer.to).await?;
    check_asset("from", &from, asset)?;
    check_asset("to", &to, received_asset)?;
    let transaction = Transaction {
        id: Uuid::now_v7(),
        from_wallet: from.id,
        to_wallet: to.id,
        asset,
        amount,
        received_asset,
        received,
        created_at: now(),
    };
    app.store.transfer(&transaction).await?;
    Ok(transaction)
}

#[derive(Debug, Serialize)]
struct Quote {
    from: Asset,
    to: Asset,
    amount: i64,
    received: i64,
    /// Already taken off `received`; in ten-thousandths.
    fee_bps: i64,
}

#[telemetry::instrument_business]
async fn quote_swap(app: &App, query: QuoteQuery) -> Result<Quote, ApiError> {
    check_amount(query.amount, 1)?;
    if query.from == query.to {
        return Err(ApiError::SameEnds("assets"));
    }
    let prices = app.chain.prices(query.from, query.to).await?;
    Ok(Quote {
        from: query.from,
        to: query.to,
        amount: query.amount,
        received: exchanged(query, &prices)?,
        fee_bps: SWAP_FEE_BPS,
    })
}

/// What a swap yields, in whole minor units, rounded down.
fn exchanged(query: QuoteQuery, prices: &Prices) -> Result<i64, ApiError> {
    // The largest amount (2^53) of the dearest asset stays below 2^120 here.
    let worth = i128::from(query.amount) * i128::from(prices.from) * query.to.minor_units();
    let gross = worth / (i128::from(prices.to) * query.from.minor_units());
    match i64::try_from(gross * i128::from(10_000 - SWAP_FEE_BPS) / 10_000) {
        Ok(0) => Err(ApiError::AmountTooSmall),
        Ok(received) if received <= MAX_AMOUNT => Ok(received),
        _ => Err(ApiError::BalanceLimit),
    }
}

fn wallet_from(new: &NewWallet) -> Result<Wallet, ApiError> {
    let (chain, asset) = (new.chain, new.asset);
    if !chain.carries(asset) {
        return Err(ApiError::WrongChain { asset, chain });
    }
    check_amount(new.opening_balance, 0)?;
    Ok(Wallet {
        id: Uuid::now_v7(),
        chain,
        asset,
        address: mnemonic::address(chain, asset, new.mnemonic.as_ref())?,
        balance: new.opening_balance,
        created_at: now(),
    })
}

/// `field` is the one of the request that names the wallet, for the message.
async fn known_wallet(app: &App, field: &'static str, id: Uuid) -> Result<Wallet, ApiError> {
    let wallet = app.store.wallet(id).await?;
    wallet.ok_or(ApiError::UnknownWallet(field))
}

fn check_asset(field: &'static str, wallet: &Wallet, asset: Asset) -> Result<(), ApiError> {
    if wallet.asset == asset { Ok(()) } else { Err(ApiError::WrongAsset { field, holds: wallet.asset }) }
}

/// A page of `items`, of which one more than `limit` was fetched if there is a next page.
fn page<T>(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> Uuid) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(id);
    Page { items, next }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
