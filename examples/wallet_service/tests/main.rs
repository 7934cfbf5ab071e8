//! The wallet service as its clients see it: the real router over a real store, without a socket.
//!
//! Runs on `SQLite` in memory; with `WALLET_TEST_POSTGRES=postgres://…` on that server, each test in a schema of its
//! own.

mod limits;
mod money;
mod secrets;
mod service;
mod trouble;
mod wallets;
