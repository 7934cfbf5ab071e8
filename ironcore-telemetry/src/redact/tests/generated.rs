//! Secrets, ordinary lines and technical prose, generated from a seed.

use crate::redact::words::ENGLISH;

/// Numbers from a seed (`SplitMix64`).
pub(super) struct Random(pub(super) u64);

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &[u8] = b"0123456789abcdef";
const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    pub(super) fn one<'list, T: ?Sized>(&mut self, list: &[&'list T]) -> &'list T {
        list[self.below(list.len())]
    }

    fn of(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    pub(super) fn hex(&mut self, length: usize) -> String {
        self.of(HEX, length)
    }

    pub(super) fn base64(&mut self, length: usize) -> String {
        self.of(BASE64, length)
    }

    pub(super) fn base58(&mut self, length: usize) -> String {
        self.of(BASE58, length)
    }

    pub(super) fn bech32(&mut self, length: usize) -> String {
        self.of(BECH32, length)
    }

    fn digits(&mut self, length: usize) -> String {
        self.of(b"0123456789", length)
    }
}

/// What a secret looks like, and what must not be found in the masked text: parts of it that give it away.
pub(super) struct Secret {
    pub(super) text: String,
    pub(super) parts: Vec<String>,
    /// Whether it is the same secret in upper case.
    pub(super) any_case: bool,
}

fn secret(text: String) -> Secret {
    let parts = vec![text.clone()];
    Secret { text, parts, any_case: false }
}

/// Makes one secret.
type Make = fn(&mut Random) -> Secret;

/// The 18 kinds.
pub(super) const KINDS: [(&str, Make); 18] = [
    ("mnemonic", mnemonic),
    ("numbered mnemonic", numbered_mnemonic),
    ("wif", wif),
    ("extended key", extended_key),
    ("hex key", hex_key),
    ("base 58 key", base58_key),
    ("keystore", keystore),
    ("pem", pem),
    ("jwt", jwt),
    ("bearer", bearer),
    ("basic", basic),
    ("url credentials", url_credentials),
    ("url query", url_query),
    ("card", card),
    ("iban", iban),
    ("aws", aws),
    ("provider", provider),
    ("named", named),
];

fn words(random: &mut Random) -> Vec<&'static str> {
    let list: Vec<_> = std::str::from_utf8(ENGLISH).unwrap().lines().collect();
    let length = [9, 12, 15, 18, 24][random.below(5)];
    (0..length).map(|_| list[random.below(list.len())]).collect()
}

fn mnemonic(random: &mut Random) -> Secret {
    let words = words(random);
    let between = random.one(&[" ", "  ", ", ", "-", ",", "\t", " | ", "\u{3000}", "+", "%20", "_", ". ", "/"]);
    Secret { any_case: true, parts: four(&words), ..secret(words.join(between)) }
}

fn numbered_mnemonic(random: &mut Random) -> Secret {
    let words = words(random);
    let (before, after) =
        [("", ". "), ("(", ") "), ("word", "="), ("\"", "\": \""), ("#", " "), ("w", "="), ("\"w", "\": \"")]
            [random.below(7)];
    let numbered = |(place, word): (usize, &&str)| format!("{before}{}{after}{word}", place + 1);
    let end = if after.ends_with('"') { "\", " } else { " " };
    let text = words.iter().enumerate().map(numbered).collect::<Vec<_>>().join(end);
    Secret { any_case: true, parts: four(&words), ..secret(text) }
}

/// Four words of the phrase in a row: fewer are no secret.
fn four(words: &[&str]) -> Vec<String> {
    words.windows(4).map(|four| four.join(" ")).collect()
}

fn base58(bytes: &[u8]) -> String {
    let mut digits = vec![0_u32];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit * 256;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let text = digits.iter().rev().map(|digit| char::from(BASE58[*digit as usize]));
    std::iter::repeat_n('1', zeros).chain(text).collect()
}

fn base64(bytes: &[u8], alphabet: &[u8], padded: bool) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let four = (0..=three.len()).map(|place| char::from(alphabet[(bits >> (18 - 6 * place) & 63) as usize]));
        text.extend(four);
        if padded {
            text.extend(std::iter::repeat_n('=', 3 - three.len()));
        }
    }
    text
}

