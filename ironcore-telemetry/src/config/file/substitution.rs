//! The variables in a scalar: `${NAME}`, `${env:NAME}`, `${NAME:-default}`, and `$$` for a dollar sign. What a variable
//! holds is not substituted again, and becomes part of one scalar: it cannot add a key.

const FORM: &str = "use ${NAME}, ${NAME:-default}, or $$ for a dollar sign";

/// The text with the values of its variables; one that is not set or empty is the default, or nothing.
pub(super) fn substituted(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            after
        } else if let Some(reference) = after.strip_prefix('{') {
            let (reference, after) = reference.split_once('}').ok_or(FORM)?;
            result.push_str(&value_of(reference, env)?);
            after
        } else {
            // A dollar sign alone stands for itself.
            result.push('$');
            after
        };
    }
    result.push_str(rest);
    Ok(result)
}

fn value_of(reference: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = reference.split_once(":-").unwrap_or((reference, ""));
    let name = name.strip_prefix("env:").unwrap_or(name);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if !is_name {
        return Err(format!("{name:?} is no name of a variable; {FORM}"));
    }
    let value = env(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return Err(format!("{name} is not text in UTF-8"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_substituted_as_the_specification_has_it() {
        let env = |name: &str| match name {
            "NAME" => Some("wallets".to_owned()),
            "NESTED" => Some("${NAME}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("${NAME}", "wallets"),
            ("${env:NAME}", "wallets"),
            ("a-${NAME}-${NAME}", "a-wallets-wallets"),
            ("${MISSING}", ""),
            ("${MISSING:-fallback}", "fallback"),
            ("${EMPTY:-fallback}", "fallback"),
            ("${MISSING:-http://h:1}/v1", "http://h:1/v1"),
            ("$$", "$"),
            ("$${NAME}", "${NAME}"),
            ("$$$${NAME}", "$${NAME}"),
            ("$$${NAME}", "$wallets"),
            ("${NESTED}", "${NAME}"),
            ("costs 5 $", "costs 5 $"),
            ("$NAME", "$NAME"),
            ("}{", "}{"),
        ] {
            assert_eq!(substituted(text, &env).as_deref(), Ok(expected), "{text}");
        }
        for bad in ["${NAME", "${}", "${1A}", "${A B}", "${A?x}", "${file:X}", "a ${"] {
            assert!(substituted(bad, &env).unwrap_err().contains(FORM), "{bad}");
        }
    }
}
