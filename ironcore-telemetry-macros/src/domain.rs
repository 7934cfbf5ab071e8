//! The domains that are known by name, and how one is read from a function's name.

/// A domain and the words that stand for it in a function's name.
const DOMAINS: &[(&str, &[&str])] = &[
    ("wallet", &["wallet", "wallets"]),
    ("transaction", &["transaction", "transactions", "tx", "txs"]),
    ("swap", &["swap", "swaps"]),
    ("payment", &["payment", "payments"]),
    ("user", &["user", "users"]),
];

/// The known domains, for messages.
pub(crate) const LIST: &str = "wallet, transaction, swap, payment, user";

/// Whether this is a known domain.
pub(crate) fn is_known(name: &str) -> bool {
    DOMAINS.iter().any(|(domain, _)| *domain == name)
}

/// The domain and the operation that a function's name tells, when exactly one domain word stands in it.
pub(crate) fn from_function(function: &str) -> Result<(&'static str, String), String> {
    let found: Vec<_> = function.split('_').filter_map(of_word).collect();
    let [domain] = found[..] else {
        let how_many = if found.is_empty() { "no domain" } else { "more than one domain" };
        return Err(format!(
            "{how_many} stands in the name `{function}`: name one, as in #[instrument_business(wallet)] \
             ({LIST}), or give one of your own, as in #[instrument_business(domain = \"custody\")]"
        ));
    };
    Ok((domain, operation(function, domain)))
}

/// The function's name without the words of the domain; the whole name when nothing else is left.
pub(crate) fn operation(function: &str, domain: &str) -> String {
    let words = function.split('_').filter(|word| !word.is_empty() && of_word(word) != Some(domain));
    let rest = words.collect::<Vec<_>>().join("_");
    if rest.is_empty() { function.to_owned() } else { rest }
}

fn of_word(word: &str) -> Option<&'static str> {
    DOMAINS.iter().find(|(_, words)| words.contains(&word)).map(|(domain, _)| *domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_domain_word_names_the_domain_and_the_rest_the_operation() {
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
    fn no_domain_word_or_two_is_an_error_that_names_the_choices() {
        for (function, why) in
            [("do_it", "no domain"), ("pay_user_by_wallet", "more than one domain"), ("swapping", "no domain")]
        {
            let error = from_function(function).unwrap_err();
            assert!(error.starts_with(why) && error.contains(LIST), "{error}");
        }
    }
}
