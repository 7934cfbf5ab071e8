use crate::error::ApiError;
use crate::extract::RequestInput;
use ironcore_telemetry::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The largest amount or balance: 2^53 - 1 is exact in every JSON client.
pub(crate) const MAX_AMOUNT: i64 = (1 << 53) - 1;

/// The largest body in bytes; a batch of 100 wallets with 24 words each fits.
pub(crate) const BODY_LIMIT: usize = 65_536;

/// The largest number of items of one page or one batch.
pub(crate) const MAX_ITEMS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Asset {
    Btc,
    Eth,
    Sol,
    Usdc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Chain {
    Bitcoin,
    Ethereum,
    Solana,
}

/// One asset on one chain. Amounts are whole minor units: satoshi, gwei, lamport, millionths of a USDC.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Wallet {
    pub(crate) id: Uuid,
    pub(crate) chain: Chain,
    pub(crate) asset: Asset,
    pub(crate) address: String,
    pub(crate) balance: i64,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
}

/// Money that moved: `amount` left one wallet, `received` reached the other.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Transaction {
    pub(crate) id: Uuid,
    pub(crate) from_wallet: Uuid,
    pub(crate) to_wallet: Uuid,
    pub(crate) asset: Asset,
    pub(crate) amount: i64,
    pub(crate) received_asset: Asset,
    pub(crate) received: i64,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
}

/// A user; nothing personal is stored.
#[derive(Debug, Serialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The `after` of the next page; null on the last one.
    pub(crate) next: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWallet {
    pub(crate) chain: Chain,
    pub(crate) asset: Asset,
    /// Play money: the example has no way to pay in.
    #[serde(default)]
    pub(crate) opening_balance: i64,
    #[serde(default, deserialize_with = "secret")]
    pub(crate) mnemonic: Option<Secret<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWallets {
    pub(crate) wallets: Vec<NewWallet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WalletQuery {
    #[serde(default = "default_limit")]
    pub(crate) limit: usize,
    #[serde(default)]
    pub(crate) after: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransactionQuery {
    pub(crate) wallet: Uuid,
    #[serde(default = "default_limit")]
    pub(crate) limit: usize,
    #[serde(default)]
    pub(crate) after: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferRequest {
    pub(crate) from: Uuid,
    pub(crate) to: Uuid,
    pub(crate) asset: Asset,
    pub(crate) amount: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GasQuery {
    pub(crate) chain: Chain,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuoteQuery {
    pub(crate) from: Asset,
    pub(crate) to: Asset,
    pub(crate) amount: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SwapRequest {
    pub(crate) from: Uuid,
    pub(crate) to: Uuid,
    pub(crate) amount: i64,
    /// Refuses the swap if the price has moved so that less than this would arrive.
    #[serde(default)]
    pub(crate) min_received: i64,
}

impl Asset {
    pub(crate) const ALL: [Self; 4] = [Self::Btc, Self::Eth, Self::Sol, Self::Usdc];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Btc => "BTC",
            Self::Eth => "ETH",
            Self::Sol => "SOL",
            Self::Usdc => "USDC",
        }
    }

    /// The minor units of one whole unit.
    pub(crate) const fn minor_units(self) -> i128 {
        match self {
            Self::Btc => 100_000_000,
            Self::Eth | Self::Sol => 1_000_000_000,
            Self::Usdc => 1_000_000,
        }
    }
}

impl Chain {
    pub(crate) const ALL: [Self; 3] = [Self::Bitcoin, Self::Ethereum, Self::Solana];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Ethereum => "ethereum",
            Self::Solana => "solana",
        }
    }

    pub(crate) const fn native_asset(self) -> Asset {
        match self {
            Self::Bitcoin => Asset::Btc,
            Self::Ethereum => Asset::Eth,
            Self::Solana => Asset::Sol,
        }
    }

    pub(crate) fn carries(self, asset: Asset) -> bool {
        asset == self.native_asset() || (asset == Asset::Usdc && self != Self::Bitcoin)
    }
}

/// Refuses an amount outside `least` to `MAX_AMOUNT`.
pub(crate) fn check_amount(amount: i64, least: i64) -> Result<(), ApiError> {
    if (least..=MAX_AMOUNT).contains(&amount) { Ok(()) } else { Err(ApiError::BadAmount { least }) }
}

/// Refuses a number of items for one page or one batch that is outside 1 to `MAX_ITEMS`.
pub(crate) fn checked_count(count: usize) -> Result<usize, ApiError> {
    if (1..=MAX_ITEMS).contains(&count) { Ok(count) } else { Err(ApiError::BadCount(count)) }
}

fn default_limit() -> usize {
    20
}

/// `Secret` is not `Deserialize`, so that no secret is parsed by accident.
fn secret<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(input)?.map(Secret::new))
}

impl RequestInput for NewWallet {
    const ALLOWED: &str = "chain (bitcoin, ethereum, solana), asset (BTC, ETH, SOL, USDC), \
        optional opening_balance (integer), optional mnemonic (string)";
}

impl RequestInput for NewWallets {
    const ALLOWED: &str = "wallets, an array of 1 to 100 objects with chain (bitcoin, ethereum, solana), \
        asset (BTC, ETH, SOL, USDC), optional opening_balance (integer), optional mnemonic (string)";
}

impl RequestInput for WalletQuery {
    const ALLOWED: &str = "limit (1 to 100, default 20), after (`next` of the page before)";
}

impl RequestInput for TransactionQuery {
    const ALLOWED: &str = "wallet (its id), limit (1 to 100, default 20), after (`next` of the page before)";
}

impl RequestInput for TransferRequest {
    const ALLOWED: &str =
        "from (wallet id), to (wallet id), asset (BTC, ETH, SOL, USDC), amount (integer, minor units)";
}

impl RequestInput for GasQuery {
    const ALLOWED: &str = "chain (bitcoin, ethereum, solana)";
}

impl RequestInput for QuoteQuery {
    const ALLOWED: &str = "from (BTC, ETH, SOL, USDC), to (another of these), amount (integer, minor units of `from`)";
}

impl RequestInput for SwapRequest {
    const ALLOWED: &str = "from (wallet id), to (wallet id), amount (integer, minor units of the asset of `from`), \
        optional min_received (integer)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_and_json_spell_assets_and_chains_alike() {
        for asset in Asset::ALL {
            assert_eq!(serde_json::json!(asset), asset.name());
        }
        for chain in Chain::ALL {
            assert_eq!(serde_json::json!(chain), chain.name());
        }
    }
}
