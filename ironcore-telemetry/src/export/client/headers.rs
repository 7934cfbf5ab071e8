//! The headers of the settings, and of the file of headers, which may change at any time: tokens expire.

use super::stamp::Stamp;
use crate::config::{self, Otlp};
use crate::redact::{MASK, Secret};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What is about the connection and the body is not for the settings to say.
const OF_THE_TRANSPORT: &[&str] = &[
    "host",
    "te",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-encoding",
    "content-type",
    "accept-encoding",
];

/// The shortest part of a value that is looked for in the texts of collectors: a shorter one would stand there by chance.
const SHORTEST_SECRET: usize = 6;

/// The headers of each request, without those of the protocol.
pub(super) struct Headers {
    fixed: HeaderMap,
    file: Option<File>,
}

struct File {
    path: PathBuf,
    /// As it was read the last time; without headers while it cannot be used.
    read: Mutex<(Stamp, HeaderMap)>,
}

impl Headers {
    /// # Errors
    /// A header cannot be sent. Its value is not in the text.
    pub(super) fn new(otlp: &Otlp) -> Result<Self, String> {
        let fixed = map(&otlp.headers)?;
        let file = otlp.headers_file.clone().map(|path| {
            let stamp = Stamp::of(&path);
            // The settings have warned of a file that cannot be used. It may come later.
            let headers = read(&path).unwrap_or_default();
            File { path, read: Mutex::new((stamp, headers)) }
        });
        Ok(Self { fixed, file })
    }

    /// The headers that are in force now. Those of the file win: they are the ones that are renewed.
    pub(super) fn current(&self) -> HeaderMap {
        let mut headers = self.fixed.clone();
        if let Some(file) = &self.file {
            file.reread(false);
            for (name, value) in &file.read.lock().unwrap_or_else(PoisonError::into_inner).1 {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    /// Reads the file again, even if it seems not to have changed; whether it has other headers now.
    pub(super) fn reread(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.reread(true))
    }

    /// A text without the values of the headers, and without their parts (`Bearer token`).
    pub(super) fn without_values(&self, text: String) -> String {
        let headers = self.current();
        let values = headers.values().filter_map(|value| value.to_str().ok());
        let parts = values.flat_map(|value| std::iter::once(value).chain(value.split_ascii_whitespace()));
        parts
            .filter(|part| part.len() >= SHORTEST_SECRET)
            .fold(text, |text, part| if text.contains(part) { text.replace(part, MASK) } else { text })
    }
}

impl File {
    fn reread(&self, always: bool) -> bool {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.path);
        if !always && stamp == known.0 {
            return false;
        }
        // A file that is being written, or is gone for a moment, leaves what is known in force.
        let Ok(headers) = read(&self.path) else {
            return false;
        };
        let is_other = headers != known.1;
        *known = (stamp, headers);
        is_other
    }
}

fn read(path: &std::path::Path) -> Result<HeaderMap, String> {
    map(&config::read_headers(path)?)
}

fn map(headers: &[(String, Secret<String>)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        if !OF_THE_TRANSPORT.contains(&name.as_str()) && !name.as_str().starts_with("grpc-") {
            map.insert(name, value);
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TempFile, otlp};
    use super::*;
    use crate::config::Protocol;

    fn headers(list: &[(&str, &str)], file: Option<&TempFile>) -> Headers {
        let mut otlp = otlp("http://h:1", Protocol::Grpc);
        otlp.headers = list.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect();
        otlp.headers_file = file.map(|file| file.path().to_owned());
        Headers::new(&otlp).unwrap()
    }

    #[test]
    fn headers_are_sensitive_and_those_of_the_transport_are_left_out() {
        let list =
            [("Authorization", "Bearer hunter2"), ("Content-Length", "5"), ("Host", "x"), ("grpc-timeout", "1S")];
        let current = headers(&list, None).current();
        assert_eq!(current.len(), 1);
        assert!(current["authorization"].is_sensitive());
        assert!(!format!("{current:?}").contains("hunter2"));
    }

    #[test]
    fn the_file_wins_and_is_read_again_when_it_changes() {
        let file = TempFile::new("authorization=Bearer%20one\ntenant=a,\n");
        let headers = headers(&[("authorization", "Bearer zero"), ("x-kept", "1")], Some(&file));
        let current = headers.current();
        assert_eq!(current["authorization"], "Bearer one");
        assert_eq!(current["tenant"], "a");
        assert_eq!(current["x-kept"], "1");
        file.write("authorization=Bearer%20second");
        let current = headers.current();
        assert_eq!(current["authorization"], "Bearer second");
        assert!(!current.contains_key("tenant"));
        assert!(!headers.reread());
        // What cannot be used leaves the last ones in force.
        file.write("no headers at all");
        assert_eq!(headers.current()["authorization"], "Bearer second");
        file.write("authorization=Bearer%20three");
        assert!(headers.reread());
        assert!(!headers.reread());
    }

    #[test]
    fn a_text_that_repeats_a_value_is_masked() {
        let headers = headers(&[("authorization", "Bearer hunter2hunter2"), ("tenant", "7")], None);
        let clean = headers.without_values("7 of Bearer hunter2hunter2, or hunter2hunter2".to_owned());
        assert_eq!(clean, "7 of [REDACTED], or [REDACTED]");
    }
}
