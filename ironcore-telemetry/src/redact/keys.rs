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

/// The roles of a word in a name.
type Roles = u16;

/// Makes a name secret.
const SECRET: Roles = 1;
/// `key`
const KEY: Roles = 1 << 1;
/// Before `key` it makes a name secret: a cache key is none.
const BEFORE_KEY: Roles = 1 << 2;
/// Before `key` it makes a name public.
const PUBLIC: Roles = 1 << 3;
/// As the last word it says that the value is about a secret: `token_count`, `secret_version`.
const ABOUT: Roles = 1 << 4;
/// Before `token` it names a place in a list or a stop signal, which gives access to nothing: `next_page_token`.
const HARMLESS: Roles = 1 << 5;
/// As the last word it says that the value is a hash, an id or public.
const HASH: Roles = 1 << 6;
/// As the last word it says that the value is a number of something.
const AMOUNT: Roles = 1 << 7;
/// A member of a keystore (Web3 Secret Storage) that holds the key.
const KEYSTORE: Roles = 1 << 8;

/// Each word that has a role, in alphabetical order.
#[rustfmt::skip]
const WORDS: &[(&str, Roles)] = &[
    ("access", BEFORE_KEY), ("accesskey", SECRET), ("accesstoken", SECRET), ("account", BEFORE_KEY),
    ("address", ABOUT | HASH), ("aes", BEFORE_KEY), ("age", ABOUT), ("alg", ABOUT), ("algorithm", ABOUT),
    ("amount", ABOUT | AMOUNT), ("api", BEFORE_KEY), ("apikey", SECRET), ("apisecret", SECRET), ("app", BEFORE_KEY),
    ("attempts", ABOUT), ("audience", ABOUT), ("auth", BEFORE_KEY), ("authorization", SECRET), ("authtoken", SECRET),
    ("balance", ABOUT | AMOUNT), ("bearer", SECRET), ("blake2b", HASH), ("blake3", HASH), ("blob", HASH),
    ("block", HASH), ("blockhash", HASH), ("builder", ABOUT), ("bytes", ABOUT | AMOUNT), ("cache", ABOUT),
    ("cancel", HARMLESS), ("cancellation", HARMLESS), ("checksum", HASH), ("cid", HASH), ("ciphertext", KEYSTORE),
    ("commit", HASH), ("commitment", HASH), ("continuation", HARMLESS), ("contract", ABOUT), ("cookie", SECRET),
    ("cookies", SECRET), ("count", ABOUT), ("counter", ABOUT), ("counts", ABOUT), ("created", ABOUT),
    ("credential", SECRET), ("credentials", SECRET), ("creds", SECRET), ("csc", SECRET), ("cursor", HARMLESS),
    ("cvc", SECRET), ("cvv", SECRET), ("decimals", ABOUT), ("decryption", BEFORE_KEY), ("deploy", BEFORE_KEY),
    ("digest", HASH), ("duration", AMOUNT), ("ed25519", BEFORE_KEY), ("enabled", ABOUT), ("encryption", BEFORE_KEY),
    ("endpoint", ABOUT), ("error", ABOUT), ("errors", ABOUT), ("etag", HASH), ("exists", ABOUT), ("expired", ABOUT),
    ("expires", ABOUT), ("expiry", ABOUT), ("extended", BEFORE_KEY), ("factory", ABOUT), ("failures", ABOUT),
    ("fee", AMOUNT), ("fees", AMOUNT), ("file", ABOUT), ("fingerprint", HASH), ("format", ABOUT), ("gas", AMOUNT),
    ("gwei", AMOUNT), ("handler", ABOUT), ("hash", HASH), ("hashes", HASH), ("hashlock", HASH), ("height", AMOUNT),
    ("hmac", BEFORE_KEY), ("id", ABOUT | HASH), ("ids", ABOUT | HASH), ("image", HASH), ("in", ABOUT),
    ("index", ABOUT), ("issued", ABOUT), ("issuer", ABOUT), ("jsessionid", SECRET), ("jwt", SECRET), ("keccak", HASH),
    ("keccak256", HASH), ("key", KEY), ("keys", KEY), ("kind", ABOUT), ("lamports", AMOUNT), ("latency", ABOUT),
    ("len", ABOUT), ("length", ABOUT), ("license", BEFORE_KEY), ("limit", ABOUT | AMOUNT), ("lite", ABOUT),
    ("mac", KEYSTORE), ("manager", ABOUT), ("master", BEFORE_KEY), ("max", ABOUT), ("merkle", HASH),
    ("micros", AMOUNT), ("millis", AMOUNT), ("min", ABOUT), ("mnemonic", SECRET), ("mnemonics", SECRET),
    ("mode", ABOUT), ("ms", ABOUT | AMOUNT), ("name", ABOUT), ("names", ABOUT), ("nanos", AMOUNT), ("next", HARMLESS),
    ("node", ABOUT), ("nodes", ABOUT), ("ns", AMOUNT), ("offset", AMOUNT), ("otp", SECRET), ("page", HARMLESS),
    ("pagination", HARMLESS), ("pan", SECRET), ("parser", ABOUT), ("passcode", SECRET), ("passphrase", SECRET),
    ("passwd", SECRET), ("password", SECRET), ("passwords", SECRET), ("path", ABOUT), ("peers", ABOUT),
    ("phpsessid", SECRET), ("pin", SECRET), ("policy", ABOUT), ("prefix", ABOUT), ("present", ABOUT),
    ("price", ABOUT | AMOUNT), ("priv", BEFORE_KEY), ("private", BEFORE_KEY), ("privatekey", SECRET),
    ("privkey", SECRET), ("project", ABOUT), ("provider", ABOUT), ("pub", PUBLIC), ("pubkey", HASH),
    ("public", PUBLIC), ("publickey", HASH), ("pw", SECRET), ("pwd", SECRET), ("qty", AMOUNT), ("quantity", AMOUNT),
    ("reason", ABOUT), ("recovery", BEFORE_KEY), ("remaining", ABOUT), ("request", ABOUT), ("required", ABOUT),
    ("reset", ABOUT), ("response", ABOUT), ("result", ABOUT), ("retries", ABOUT), ("rev", HASH), ("revision", HASH),
    ("root", HASH), ("roots", HASH), ("rotated", ABOUT), ("rotation", ABOUT), ("rsa", BEFORE_KEY),
    ("satoshis", AMOUNT), ("sats", AMOUNT), ("scope", ABOUT), ("scopes", ABOUT), ("seconds", ABOUT),
    ("secp256k1", BEFORE_KEY), ("secret", SECRET | BEFORE_KEY), ("secretkey", SECRET), ("secrets", SECRET),
    ("secs", ABOUT), ("seed", SECRET), ("seedphrase", SECRET), ("seeds", SECRET), ("server", ABOUT),
    ("service", ABOUT), ("session", BEFORE_KEY), ("sessiontoken", SECRET), ("sha", HASH), ("sha256", HASH),
    ("sha3", HASH), ("shared", BEFORE_KEY), ("signer", BEFORE_KEY), ("signing", BEFORE_KEY), ("size", ABOUT | AMOUNT),
    ("source", ABOUT), ("spend", BEFORE_KEY), ("ssh", BEFORE_KEY), ("standard", ABOUT), ("state", ABOUT),
    ("status", ABOUT), ("store", ABOUT), ("stream", ABOUT), ("strength", ABOUT), ("subscription", BEFORE_KEY),
    ("supply", ABOUT | AMOUNT), ("supported", ABOUT), ("symbol", ABOUT), ("sync", HARMLESS), ("time", ABOUT | AMOUNT),
    ("timestamp", AMOUNT), ("token", SECRET), ("topic", HASH), ("topic0", HASH), ("topics", HASH),
    ("total", ABOUT | AMOUNT), ("totp", SECRET), ("tpriv", SECRET), ("traceparent", HASH), ("transaction", HASH),
    ("ts", AMOUNT), ("ttl", ABOUT), ("tx", HASH), ("txhash", HASH), ("txid", HASH), ("txids", HASH), ("txn", HASH),
    ("txs", HASH), ("type", ABOUT), ("types", ABOUT), ("uri", ABOUT), ("url", ABOUT), ("us", AMOUNT),
    ("usage", ABOUT), ("used", ABOUT), ("valid", ABOUT), ("validator", ABOUT), ("version", ABOUT),
    ("versions", ABOUT), ("view", BEFORE_KEY), ("wallet", BEFORE_KEY), ("webhook", BEFORE_KEY), ("wei", AMOUNT),
    ("wif", SECRET), ("xprv", SECRET), ("yprv", SECRET), ("zprv", SECRET),
];

