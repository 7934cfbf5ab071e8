//! What a collector can do wrong.

use std::time::Duration;

/// What the collector does with requests and connections. Spans are taken where it says so, and nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Takes every request.
    Ok,
    /// The port is closed and every connection is cut; the same port opens again with the next mode.
    Refuse,
    /// Connections are accepted and never read. Those that are open fall silent for ever; new ones too, whatever mode
    /// comes after.
    Blackhole,
    /// The connections that are open fall silent for ever, as when packets of a connection are dropped. New ones are
    /// served as in [`Mode::Ok`].
    Silent,
    /// Takes every request, but reads at most so many bytes a second from each connection.
    SlowRead(u64),
    /// Takes every request and answers it after this time; takes nothing when the client gives up before.
    SlowReply(Duration),
    /// Cuts the connection (TCP RST) when the first bytes of a body have arrived.
    ResetMidBody,
    /// Resets the stream with this HTTP/2 code; over HTTP/1.1, cuts the connection.
    RstStream(u32),
    /// Closes the connection without an answer: GOAWAY with this HTTP/2 code; over HTTP/1.1, the end of the stream.
    GoAway(u32),
    /// Answers with this gRPC code; over HTTP, with the HTTP status that it is mapped to.
    Grpc(u8, Hint),
    /// Answers with this HTTP status, also to gRPC, as a proxy does.
    Http(u16, Hint),
    /// Takes all but the last so many spans of each request, and says so. A negative number takes all of them.
    PartialSuccess(i64),
    /// 200 with a web page.
    Html,
    /// 200 with a body of the right type that is no protobuf message.
    Garbage,
    /// 200 with a JSON object that is no answer of OTLP.
    Json,
    /// 200 with a body of the right type of 100 MiB.
    HugeReply,
    /// 307 to this URL.
    Redirect(String),
    /// Answers UNAVAILABLE (503) with this probability, else takes the request. The seed decides which.
    Flaky {
        /// Between 0 and 1.
        probability: f64,
        /// The same seed refuses the same requests, counted from the start of the collector.
        seed: u64,
    },
    /// Refuses messages of more than so many bytes as a gRPC server of Go does (`RESOURCE_EXHAUSTED` before the message
    /// has been read), or with 413; takes the others.
    Limit(usize),
    /// Takes every request and cuts the connection instead of answering.
    AnswerLost,
}

/// When the client should try again, as a refusal says it: `RetryInfo` over gRPC, `Retry-After` over HTTP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hint {
    /// It does not say.
    None,
    /// After so many seconds; none of the values that a number can have is forbidden.
    Seconds(i64),
    /// At a time, so many seconds from now; over gRPC the same as [`Hint::Seconds`].
    Date(i64),
    /// Something that is no hint.
    Garbage,
}
