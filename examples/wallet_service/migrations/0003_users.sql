CREATE TABLE users (
    id         TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);
