//! The client with servers that behave, and with those that do not.

mod connections;
mod server;
#[cfg(feature = "tls")]
mod tls;

use crate::config::{Otlp, Protocol, TlsFiles};
use crate::export::answer::Answer;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The protocols of this build.
const PROTOCOLS: &[Protocol] = &[
    #[cfg(feature = "otlp-grpc")]
    Protocol::Grpc,
    #[cfg(feature = "otlp-http")]
    Protocol::HttpProtobuf,
];

const WHOLE: Answer = Answer::Accepted { rejected: 0, message: None };

/// The settings of an endpoint, with a time limit that only bounds a hang.
pub(super) fn otlp(endpoint: &str, protocol: Protocol) -> Otlp {
    Otlp {
        endpoint: endpoint.to_owned(),
        protocol,
        compressed: false,
        headers: Vec::new(),
        headers_file: None,
        tls: TlsFiles::default(),
        timeout: Duration::from_secs(60),
    }
}

/// A file for one test, gone with it.
pub(super) struct TempFile(PathBuf);

impl TempFile {
    pub(super) fn new(text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("ironcore-{:x}", rand::random::<u64>())));
        file.write(text);
        file
    }

    /// Writes another text, at another time: the clock of files is coarse.
    pub(super) fn write(&self, text: &str) {
        let before = self.0.metadata().and_then(|metadata| metadata.modified()).ok();
        loop {
            std::fs::write(&self.0, text).unwrap();
            if self.0.metadata().unwrap().modified().ok() != before {
                return;
            }
            std::thread::yield_now();
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..=chunk.len()).map(move |at| char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]))
    });
    digits.collect()
}
