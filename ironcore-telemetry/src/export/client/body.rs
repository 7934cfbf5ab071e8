//! The body of a request: the parts of its message, sent one after another without being copied together.

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::vec;

/// A message as it is sent; it may be sent more than once.
pub(super) struct Encoded {
    pub(super) parts: Vec<Bytes>,
    pub(super) is_gzip: bool,
}

impl Encoded {
    pub(super) fn new(parts: Vec<Bytes>, compressed: bool) -> Self {
        match compressed.then(|| gzip(&parts)).flatten() {
            Some(bytes) => Self { parts: vec![bytes], is_gzip: true },
            None => Self { parts, is_gzip: false },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

/// Writing to memory does not fail; if it did, the message would be sent as it is.
fn gzip(parts: &[Bytes]) -> Option<Bytes> {
    let size: usize = parts.iter().map(Bytes::len).sum();
    let mut encoder = GzEncoder::new(Vec::with_capacity(size / 4), Compression::fast());
    for part in parts {
        encoder.write_all(part).ok()?;
    }
    encoder.finish().ok().map(Bytes::from)
}

/// What a compressed message holds; `None` when it is longer than `limit`, or no gzip.
#[cfg(feature = "otlp-grpc")]
pub(super) fn gunzip(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let most = u64::try_from(limit).ok()?.saturating_add(1);
    let mut message = Vec::new();
    let read = flate2::read::GzDecoder::new(bytes).take(most).read_to_end(&mut message).ok()?;
    (read <= limit).then_some(message)
}

/// Parts that are still to be sent.
#[derive(Debug, Clone)]
pub(super) struct Parts(vec::IntoIter<Bytes>);

impl Parts {
    pub(super) fn new(parts: Vec<Bytes>) -> Self {
        Self(parts.into_iter())
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        // An empty part would be a frame of its own that says nothing.
        let part = self.0.by_ref().find(|part| !part.is_empty());
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_slice().iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let size: usize = self.0.as_slice().iter().map(Bytes::len).sum();
        SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn parts() -> Vec<Bytes> {
        ["one, ", "", "two, ", "three", ""].map(|part| Bytes::from_static(part.as_bytes())).into()
    }

    #[tokio::test]
    async fn parts_are_sent_as_one_text_of_known_length() {
        let body = Parts::new(parts());
        assert_eq!(body.size_hint().exact(), Some(15));
        let mut rest = body.clone();
        let mut frames = 0;
        while let Some(frame) = rest.frame().await {
            assert!(!frame.unwrap().into_data().unwrap().is_empty());
            frames += 1;
        }
        assert_eq!((frames, rest.is_end_stream()), (3, true));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "one, two, three");
    }

    #[test]
    #[cfg(feature = "otlp-grpc")]
    fn a_compressed_message_is_one_part_that_decodes_to_the_whole() {
        let plain = Encoded::new(parts(), false);
        assert_eq!((plain.parts.len(), plain.is_gzip, plain.len()), (5, false, 15));
        let gzip = Encoded::new(parts(), true);
        assert_eq!((gzip.parts.len(), gzip.is_gzip), (1, true));
        assert_eq!(gunzip(&gzip.parts[0], 15).unwrap(), b"one, two, three");
    }

    #[test]
    #[cfg(feature = "otlp-grpc")]
    fn a_message_that_swells_beyond_the_limit_is_not_decoded() {
        let zeros = Encoded::new(vec![Bytes::from(vec![0; 10_000])], true).parts;
        assert_eq!(gunzip(&zeros[0], 10_000).map(|message| message.len()), Some(10_000));
        assert_eq!(gunzip(&zeros[0], 9_999), None);
        assert_eq!(gunzip(b"no gzip", 10_000), None);
    }
}
