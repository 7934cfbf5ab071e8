//! An inbox for alerts on this machine: it receives what Alertmanager would post to Slack, `PagerDuty` and webhooks and
//! send as email. `cargo stack up` prints the messages, the demo shows them, the tests read
//! them.

use crate::query::wait_until;
use anyhow::{Result, anyhow};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const POLL: Duration = Duration::from_millis(50);

/// How large one message may be.
const LIMIT: usize = 1 << 20;

/// One message from Alertmanager.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The path it was posted to, such as `slack_api`, `pagerduty`, `sms_webhook`; `email` if it came over SMTP.
    pub channel: String,
    /// The query of the address that it was posted to: an SMS gateway takes its text from there.
    pub query: String,
    /// The posted body as JSON; for an email, a string with its headers and text.
    pub body: Value,
}

impl Message {
    /// The body as text.
    pub fn text(&self) -> String {
        self.body.as_str().map_or_else(|| self.body.to_string(), ToOwned::to_owned)
    }
}

/// A receiver of alerts in this process. Dropping it ends it.
#[derive(Debug)]
pub struct Inbox {
    http: SocketAddr,
    mail: SocketAddr,
    messages: Messages,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

type Messages = Arc<Mutex<Vec<Message>>>;

impl Inbox {
    /// Listens on free ports.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (http, mail) = runtime.block_on(async { Ok::<_, io::Error>((bind().await?, bind().await?)) })?;
        let addresses = (http.local_addr()?, mail.local_addr()?);
        let messages = Messages::default();
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&messages);
        let thread = thread::Builder::new().name("inbox".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve_http(http, Arc::clone(&kept)) => {}
                    () = serve_mail(mail, kept) => {}
                }
            });
        })?;
        Ok(Self { http: addresses.0, mail: addresses.1, messages, stop: Some(stop), thread: Some(thread) })
    }

    /// The address for messages over HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address for messages over SMTP.
    pub fn mail(&self) -> SocketAddr {
        self.mail
    }

    /// All messages so far, in the order of their arrival.
    pub fn messages(&self) -> Vec<Message> {
        self.messages_after(0)
    }

    /// The messages after the first `count`.
    pub fn messages_after(&self, count: usize) -> Vec<Message> {
        lock(&self.messages).iter().skip(count).cloned().collect()
    }

    /// The first message of a channel whose text contains all of `parts`, within `timeout`; the error names the channels
    /// of the messages that have arrived instead.
    pub fn wait_for(&self, channel: &str, parts: &[&str], timeout: Duration) -> Result<Message> {
        let what = format!("a message on {channel} with {parts:?}");
        wait_until(timeout, POLL, what, || {
            let messages = self.messages();
            let found = messages
                .iter()
                .find(|message| message.channel == channel && parts.iter().all(|part| message.text().contains(part)));
            match found {
                Some(message) => Ok(Some(message.clone())),
                None => Err(anyhow!(
                    "{} messages: {}",
                    messages.len(),
                    messages.iter().map(|message| message.channel.as_str()).collect::<Vec<_>>().join(", ")
                )),
            }
        })
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // The thread may have ended by itself, and then no longer receives.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

async fn serve_http(listener: TcpListener, messages: Messages) {
    let router = Router::new()
        .route(
            "/{*channel}",
            post(async move |Path(channel): Path<String>, RawQuery(query): RawQuery, body: Bytes| {
                let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
                let query = query.unwrap_or_default();
                lock(&messages).push(Message { channel, query, body });
                // Slack and PagerDuty both accept this answer.
                (StatusCode::OK, "ok")
            }),
        )
        .layer(axum::extract::DefaultBodyLimit::max(LIMIT));
    if let Err(error) = axum::serve(listener, router).await {
        eprintln!("the inbox has ended: {error}");
    }
}

async fn serve_mail(listener: TcpListener, messages: Messages) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let messages = Arc::clone(&messages);
                tokio::spawn(async move {
                    // A connection that breaks off has delivered no message.
                    let _ = serve_smtp(stream, &messages).await;
                });
            }
            Err(error) => {
                // For example too many open files, which passes.
                eprintln!("the inbox cannot take an email: {error}");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// The part of SMTP (RFC 5321) that a client needs to deliver its messages.
async fn serve_smtp(stream: impl AsyncRead + AsyncWrite + Unpin, messages: &Messages) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 inbox\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "DATA" => {
                stream.write_all(b"354 end with a dot\r\n").await?;
                let text = read_mail(&mut stream).await?;
                lock(messages).push(Message { channel: "email".into(), query: String::new(), body: text.into() });
                b"250 taken\r\n"
            }
            "EHLO" => b"250-inbox\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" => b"235 welcome\r\n",
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}

/// The lines up to the one that consists of a dot.
async fn read_mail(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let start = text.len();
        if stream.read_line(&mut text).await? == 0 || text.len() > LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if text[start..].trim_end() == "." {
            text.truncate(start);
            return Ok(text);
        }
    }
}

fn lock(messages: &Messages) -> MutexGuard<'_, Vec<Message>> {
    messages.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    #[test]
    fn a_posted_message_is_kept_with_its_channel() {
        let inbox = Inbox::start().unwrap();
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let url = format!("http://{}/slack_api", inbox.http());
        agent.post(url).send(r#"{"text":"ServiceDown"}"#).unwrap();
        let message = inbox.wait_for("slack_api", &["ServiceDown"], Duration::from_mins(1)).unwrap();
        assert_eq!(message.body["text"], "ServiceDown");
        let missing = inbox.wait_for("email", &["x"], Duration::ZERO).unwrap_err().to_string();
        assert!(missing.contains("1 messages: slack_api"), "{missing}");
    }

    #[test]
    fn an_email_is_kept_with_its_headers() {
        let inbox = Inbox::start().unwrap();
        let mut stream = TcpStream::connect(inbox.mail()).unwrap();
        stream
            .write_all(
                b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: fire\r\n\r\nline\r\n.\r\nQUIT\r\n",
            )
            .unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert!(answers.ends_with("221 bye\r\n"), "{answers}");
        assert_eq!(inbox.messages()[0].text(), "Subject: fire\r\n\r\nline\r\n");
    }
}
