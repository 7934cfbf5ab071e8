CREATE TABLE transactions (
    id             TEXT   NOT NULL PRIMARY KEY,
    from_wallet    TEXT   NOT NULL REFERENCES wallets (id),
    to_wallet      TEXT   NOT NULL REFERENCES wallets (id),
    asset          TEXT   NOT NULL,
    amount         BIGINT NOT NULL CHECK (amount > 0),
    -- What arrives: the same for a transfer, another asset and amount for a swap.
    received_asset TEXT   NOT NULL,
    received       BIGINT NOT NULL CHECK (received > 0),
    created_at     BIGINT NOT NULL
);

-- A page of one wallet's history is read from the end of these two.
CREATE INDEX transactions_sent ON transactions (from_wallet, id);
CREATE INDEX transactions_received ON transactions (to_wallet, id);
