//! The two protocols: how requests are read from a connection, and how a [`Reply`] is written to it.

use super::reply::{Answer, Body, Reply, reply_to};
use super::wire::Wire;
use super::{Shared, reply};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Larger than any batch, so that flow control never holds up a request.
const WINDOW: u32 = 16 << 20;

/// Serves a connection until its end. Its errors are the client's or were asked for.
pub(super) async fn serve(http2: bool, pipe: DuplexStream, wire: Arc<Wire>, shared: Arc<Shared>) {
    if http2 {
        let _ = serve_http2(pipe, wire, shared).await;
    } else {
        let _ = serve_http1(pipe, wire, shared).await;
    }
}

async fn serve_http1(pipe: DuplexStream, wire: Arc<Wire>, shared: Arc<Shared>) -> hyper::Result<()> {
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (wire, shared) = (Arc::clone(&wire), Arc::clone(&shared));
        async move {
            let (head, body) = request.into_parts();
            match reply_to(&head, Body::Http1(body), &wire, &shared).await {
                Reply::Answer(answer) => {
                    let Answer { head, body, .. } = *answer;
                    Ok(head.map(|()| Full::new(body)))
                }
                // The connection ends without an answer.
                Reply::GoAway(_) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                Reply::Reset(_) | Reply::Cut => {
                    wire.cut();
                    pending().await
                }
            }
        }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(pipe), service).await
}

async fn serve_http2(pipe: DuplexStream, wire: Arc<Wire>, shared: Arc<Shared>) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).max_concurrent_streams(1_000);
    let mut connection = builder.handshake(pipe).await?;
    let (go_away, mut going_away) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(request) = accepted else { return Ok(()) };
                let (request, respond) = request?;
                tokio::spawn(serve_stream(request, respond, go_away.clone(), Arc::clone(&wire), Arc::clone(&shared)));
            }
            Some(code) = going_away.recv() => connection.abrupt_shutdown(h2::Reason::from(code)),
        }
    }
}

async fn serve_stream(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    go_away: mpsc::UnboundedSender<u32>,
    wire: Arc<Wire>,
    shared: Arc<Shared>,
) {
    let (head, body) = request.into_parts();
    let reply = tokio::select! {
        reply = reply_to(&head, Body::Http2(body), &wire, &shared) => reply,
        // The client has given up, or is gone.
        _ = poll_fn(|context| respond.poll_reset(context)) => return,
    };
    match reply {
        Reply::Answer(answer) => {
            // An error is the client's: it is gone.
            let _ = send(&mut respond, *answer);
        }
        Reply::Reset(code) => respond.send_reset(h2::Reason::from(code)),
        // The receiver lives as long as the connection.
        Reply::GoAway(code) => drop(go_away.send(code)),
        Reply::Cut => wire.cut(),
    }
}

/// h2 keeps what the client has not yet room for.
fn send(respond: &mut h2::server::SendResponse<Bytes>, answer: Answer) -> Result<(), h2::Error> {
    let alone = answer.body.is_empty() && answer.trailers.is_none();
    let mut stream = respond.send_response(answer.head, alone)?;
    if alone {
        return Ok(());
    }
    stream.send_data(answer.body, answer.trailers.is_none())?;
    answer.trailers.map_or(Ok(()), |trailers| stream.send_trailers(trailers))
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, reply::Broken>> {
        match self {
            Self::Http1(body) => loop {
                let Ok(frame) = body.frame().await? else { return Some(Err(reply::Broken)) };
                // Trailers mean nothing to OTLP.
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            },
            Self::Http2(body) => {
                let Ok(data) = body.data().await? else { return Some(Err(reply::Broken)) };
                let released = body.flow_control().release_capacity(data.len());
                Some(released.map(|()| data).map_err(|_| reply::Broken))
            }
        }
    }
}
