//! The built-in domains, and how the domain and the operation are read from a function's name.

/// Each domain with the words that mean it in a function's name.
const DOMAINS: &[(&str, &[&str])] = &[
    ("wallet", &["wallet", "wallets"]),
    ("transaction", &["transaction", "transactions", "tx", "txs"]),
    ("swap", &["swap", "swaps"]),
    ("payment", &["payment", "payments"]),
    ("user", &["user", "users"]),
];

/// The built-in domains, for messages.
pub(crate) const LIST: &str = "wallet, transaction, swap, payment, user";

/// Whether this is a built-in domain.
pub(crate) fn is_known(name: &str) -> bool {
    DOMAINS.iter().any(|(domain, _)| *domain == name)
}

/// The domain and the operation of a function whose name contains the words of exactly one domain, once.
pub(crate) fn from_function(function: &str) -> Result<(&'static str, String), String> {
    let found: Vec<_> = function.split('_').filter_map(domain_of).collect();
    let [domain] = found[..] else {
        let how_many = if found.is_empty() { "no domain" } else { "more than one domain" };
        return Err(format!(
            "{how_many} in the name `{function}`: give one, as in #[instrument_business(wallet)] ({LIST}), or one of \
             your own, as in #[instrument_business(domain = \"custody\")]"
        ));
    };
    Ok((domain, operation(function, domain)))
}

/// The function's name without the words of the domain; the whole name when there are no others.
pub(crate) fn operation(function: &str, domain: &str) -> String {
    let words = function.split('_').filter(|word| !word.is_empty() && domain_of(word) != Some(domain));
    let rest = words.collect::<Vec<_>>().join("_");
    if rest.is_empty() { function.to_owned() } else { rest }
}

fn domain_of(word: &str) -> Option<&'static str> {
    DOMAINS.iter().find(|(_, words)| words.contains(&word)).map(|(domain, _)| *domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_domain_word_gives_the_domain_and_the_other_words_the_operation() {
        for (function, domain, rest) in [
            ("create_wallet", "wallet", "create"),
            ("list_wallets", "wallet", "list"),
            ("send_tx", "transaction", "send"),
            ("swap", "swap", "swap"),
            ("execute_swap_now", "swap", "execute_now"),
        ] {
            assert_eq!(from_function(function).unwrap(), (domain, rest.to_owned()), "{function}");
        }
    }

    #[test]
    fn no_domain_word_or_two_is_an_error_that_lists_the_choices() {
        for (function, why) in
            [("do_it", "no domain"), ("pay_user_by_wallet", "more than one domain"), ("swapping", "no domain")]
        {
            let error = from_function(function).unwrap_err();
            assert!(error.starts_with(why) && error.contains(LIST), "{error}");
        }
    }
}
