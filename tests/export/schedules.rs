//! Random sequences of faults: the ledger stays exact.

use crate::traffic::{GRPC, HTTP, Traffic, hasty, is_grpc};
use serde_json::Value;
use std::env;
use std::time::{Duration, SystemTime};
use support::{Hint, Mode, in_child};

/// The number of schedules, half of them over each protocol; the deep tier has more.
const CASES: &str = "PROPTEST_CASES";
/// The seed of the first schedule, to repeat one that failed; each further one has the next number.
const SEED: &str = "FAULT_SEED";
/// The schedules of each protocol are shared among so many processes, as they mostly wait.
const SHARES: u64 = 2;

#[test]
fn a_random_schedule_of_faults_leaves_an_exact_ledger() {
    let child = hasty(in_child!(schedules));
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let cases = number(CASES).unwrap_or(40);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number(SEED).unwrap_or_else(|| clock.as_secs() * 1_000);
    println!("{cases} schedules from the seed {seed}; repeat one with {SEED}=its_seed {CASES}=1");
    let each = cases.div_ceil(2 * SHARES);
    std::thread::scope(|scope| {
        // The same seeds over both protocols, so that one that failed is repeated over both.
        for (share, protocol) in (0..SHARES).flat_map(|share| [(share, GRPC), (share, HTTP)]) {
            if 2 * share * each >= cases {
                continue;
            }
            let child = child.clone().env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
            let child = child.env(SEED, &(seed + share * each).to_string()).env(CASES, &each.to_string());
            scope.spawn(move || child.run());
        }
    });
}

/// In the child: one schedule after the other, the last of which ends with the shutdown.
fn schedules() -> Value {
    let number = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let traffic = Traffic::start();
    for seed in number(SEED)..number(SEED) + number(CASES) {
        run(&traffic, seed);
    }
    let mut random = Random(number(SEED));
    let mode = fault(&mut random, Kind::Refusing);
    let what = format!("the shutdown in {mode:?}, {SEED}={}", random.0);
    traffic.collector.set(mode);
    traffic.record(100, 2);
    let _ = traffic.guard.shutdown(Duration::from_millis(random.below(300)));
    assert_eq!(traffic.assert_no_more_than_received(&what).queued, 0, "{what}");
    Value::Null
}

/// Which faults a schedule has. What is taken while its answer is lost can be counted as dropped if the next answer is
/// a refusal: nobody can know. So no schedule has both.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Breaking,
    Refusing,
}

fn run(traffic: &Traffic, seed: u64) {
    let mut random = Random(seed);
    let kind = if random.below(2) == 0 { Kind::Breaking } else { Kind::Refusing };
    let before = traffic.numbers();
    let mut modes = Vec::new();
    for _ in 0..=random.below(4) {
        let mode = fault(&mut random, kind);
        traffic.collector.set(mode.clone());
        modes.push(mode);
        let spans = usize::try_from(random.below(200)).unwrap();
        let producers = [1, 2, 8][usize::try_from(random.below(3)).unwrap()];
        traffic.record(spans, producers);
        // A part of the schedule: how long this fault lasts.
        std::thread::sleep(Duration::from_millis(random.below(250)));
    }
    let what = format!("{SEED}={seed} {CASES}=1: {kind:?} {modes:?}");
    let after = traffic.recover(&what);
    if matches!(kind, Kind::Breaking) {
        assert_eq!(after.dropped, before.dropped, "{what}");
    }
}

fn fault(random: &mut Random, kind: Kind) -> Mode {
    let hint = match random.below(6) {
        0 => Hint::Seconds(1),
        1 => Hint::Seconds(-1),
        2 => Hint::Garbage,
        _ => Hint::None,
    };
    let code = |codes: &[u8], random: &mut Random| codes[usize::try_from(random.below(codes.len() as u64)).unwrap()];
    let status =
        |statuses: &[u16], random: &mut Random| statuses[usize::try_from(random.below(statuses.len() as u64)).unwrap()];
    // Faults that lose nothing and refuse nothing.
    match random.below(10) {
        0 => return Mode::Ok,
        1 if is_grpc() => return Mode::Grpc(code(&[1, 4, 10, 11, 14, 15], random), hint),
        // The others are no HTTP status that is to be tried again.
        1 => return Mode::Grpc(code(&[4, 14], random), hint),
        2 => return Mode::Http(status(&[429, 502, 503, 504], random), hint),
        3 => return Mode::Flaky { probability: 0.7, seed: random.next() },
        4 => return Mode::SlowReply(Duration::from_millis(random.below(50))),
        5 if is_grpc() => return Mode::RstStream(u32::try_from(random.below(14)).unwrap()),
        _ => {}
    }
    match kind {
        Kind::Breaking => match random.below(8) {
            0 | 1 => Mode::Refuse,
            2 => Mode::Blackhole,
            3 => Mode::Silent,
            4 => Mode::ResetMidBody,
            5 => Mode::GoAway(u32::try_from(random.below(14)).unwrap()),
            6 => Mode::SlowRead(10_000),
            _ => Mode::AnswerLost,
        },
        Kind::Refusing => match random.below(8) {
            0 => Mode::Grpc(code(&[2, 3, 5, 6, 7, 9, 12, 13, 16], random), hint),
            1 if !is_grpc() => Mode::Http(status(&[400, 401, 403, 404, 405, 415, 500, 501], random), hint),
            1 | 2 => Mode::PartialSuccess(i64::try_from(random.below(30)).unwrap() - 3),
            3 => Mode::Limit(usize::try_from(random.below(20_000)).unwrap()),
            4 => Mode::Html,
            5 => Mode::Garbage,
            6 => Mode::Json,
            _ => Mode::Grpc(8, hint),
        },
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
