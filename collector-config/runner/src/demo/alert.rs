//! An alert from fault to message: a release that cannot reach its chain, failing requests, and what Alertmanager
//! sends.

use crate::client::Client;
use anyhow::bail;
use stack::Result;
use stack::inbox::{Inbox, Message};
use stack::interrupt;
use stack::service::{Service, ServiceOptions};
use stack::terminal::print_line;
use std::thread;
use std::time::{Duration, Instant};

/// How long the alert may take from the first failing request. It usually takes 15 s: the rate over 10 s, a
/// wait of 10 s, and the grouping.
const PATIENCE: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(100);

const ALERT: &str = "HighErrorRate";
/// A request that needs the chain.
const REQUEST: &str = "/api/v1/gas/estimate?chain=ethereum";

/// Replaces the service by one whose chain always fails until the alert has arrived, and then by a healthy one. Returns
/// the healthy one and the number of messages for the alert.
pub(crate) fn show(service: Service, options: &ServiceOptions, inbox: &Inbox) -> Result<(Service, usize)> {
    eprintln!("injecting a fault: the next release of the service cannot reach its chain");
    let faulty = ServiceOptions { env: vec![("CHAIN_FAILURE_RATE".to_owned(), "1".to_owned())], ..options.clone() };
    let faulty = replace(service, &faulty)?;
    eprintln!("waiting for {ALERT} (the waits and windows of the rules are divided by 30)");
    let alerted = fail_until_alerted(&faulty, inbox);
    eprintln!("rolling back the release");
    let healthy = replace(faulty, options)?;
    let (after, messages) = alerted?;
    print_line(format!("\n── the alert: {REQUEST} answered 502; {} s later Alertmanager had sent", after.as_secs()))?;
    for message in &messages {
        print_line(format!("{:<12} {}", message.channel, title(message)))?;
    }
    Ok((healthy, messages.len()))
}

fn replace(service: Service, options: &ServiceOptions) -> Result<Service> {
    let next = ServiceOptions { continued_log: true, ..options.clone() };
    service.stop()?;
    Service::start(&next)
}

fn fail_until_alerted(service: &Service, inbox: &Inbox) -> Result<(Duration, Vec<Message>)> {
    let client = Client::new(service.url());
    let start = Instant::now();
    loop {
        client.get_refused(REQUEST)?;
        let messages: Vec<Message> =
            inbox.messages().into_iter().filter(|message| message.text().contains(ALERT)).collect();
        // A P1 is sent to the chat and by email.
        let arrived = |channel: &str| messages.iter().any(|message| message.channel == channel);
        if arrived("slack_api") && arrived("email") {
            return Ok((start.elapsed(), messages));
        }
        interrupt::check()?;
        if start.elapsed() > PATIENCE {
            bail!("no chat message and email for {ALERT} within {PATIENCE:?}; received {messages:?}");
        }
        thread::sleep(POLL);
    }
}

/// The title of a chat message or the subject of an email.
fn title(message: &Message) -> String {
    let text = message.text();
    let chat = message.body["attachments"][0]["title"].as_str();
    let subject = || text.lines().find_map(|line| line.strip_prefix("Subject: "));
    chat.or_else(subject).unwrap_or(&text).to_owned()
}
