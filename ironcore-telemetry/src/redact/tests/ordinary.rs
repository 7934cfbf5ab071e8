//! Lines without a secret: technical prose, and what services log.

use super::generated::Random;

const NOUNS: &str = "\
    access account action address agent alert amount answer api argument array asset attempt balance batch block \
    body boundary branch bridge budget buffer build byte cable cache call caller case cause chain change channel \
    chart check choice claim class client clock code collector column command comment company condition config \
    connection console contract control copy core counter crate credit cursor custom cycle damage data database \
    deadline debate decision default delay demand deposit design detail device difference disk document domain door \
    driver duty echo edge effort element engine entry error event evidence example exchange exhaust exit exporter \
    factory failure fault feature fee field file filter flag flow format frame future gateway gauge goal group guard \
    handler hash header health histogram history hold holder host idea identity image index input instance interest \
    interval item job journal key label language latency layer ledger length lesson letter level library limit line \
    link list listener load lock log loop machine mail margin market matter measure memory message method metric \
    mistake mode model moment monitor network node note notice number object offer office operation option order \
    organ other outcome output owner packet page panic parent part partner password path payment peer people period \
    permission phrase pipe place plan platform point policy pool port position power present price problem process \
    producer program project promise proof property protocol provider proxy public purpose query question queue rate \
    ratio reader reason record recovery region release reply report request resource response result retry review \
    risk room root route row rule sample scheme scope screen script secret seed segment series server service \
    session shard shift side sign signal site size skill slot source space span speed spell stage start state status \
    step stock storage store stream string success supply support surface switch symbol system table target task \
    team term test text thread ticket time token topic trace track traffic transaction transfer trigger trust type \
    unit update user value vault vendor version wait wallet window word work worker world zone";
const VERBS: &str = "\
    accepts adds allows announces asks becomes begins blocks breaks builds calls cancels changes checks claims \
    clears closes commits compares confirms connects contains copies counts covers creates decides delivers denies \
    describes drops ends enters exceeds expects expires exports fails fetches fills finds follows forwards gives \
    holds ignores includes increases keeps leaves limits loads locks logs loses makes marks measures moves names \
    needs offers opens passes polls prints produces proves publishes reads receives records refuses rejects releases \
    removes replaces reports requires resets resolves retries returns runs samples saves sends serves sets shows \
    signs skips starts stops stores takes tells tests throws traces tries updates uses validates waits wakes writes";
const ADJECTIVES: &str = "\
    absent active actual bad big blind broken busy cold common critical current daily dead deep different direct dry \
    early empty equal exact external fatal few final first flat foreign free fresh full general good half hard high \
    idle ill inner internal just large last late lazy legal little local long loud low main major many minor mutual \
    narrow near new next nice noble normal old only open original outer own parent partial plain popular private \
    public quick quiet random rapid rare raw ready real recent remote rich right rough safe same sad second secure \
    shared short silent similar simple single slow small smooth soft solid special stable steady still strong such \
    sudden super sure tiny total true unknown upper useful valid vast visible warm weak whole wide wild wrong young";
const SMALL: &str = "\
    a an and are as at be because but by can could for from had has have if in into is it its may more must no not \
    of on once one or our so than that the their them then there these they this to two under until upon was we were \
    what when where which while who will with without would you";

/// Every second word of English text is one of the most frequent ones, and few of these are in the list of BIP-39.
const FREQUENT: &str = "the of to a and in is be or for it as are by not with an on the of to a and in is the the";

