use crate::chain::ChainSettings;
use ironcore_telemetry::Secret;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The settings of the service, from the environment. Telemetry reads its own variables (`OTEL_*`) in `init`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `LISTEN`: where to serve, default `127.0.0.1:8080`; port 0 picks a free one.
    pub listen: SocketAddr,
    /// `DATABASE_URL`: `sqlite:…` or `postgres://…`, default `sqlite::memory:`. May hold a password.
    pub database_url: Secret<String>,
    /// `CHAIN_SEED`, `CHAIN_LATENCY_SCALE`, `CHAIN_FAILURE_RATE`.
    pub chain: ChainSettings,
}

/// A variable whose value cannot be used.
#[derive(thiserror::Error, PartialEq)]
#[error("{name} is {value}; allowed: {allowed}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    allowed: &'static str,
}

/// The message, as `main` prints an error by its `Debug`.
impl fmt::Debug for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Settings {
    /// Reads the environment of the process.
    ///
    /// # Errors
    ///
    /// When a variable is set to a value that cannot be used.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads variables from `var`; an empty value counts as unset.
    ///
    /// # Errors
    ///
    /// When a variable is set to a value that cannot be used.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        let chain = ChainSettings::default();
        Ok(Self {
            listen: parsed(
                &var,
                "LISTEN",
                SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                "an IP address with a port, such as 127.0.0.1:8080",
                |_| true,
            )?,
            database_url: database_url(var("DATABASE_URL"))?,
            chain: ChainSettings {
                seed: parsed(&var, "CHAIN_SEED", chain.seed, "a whole number from 0 to 2^64 - 1", |_| true)?,
                latency_scale: parsed(
                    &var,
                    "CHAIN_LATENCY_SCALE",
                    chain.latency_scale,
                    "a number from 0 (answer at once) to 100; 1 is realistic",
                    |scale| (0.0..=100.0).contains(scale),
                )?,
                failure_rate: parsed(&var, "CHAIN_FAILURE_RATE", chain.failure_rate, "a share from 0 to 1", |rate| {
                    (0.0..=1.0).contains(rate)
                })?,
            },
        })
    }
}

fn parsed<T: FromStr>(
    var: &impl Fn(&'static str) -> Option<String>,
    name: &'static str,
    default: T,
    allowed: &'static str,
    is_allowed: impl Fn(&T) -> bool,
) -> Result<T, SettingsError> {
    let Some(value) = var(name) else {
        return Ok(default);
    };
    match value.trim().parse() {
        Ok(parsed) if is_allowed(&parsed) => Ok(parsed),
        _ => Err(SettingsError { name, value: format!("{value:?}"), allowed }),
    }
}

fn database_url(value: Option<String>) -> Result<Secret<String>, SettingsError> {
    // A connection string usually carries a password, and errors end up in logs: no part of it is quoted.
    let refused = |value, allowed| SettingsError { name: "DATABASE_URL", value, allowed };
    let url = Secret::new(value.unwrap_or_else(|| "sqlite::memory:".to_owned()));
    let starts_with = |scheme| url.expose().starts_with(scheme);
    let allowed = if starts_with("sqlite:") {
        SQLITE_PARAMETERS
    } else if starts_with("postgres://") || starts_with("postgresql://") {
        POSTGRES_PARAMETERS
    } else {
        return Err(refused(
            "of another kind (not shown, it may hold a password)".to_owned(),
            "sqlite::memory:, sqlite://PATH?mode=rwc or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ));
    };
    match unknown_parameter(url.expose(), allowed) {
        Some(key) => Err(refused(format!("a URL with the parameter {key}"), allowed)),
        None => Ok(url),
    }
}

const SQLITE_PARAMETERS: &str = "mode, cache, immutable, vfs";
const POSTGRES_PARAMETERS: &str = "sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, port, dbname, user, password, \
    application_name, options, options[search_path], options[statement_timeout], statement-cache-capacity";

/// A parameter that sqlx does not know: sqlx would log it with its value, which may be a secret.
fn unknown_parameter(url: &str, known: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let keys = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let unknown = keys.filter(|key| !key.is_empty()).find(|key| !known.split(", ").any(|known| known == *key));
    // A `;` does not separate parameters: sqlx would quote what follows it as part of a bad value.
    let unknown = unknown.or_else(|| query.contains(';').then_some(";"))?;
    // With an `@` behind the `?`, all of it may be the second half of a password whose `?` should have been `%3F`.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-[]".contains(c);
    if query.contains('@') || !unknown.chars().all(plain) {
        return Some("that is not shown, it may be part of a password".to_owned());
    }
    Some(format!("`{unknown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Settings, SettingsError> {
        Settings::read(|variable| (variable == name).then(|| value.to_owned()))
    }

    fn refusal(name: &'static str, value: &'static str) -> String {
        with(name, value).err().unwrap().to_string()
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let settings = with("LISTEN", "").ok().unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.database_url.expose(), "sqlite::memory:");
        assert_eq!(settings.chain, ChainSettings::default());
    }

    #[test]
    fn a_bad_variable_is_an_error_that_lists_the_allowed_values() {
        assert_eq!(
            refusal("LISTEN", "8080"),
            r#"LISTEN is "8080"; allowed: an IP address with a port, such as 127.0.0.1:8080"#
        );
        assert_eq!(
            refusal("CHAIN_FAILURE_RATE", "1.5"),
            r#"CHAIN_FAILURE_RATE is "1.5"; allowed: a share from 0 to 1"#
        );
        assert!(refusal("CHAIN_LATENCY_SCALE", "NaN").contains("NaN"));
        assert!(refusal("CHAIN_SEED", "-1").contains("-1"));
    }

    #[test]
    fn a_bad_database_url_is_refused_without_its_password() {
        let message = refusal("DATABASE_URL", "mysql://root:hunter2@db/wallets");
        assert!(message.starts_with("DATABASE_URL is "));
        assert!(!message.contains("hunter2"));
    }

    #[test]
    fn a_parameter_that_sqlx_would_log_is_refused_and_only_its_name_is_shown() {
        let message = refusal("DATABASE_URL", "postgres://u@h/db?sslpassword=hunter2");
        assert!(message.contains("the parameter `sslpassword`;"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        for misplaced in ["postgres://u:pass?hunter2&more@h/db", "postgres://u@h/db?sslmode=require;password=hunter2"] {
            let message = refusal("DATABASE_URL", misplaced);
            assert!(!message.contains("hunter2"), "{message}");
        }
        for good in ["postgres://u:p@h/db?sslmode=require&options[search_path]=s", "sqlite://wallets.db?mode=rwc"] {
            let settings = with("DATABASE_URL", good).ok().unwrap();
            assert_eq!(settings.database_url.expose(), good);
            assert!(!format!("{settings:?}").contains(good));
        }
    }
}