/// Where the words of [`WORDS`] begin whose first letter is this one.
static FIRST: [usize; 27] = {
    let mut first = [0; 27];
    let mut letter = 0;
    let mut words = WORDS;
    while letter < 26 {
        while let Some(((word, _), rest)) = words.split_first()
            && matches!(word.as_bytes().first(), Some(byte) if *byte < b'a' + letter)
        {
            words = rest;
        }
        let (_, from_letter) = first.split_at_mut(letter as usize);
        if let Some(place) = from_letter.first_mut() {
            *place = WORDS.len() - words.len();
        }
        letter += 1;
    }
    let [.., last] = &mut first;
    *last = WORDS.len();
    first
};

/// Ends of words that make a name secret: `dbpassword`.
const SECRET_ENDS: &[&str] = &[
    "apikey",
    "apisecret",
    "mnemonic",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "privkey",
    "secret",
    "secretkey",
    "seedphrase",
    "token",
];

/// Two words that make a name secret.
#[rustfmt::skip]
const SECRET_PAIRS: &[(&str, &str)] = &[
    ("authorization", "code"), ("backup", "phrase"), ("card", "number"), ("db", "pass"), ("recovery", "phrase"),
    ("redis", "pass"), ("security", "code"), ("smtp", "pass"), ("user", "pass"),
];