/// A sentence that an engineer could have written, of about `length` words.
pub(super) fn prose(random: &mut Random, length: usize) -> String {
    let word = |random: &mut Random, list: &'static str| {
        let words: Vec<_> = list.split_ascii_whitespace().collect();
        words[random.below(words.len())]
    };
    let noun = |random: &mut Random| {
        let plural = if random.below(3) == 0 { "s" } else { "" };
        format!("{}{plural}", word(random, NOUNS))
    };
    let mut words = Vec::new();
    while words.len() < length {
        match random.below(10) {
            // Names of things in a row, as in `account balance update error`.
            0 => {
                words.push("the".to_owned());
                (0..2 + random.below(3)).for_each(|_| words.push(word(random, NOUNS).to_owned()));
                words.push(word(random, FREQUENT).to_owned());
            }
            1 => words.extend([format!("{},", noun(random)), word(random, FREQUENT).to_owned()]),
            2 => words.push(format!("`{}_{}` {}", word(random, NOUNS), word(random, NOUNS), word(random, FREQUENT))),
            3 => words.push(format!("{}: the {}", word(random, NOUNS), word(random, NOUNS))),
            4 => words.extend([word(random, SMALL).to_owned(), word(random, SMALL).to_owned()]),
            _ => {
                words.push(word(random, FREQUENT).to_owned());
                if random.below(2) == 0 {
                    words.push(word(random, ADJECTIVES).to_owned());
                }
                words.push(noun(random));
                if random.below(2) == 0 {
                    words.extend([word(random, VERBS).to_owned(), word(random, FREQUENT).to_owned()]);
                }
            }
        }
    }
    let mut text = words.join(" ");
    text.push_str([".", ";", "!", ":", ""][random.below(5)]);
    text
}