fn wif(random: &mut Random) -> Secret {
    let compressed = random.below(2) == 0;
    let mut bytes = vec![[0x80, 0xef][random.below(2)]];
    bytes.extend(random.bytes(32));
    bytes.extend(compressed.then_some(1));
    bytes.extend(random.bytes(4));
    secret(base58(&bytes))
}

fn extended_key(random: &mut Random) -> Secret {
    // xprv, yprv, zprv, Yprv, Zprv, tprv, uprv, vprv, Uprv, Vprv
    let version: u32 = [
        0x0488_ade4,
        0x049d_7878,
        0x04b2_430c,
        0x0295_b005,
        0x02aa_7a99,
        0x0435_8394,
        0x044a_4e28,
        0x045f_18bc,
        0x0242_85b5,
        0x0257_5048,
    ][random.below(10)];
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend(random.bytes(78));
    secret(base58(&bytes))
}

fn hex_key(random: &mut Random) -> Secret {
    let digits = random.hex(64);
    let text = [digits.clone(), format!("0x{digits}"), digits.to_uppercase()][random.below(3)].clone();
    Secret { any_case: true, ..secret(text) }
}

fn base58_key(random: &mut Random) -> Secret {
    let length = [32, 64][random.below(2)];
    let key = loop {
        let key = base58(&random.bytes(length));
        if matches!(key.len(), 43 | 44 | 87 | 88) {
            break key;
        }
    };
    let name =
        random.one(&["private key ", "secret key is ", "seed ", "keypair: ", "the Private-Key of it, ", "privkey="]);
    Secret { parts: vec![key.clone()], ..secret(format!("{name}{key}")) }
}

