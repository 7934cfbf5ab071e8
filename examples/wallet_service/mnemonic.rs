//! Recovery phrases. A phrase becomes an address and is dropped: never stored, never logged, never quoted in an error.

use crate::error::ApiError;
use crate::model::{Asset, Chain};
use ironcore_telemetry::Secret;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The address of a wallet: from the imported phrase, else from a fresh random key.
///
/// A simulation: one hash stands for the key derivation (BIP-39, BIP-32) of a real wallet.
pub(crate) fn address(chain: Chain, asset: Asset, phrase: Option<&Secret<String>>) -> Result<String, ApiError> {
    let mut hash = Sha256::new_with_prefix(b"ironcore wallet example\0");
    hash.update(chain.name());
    hash.update(asset.name());
    match phrase {
        Some(phrase) => hash.update(checked(phrase)?),
        None => hash.update(Uuid::new_v4()),
    }
    let tail = &hash.finalize()[..20];
    Ok(tail.iter().fold(String::from("sim1"), |hex, byte| format!("{hex}{byte:02x}")))
}

/// The form of a BIP-39 phrase, without its word list and checksum.
fn checked(phrase: &Secret<String>) -> Result<&str, ApiError> {
    let phrase = phrase.expose();
    let is_word = |word: &str| (3..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    let words = phrase.split(' ').count();
    if matches!(words, 12 | 24) && phrase.split(' ').all(is_word) { Ok(phrase) } else { Err(ApiError::BadMnemonic) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(phrase: &str) -> Result<String, ApiError> {
        let phrase = Secret::new(phrase.to_owned());
        address(Chain::Ethereum, Asset::Eth, Some(&phrase))
    }

    #[test]
    fn the_same_phrase_gives_the_same_address() {
        let phrase = ["legal"; 12].join(" ");
        assert_eq!(imported(&phrase).unwrap(), imported(&phrase).unwrap());
        assert_ne!(imported(&phrase).unwrap(), imported(&["legal"; 24].join(" ")).unwrap());
    }

    #[test]
    fn a_phrase_of_another_form_is_refused() {
        let twelve = ["legal"; 12].join(" ");
        for phrase in [
            String::new(),
            ["legal"; 11].join(" "),
            ["legal"; 13].join(" "),
            ["legal"; 12].join("  "),
            format!(" {twelve}"),
            twelve.replacen("legal", "Legal", 1),
            twelve.replacen("legal", "le", 1),
            twelve.replacen("legal", "lég4l", 1),
        ] {
            assert!(matches!(imported(&phrase), Err(ApiError::BadMnemonic)));
        }
    }

    #[test]
    fn two_new_wallets_have_two_addresses() {
        let new = || address(Chain::Solana, Asset::Sol, None).unwrap();
        assert_ne!(new(), new());
    }
}
