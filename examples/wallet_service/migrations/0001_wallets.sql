-- Only BIGINT and TEXT: the types that SQLite, PostgreSQL and sqlx's `Any` driver read alike.
CREATE TABLE wallets (
    id         TEXT   NOT NULL PRIMARY KEY,
    chain      TEXT   NOT NULL,
    asset      TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    -- Minor units. The upper bound keeps every amount exact in JSON clients (2^53 - 1).
    balance    BIGINT NOT NULL CHECK (balance BETWEEN 0 AND 9007199254740991),
    created_at BIGINT NOT NULL,
    UNIQUE (chain, asset, address)
);
