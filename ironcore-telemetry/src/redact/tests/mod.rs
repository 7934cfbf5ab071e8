//! The text of addresses and values, as `mod.rs` bounds them.

use super::without_credentials;

#[test]
fn an_address_has_no_user_no_query_and_no_fragment() {
    for (text, shown) in [
        ("no address", "no address"),
        ("GET https://user:pw@node/?api_key=s3cr3t failed", "GET https://node/ failed"),
        ("for url (https://node:8545/v3?key=s3cr3t)", "for url (https://node:8545/v3)"),
        ("https://node/a/b#s3cr3t", "https://node/a/b"),
        ("at 'redis://:s3cr3t@cache:6379/0'.", "at 'redis://cache:6379/0'."),
        ("jdbc:postgresql://db/wallets?user=u&password=s3cr3t, twice", "jdbc:postgresql://db/wallets, twice"),
        ("postgres://u:s3@cr3t@db, mysql://s3cr3t@db", "postgres://db, mysql://db"),
        ("postgres://u:s3cr3t/s3cr3t?s3cr3t@db/x", "postgres://db/x"),
        ("a://b/c://u:s3cr3t@d?s3cr3t", "a://b/c://d"),
        ("https://[::1]:8080/@me", "https://[::1]:8080/@me"),
        ("https://node/@me", "https://node/@me"),
        ("https://é:s3cr3t@é/é?é\u{a0}é", "https://é/é\u{a0}é"),
        ("https://", "https://"),
        ("://?", "://"),
    ] {
        assert_eq!(without_credentials(text), shown, "{text}");
    }
}
