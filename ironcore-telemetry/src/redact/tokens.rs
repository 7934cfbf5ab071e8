//! Secrets that are one token: keys of chains and of providers, web tokens, credentials of HTTP.

use super::bytes::{at, before, end_of, find, has, start_near, start_of};
use super::encodings::{base58, base64};
use super::kind::Kind;
use std::ops::Range;

/// A key of a provider: how it begins, how many characters follow at least, and which.
struct Provider {
    prefix: &'static [u8],
    least: usize,
    most: usize,
    body: fn(u8) -> bool,
}

const fn provider(prefix: &'static str, least: usize, most: usize, body: fn(u8) -> bool) -> Provider {
    Provider { prefix: prefix.as_bytes(), least, most, body }
}

const ANY: usize = usize::MAX;

/// In the form that each provider documents.
const PROVIDERS: &[Provider] = &[
    provider("AKIA", 16, 16, is_upper_or_digit),              // AWS
    provider("ASIA", 16, 16, is_upper_or_digit),              // AWS, temporary
    provider("ABIA", 16, 16, is_upper_or_digit),              // AWS, bearer
    provider("AIza", 35, 35, is_base64url),                   // Google
    provider("GOCSPX-", 20, ANY, is_base64url),               // Google, client secret
    provider("ya29.", 20, ANY, is_base64url),                 // Google, access token
    provider("ghp_", 36, ANY, is_alphanumeric),               // GitHub
    provider("gho_", 36, ANY, is_alphanumeric),               // GitHub, OAuth
    provider("ghu_", 36, ANY, is_alphanumeric),               // GitHub, user to server
    provider("ghs_", 36, ANY, is_base64url_or_dot),           // GitHub, server to server
    provider("ghr_", 36, ANY, is_alphanumeric),               // GitHub, refresh
    provider("github_pat_", 22, ANY, is_base64url),           // GitHub, fine grained
    provider("glpat-", 20, ANY, is_base64url_or_dot),         // GitLab
    provider("gldt-", 20, ANY, is_base64url),                 // GitLab, deployment
    provider("glrt-", 20, ANY, is_base64url),                 // GitLab, runner
    provider("xoxb-", 20, ANY, is_base64url),                 // Slack, bot
    provider("xoxp-", 20, ANY, is_base64url),                 // Slack, user
    provider("xoxa-", 20, ANY, is_base64url),                 // Slack, workspace
    provider("xoxr-", 20, ANY, is_base64url),                 // Slack, refresh
    provider("xoxs-", 20, ANY, is_base64url),                 // Slack, session
    provider("xoxo-", 20, ANY, is_base64url),                 // Slack, old
    provider("xoxe.", 20, ANY, is_base64url_or_dot),          // Slack, rotated
    provider("xapp-", 20, ANY, is_base64url),                 // Slack, application
    provider("sk_live_", 16, ANY, is_alphanumeric),           // Stripe
    provider("rk_live_", 16, ANY, is_alphanumeric),           // Stripe, restricted
    provider("sk_test_", 16, ANY, is_alphanumeric),           // Stripe, test
    provider("rk_test_", 16, ANY, is_alphanumeric),           // Stripe, test, restricted
    provider("whsec_", 16, ANY, is_base64),                   // Stripe, webhook
    provider("npm_", 36, ANY, is_alphanumeric),               // npm
    provider("pypi-", 50, ANY, is_base64url),                 // PyPI
    provider("SG.", 60, ANY, is_base64url_or_dot),            // SendGrid
    provider("SK", 32, 32, is_lower_hex),                     // Twilio
    provider("hf_", 30, ANY, is_alphanumeric),                // Hugging Face
    provider("hvs.", 24, ANY, is_base64url),                  // Vault
    provider("hvb.", 24, ANY, is_base64url),                  // Vault, batch
    provider("dop_v1_", 64, 64, is_lower_hex),                // DigitalOcean
    provider("shpat_", 32, 32, is_hex),                       // Shopify
    provider("shpss_", 32, 32, is_hex),                       // Shopify, shared secret
    provider("dckr_pat_", 20, ANY, is_base64url),             // Docker
    provider("lin_api_", 32, ANY, is_alphanumeric),           // Linear
    provider("AGE-SECRET-KEY-1", 50, ANY, is_upper_or_digit), // age
];