/// A line of a service, without a secret.
#[expect(clippy::too_many_lines, reason = "a table is as long as what it lists")]
pub(super) fn line(random: &mut Random) -> String {
    let uuid = |random: &mut Random| {
        let hex = random.hex(32);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    };
    let number = |random: &mut Random, most: u64| random.next() % most;
    let time = |random: &mut Random| {
        format!(
            "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            20 + random.below(10),
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(60),
            random.below(60),
            random.below(1_000_000)
        )
    };
    match random.below(35) {
        0 => format!("tx_hash=0x{} confirmed in block {}", random.hex(64), number(random, 30_000_000)),
        1 => format!(r#"{{"block_hash":"0x{}","height":{}}}"#, random.hex(64), number(random, 30_000_000)),
        2 => format!("request {} took {} ms", uuid(random), number(random, 5_000)),
        3 => format!("sent {} wei from 0x{} to 0x{}", random.next(), random.hex(40), random.hex(40)),
        4 => format!("address bc1q{} has {} sats", random.bech32(38), number(random, 2_100_000_000_000_000)),
        5 => format!(
            "amount={}.{:018} ETH fee=0.{:016}",
            number(random, 9_000),
            random.next() % 10_u64.pow(18),
            random.next() % 10_u64.pow(16)
        ),
        6 => format!("avatar data:image/png;base64,{}", random.base64(400)),
        7 => format!(
            "{} INFO wallet: ready after {:?}",
            time(random),
            std::time::Duration::from_nanos(random.next() % 10_u64.pow(10))
        ),
        8 => format!(
            "   {}: ironcore::wallet::create::{{closure#{}}}\n             at src/wallet/create.rs:{}:{}",
            number(random, 40),
            number(random, 9),
            number(random, 900),
            number(random, 90)
        ),
        9 => format!(
            "SELECT id, owner, balance FROM wallets WHERE id = '{}' AND token = $1 LIMIT {}",
            uuid(random),
            number(random, 100)
        ),
        10 => format!(
            "UPDATE accounts SET balance = balance - {} WHERE user_id = {} AND password_hash = $2",
            number(random, 1_000_000),
            number(random, 1_000_000)
        ),
        11 => format!(
            r#"{{"id":"{}","at":"{}","items":[{},{},{}],"ok":true,"next_page_token":"{}"}}"#,
            uuid(random),
            time(random),
            number(random, 300),
            number(random, 300),
            number(random, 300),
            random.base64(20)
        ),
        12 => format!(
            "connection from {}.{}.{}.{}:{} closed",
            random.below(256),
            random.below(256),
            random.below(256),
            random.below(256),
            random.below(65_536)
        ),
        13 => format!(
            "peer [2001:db8:{:x}:{:x}::{:x}]:{} is up",
            random.below(65_536),
            random.below(65_536),
            random.below(65_536),
            random.below(65_536)
        ),
        14 => {
            format!("order ORD-2026-{:08} for customer C{:07}", number(random, 100_000_000), number(random, 10_000_000))
        }
        15 => format!(
            "call +49 {} {:07} or +1 (555) {:03}-{:04} or +44 20 {:04} {:04}",
            30 + random.below(900),
            number(random, 10_000_000),
            number(random, 1_000),
            number(random, 10_000),
            number(random, 10_000),
            number(random, 10_000)
        ),
        16 => format!("trace_id={} span_id={} sampled=true", random.hex(32), random.hex(16)),
        17 => format!("pulled image registry.example.com/wallet@sha256:{} in {} s", random.hex(64), number(random, 60)),
        18 => format!("commit {} by ci, build {}", random.hex(40), number(random, 100_000)),
        19 => format!(
            "GET /v1/wallets/{}/transactions?limit={}&cursor={} HTTP/1.1 200",
            uuid(random),
            number(random, 100),
            random.base64(12)
        ),
        20 => format!(
            "unix time {}, {} ms, {} us, {} ns",
            1_700_000_000 + number(random, 99_999_999),
            1_700_000_000_000 + number(random, 99_999_999_999),
            1_700_000_000_000_000 + number(random, 99_999_999_999_999),
            1_700_000_000_000_000_000 + number(random, 99_999_999_999_999_999)
        ),
        21 => format!(
            "Transfer {{ from: Address(0x{}), to: Address(0x{}), value: {}, nonce: {} }}",
            random.hex(40),
            random.hex(40),
            number(random, 9_000_000) * 1_000_000_000_000,
            number(random, 900)
        ),
        22 => format!("solana account {} owner {}", random.base58(44), random.base58(43)),
        23 => format!("public_key=02{} fingerprint=SHA256:{}", random.hex(64), random.base64(43)),
        24 => format!("signature 0x{} is valid", random.hex(130)),
        25 => format!(
            "token expired; token_count={} secret_version={} key_id={} idempotency_key={}",
            number(random, 90),
            number(random, 9),
            uuid(random),
            uuid(random)
        ),
        26 => format!(
            "invalid token: unexpected end of input at line {} column {}",
            number(random, 90),
            number(random, 90)
        ),
        27 => format!(
            "queue: capacity={} used={} oldest={}s dropped=[{}, {}, {}]",
            number(random, 99_999),
            number(random, 99_999),
            number(random, 99),
            number(random, 9),
            number(random, 9),
            number(random, 9)
        ),
        28 => format!("https://explorer.example.com/tx/0x{}", random.hex(64)),
        29 => format!(
            "AWS_REGION=eu-central-1 PATH=/usr/local/bin:/usr/bin LOG_LEVEL=INFO TOTAL_{}={}",
            number(random, 99),
            number(random, 99)
        ),
        30 => format!(
            "mac 02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} disk 0x{:016x}",
            random.below(256),
            random.below(256),
            random.below(256),
            random.below(256),
            random.below(256),
            random.next()
        ),
        31 => format!(
            "user agent Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
            random.below(150)
        ),
        32 => format!(
            "latency p50={:.3} p99={:.3} {}",
            random.below(1_000_000) as f64 / 1e3,
            random.below(1_000_000) as f64 / 7e3,
            random.below(1_000_000) as f64 / 7e5
        ),
        33 => format!("flags {:?} {{\"buy\":true,\"send\":false,\"swap\":true}}", [random.below(2) == 0; 12]),
        _ => format!(
            "{}::{}<{}>: version {}.{}.{}-rc.{}",
            "ironcore",
            "Wallet",
            "Eth",
            random.below(20),
            random.below(20),
            random.below(20),
            random.below(9)
        ),
    }
}
