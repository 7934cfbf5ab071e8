//! The small listener of the `/metrics` page. It serves nothing else, and no client can hold it up or grow it.

use super::page::page;
use crate::error::InitError;
use crate::series::Format;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections served at a time; more wait in the backlog.
const CONNECTIONS: usize = 16;
/// How long a client may take to send its request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// How long one connection may last in all, so that no client can keep a place.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);
/// Bytes that a request's head may take.
const HEAD_BYTES: usize = 8 * 1024;

/// Opens the port, before anything global is set.
///
/// # Errors
/// The address cannot be had.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, InitError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|source| InitError::MetricsListener { address: address.to_string(), source })
}

/// Serves the page, for ever.
pub(crate) async fn serve(listener: Arc<TcpListener>) {
    let Ok(listener) = listener.try_clone().and_then(tokio::net::TcpListener::from_std) else {
        return;
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others will be closed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_LIMIT, connection(stream)).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    // A client that misbehaves or goes away is its own problem.
    let _ = served.await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let accept = request.headers().get(header::ACCEPT);
    let format = Format::asked(accept.and_then(|accept| accept.to_str().ok()));
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => gathered(format).await,
        (_, "/metrics") => refused(StatusCode::METHOD_NOT_ALLOWED, "use GET\n"),
        _ => refused(StatusCode::NOT_FOUND, "only /metrics is here\n"),
    };
    let content_type = if status == StatusCode::OK { format.content_type() } else { "text/plain; charset=utf-8" };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    Ok(response)
}

fn refused(status: StatusCode, why: &str) -> (StatusCode, String) {
    (status, why.to_owned())
}

/// The page, gathered beside the telemetry thread: a callback of the user's may be slow, and must not hold up the spans.
async fn gathered(format: Format) -> (StatusCode, String) {
    match tokio::task::spawn_blocking(move || page(format)).await {
        Ok(page) => (StatusCode::OK, page),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be gathered\n"),
    }
}
