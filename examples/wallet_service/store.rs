//! Wallets and transactions in `SQLite` or `PostgreSQL`, through one set of statements.

use crate::model::{Asset, Chain, MAX_AMOUNT, Transaction, User, Wallet};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, Row, SqlSafeStr, Transaction as DbTransaction};
use std::time::Duration;
use uuid::Uuid;

/// The database of the service; clones share one pool.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    system: &'static str,
}

/// What the store refused, or why it could not answer. The message of an error of the database is part of ours, as it
/// holds its own sources: none of these has a `source()`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The paying wallet holds too little; nothing was changed.
    #[error("insufficient funds")]
    InsufficientFunds,
    /// The receiving wallet would hold too much; nothing was changed.
    #[error("balance limit reached")]
    BalanceLimit,
    /// The address is in use on this chain, for this asset.
    #[error("address taken")]
    AddressTaken,
    /// No connection or no lock in time, or a conflict that the database resolved against us: a retry may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// Any other error of the database.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the migration failed: {0}")]
    Migration(MigrateError),
}

impl Store {
    /// Connects to `url` (`sqlite:…`, `postgres://…`) and brings the tables up to date.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, or holds tables of another version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        let in_memory = sqlite && (url.contains(":memory:") || url.contains("mode=memory"));
        let options = AnyPoolOptions::new().acquire_timeout(Duration::from_secs(3));
        let options = if in_memory {
            // The database lives as long as its connection: there is one, and it is never closed for its age.
            options.min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None)
        } else {
            options.max_connections(if sqlite { 4 } else { 10 })
        };
        let pool = options.connect(url).await?;
        if sqlite && !in_memory {
            // Readers and the writer no longer wait for each other. A second writer waits up to 5 s (sqlx's default).
            sqlx::query("PRAGMA journal_mode = WAL").execute(&pool).await?;
        }
        migrator().run(&pool).await.map_err(StoreError::Migration)?;
        let system = if sqlite { "sqlite" } else { "postgresql" };
        Ok(Self { pool, system })
    }

    /// Closes all connections, once they are idle.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    #[tracing::instrument(skip_all, name = "db.ping", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        // A probe gives up sooner than a request.
        let answer = sqlx::query("SELECT 1").execute(&self.pool);
        tokio::time::timeout(Duration::from_secs(1), answer).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(())
    }

    /// Creates all of them or none.
    #[tracing::instrument(skip_all, name = "db.insert_wallets", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn insert_wallets(&self, wallets: &[Wallet]) -> Result<(), StoreError> {
        let mut db = self.pool.begin().await?;
        for wallet in wallets {
            sqlx::query(
                "INSERT INTO wallets (id, chain, asset, address, balance, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(wallet.id.to_string())
            .bind(wallet.chain.name())
            .bind(wallet.asset.name())
            .bind(wallet.address.as_str())
            .bind(wallet.balance)
            .bind(wallet.created_at)
            .execute(&mut *db)
            .await?;
        }
        Ok(db.commit().await?)
    }

    #[tracing::instrument(skip_all, name = "db.insert_user", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn insert_user(&self, user: &User) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO users (id, created_at) VALUES ($1, $2)")
            .bind(user.id.to_string())
            .bind(user.created_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    #[tracing::instrument(skip_all, name = "db.select_wallet", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn wallet(&self, id: Uuid) -> Result<Option<Wallet>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM wallets WHERE id = $1").bind(id.to_string()).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(wallet_of).transpose()?)
    }

    /// The wallets created after `after`, oldest first.
    #[tracing::instrument(skip_all, name = "db.select_wallets", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn wallets(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Wallet>, StoreError> {
        let rows = sqlx::query("SELECT * FROM wallets WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after.unwrap_or(Uuid::nil()).to_string())
            .bind(rows_limit(limit))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(wallet_of).collect::<Result<_, _>>()?)
    }

    /// The transactions of a wallet made before `after`, newest first.
    #[tracing::instrument(skip_all, name = "db.select_transactions", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn transactions(
        &self,
        wallet: Uuid,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Transaction>, StoreError> {
        // Two halves, each read from the end of its own index; one OR would sort the whole history of a busy wallet.
        let rows = sqlx::query(
            "SELECT * FROM (SELECT * FROM transactions WHERE from_wallet = $1 AND id < $2 ORDER BY id DESC LIMIT $3) AS sent
             UNION ALL
             SELECT * FROM (SELECT * FROM transactions WHERE to_wallet = $1 AND id < $2 ORDER BY id DESC LIMIT $3) AS received
             ORDER BY id DESC LIMIT $3",
        )
        .bind(wallet.to_string())
        .bind(after.unwrap_or(Uuid::max()).to_string())
        .bind(rows_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(transaction_of).collect::<Result<_, _>>()?)
    }

    /// Moves the money and records the transaction, or does neither.
    #[tracing::instrument(skip_all, name = "db.transfer", fields(otel.kind = "client", db.system.name = self.system))]
    pub(crate) async fn transfer(&self, transaction: &Transaction) -> Result<(), StoreError> {
        // A write comes first: SQLite then waits for its turn, where a transaction that has read before it writes is
        // refused at once.
        let mut db = self.pool.begin().await?;
        // Rows are locked in the order of their ids, so that two transfers in opposite directions cannot deadlock.
        if transaction.from_wallet < transaction.to_wallet {
            debit(&mut db, transaction).await?;
            credit(&mut db, transaction).await?;
        } else {
            credit(&mut db, transaction).await?;
            debit(&mut db, transaction).await?;
        }
        insert_transaction(&mut db, transaction).await?;
        Ok(db.commit().await?)
    }
}

