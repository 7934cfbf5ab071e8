//! From the names of Rust's types to the words of labels.

/// `WrappedBtc` as `wrapped_btc`, `HTTPError` as `http_error`.
pub(crate) fn snake_case(name: &str) -> String {
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
    use super::snake_case;

    #[test]
    fn words_begin_at_capitals_and_capitals_in_a_row_are_one() {
        for (name, words) in [
            ("Eth", "eth"),
            ("WrappedBtc", "wrapped_btc"),
            ("USDC", "usdc"),
            ("HTTPError", "http_error"),
            ("Erc20Token", "erc20_token"),
            ("V2", "v2"),
            ("Already_Split", "already_split"),
        ] {
            assert_eq!(snake_case(name), words);
        }
    }
}