/// The shortest of them, and of the web tokens.
pub(super) const SHORTEST_KEY: usize = 20;

/// Whether one of them begins so.
static FIRST: [bool; 256] = {
    let mut first = [false; 256];
    let mut providers = PROVIDERS;
    while let Some((provider, rest)) = providers.split_first() {
        if let Some(byte) = provider.prefix.first() {
            let (_, from_byte) = first.split_at_mut(*byte as usize);
            if let Some(place) = from_byte.first_mut() {
                *place = true;
            }
        }
        providers = rest;
    }
    first
};

/// A word of letters and digits, with what it needs to know of its surroundings.
pub(super) struct Token<'text> {
    pub(super) text: &'text [u8],
    /// The first byte of the token; what stands before it is no letter and no digit, or an escape.
    pub(super) start: usize,
    /// Behind its letters and digits.
    pub(super) end: usize,
    /// Behind the run of token characters that it stands in.
    pub(super) run: usize,
}

impl Token<'_> {
    /// The secret that begins with this token.
    pub(super) fn secret(&self, tries: &mut u32) -> Option<(Range<usize>, Kind)> {
        let len = self.end - self.start;
        // Sorted by cost: most tokens are too short for all of it.
        if len >= 50
            && let Some(kind) = self.key_of_a_chain()
        {
            return Some((self.start..self.end, kind));
        }
        if matches!(len, 64 | 66 | 43 | 44 | 87 | 88 | 128 | 130) && self.is_raw_key() {
            return Some((self.start..self.end, Kind::PrivateKey));
        }
        if self.run - self.start < SHORTEST_KEY {
            return None;
        }
        self.provider_key(tries).or_else(|| self.web_token(tries))
    }

    fn bytes(&self) -> &[u8] {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// The prefixes follow from the version bytes; the check sum is not asked, as a key with a typing error in it is
    /// nearly a key.
    fn key_of_a_chain(&self) -> Option<Kind> {
        let token = self.bytes();
        let (first, second) = (at(token, 0), at(token, 1));
        let is_wif = match token.len() {
            51 => (first == b'5' && matches!(second, b'H' | b'J' | b'K')) || first == b'9',
            // Version, key, the mark of a compressed public key, check sum.
            52 if b"KLcTQ".contains(&first) => base58::<38>(token).is_some_and(|bytes| at(&bytes, 33) == 1),
            _ => false,
        };
        // A picture in base 64 has such words between its signs.
        let is_wif = is_wif && before(self.text, self.start) != b'+' && at(self.text, self.end) != b'+';
        let is_extended = token.len() >= 107
            && (token.get(1..4) == Some(b"prv") && b"xyztuvYZUV".contains(&first)
                || [b"Ltpv", b"Mtpv", b"dgpv"].into_iter().any(|prefix| token.starts_with(prefix)));
        let kind = if is_wif { Kind::Wif } else { Kind::ExtendedKey };
        ((is_wif || is_extended) && token.iter().all(|byte| is_base58(*byte))).then_some(kind)
    }

    /// 32 bytes in hexadecimal (a name may still say that they are a hash). What looks like an address, a
    /// signature or a longer text in base 58 or hexadecimal is one beside a name that says that it is a key.
    fn is_raw_key(&self) -> bool {
        let token = self.bytes();
        let digits = token.strip_prefix(b"0x").or_else(|| token.strip_prefix(b"0X")).unwrap_or(token);
        if digits.iter().all(u8::is_ascii_hexdigit) {
            return match digits.len() {
                64 => true,
                128 => self.is_beside_key(),
                _ => false,
            };
        }
        matches!(token.len(), 43 | 44 | 87 | 88) && token.iter().all(|byte| is_base58(*byte)) && self.is_beside_key()
    }

    fn is_beside_key(&self) -> bool {
        is_beside_key(self.text, self.start)
    }

    fn provider_key(&self, tries: &mut u32) -> Option<(Range<usize>, Kind)> {
        let rest = self.text.get(self.start..)?;
        let first = at(rest, 0);
        if first == b's' && rest.starts_with(b"sk-") {
            *tries = tries.checked_sub(1)?;
            // OpenAI and Anthropic. `sk-` also begins names of packages.
            let end = end_of(self.text, self.start, is_base64url);
            let body = self.text.get(self.start + 3..end)?;
            let is_random = body.iter().any(u8::is_ascii_digit) && body.iter().any(u8::is_ascii_uppercase);
            return (body.len() >= 20 && is_random).then_some((self.start..end, Kind::ApiKey));
        }
        if first.is_ascii_digit() && at(self.text, self.end) == b':' {
            // Telegram: the number of the bot, then 35 characters.
            let number = self.bytes();
            if !matches!(number.len(), 8..=12) || !number.iter().all(u8::is_ascii_digit) {
                return None;
            }
            *tries = tries.checked_sub(1)?;
            let end = end_of(self.text, self.end + 1, is_base64url);
            return (end - self.end - 1 == 35).then_some((self.start..end, Kind::ApiKey));
        }
        if first == b'b' && rest.starts_with(b"bot") && at(rest, 3).is_ascii_digit() {
            let number = Token { start: self.start + 3, ..*self };
            return number.provider_key(tries);
        }
        if !FIRST.get(usize::from(first)).is_some_and(|is_first| *is_first) {
            return None;
        }
        let provider =
            PROVIDERS.iter().find(|provider| at(provider.prefix, 0) == first && rest.starts_with(provider.prefix))?;
        *tries = tries.checked_sub(1)?;
        let body = self.start + provider.prefix.len();
        let end = end_of(self.text, body, provider.body);
        (provider.least..=provider.most).contains(&(end - body)).then_some((self.start..end, Kind::ApiKey))
    }

    /// RFC 7519: base 64 of a JSON object with `alg`, then a payload. A signature that was cut off changes nothing.
    fn web_token(&self, tries: &mut u32) -> Option<(Range<usize>, Kind)> {
        let rest = self.text.get(self.start..)?;
        if !rest.starts_with(b"ey") && !rest.starts_with(b"ew") {
            return None;
        }
        *tries = tries.checked_sub(1)?;
        let header = end_of(self.text, self.start, is_base64url);
        let payload = end_of(self.text, header + 1, is_base64url);
        if at(self.text, header) != b'.' || payload == header + 1 {
            return None;
        }
        let decoded = base64(self.text.get(self.start..header)?);
        let end = end_of(self.text, self.start, is_base64url_or_dot);
        (decoded.starts_with(b"{") && has(&decoded, b"\"alg\"")).then_some((self.start..end, Kind::Jwt))
    }
}

