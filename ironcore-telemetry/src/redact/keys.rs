//! What the name of a value says about it.

/// What the name of a value says about it. A name is judged once per call site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyClass {
    /// Nothing.
    #[default]
    Plain,
    /// The value is a secret, whatever it looks like.
    Secret,
    /// The value is a hash or an id: 64 hexadecimal digits are no private key.
    Hash,
    /// The value is a number of something: it is no card.
    Amount,
    /// The value belongs to an encrypted keystore.
    Keystore,
}

/// Names of a service beside the ones that are known here, in any case and style: `signing_share` is also
/// `SigningShare`, `custody.signing-share` and `signing_share_2`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// The values are secrets.
    pub(crate) secret: Vec<String>,
    /// The values are hashes or ids.
    pub(crate) hash: Vec<String>,
}

/// Words that make a name secret, as a word or as the end of one (`dbpassword`).
const SECRET_ENDS: &[&str] = &[
    "accesskey", "accesstoken", "apikey", "apisecret", "authtoken", "cookie", "cookies", "mnemonic", "mnemonics",
    "passcode", "passphrase", "passwd", "password", "passwords", "privatekey", "privkey", "pwd", "secret", "secretkey",
    "secrets", "seedphrase", "sessiontoken", "xprv",
];

/// Words that make a name secret as a word only.
const SECRET_WORDS: &[&str] = &[
    "authorization", "bearer", "creds", "credential", "credentials", "csc", "cvc", "cvv", "jsessionid", "jwt", "otp",
    "pan", "phpsessid", "pin", "pw", "seed", "seeds", "token", "totp", "tpriv", "wif", "yprv", "zprv",
];

/// Before `key` they make a name secret: a cache key is none.
const SECRET_KEYS: &[&str] = &[
    "access", "account", "aes", "api", "app", "auth", "decryption", "deploy", "ed25519", "encryption", "extended",
    "hmac", "license", "master", "priv", "private", "recovery", "rsa", "secp256k1", "secret", "session",
    "shared", "signer", "signing", "spend", "ssh", "subscription", "view", "wallet", "webhook",
];

/// Two words that make a name secret.
const SECRET_PAIRS: &[(&str, &str)] = &[
    ("authorization", "code"), ("backup", "phrase"), ("card", "number"), ("db", "pass"), ("recovery", "phrase"),
    ("redis", "pass"), ("security", "code"), ("smtp", "pass"), ("user", "pass"),
];

/// As the last word of a name they say that the value is about a secret: `token_count`, `secret_version`.
const ABOUT: &[&str] = &[
    "address", "age", "algorithm", "alg", "amount", "attempts", "audience", "balance", "bytes", "contract", "count",
    "counter", "counts", "created", "decimals", "enabled", "endpoint", "error", "errors", "exists", "expired", "expires",
    "expiry", "failures", "file", "format", "id", "ids", "in", "index", "issuer", "issued", "kind", "latency", "len",
    "length", "limit", "manager", "max", "min", "mode", "ms", "name", "names", "node", "nodes", "path", "peers", "policy",
    "prefix", "present", "price", "provider", "reason", "remaining", "required", "reset", "result", "retries", "rotated",
    "rotation", "scope", "scopes", "seconds", "secs", "size", "source", "standard", "state", "status", "store", "strength",
    "supply", "supported", "symbol", "time", "total", "ttl", "type", "types", "uri", "url", "usage", "used", "valid",
    "version", "versions",
];

/// Before `token` they name a place in a list or a stop signal, which gives access to nothing.
const HARMLESS_TOKENS: &[&str] = &["cancel", "cancellation", "continuation", "cursor", "next", "page", "pagination", "sync"];

/// As the last word of a name they say that the value is a hash, an id or public.
const HASHES: &[&str] = &[
    "address", "blob", "block", "checksum", "cid", "commit", "commitment", "digest", "etag", "fingerprint", "hash",
    "hashes", "id", "ids", "image", "keccak", "keccak256", "merkle", "pubkey", "publickey", "rev", "revision", "root",
    "roots", "sha", "sha256", "sha3", "topic", "topic0", "topics", "traceparent", "tx", "txhash", "txid", "txids", "txn",
    "txs", "blake2b", "blake3", "blockhash", "transaction", "hashlock",
];

/// As the last word of a name they say that the value is a number of something.
const AMOUNTS: &[&str] = &[
    "amount", "balance", "bytes", "duration", "fee", "fees", "gas", "gwei", "height", "lamports", "limit", "micros",
    "millis", "ms", "nanos", "ns", "offset", "price", "qty", "quantity", "sats", "satoshis", "size", "supply", "time",
    "timestamp", "total", "ts", "us", "wei",
];