/// The condition is part of the statement, so that no other transfer can come between the check and the debit.
async fn debit(db: &mut DbTransaction<'static, Any>, transaction: &Transaction) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE wallets SET balance = balance - $1 WHERE id = $2 AND balance >= $1")
        .bind(transaction.amount)
        .bind(transaction.from_wallet.to_string())
        .execute(&mut **db)
        .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::InsufficientFunds),
    }
}

async fn credit(db: &mut DbTransaction<'static, Any>, transaction: &Transaction) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE wallets SET balance = balance + $1 WHERE id = $2 AND balance <= $3")
        .bind(transaction.received)
        .bind(transaction.to_wallet.to_string())
        .bind(MAX_AMOUNT - transaction.received)
        .execute(&mut **db)
        .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::BalanceLimit),
    }
}

async fn insert_transaction(db: &mut DbTransaction<'static, Any>, transaction: &Transaction) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO transactions (id, from_wallet, to_wallet, asset, amount, received_asset, received, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(transaction.id.to_string())
    .bind(transaction.from_wallet.to_string())
    .bind(transaction.to_wallet.to_string())
    .bind(transaction.asset.name())
    .bind(transaction.amount)
    .bind(transaction.received_asset.name())
    .bind(transaction.received)
    .bind(transaction.created_at)
    .execute(&mut **db)
    .await?;
    Ok(())
}

/// Applied in this order, each once. A start with a changed one is refused: add a file instead.
fn migrator() -> Migrator {
    let files = [
        (1, "wallets", include_str!("migrations/0001_wallets.sql")),
        (2, "transactions", include_str!("migrations/0002_transactions.sql")),
        (3, "users", include_str!("migrations/0003_users.sql")),
    ];
    let migrations = files.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into())
}

fn wallet_of(row: &AnyRow) -> Result<Wallet, sqlx::Error> {
    Ok(Wallet {
        id: id(row, "id")?,
        chain: one_of(row, "chain", &Chain::ALL, Chain::name)?,
        asset: one_of(row, "asset", &Asset::ALL, Asset::name)?,
        address: row.try_get("address")?,
        balance: row.try_get("balance")?,
        created_at: row.try_get("created_at")?,
    })
}

fn transaction_of(row: &AnyRow) -> Result<Transaction, sqlx::Error> {
    Ok(Transaction {
        id: id(row, "id")?,
        from_wallet: id(row, "from_wallet")?,
        to_wallet: id(row, "to_wallet")?,
        asset: one_of(row, "asset", &Asset::ALL, Asset::name)?,
        amount: row.try_get("amount")?,
        received_asset: one_of(row, "received_asset", &Asset::ALL, Asset::name)?,
        received: row.try_get("received")?,
        created_at: row.try_get("created_at")?,
    })
}

fn id(row: &AnyRow, column: &str) -> Result<Uuid, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    Uuid::parse_str(text).map_err(|error| undecodable(column, error))
}

fn one_of<T: Copy>(row: &AnyRow, column: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| undecodable(column, "a name that this version does not know"))
}

fn undecodable(column: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: source.into() }
}

fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Io(_) => Self::Unavailable(error),
            E::Database(refusal) if refusal.is_unique_violation() => Self::AddressTaken,
            E::Database(fault) if fault.code().is_some_and(|code| is_transient(&code)) => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

/// Whether a retry may succeed after a fault with this code.
fn is_transient(code: &str) -> bool {
    // SQLite: busy, locked and their extended forms.
    const SQLITE: [&str; 5] = ["5", "261", "517", "6", "262"];
    // PostgreSQL: serialization failure, deadlock, lock not available, too many connections, stopping, crashed,
    // starting.
    const POSTGRES: [&str; 7] = ["40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03"];
    SQLITE.contains(&code) || POSTGRES.contains(&code)
}
