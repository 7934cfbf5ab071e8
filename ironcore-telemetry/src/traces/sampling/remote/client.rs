//! One request over HTTP/1.1. It trusts nothing of the answer, and waits for no name look-up of the runtime's pool.

use crate::causes::Causes;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The largest body that is read, in bytes.
const BODY: usize = 1024 * 1024;
/// The largest head that is read, in bytes.
const HEAD: usize = 16 * 1024;
/// How long a connection to one address may take.
const CONNECT: Duration = Duration::from_secs(3);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;

/// Sends requests, each over a connection of its own.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Whether a thread looks a name up, or connects. It may hang there, so there is one at most.
    is_connecting: Arc<AtomicBool>,
}

impl Client {
    /// The body of the answer to `GET url`. The caller limits the time.
    ///
    /// # Errors
    /// Why there is none: no connection, a status other than 200 (redirects are not followed), a body that is too long.
    /// Without any text of the server.
    pub(super) async fn get(&self, url: &str) -> Result<Bytes, String> {
        let url: Uri = url.parse().map_err(|_| "the endpoint is no URL")?;
        let stream = self.connect(&url).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| Causes(&error).to_string())?;
        // Ends with this function, also where the caller gives up.
        let mut running = JoinSet::new();
        running.spawn(connection);
        let response = sender.send_request(request(&url)?).await.map_err(|error| Causes(&error).to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), BODY).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => format!("the answer is longer than {BODY} bytes"),
            None => Causes(&*error).to_string(),
        })?;
        Ok(body.to_bytes())
    }

    async fn connect(&self, url: &Uri) -> Result<TcpStream, String> {
        if url.scheme_str() != Some("http") {
            return Err("only http:// is supported".to_owned());
        }
        let host = url.host().ok_or("the endpoint has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(80);
        if self.is_connecting.swap(true, Ordering::Acquire) {
            return Err("the look-up of the host, or its connection, still hangs".to_owned());
        }
        let (done, connected) = oneshot::channel();
        let is_connecting = Connecting(Arc::clone(&self.is_connecting));
        let connect = move || {
            let stream = connect_blocking(&host, port);
            drop(is_connecting);
            // Nobody waits for it once the time is up.
            let _ = done.send(stream);
        };
        let thread = std::thread::Builder::new().name("ironcore-connect".to_owned()).spawn(connect);
        thread.map_err(|error| format!("no thread: {error}"))?;
        let stream = connected.await.map_err(|_| "the thread that connects has ended")??;
        TcpStream::from_std(stream).map_err(|error| error.to_string())
    }
}

/// Puts the flag back, also where the thread is not started or panics.
struct Connecting(Arc<AtomicBool>);

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn connect_blocking(host: &str, port: u16) -> Result<std::net::TcpStream, String> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| format!("the host is not known: {error}"))?;
    let mut failed = "the host has no address".to_owned();
    for address in addresses.take(ADDRESSES) {
        let connect = || {
            let stream = std::net::TcpStream::connect_timeout(&address, CONNECT)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        match connect() {
            Ok(stream) => return Ok(stream),
            Err::<_, std::io::Error>(error) => failed = format!("no connection to {address}: {error}"),
        }
    }
    Err(failed)
}

fn request(url: &Uri) -> Result<Request<Empty<Bytes>>, String> {
    let host = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .body(Empty::new());
    request.map_err(|error| error.to_string())
}
