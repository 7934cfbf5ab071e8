//! A simulated chain node: prices that vary a little, realistic latencies, and failures at a chosen rate. All of it is
//! drawn from one seeded random stream, so that a run can be repeated.

use crate::model::{Asset, Chain};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How the simulated node behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainSettings {
    /// The start of the random stream: equal seeds give equal prices and latencies.
    pub seed: u64,
    /// Multiplies every latency; 0 answers at once, 1 is realistic.
    pub latency_scale: f64,
    /// The share of calls that fail, 0 to 1.
    pub failure_rate: f64,
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self { seed: 7, latency_scale: 1.0, failure_rate: 0.0 }
    }
}

/// A client of the simulated node; clones share one random stream.
#[derive(Clone, Debug)]
pub struct ChainNode {
    settings: ChainSettings,
    draws: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
#[error("the simulated node dropped the call")]
pub(crate) struct ChainError;

/// The current cost of a transfer, in minor units of the chain's own asset.
#[derive(Debug, Serialize)]
pub(crate) struct GasEstimate {
    pub(crate) chain: Chain,
    pub(crate) asset: Asset,
    pub(crate) slow: i64,
    pub(crate) standard: i64,
    pub(crate) fast: i64,
}

/// The price of one whole unit of each asset, in millionths of a dollar.
pub(crate) struct Prices {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl ChainNode {
    /// A client of a node with these settings.
    #[must_use]
    pub fn new(settings: ChainSettings) -> Self {
        Self { settings, draws: Arc::new(AtomicU64::new(settings.seed)) }
    }

    #[tracing::instrument(skip_all, name = "chain.gas_price", fields(otel.kind = "client"))]
    pub(crate) async fn gas_price(&self, chain: Chain) -> Result<GasEstimate, ChainError> {
        self.answer(GAS_LATENCY).await?;
        let standard = match chain {
            Chain::Bitcoin => 1_400,
            Chain::Ethereum => 420_000,
            Chain::Solana => 5_000,
        };
        let standard = self.wander(standard, 100);
        Ok(GasEstimate {
            chain,
            asset: chain.native_asset(),
            slow: standard * 8 / 10,
            standard,
            fast: standard * 13 / 10,
        })
    }

    #[tracing::instrument(skip_all, name = "chain.prices", fields(otel.kind = "client"))]
    pub(crate) async fn prices(&self, from: Asset, to: Asset) -> Result<Prices, ChainError> {
        self.answer(QUOTE_LATENCY).await?;
        Ok(Prices { from: self.wander(base_price(from), 2), to: self.wander(base_price(to), 2) })
    }

    async fn answer(&self, latency: Latency) -> Result<(), ChainError> {
        let wait = latency.sample(|| self.uniform()).mul_f64(self.settings.latency_scale);
        let dropped = self.uniform() < self.settings.failure_rate;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if dropped { Err(ChainError) } else { Ok(()) }
    }

    /// `base`, up to `thousandths` of it higher or lower.
    fn wander(&self, base: i64, thousandths: i64) -> i64 {
        let width = u64::try_from(2 * thousandths + 1).unwrap_or(1);
        let step = i64::try_from(self.next() % width).unwrap_or(0) - thousandths;
        base + base * step / 1000
    }

    /// Uniform in 0..1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    fn uniform(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// splitmix64 (Steele, Lea, Flood 2014): its state is a counter, so concurrent callers share it without a lock.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.draws.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const fn base_price(asset: Asset) -> i64 {
    match asset {
        Asset::Btc => 64_000_000_000,
        Asset::Eth => 3_200_000_000,
        Asset::Sol => 150_000_000,
        Asset::Usdc => 1_000_000,
    }
}

/// A log-normal waiting time: most answers come soon, a few come late.
#[derive(Clone, Copy)]
struct Latency {
    median_ms: f64,
    sigma: f64,
}

// p95 = median · e^(1.645 σ): about 150 ms and 330 ms, inside the targets of 200 ms and 500 ms.
const GAS_LATENCY: Latency = Latency { median_ms: 40.0, sigma: 0.8 };
const QUOTE_LATENCY: Latency = Latency { median_ms: 80.0, sigma: 0.86 };

impl Latency {
    fn sample(self, mut uniform: impl FnMut() -> f64) -> Duration {
        // Twelve uniforms less six are close to a standard normal, and never beyond ±6.
        let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        Duration::from_secs_f64(self.median_ms / 1000.0 * (self.sigma * normal).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentiles(latency: Latency) -> [u128; 3] {
        let node = ChainNode::new(ChainSettings::default());
        let mut waits: Vec<_> = (0..10_000).map(|_| latency.sample(|| node.uniform()).as_millis()).collect();
        waits.sort_unstable();
        [waits[5_000], waits[9_500], waits[9_900]]
    }

    #[test]
    fn gas_answers_within_its_targets() {
        let [p50, p95, p99] = percentiles(GAS_LATENCY);
        assert!(p50 <= 50 && p95 <= 200 && p99 <= 300, "{p50} {p95} {p99} ms");
    }

    #[test]
    fn quotes_answer_within_their_targets() {
        let [p50, p95, p99] = percentiles(QUOTE_LATENCY);
        assert!(p50 <= 100 && p95 <= 500 && p99 <= 800, "{p50} {p95} {p99} ms");
    }

    #[tokio::test]
    async fn equal_seeds_give_equal_prices() {
        let settings = ChainSettings { latency_scale: 0.0, ..ChainSettings::default() };
        let (one, two) = (ChainNode::new(settings), ChainNode::new(settings));
        for _ in 0..10 {
            assert_eq!(
                one.gas_price(Chain::Ethereum).await.unwrap().standard,
                two.gas_price(Chain::Ethereum).await.unwrap().standard
            );
        }
    }
}
