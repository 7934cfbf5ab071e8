//! The messages in a stream of gRPC, and the trailers that gRPC-Web puts behind them
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>).

use super::grpc::Code;
use bytes::Buf;

/// What a message, or the block of trailers, begins with: a byte of flags and four of the length.
const HEAD: usize = 5;
/// Flags of a message, and of one that is compressed. All others are reserved.
const MESSAGE: u8 = 0;
const COMPRESSED_MESSAGE: u8 = 1;
/// Flags of the trailers of gRPC-Web, and of compressed ones, which are not read.
const TRAILERS: u8 = 0x80;
const COMPRESSED_TRAILERS: u8 = 0x81;

/// Bytes of a line of trailers that are kept: more than `grpc-status: 16` needs. Other lines may have any length.
const LINE: usize = 64;
/// Bytes that are decoded at once.
const DECODED: usize = 192;

/// Counts the messages in a stream of bytes, and reads the status of gRPC-Web from its end, wherever the stream is cut
/// into parts.
///
/// The form of a stream is known from its first byte, so that no header has to be looked up for each call: flags are
/// below or above the characters of base64.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    form: Form,
    /// The head of the next message, as far as it is read.
    head: [u8; HEAD],
    read: u8,
    /// Bytes of the message that are still to come.
    left: u32,
    /// What only a stream of gRPC-Web needs: each call has one of these, and is moved with it.
    web: Option<Box<Web>>,
}

#[derive(Debug, Default)]
struct Web {
    text: Base64,
    /// `None` in front of them.
    trailers: Option<Trailers>,
}

/// How the messages are written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing has passed.
    #[default]
    Unknown,
    /// As they are.
    Binary,
    /// In base64.
    Text,
    /// Not as messages, or the place of the next one is lost.
    None,
}

impl Messages {
    /// The number of messages that begin in the next part of the stream. After a part that is not in one piece no more
    /// are counted, because the start of the next one is unknown.
    #[inline]
    pub(crate) fn begun_in(&mut self, data: &impl Buf) -> u64 {
        let part = data.chunk();
        if part.len() < data.remaining() {
            self.form = Form::None;
        } else if self.form == Form::Unknown {
            self.form = part.first().copied().map_or(Form::Unknown, Form::of);
        }
        match self.form {
            Form::Binary => self.binary(part),
            Form::Text => self.text(part),
            Form::Unknown | Form::None => 0,
        }
    }

    /// The status in the trailers of gRPC-Web, once they have passed.
    #[inline]
    pub(crate) fn status(&self) -> Option<Code> {
        self.web.as_ref()?.trailers.as_ref()?.status
    }

    fn binary(&mut self, mut rest: &[u8]) -> u64 {
        let mut begun = 0;
        while !rest.is_empty() {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let (inside, outside) = rest.split_at_checked(left).unwrap_or((rest, &[]));
            self.left = self.left.saturating_sub(u32::try_from(inside.len()).unwrap_or(u32::MAX));
            if let Some(trailers) = self.web.as_mut().and_then(|web| web.trailers.as_mut()) {
                trailers.read(inside, self.left == 0);
            }
            let Some((first, after)) = outside.split_first() else {
                break;
            };
            if let Some(place) = self.head.get_mut(usize::from(self.read)) {
                *place = *first;
            }
            self.read += 1;
            rest = after;
            if usize::from(self.read) == HEAD {
                let [flags, a, b, c, d] = self.head;
                self.left = u32::from_be_bytes([a, b, c, d]);
                self.read = 0;
                match flags {
                    MESSAGE | COMPRESSED_MESSAGE => begun += 1,
                    TRAILERS if self.web.as_ref().is_none_or(|web| web.trailers.is_none()) => {
                        self.web.get_or_insert_default().trailers = Some(Trailers::default());
                    }
                    // Nothing follows the trailers, and nothing else begins like this.
                    _ => {
                        self.form = Form::None;
                        break;
                    }
                }
            }
        }
        begun
    }

