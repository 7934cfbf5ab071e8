//! What a masked text was, and how often each kind was found.

/// A kind of secret, as `[REDACTED:<kind>]` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A recovery phrase of BIP-39.
    Mnemonic,
    /// A private key in the wallet import format.
    Wif,
    /// An extended private key of BIP-32 and its SLIP-132 siblings.
    ExtendedKey,
    /// The bytes of a private key: hexadecimal, base 58 or a list of numbers.
    PrivateKey,
    /// The encrypted part of a keystore.
    Keystore,
    /// A private key in PEM.
    Pem,
    /// A JSON Web Token.
    Jwt,
    /// The token behind `Bearer`.
    Bearer,
    /// User and password behind `Basic`.
    Basic,
    /// User and password in an address.
    UrlCredentials,
    /// A number of a payment card.
    Card,
    /// A number of a bank account.
    Iban,
    /// A key of a provider (AWS, GitHub, Stripe, …).
    ApiKey,
    /// An address of electronic mail; only on request.
    Email,
    /// A value whose name says that it is secret.
    Named,
    /// A value that was dropped because its scan failed.
    Unscanned,
}

impl Kind {
    pub(crate) const ALL: [Self; 16] = [
        Self::Mnemonic,
        Self::Wif,
        Self::ExtendedKey,
        Self::PrivateKey,
        Self::Keystore,
        Self::Pem,
        Self::Jwt,
        Self::Bearer,
        Self::Basic,
        Self::UrlCredentials,
        Self::Card,
        Self::Iban,
        Self::ApiKey,
        Self::Email,
        Self::Named,
        Self::Unscanned,
    ];

    /// Its name, for the label `kind`.
    pub(crate) const fn name(self) -> &'static str {
        let mask = self.mask().as_bytes();
        // `[REDACTED:` and `]` stand around it.
        match mask.split_at(super::MARK.len()).1.split_last() {
            Some((_, name)) => match std::str::from_utf8(name) {
                Ok(name) => name,
                Err(_) => "",
            },
            None => "",
        }
    }

    /// What is shown in its place.
    pub(crate) const fn mask(self) -> &'static str {
        match self {
            Self::Mnemonic => "[REDACTED:mnemonic]",
            Self::Wif => "[REDACTED:wif]",
            Self::ExtendedKey => "[REDACTED:extended_key]",
            Self::PrivateKey => "[REDACTED:private_key]",
            Self::Keystore => "[REDACTED:keystore]",
            Self::Pem => "[REDACTED:pem]",
            Self::Jwt => "[REDACTED:jwt]",
            Self::Bearer => "[REDACTED:bearer]",
            Self::Basic => "[REDACTED:basic]",
            Self::UrlCredentials => "[REDACTED:url_credentials]",
            Self::Card => "[REDACTED:card]",
            Self::Iban => "[REDACTED:iban]",
            Self::ApiKey => "[REDACTED:api_key]",
            Self::Email => "[REDACTED:email]",
            Self::Named => "[REDACTED:named]",
            Self::Unscanned => "[REDACTED:unscanned]",
        }
    }
}

/// How many secrets of each kind were masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u32; Kind::ALL.len()]);

impl Counts {
    pub(crate) const fn new() -> Self {
        Self([0; Kind::ALL.len()])
    }

    /// The kinds that were found, each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Kind, u32)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, number)| *number > 0)
    }

    pub(super) fn add(&mut self, kind: Kind) {
        if let Some(number) = self.0.get_mut(kind as usize) {
            *number = number.saturating_add(1);
        }
    }
}
