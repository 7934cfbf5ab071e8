//! The port and its connections: between each socket and its protocol stand two copying loops, which can be held up.

use super::mode::Mode;
use super::{Shared, protocol, socket};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

/// What is read at once.
const CHUNK: usize = 16 * 1024;
/// What one direction holds between the socket and the protocol.
const PIPE: usize = 64 * 1024;

/// One connection, as seen from outside of its loops.
#[derive(Debug)]
pub(super) struct Wire {
    /// Counted from 1.
    pub(super) number: usize,
    silent: AtomicBool,
    cut: Notify,
}

impl Wire {
    /// Nothing passes any more; the connection stays open.
    pub(super) fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Ends the connection with a TCP RST.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Returns at once, or never.
    async fn speaks(&self) {
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

/// Serves the port; it is open in every mode but [`Mode::Refuse`].
pub(super) async fn listen(address: SocketAddr, shared: &Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    loop {
        until(&mut mode, |mode| *mode != Mode::Refuse).await;
        let listener = socket(address).listen(1024).expect("the port opens");
        shared.update(|state| state.listening = true);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => { tokio::spawn(serve(socket, Arc::clone(shared))); }
                    // Out of descriptors, or the client has gone already.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                () = until(&mut mode, |mode| *mode == Mode::Refuse) => break,
            }
        }
        drop(listener);
        shared.update(|state| state.listening = false);
    }
}

async fn until(mode: &mut watch::Receiver<Mode>, holds: impl FnMut(&Mode) -> bool) {
    // The sender lives as long as the collector.
    let _ = mode.wait_for(holds).await;
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let wire = shared.update(|state| {
        state.connections += 1;
        // Asked under the lock: who changes the mode silences the connections that are listed, under the lock too.
        let silent = AtomicBool::new(*shared.mode.borrow() == Mode::Blackhole);
        let wire = Wire { number: state.connections, silent, cut: Notify::new() };
        let wire = Arc::new(wire);
        state.wires.retain(|wire| wire.strong_count() > 0);
        state.wires.push(Arc::downgrade(&wire));
        wire
    });
    let mut mode = shared.mode.subscribe();
    let connection = async {
        let Ok(http2) = begins_http2(&socket, &wire).await else { return Ok(()) };
        let (outer, inner) = tokio::io::duplex(PIPE);
        tokio::spawn(protocol::serve(http2, inner, Arc::clone(&wire), Arc::clone(&shared)));
        let (from_client, to_client) = socket.split();
        let (from_server, to_server) = tokio::io::split(outer);
        tokio::try_join!(copy(from_client, to_server, &wire, Some(&*shared)), copy(from_server, to_client, &wire, None))
            .map(drop)
    };
    let cut = tokio::select! {
        ended = connection => ended.is_err(),
        () = wire.cut.notified() => true,
        () = until(&mut mode, |mode| *mode == Mode::Refuse) => true,
    };
    if cut {
        // The client sees a reset, as from a process that was killed with unread data.
        let _ = socket.set_zero_linger();
    }
}

/// Whether the client speaks HTTP/2 ("PRI * HTTP/2.0"), without taking the bytes away from the protocol.
async fn begins_http2(socket: &TcpStream, wire: &Wire) -> io::Result<bool> {
    let mut first = [0; 2];
    loop {
        wire.speaks().await;
        match socket.peek(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            // A lone first byte, which no client sends: the readiness of the socket cannot tell of the second.
            1 => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => return Ok(first == *b"PR"),
        }
    }
}

/// Copies until the end, as fast as the mode allows.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    wire: &Wire,
    limited_by: Option<&Shared>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        wire.speaks().await;
        let rate = limited_by.and_then(|shared| match *shared.mode.borrow() {
            Mode::SlowRead(rate) => Some(rate.max(1)),
            _ => None,
        });
        // At most a tenth of a second's bytes at once.
        let most = rate.map_or(CHUNK, |rate| usize::try_from(rate / 10).unwrap_or(CHUNK).clamp(1, CHUNK));
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if let Some(rate) = rate {
            let micros = 1_000_000 * read as u64 / rate;
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        // What arrives after the silence has begun is lost.
        wire.speaks().await;
        to.write_all(&buffer[..read]).await?;
    }
}