    #[cold]
    fn text(&mut self, part: &[u8]) -> u64 {
        let mut begun = 0;
        for part in part.chunks(DECODED) {
            let mut decoded = [0; DECODED];
            let text = &mut self.web.get_or_insert_default().text;
            let Some(decoded) = text.decode(part, &mut decoded) else {
                self.form = Form::None;
                break;
            };
            begun += self.binary(decoded);
        }
        begun
    }
}

impl Form {
    /// By the first byte of a stream.
    const fn of(first: u8) -> Self {
        match first {
            MESSAGE | COMPRESSED_MESSAGE | TRAILERS | COMPRESSED_TRAILERS => Self::Binary,
            _ if sextet(first).is_some() => Self::Text,
            _ => Self::None,
        }
    }
}

/// The trailers of gRPC-Web, as lines of HTTP/1.1: `grpc-status: 5`.
#[derive(Debug)]
struct Trailers {
    line: [u8; LINE],
    /// Bytes of the line that are in `line`.
    filled: usize,
    /// The first one that stands there.
    status: Option<Code>,
}

impl Default for Trailers {
    fn default() -> Self {
        Self { line: [0; LINE], filled: 0, status: None }
    }
}

impl Trailers {
    fn read(&mut self, part: &[u8], is_last: bool) {
        for byte in part {
            match (*byte, self.line.get_mut(self.filled)) {
                (b'\n', _) => self.end_line(),
                (byte, Some(place)) => {
                    *place = byte;
                    self.filled += 1;
                }
                (_, None) => {}
            }
        }
        if is_last {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        let line = self.line.get(..filled).and_then(|line| std::str::from_utf8(line).ok());
        if let Some((name, value)) = line.and_then(|line| line.split_once(':'))
            && name.trim().eq_ignore_ascii_case("grpc-status")
        {
            self.status.get_or_insert(Code::of_text(value.trim()));
        }
    }
}

/// Base64 in parts. Padding ends a block, not the stream: each part of a response may be encoded by itself.
#[derive(Debug, Default)]
struct Base64 {
    /// The bits of the block of four characters that has begun.
    bits: u32,
    /// Its characters, padding included.
    characters: u8,
    padding: u8,
}

impl Base64 {
    /// Writes what the next part stands for, at most its own length; `None` if it is not base64.
    fn decode<'out>(&mut self, part: &[u8], out: &'out mut [u8; DECODED]) -> Option<&'out [u8]> {
        let mut written = 0;
        for character in part {
            let sextet = match character {
                b'\r' | b'\n' => continue,
                b'=' => {
                    self.padding += 1;
                    0
                }
                character => sextet(*character)?,
            };
            self.bits = self.bits << 6 | u32::from(sextet);
            self.characters += 1;
            if self.characters == 4 {
                let Self { bits, padding, .. } = std::mem::take(self);
                let [_, block @ ..] = bits.to_be_bytes();
                let block = block.get(..3_usize.checked_sub(padding.into())?)?;
                out.get_mut(written..written + block.len())?.copy_from_slice(block);
                written += block.len();
            }
        }
        out.get(..written)
    }
}