fn keystore(random: &mut Random) -> Secret {
    let (text, mac, salt, iv) = (random.hex(64), random.hex(64), random.hex(64), random.hex(32));
    let cipher = format!(r#""cipher":"aes-128-ctr","cipherparams":{{"iv":"{iv}"}},"ciphertext":"{text}""#);
    let kdf = format!(r#""kdf":"scrypt","kdfparams":{{"dklen":32,"salt":"{salt}"}},"mac":"{mac}""#);
    let json = format!(r#"{{"crypto":{{{cipher},{kdf}}},"version":3}}"#);
    Secret { parts: vec![text, mac, salt], ..secret(json) }
}

fn pem(random: &mut Random) -> Secret {
    let label = random.one(&["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH ", "DSA ", "ANY "]);
    let line_break = random.one(&["\n", "\\n", "\r\n"]);
    let lines: Vec<_> = (0..=random.below(20)).map(|_| random.of(BASE64, 64)).collect();
    let body = lines.join(line_break);
    let text =
        format!("-----BEGIN {label}PRIVATE KEY-----{line_break}{body}{line_break}-----END {label}PRIVATE KEY-----");
    Secret { parts: lines, ..secret(text) }
}

fn jwt(random: &mut Random) -> Secret {
    let algorithm = random.one(&["HS256", "RS256", "ES256", "none", "EdDSA"]);
    let headers = [
        format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#),
        format!(r#"{{"typ":"JWT","kid":"{}","alg":"{algorithm}"}}"#, random.hex(8)),
        format!(r#"{{ "alg" : "{algorithm}" }}"#),
    ];
    let header = base64(headers[random.below(3)].as_bytes(), BASE64URL, false);
    let payload = format!(r#"{{"sub":"{}","exp":{}}}"#, random.digits(9), random.digits(10));
    let payload = base64(payload.as_bytes(), BASE64URL, false);
    let signature = random.of(BASE64URL, 43);
    let text = format!("{header}.{payload}.{signature}");
    Secret { parts: vec![payload, signature], ..secret(text) }
}

fn bearer(random: &mut Random) -> Secret {
    let scheme = random.one(&["Bearer ", "bearer ", "Authorization: Bearer ", "authorization=Bearer "]);
    let length = 16 + random.below(100);
    let token = random.of(BASE64URL, length);
    Secret { parts: vec![token.clone()], ..secret(format!("{scheme}{token}")) }
}

fn basic(random: &mut Random) -> Secret {
    let scheme = random.one(&["Basic ", "basic ", "Authorization: Basic ", "proxy-authorization: Basic "]);
    let (user, password) = (3 + random.below(10), 4 + random.below(20));
    let pair = format!("{}:{}", random.of(ALPHANUMERIC, user), random.of(ALPHANUMERIC, password));
    let token = base64(pair.as_bytes(), BASE64, true);
    Secret { parts: vec![token.clone()], ..secret(format!("{scheme}{token}")) }
}

fn url_credentials(random: &mut Random) -> Secret {
    let scheme = random.one(&["https", "postgres", "redis", "amqp", "mongodb+srv", "mysql"]);
    let user = random.one(&["", "u", "wallet", "svc-payments"]);
    let length = 6 + random.below(20);
    let password = random.of(ALPHANUMERIC, length);
    let host = random.one(&["db", "cache:6379", "node.example.com:8545", "10.0.0.7"]);
    let text = format!("{scheme}://{user}:{password}@{host}/x");
    Secret { parts: vec![password], ..secret(text) }
}

fn url_query(random: &mut Random) -> Secret {
    let name = random.one(&[
        "token",
        "access_token",
        "api_key",
        "apikey",
        "sig",
        "signature",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "client_secret",
        "X-Goog-Signature",
        "password",
        "refresh_token",
        "id_token",
        "AWSAccessKeyId",
    ]);
    let length = 10 + random.below(40);
    let value = random.of(BASE64URL, length);
    let before = random.one(&["", "a=1&", "limit=10&cursor=x&"]);
    let after = random.one(&["", "&b=2", "#top"]);
    let text = format!("https://api.example.com/v1/orders?{before}{name}={value}{after}");
    Secret { parts: vec![value], ..secret(text) }
}

fn card(random: &mut Random) -> Secret {
    let (prefix, groups): (String, &[usize]) = match random.below(6) {
        0 => ("4".to_owned(), &[4, 4, 4, 4]),
        1 => (format!("5{}", 1 + random.below(5)), &[4, 4, 4, 4]),
        2 => (format!("3{}", [4, 7][random.below(2)]), &[4, 6, 5]),
        3 => ("6011".to_owned(), &[4, 4, 4, 4]),
        4 => (format!("30{}", random.below(6)), &[4, 6, 4]),
        _ => (format!("35{}", 28 + random.below(62)), &[4, 4, 4, 4]),
    };
    let length: usize = groups.iter().sum();
    let body = format!("{prefix}{}", random.digits(length - 1 - prefix.len()));
    let check = (0..10_u32).find(|check| luhn(&format!("{body}{check}"))).unwrap();
    let number = format!("{body}{check}");
    let between = random.one(&["", " ", "-"]);
    let mut text = String::new();
    let mut from = 0;
    for group in groups {
        if from > 0 {
            text.push_str(between);
        }
        text.push_str(&number[from..from + group]);
        from += group;
    }
    Secret { any_case: true, ..secret(text) }
}

fn luhn(digits: &str) -> bool {
    let values = digits.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate();
    let sum: u32 = values
        .map(|(place, digit)| if place % 2 == 1 { [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][digit as usize] } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

fn iban(random: &mut Random) -> Secret {
    let (country, shape) = [
        ("DE", "nnnnnnnnnnnnnnnnnn"),
        ("GB", "aaaannnnnnnnnnnnnn"),
        ("FR", "nnnnnnnnnnccccccccccccc"),
        ("NO", "nnnnnnnnnnn"),
        ("MT", "aaaannnnncccccccccccccccccc"),
        ("KZ", "nnnccccccccccccc"),
        ("NL", "aaaannnnnnnnnn"),
        ("CH", "nnnnncccccccccccc"),
        ("ES", "nnnnnnnnnnnnnnnnnnnn"),
    ][random.below(9)];
    let body: String = shape
        .chars()
        .map(|shape| match shape {
            'n' => random.of(b"0123456789", 1),
            'a' => random.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
            _ => random.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 1),
        })
        .collect();
    let rest = format!("{body}{country}00").bytes().fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    let number = format!("{country}{:02}{body}", 98 - rest);
    let text = if random.below(2) == 0 {
        number
    } else {
        number.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect::<Vec<_>>().join(" ")
    };
    Secret { any_case: true, ..secret(text) }
}

fn aws(random: &mut Random) -> Secret {
    if random.below(2) == 0 {
        let prefix = random.one(&["AKIA", "ASIA"]);
        return Secret { any_case: true, ..secret(format!("{prefix}{}", random.of(UPPER, 16))) };
    }
    let key = loop {
        let key = random.of(BASE64, 40);
        let has = |test: fn(char) -> bool| key.contains(test);
        if has(|c| c.is_ascii_digit()) && has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase()) {
            break key;
        }
    };
    let name = random.one(&["aws_secret_access_key=", "secretAccessKey: ", "AWS secret ", "secret key is "]);
    Secret { parts: vec![key.clone()], ..secret(format!("{name}{key}")) }
}

fn provider(random: &mut Random) -> Secret {
    let (prefix, alphabet, length): (&str, &[u8], usize) = [
        ("ghp_", ALPHANUMERIC, 36),
        ("gho_", ALPHANUMERIC, 36),
        ("github_pat_", ALPHANUMERIC, 82),
        ("glpat-", BASE64URL, 20),
        ("sk_live_", ALPHANUMERIC, 24),
        ("rk_live_", ALPHANUMERIC, 24),
        ("AIza", BASE64URL, 35),
        ("npm_", ALPHANUMERIC, 36),
        ("SK", HEX, 32),
        ("hvs.", ALPHANUMERIC, 24),
        ("sk-ant-api03-A1", BASE64URL, 93),
        ("sk-proj-A1", BASE64URL, 60),
    ][random.below(12)];
    let text = match random.below(5) {
        0 => format!(
            "xox{}-{}-{}-{}",
            random.one(&["b", "p"]),
            random.digits(12),
            random.digits(13),
            random.of(ALPHANUMERIC, 24)
        ),
        1 => format!("SG.{}.{}", random.of(BASE64URL, 22), random.of(BASE64URL, 43)),
        2 => format!("{}:AA{}", random.digits(10), random.of(BASE64URL, 33)),
        _ => format!("{prefix}{}", random.of(alphabet, length)),
    };
    secret(text)
}

fn named(random: &mut Random) -> Secret {
    let name = random.one(&[
        "password",
        "passwd",
        "db_password",
        "userPassword",
        "client-secret",
        "app.auth.token",
        "apiKey",
        "API_KEY",
        "X-Api-Key",
        "private_key",
        "walletSeed",
        "pin",
        "cvv",
        "set-cookie",
        "session_token",
        "PGPASSWORD",
        "cardCvv2",
    ]);
    let length = 6 + random.below(20);
    let value = format!("{}7", random.of(ALPHANUMERIC, length));
    let (before, after) =
        [("=", ""), ("=\"", "\""), (": \"", "\""), ("\": \"", "\""), ("\":\"", "\""), (": ", "")][random.below(6)];
    let quote = if before.starts_with('"') { "\"" } else { "" };
    let text = format!("{quote}{name}{before}{value}{after}");
    Secret { parts: vec![value], ..secret(text) }
}

/// The secret in a surrounding in which people log.
pub(super) fn surrounded(random: &mut Random, secret: &Secret) -> String {
    let text = &secret.text;
    let escaped = || {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
    };
    match random.below(12) {
        0 => text.clone(),
        1 => format!("the service got {text} from the caller and went on"),
        2 => format!("{{\"level\":\"info\",\"value\":\"{}\",\"n\":7}}", escaped()),
        3 => format!("Request {{ id: 7, value: {text:?}, next: None }}"),
        4 => format!("value={text} status=ok"),
        5 => format!("[{text}]"),
        6 => format!("('{text}', \"x\")"),
        7 => format!("error: cannot read <{text}>: not found"),
        8 => format!("1970-01-01T00:00:00Z INFO wallet: imported: {text}."),
        9 if secret.any_case => format!("IMPORTED {} NOW", text.to_uppercase()),
        10 => format!("a line before\n{text}\na line after"),
        11 => format!("Überweisung für {text} – geprüft"),
        _ => format!("{}{text} {}", "x ".repeat(random.below(40)), "y".repeat(random.below(9))),
    }
}