/// What stands behind `Bearer` or `Basic`.
pub(super) fn credentials(text: &[u8], run: &Range<usize>) -> Option<(Range<usize>, Kind)> {
    if before(text, run.start) != b' ' {
        return None;
    }
    let space = start_near(text, run.start, 2, |byte| byte == b' ');
    let scheme = text.get(start_near(text, space, 7, |byte| byte.is_ascii_alphabetic())..space)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
    if !is_bearer && !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let end = end_of(text, run.start, is_token68);
    let token = text.get(run.start..end)?;
    if is_bearer {
        // No word of a sentence about bearers.
        let is_random = token.iter().skip(1).any(|byte| !byte.is_ascii_lowercase() && !b".-".contains(byte));
        return (is_random && token.len() >= 12).then_some((run.start..end, Kind::Bearer));
    }
    base64(token).contains(&b':').then_some((run.start..end, Kind::Basic))
}

/// An AWS secret access key: 40 characters of base 64 beside a name that says what it is.
pub(super) fn aws_secret(text: &[u8], run: &Range<usize>) -> Option<(Range<usize>, Kind)> {
    const LENGTH: usize = 40;
    if run.len() < LENGTH {
        return None;
    }
    let mut end = run.start;
    text.get(run.clone())?.split(|byte| !is_of(*byte, BASE64)).find_map(|token| {
        let start = end;
        end = start + token.len() + 1;
        let is_mixed = || {
            token.iter().any(u8::is_ascii_digit)
                && token.iter().any(u8::is_ascii_uppercase)
                && token.iter().any(u8::is_ascii_lowercase)
        };
        let is_key = token.len() == LENGTH && is_mixed() && is_beside_key(text, start);
        is_key.then_some((start..start + LENGTH, Kind::ApiKey))
    })
}