/// The six bits of a character of base64.
const fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message or a block of trailers.
    fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[flags], &length[..], content].concat()
    }

    fn base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let block = |block: &[u8]| {
            let mut three = [0; 3];
            three[..block.len()].copy_from_slice(block);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            let sextet = |place: usize| ALPHABET[(bits >> (18 - 6 * place)) as usize & 63] as char;
            (0..4).map(|place| if place <= block.len() { sextet(place) } else { '=' }).collect::<String>()
        };
        bytes.chunks(3).map(block).collect()
    }

    /// The messages in a stream, and its status.
    fn read<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (u64, Option<&'static str>) {
        let mut messages = Messages::default();
        let begun = parts.into_iter().map(|part| messages.begun_in(&part)).sum();
        (begun, messages.status().map(Code::name))
    }

    #[test]
    fn messages_are_counted_however_the_stream_is_cut() {
        let stream: Vec<_> = [0, 3, 200, 1].iter().flat_map(|length| frame(0, &vec![0xff; *length])).collect();
        for cut in [1, 2, 4, 5, 7, 1_000] {
            assert_eq!(read(stream.chunks(cut)), (4, None), "cut by {cut}");
        }
    }

    #[test]
    fn what_is_not_a_message_is_not_counted() {
        let mut long = frame(0, b"one");
        long.extend(frame(7, b"not one"));
        long.extend(frame(0, b"behind it"));
        let cases: [(&[u8], u64); 6] = [
            (b"<html><body>not found</body></html>", 0),
            (b"{\"error\":\"not found\"}", 0),
            (b"not found, and longer than a head", 0),
            (b"", 0),
            (&[0x81, 0, 0, 0, 1, b'x'], 0),
            (&long, 1),
        ];
        for (stream, begun) in cases {
            for cut in [1, 3, 1_000] {
                assert_eq!(read(stream.chunks(cut)), (begun, None), "{stream:?}");
            }
        }
    }

    #[test]
    fn the_status_is_read_from_trailers_in_any_spelling_and_order() {
        for (trailers, status) in [
            ("grpc-status: 0\r\ngrpc-message: \r\n", Some("OK")),
            ("GRPC-STATUS:5\r\n", Some("NOT_FOUND")),
            ("Grpc-Status:\t14", Some("UNAVAILABLE")),
            ("grpc-message: no\ngrpc-status: 16\n", Some("UNAUTHENTICATED")),
            ("grpc-status: 3\r\ngrpc-status: 0\r\n", Some("INVALID_ARGUMENT")),
            ("grpc-status: 99\r\n", Some("UNKNOWN")),
            ("grpc-status: nonsense\r\n", Some("UNKNOWN")),
            ("grpc-status-details-bin: AAAA\r\nx: 1\r\n", None),
            ("", None),
        ] {
            assert_eq!(read([&*frame(0x80, trailers.as_bytes())]), (0, status), "{trailers:?}");
        }
        let long = format!("grpc-message: {}\r\ngrpc-status: 7\r\n", "%20".repeat(100_000));
        assert_eq!(read(frame(0x80, long.as_bytes()).chunks(1_500)), (0, Some("PERMISSION_DENIED")));
    }

    #[test]
    fn a_stream_that_breaks_off_in_its_trailers_has_no_status() {
        let stream = frame(0x80, b"grpc-status: 16\r\n");
        // Behind the code, and in front of the end of its line: `1` may go on as `16`.
        for end in 0..stream.len() - 1 {
            assert_eq!(read([&stream[..end]]), (0, None), "{end}");
        }
    }

    proptest! {
        #[test]
        fn a_web_stream_has_its_messages_and_its_status_however_it_is_written_and_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..5),
            code in 0_usize..17,
            message in "[ -~]{0,200}",
            is_status_first in any::<bool>(),
            is_text in any::<bool>(),
            is_encoded_as_one in any::<bool>(),
            cuts in prop::collection::vec(1_usize..90, 1..40),
        ) {
            let (status, message) = (format!("grpc-status: {code}\r\n"), format!("grpc-message: {message}\r\n"));
            let trailers = if is_status_first { status + &message } else { message + &status };
            let mut frames: Vec<_> = messages.iter().map(|message| frame(0, message)).collect();
            frames.push(frame(0x80, trailers.as_bytes()));
            let stream = match (is_text, is_encoded_as_one) {
                (false, _) => frames.concat(),
                (true, true) => base64(&frames.concat()).into_bytes(),
                // With padding in the middle.
                (true, false) => frames.iter().map(|frame| base64(frame)).collect::<String>().into_bytes(),
            };
            let mut rest = &stream[..];
            let mut cuts = cuts.iter().cycle();
            let parts = std::iter::from_fn(|| {
                let (part, after) = rest.split_at(rest.len().min(*cuts.next()?));
                rest = after;
                (!part.is_empty()).then_some(part)
            });
            let name = Code::of_text(&code.to_string()).name();
            prop_assert_eq!(read(parts), (messages.len() as u64, Some(name)));
        }

        #[test]
        fn arbitrary_bytes_are_read_without_a_panic(parts in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..50), 0..20,
        )) {
            read(parts.iter().map(Vec::as_slice));
        }
    }
}
