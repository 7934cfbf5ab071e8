//! The connections of a client: one that all requests share with HTTP/2, one for each request in flight with HTTP/1.1. A
//! connection on which a request failed, or got no answer in time, is not used again.

use super::Response;
use super::body::Parts;
use super::connect::Connector;
use super::connection::{Connection, SendError};
use crate::config::Protocol;
use crate::export::answer::{Cause, Failure};
use http::Request;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, timeout_at};

/// The connections with HTTP/1.1 that are kept for the next requests.
const MOST_IDLE: usize = 16;

pub(super) struct Pool {
    connector: Connector,
    /// With HTTP/2. Locked while it is being opened: the other requests wait for it.
    shared: tokio::sync::Mutex<Shared>,
    /// The attempts that have failed to open the shared one.
    failures: AtomicU64,
    /// With HTTP/1.1; the last one that was used is used first.
    idle: Mutex<Vec<Connection>>,
}

#[derive(Default)]
struct Shared {
    connection: Option<Connection>,
    failure: Option<Failure>,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, shared: tokio::sync::Mutex::default(), failures: AtomicU64::new(0), idle: Mutex::default() }
    }

    /// Sends a request on a connection that is open, else on a new one. If the open one was closed before anything of the
    /// request was sent, the request is sent on a new one.
    ///
    /// # Errors
    /// There is no connection, it broke, or there was no response until `deadline`.
    pub(super) async fn exchange(&self, request: Request<Parts>, deadline: Instant) -> Result<Response, Failure> {
        let (connection, is_reused) = in_time(deadline, self.connection()).await?;
        let request = match self.send_on(connection, request, deadline).await {
            Ok(response) => return Ok(response),
            Err(SendError::NotSent(request, _)) if is_reused => *request,
            Err(SendError::NotSent(_, failure) | SendError::Broken(failure)) => return Err(failure),
        };
        let (connection, _) = in_time(deadline, self.connection()).await?;
        self.send_on(connection, request, deadline).await.map_err(|error| match error {
            SendError::NotSent(_, failure) | SendError::Broken(failure) => failure,
        })
    }

    async fn send_on(
        &self,
        mut connection: Connection,
        request: Request<Parts>,
        deadline: Instant,
    ) -> Result<Response, SendError> {
        let result = timeout_at(deadline, connection.send(request)).await;
        let result = result
            .unwrap_or_else(|_| Err(SendError::Broken(Failure::new(Cause::Broken, "no answer within the time limit"))));
        if result.is_ok() {
            self.keep(connection);
        } else {
            connection.retire();
            // The others have gone the same way.
            self.idle().clear();
        }
        result
    }

    /// A connection, and whether it was open already.
    async fn connection(&self) -> Result<(Connection, bool), Failure> {
        match self.connector.protocol() {
            Protocol::Grpc => self.shared().await,
            Protocol::HttpProtobuf => {
                let open = {
                    let mut idle = self.idle();
                    std::iter::from_fn(|| idle.pop()).find(Connection::is_usable)
                };
                match open {
                    Some(connection) => Ok((connection, true)),
                    None => Ok((self.open().await?, false)),
                }
            }
        }
    }

    async fn shared(&self) -> Result<(Connection, bool), Failure> {
        let seen = self.failures.load(Ordering::Relaxed);
        let mut shared = self.shared.lock().await;
        shared.connection = shared.connection.take().filter(Connection::is_usable);
        if let Some(share) = shared.connection.as_ref().and_then(Connection::share) {
            return Ok((share, true));
        }
        // While this request was waiting, another one has tried for all of them.
        if let Some(failure) = &shared.failure
            && self.failures.load(Ordering::Relaxed) != seen
        {
            return Err(failure.clone());
        }
        match self.open().await {
            Ok(connection) => {
                let share = connection.share();
                shared.failure = None;
                shared.connection = Some(connection);
                share.map(|share| (share, false)).ok_or_else(|| Failure::new(Cause::Unreachable, "not shared"))
            }
            Err(failure) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                shared.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        Connection::open(self.connector.connect().await?, self.connector.protocol()).await
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if connection.share().is_none() && connection.is_usable() && idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T>(deadline: Instant, opening: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let opened = timeout_at(deadline, opening).await;
    opened.unwrap_or_else(|_| Err(Failure::new(Cause::Unreachable, "no connection within the time limit")))
}