/// Whether a name of a key stands shortly before: `private key is …`, `aws_secret_access_key …`.
pub(super) fn is_beside_key(text: &[u8], start: usize) -> bool {
    const REACH: usize = 40;
    let from = start_near(text, start, REACH, |byte| byte != b']' && byte != b'\n');
    let near = text.get(from..start).unwrap_or_default();
    [&b"priv"[..], b"secret", b"seed", b"keypair", b"signing", b"key pair"].into_iter().any(|name| has(near, name))
}

/// The JSON object of a `-----BEGIN … PRIVATE KEY-----`: the whole block, to its end or to the end of the text.
pub(super) fn pem(text: &[u8], header: &Range<usize>) -> Option<(Range<usize>, Kind)> {
    let label = text.get(header.clone())?;
    let begin = find(label, 0, b"BEGIN")?;
    find(label, begin, b"PRIVATE KEY")?;
    let start = start_of(text, header.start + begin, |byte| byte == b'-' || byte == b' ');
    let start = start_of(text, header.start + begin, |byte| byte == b'-').max(start);
    let end =
        find(text, header.end, b"-END ").or_else(|| find(text, header.end, b"- END ")).map_or(text.len(), |end| {
            let label =
                end_of(text, end + 1, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
            end_of(text, label, |byte| byte == b'-')
        });
    Some((start..end, Kind::Pem))
}

/// Bytes of a token as URLs, headers and configurations write it.
pub(super) fn is_run(byte: u8) -> bool {
    is_of(byte, IN_RUN)
}

fn is_of(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

const IN_RUN: u8 = 1;
const LETTER_OR_DIGIT: u8 = 2;
const BASE64: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    let mut rest: &mut [u8] = &mut classes;
    while let Some((class, behind)) = rest.split_first_mut() {
        *class = match byte {
            _ if byte.is_ascii_alphanumeric() => IN_RUN | LETTER_OR_DIGIT | BASE64,
            b'+' | b'/' => IN_RUN | BASE64,
            b'-' | b'.' | b':' | b'=' | b'?' | b'@' | b'_' | b'~' => IN_RUN,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = behind;
    }
    classes
};

const fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn is_upper_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

const fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

const fn is_base58(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l')
}

fn is_base64(byte: u8) -> bool {
    is_of(byte, BASE64)
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const fn is_base64url_or_dot(byte: u8) -> bool {
    is_base64url(byte) || byte == b'.'
}

/// RFC 9110, `token68`.
const fn is_token68(byte: u8) -> bool {
    is_base64url_or_dot(byte) || matches!(byte, b'~' | b'+' | b'/' | b'=')
}

/// The letters and digits from `start` on, without those of an escape before them (`\\n`, `%22`).
pub(super) fn letters_and_digits(text: &[u8], start: usize) -> Range<usize> {
    let end = end_of(text, start, |byte| is_of(byte, LETTER_OR_DIGIT));
    let escaped = match (before(text, start), at(text, start)) {
        (b'\\', b'n' | b'r' | b't') => 1,
        (b'%', byte) if byte.is_ascii_hexdigit() => 2,
        _ => 0,
    };
    (start + escaped).min(end)..end
}
