//! The way of an alert: a release that cannot reach its chain, the requests that fail, and what Alertmanager sends.

use crate::client::Client;
use crate::say;
use stack::inbox::{Inbox, Message};
use stack::interrupt;
use stack::service::{Service, ServiceOptions};
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

/// How long the alert may take from the first failing request. About 15 s are usual: the rate over 10 s, 10 s of
/// waiting, and the grouping.
const PATIENCE: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(100);

const ALERT: &str = "HighErrorRate";
/// A request that asks the chain.
const REQUEST: &str = "/api/v1/gas/estimate?chain=ethereum";

/// Replaces the service by one whose chain fails always, until the alert has arrived; then by a healthy one. Returns that
/// and how many messages have come for the alert.
pub(crate) fn show(
    service: Service,
    options: &ServiceOptions,
    inbox: &Inbox,
) -> Result<(Service, usize), Box<dyn Error>> {
    eprintln!("injecting a fault: the next release of the service cannot reach its chain");
    let faulty = ServiceOptions { env: vec![("CHAIN_FAILURE_RATE".to_owned(), "1".to_owned())], ..options.clone() };
    let faulty = replaced(service, &faulty)?;
    eprintln!("waiting for {ALERT} (the times of the rules are a thirtieth of the shipped ones)");
    let alerted = fail_until_alerted(&faulty, inbox);
    eprintln!("taking the release back");
    let healthy = replaced(faulty, options)?;
    let (after, messages) = alerted?;
    say(format!("\n── the alert: {REQUEST} answered 502, {} s later Alertmanager has sent", after.as_secs()))?;
    for message in &messages {
        say(format!("{:<12} {}", message.channel, short(message)))?;
    }
    Ok((healthy, messages.len()))
}

fn replaced(service: Service, options: &ServiceOptions) -> Result<Service, Box<dyn Error>> {
    let next = ServiceOptions { continued_log: true, ..options.clone() };
    service.stop()?;
    Ok(Service::start(&next)?)
}

fn fail_until_alerted(service: &Service, inbox: &Inbox) -> Result<(Duration, Vec<Message>), Box<dyn Error>> {
    let client = Client::new(service.url());
    let start = Instant::now();
    loop {
        client.get_refused(REQUEST)?;
        let messages: Vec<Message> =
            inbox.messages().into_iter().filter(|message| message.text().contains(ALERT)).collect();
        // A P1 goes two ways: to the chat and by email.
        let came = |channel: &str| messages.iter().any(|message| message.channel == channel);
        if came("slack_api") && came("email") {
            return Ok((start.elapsed(), messages));
        }
        if interrupt::requested() {
            return Err(interrupt::error().into());
        }
        if start.elapsed() > PATIENCE {
            return Err(format!(
                "no chat message and email about {ALERT} within {} s; got {messages:?}",
                PATIENCE.as_secs()
            )
            .into());
        }
        thread::sleep(POLL);
    }
}

/// The line of a message that says what it is about.
fn short(message: &Message) -> String {
    let text = message.text();
    let title = message.body["attachments"][0]["title"].as_str();
    let subject = || text.lines().find_map(|line| line.strip_prefix("Subject: "));
    title.or_else(subject).unwrap_or(&text).to_owned()
}
