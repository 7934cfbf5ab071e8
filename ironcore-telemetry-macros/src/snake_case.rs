//! `snake_case`, the form of domains, operations, codes and keys.

/// Whether this is `[a-z][a-z0-9_]*` and at most `limit` bytes long.
pub(crate) fn is_snake_case(text: &str, limit: usize) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= limit
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `WrappedBtc` becomes `wrapped_btc`, `HTTPError` becomes `http_error`.
pub(crate) fn to_snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::with_capacity(name.len() + 4);
    for (place, letter) in letters.iter().enumerate() {
        if letter.is_uppercase() {
            let before = place.checked_sub(1).and_then(|place| letters.get(place));
            let after = letters.get(place + 1);
            let begins = before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
            if begins {
                words.push('_');
            }
            words.extend(letter.to_lowercase());
        } else {
            words.push(*letter);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::to_snake_case;

    #[test]
    fn a_word_begins_at_a_capital_and_a_row_of_capitals_is_one_word() {
        for (name, words) in [
            ("Eth", "eth"),
            ("WrappedBtc", "wrapped_btc"),
            ("USDC", "usdc"),
            ("HTTPError", "http_error"),
            ("Erc20Token", "erc20_token"),
            ("V2", "v2"),
            ("Already_Split", "already_split"),
        ] {
            assert_eq!(to_snake_case(name), words);
        }
    }
}
