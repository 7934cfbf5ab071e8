//! Addresses of a name. The system's look-up blocks, for as long as its servers are silent: it has a thread of its own, so
//! that nothing else waits for it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;
type Found = Result<Vec<SocketAddr>, String>;

/// The addresses of one host and port.
pub(super) struct Lookup {
    host: Arc<str>,
    port: u16,
    resolve: Arc<Resolve>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The look-up that has not ended: at most one, for a hung one would be joined by another with each attempt.
    running: Option<watch::Receiver<Option<Found>>>,
    /// The addresses of the last one that has found some.
    last: Vec<SocketAddr>,
}

impl Lookup {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self::with(host, port, Arc::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect)))
    }

    fn with(host: &str, port: u16, resolve: Arc<Resolve>) -> Self {
        Self { host: host.into(), port, resolve, state: Arc::default() }
    }

    /// The addresses, in the order in which they are to be tried. When the look-up fails, or takes longer than `limit`,
    /// they are those of the last one.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn addresses(&self, limit: Duration) -> Found {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let failure = match self.running() {
            Ok(mut running) => match timeout(limit, running.wait_for(Option::is_some)).await {
                Ok(Ok(found)) => match found.as_ref() {
                    Some(Ok(addresses)) => return Ok(taking_turns(addresses)),
                    Some(Err(error)) => error.clone(),
                    None => String::new(),
                },
                Ok(Err(_)) => "the look-up was broken off".to_owned(),
                Err(_) => format!("the look-up takes longer than {limit:?}"),
            },
            Err(error) => format!("no thread for the look-up: {error}"),
        };
        match lock(&self.state).last.as_slice() {
            [] => Err(format!("no address of {}: {failure}", self.host)),
            last => Ok(taking_turns(last)),
        }
    }

    /// The look-up that is running, else a new one.
    fn running(&self) -> io::Result<watch::Receiver<Option<Found>>> {
        let mut state = lock(&self.state);
        if let Some(running) = &state.running {
            return Ok(running.clone());
        }
        let (done, running) = watch::channel(None);
        let (host, port) = (Arc::clone(&self.host), self.port);
        let (resolve, shared) = (Arc::clone(&self.resolve), Arc::clone(&self.state));
        let thread = std::thread::Builder::new().name("ironcore-lookup".to_owned());
        thread.spawn(move || {
            let ended = Ended(shared);
            let found = resolve(&host, port).map_err(|error| error.to_string());
            let found = found.and_then(|addresses| match addresses.as_slice() {
                [] => Err("it has none".to_owned()),
                _ => Ok(addresses),
            });
            if let Ok(addresses) = &found {
                lock(&ended.0).last.clone_from(addresses);
            }
            drop(ended);
            // Nobody may be waiting any more.
            let _ = done.send(Some(found));
        })?;
        state.running = Some(running.clone());
        Ok(running)
    }
}

/// Makes room for the next look-up, also after a panic.
struct Ended(Arc<Mutex<State>>);

impl Drop for Ended {
    fn drop(&mut self) {
        lock(&self.0).running = None;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// IPv6 and IPv4 in turn, so that a family that does not work costs one attempt.
fn taking_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first = |address: &SocketAddr| addresses.first().is_some_and(|first| first.is_ipv6() == address.is_ipv6());
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().copied().partition(|address| is_first(address));
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::with_capacity(addresses.len());
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return turns;
        }
        turns.extend(one.into_iter().chain(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(60);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let lookup = Lookup::with("::1", 7, Arc::new(|_, _| panic!("looked up")));
        assert_eq!(lookup.addresses(LONG).await.unwrap(), ["[::1]:7".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_has_the_addresses_of_the_system() {
        let addresses = Lookup::new("localhost", 7).addresses(LONG).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 7), "{addresses:?}");
    }

    #[tokio::test]
    async fn a_look_up_that_fails_or_has_nothing_is_an_error_with_the_name() {
        let lookup = Lookup::with("collector", 7, Arc::new(|_, _| Err(io::Error::other("refused"))));
        assert_eq!(lookup.addresses(LONG).await.unwrap_err(), "no address of collector: refused");
        let lookup = Lookup::with("collector", 7, Arc::new(|_, _| Ok(Vec::new())));
        assert_eq!(lookup.addresses(LONG).await.unwrap_err(), "no address of collector: it has none");
        let lookup = Lookup::with("collector", 7, Arc::new(|_, _| panic!("in the look-up")));
        assert!(lookup.addresses(LONG).await.unwrap_err().contains("broken off"));
        // The next one has a thread again.
        assert!(lookup.addresses(LONG).await.unwrap_err().contains("broken off"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_hangs_leaves_the_last_addresses_and_is_not_joined_by_another() {
        let (release, hangs) = mpsc::channel::<u16>();
        let (hangs, runs) = (Mutex::new(hangs), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&runs);
        let resolve = move |_: &str, _| {
            count.fetch_add(1, Ordering::SeqCst);
            hangs.lock().unwrap().recv().map(|port| vec![address(port)]).map_err(io::Error::other)
        };
        let lookup = Lookup::with("collector", 7, Arc::new(resolve));
        let limit = Duration::from_secs(2);
        for _ in 0..3 {
            let error = lookup.addresses(limit).await.unwrap_err();
            assert_eq!(error, "no address of collector: the look-up takes longer than 2s");
        }
        // The paused clock would run out before the thread is done.
        tokio::time::resume();
        // It is joined before it ends.
        let (found, ()) = tokio::join!(lookup.addresses(LONG), async { release.send(1).unwrap() });
        assert_eq!(found.unwrap(), [address(1)]);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        tokio::time::pause();
        assert_eq!(lookup.addresses(limit).await.unwrap(), [address(1)], "hangs again");
        drop(release);
        tokio::time::resume();
        assert_eq!(lookup.addresses(LONG).await.unwrap(), [address(1)], "has failed");
    }

    #[test]
    fn families_take_turns_from_the_first_one_on() {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(taking_turns(&mixed), parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        let mixed = parse(&["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"]);
        assert_eq!(taking_turns(&mixed), mixed);
        assert_eq!(taking_turns(&[]), []);
    }
}