impl Names {
    /// What the name says. Upper-case letters behind others, `_`, `-`, `.` and spaces separate its words; digits behind
    /// a word do not count.
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
        if last.roles & ABOUT == 0 && is_secret(words) {
            KeyClass::Secret
        } else if last.roles & HASH != 0 || (last.roles & KEY != 0 && before.last().is_some_and(Word::is_public)) {
            KeyClass::Hash
        } else if last.roles & AMOUNT != 0 {
            KeyClass::Amount
        } else if last.roles & KEYSTORE != 0 {
            KeyClass::Keystore
        } else {
            KeyClass::Plain
        }
    }
}

fn is_secret(words: &[Word<'_>]) -> bool {
    let mut before = Word::default();
    words.iter().any(|word| {
        let one = std::mem::replace(&mut before, *word);
        let is_harmless = one.roles & HARMLESS != 0 && word.is("token");
        (word.roles & SECRET != 0 && !is_harmless)
            || (word.roles & KEY != 0 && one.roles & BEFORE_KEY != 0)
            || (word.roles == 0 && SECRET_ENDS.iter().any(|end| word.ends_with(end)))
            || (!one.text.is_empty() && SECRET_PAIRS.iter().any(|pair| word.is(pair.1) && one.is(pair.0)))
    })
}

/// Whether a name of the list stands in the words.
fn has_any(names: &[String], words: &[Word<'_>]) -> bool {
    names.iter().any(|name| {
        let name = Words::of(name);
        let name = name.as_slice();
        let is_here = |part: &[Word<'_>]| part.iter().zip(name).all(|(word, listed)| word.is(listed.text));
        !name.is_empty() && words.windows(name.len()).any(is_here)
    })
}

/// A word of a name, and its roles.
#[derive(Clone, Copy, Default)]
struct Word<'key> {
    text: &'key str,
    roles: Roles,
}

impl<'key> Word<'key> {
    fn of(text: &'key str) -> Self {
        let whole = roles(text);
        // `password2` is a password, `keccak256` has its own place.
        let text = if whole == 0 { text.trim_end_matches(|c: char| c.is_ascii_digit()) } else { text };
        Self { text, roles: if whole == 0 { roles(text) } else { whole } }
    }

    fn is(&self, other: &str) -> bool {
        self.text.eq_ignore_ascii_case(other)
    }

    fn ends_with(&self, end: &str) -> bool {
        let start = self.text.len().checked_sub(end.len());
        start.and_then(|start| self.text.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    }

    fn is_public(&self) -> bool {
        self.roles & PUBLIC != 0
    }
}

fn roles(word: &str) -> Roles {
    let letter = word.as_bytes().first().map_or(0, |byte| usize::from(byte.to_ascii_lowercase().wrapping_sub(b'a')));
    let (Some(from), Some(to)) = (FIRST.get(letter), FIRST.get(letter + 1)) else { return 0 };
    let words = WORDS.get(*from..*to).unwrap_or_default();
    words.iter().find(|(listed, _)| word.eq_ignore_ascii_case(listed)).map_or(0, |(_, roles)| *roles)
}

/// Words of a name that are looked at.
const MOST: usize = 12;

/// The words of a name; of a long name the last ones.
struct Words<'key> {
    words: [Word<'key>; MOST],
    number: usize,
}

impl<'key> Words<'key> {
    fn of(key: &'key str) -> Self {
        let mut found = Self { words: [Word::default(); MOST], number: 0 };
        for part in key.split(|c: char| !c.is_ascii_alphanumeric()) {
            let bytes = part.as_bytes();
            let mut start = 0;
            for (place, pair) in bytes.windows(2).enumerate() {
                let [one, two] = pair else { continue };
                // `apiKey` is api, Key; `APIKey` is API, Key.
                let next_is_lower = bytes.get(place + 2).is_some_and(u8::is_ascii_lowercase);
                if two.is_ascii_uppercase() && (!one.is_ascii_uppercase() || next_is_lower) {
                    found.push(part.get(start..=place).unwrap_or_default());
                    start = place + 1;
                }
            }
            found.push(part.get(start..).unwrap_or_default());
        }
        found
    }

    fn push(&mut self, word: &'key str) {
        let word = Word::of(word);
        // A number alone is no word.
        if word.text.is_empty() {
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

    fn as_slice(&self) -> &[Word<'key>] {
        self.words.get(..self.number).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::assignments::may_be_secret;

    #[test]
    fn a_name_says_what_its_value_is_in_any_case_and_style() {
        for (names, class) in [
            (
                "password db_password userPassword USER-PASSWORD app.db.password passwd dbpasswd PGPASSWORD \
                 password2 pwd secret client_secret clientSecret secrets mnemonic walletMnemonic seed wallet.seed \
                 seedPhrase recovery_phrase private_key privateKey PRIVATE-KEY privkey signingKey api_key apiKey \
                 APIKey APIKEY X-Api-Key x_api_key_2 authorization Proxy-Authorization cookie Set-Cookie token \
                 accessToken id_token refresh-token authtoken token.value pin PIN_CODE cvv cvv2 cvc pan cardNumber \
                 otp passphrase credentials private_key_hex password_hash aws_secret_access_key wif xprv jwt bearer \
                 encryption_key spendKey",
                KeyClass::Secret,
            ),
            (
                "token_count tokenCount secret_version token_type token_symbol tokens max_tokens next_page_token \
                 page-token continuationToken cancellation_token idempotency_key cache_key partition_key primaryKey \
                 pinned spinner company panel keyboard tokenizer seeded passed compass key monkey cookie_name \
                 password_required secret_path token_url pass passes",
                KeyClass::Plain,
            ),
            (
                "tx_hash txHash TX-HASH blockHash block_hash trace_id sha256 image.sha256 merkle_root parent_hash \
                 public_key publicKey pubkey key_id token_id access_key_id commit keccak256 id topic0 token_address",
                KeyClass::Hash,
            ),
            ("amount gas_price fee balance value_wei timestamp elapsed_ms", KeyClass::Amount),
            ("mac ciphertext crypto.ciphertext", KeyClass::Keystore),
        ] {
            for name in names.split_ascii_whitespace() {
                let expected = if name == "token_count" { KeyClass::Plain } else { class };
                assert_eq!(Names::default().class_of(name), expected, "{name}");
            }
        }
    }

    #[test]
    fn a_service_adds_names_of_its_own() {
        let names = Names { secret: vec!["signing_share".to_owned()], hash: vec!["proposal".to_owned()] };
        for name in ["signing_share", "SigningShare", "custody.signing-share", "signing_share_2"] {
            assert_eq!(names.class_of(name), KeyClass::Secret, "{name}");
        }
        assert_eq!(names.class_of("share"), KeyClass::Plain);
        assert_eq!(names.class_of("last_proposal"), KeyClass::Hash);
        assert_eq!(names.class_of("password"), KeyClass::Secret);
    }

    #[test]
    fn every_word_is_found_and_no_secret_name_is_passed_by_its_letters() {
        assert!(WORDS.is_sorted_by(|one, two| one.0 < two.0));
        for (word, listed) in WORDS {
            assert_eq!(roles(&word.to_uppercase()), *listed, "{word}");
            assert!(listed & SECRET == 0 || may_be_secret(word.as_bytes()), "{word}");
            assert!(listed & BEFORE_KEY == 0 || may_be_secret(format!("{word}_key").as_bytes()), "{word}");
            assert!(listed & KEYSTORE == 0 || may_be_secret(word.as_bytes()), "{word}");
        }
        let ends = SECRET_ENDS.iter().map(|end| format!("x{end}"));
        let pairs = SECRET_PAIRS.iter().map(|(one, two)| format!("{one}_{two}"));
        for name in ends.chain(pairs) {
            assert!(may_be_secret(name.as_bytes()), "{name}");
        }
    }
}