/// The members of a keystore (Web3 Secret Storage) that hold the key.
const KEYSTORE: &[&str] = &["ciphertext", "mac"];

impl Names {
    /// What the name says. Upper-case letters, digits behind letters, `_`, `-`, `.` and spaces separate its words.
    pub(crate) fn class_of(&self, key: &str) -> KeyClass {
        let words = Words::of(key);
        let words = words.as_slice();
        if has_any(&self.secret, words) {
            return KeyClass::Secret;
        }
        if has_any(&self.hash, words) {
            return KeyClass::Hash;
        }
        let Some((last, before)) = words.split_last() else { return KeyClass::Plain };
        if !is_one(last, ABOUT) && is_secret(words) {
            return KeyClass::Secret;
        }
        if is_one(last, HASHES) || (last.eq_ignore_ascii_case("key") && before.last().is_some_and(is_public)) {
            return KeyClass::Hash;
        }
        if is_one(last, AMOUNTS) {
            return KeyClass::Amount;
        }
        if is_one(last, KEYSTORE) { KeyClass::Keystore } else { KeyClass::Plain }
    }
}

fn is_public(word: &&str) -> bool {
    word.eq_ignore_ascii_case("public") || word.eq_ignore_ascii_case("pub")
}

fn is_secret(words: &[&str]) -> bool {
    let pairs = words.windows(2).filter_map(|pair| pair.first().copied().zip(pair.last().copied()));
    let is_pair = |(first, second): (&str, &str)| {
        let is_key = second.eq_ignore_ascii_case("key") || second.eq_ignore_ascii_case("keys");
        (is_key && is_one(first, SECRET_KEYS))
            || SECRET_PAIRS.iter().any(|pair| first.eq_ignore_ascii_case(pair.0) && second.eq_ignore_ascii_case(pair.1))
    };
    let is_harmless = |place: usize| {
        let before = place.checked_sub(1).and_then(|before| words.get(before));
        before.is_some_and(|before| is_one(before, HARMLESS_TOKENS))
    };
    let is_word = |(place, word): (usize, &&str)| {
        if word.eq_ignore_ascii_case("token") {
            return !is_harmless(place);
        }
        is_one(word, SECRET_WORDS) || SECRET_ENDS.iter().any(|end| ends_with(word, end))
    };
    words.iter().enumerate().any(is_word) || pairs.into_iter().any(is_pair)
}

fn is_one(word: &str, list: &[&str]) -> bool {
    list.iter().any(|listed| word.eq_ignore_ascii_case(listed))
}

fn ends_with(word: &str, end: &str) -> bool {
    word.len().checked_sub(end.len()).and_then(|start| word.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Whether a name of the list stands in the words.
fn has_any(names: &[String], words: &[&str]) -> bool {
    names.iter().any(|name| {
        let name = Words::of(name);
        let name = name.as_slice();
        !name.is_empty()
            && words.windows(name.len()).any(|part| part.iter().zip(name).all(|(a, b)| a.eq_ignore_ascii_case(b)))
    })
}

/// Words of a name that are looked at.
const MOST: usize = 12;

/// The words of a name; of a long name the last ones.
struct Words<'key> {
    words: [&'key str; MOST],
    number: usize,
}

impl<'key> Words<'key> {
    fn of(key: &'key str) -> Self {
        let mut found = Self { words: [""; MOST], number: 0 };
        for part in key.split(|c: char| !c.is_ascii_alphanumeric()) {
            let bytes = part.as_bytes();
            let mut start = 0;
            for (place, pair) in bytes.windows(2).enumerate() {
                let [one, two] = pair else { continue };
                // `apiKey` is api, Key; `APIKey` is API, Key.
                let next_is_lower = bytes.get(place + 2).is_some_and(u8::is_ascii_lowercase);
                let hump = (!one.is_ascii_uppercase() && two.is_ascii_uppercase())
                    || (one.is_ascii_uppercase() && two.is_ascii_uppercase() && next_is_lower);
                if hump {
                    found.push(part.get(start..=place).unwrap_or_default());
                    start = place + 1;
                }
            }
            found.push(part.get(start..).unwrap_or_default());
        }
        found
    }

    /// `password2` is a password; a number alone is no word.
    fn push(&mut self, word: &'key str) {
        let without = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let keeps_digits = is_one(word, HASHES) || is_one(word, SECRET_KEYS);
        let word = if keeps_digits { word } else { without };
        if word.is_empty() {
            return;
        }
        if self.number == MOST {
            self.words.rotate_left(1);
            self.number -= 1;
        }
        if let Some(place) = self.words.get_mut(self.number) {
            *place = word;
            self.number += 1;
        }
    }

    fn as_slice(&self) -> &[&'key str] {
        self.words.get(..self.number).unwrap_or_default()
    }
}
