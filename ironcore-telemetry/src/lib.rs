//! Stub, to be replaced: only the names are settled.
#![allow(missing_docs, clippy::pedantic)]
pub use ironcore_telemetry_macros::instrument_business;
use std::time::Duration;
pub struct Config;
impl Config { pub fn new(_service: impl Into<String>) -> Self { Self } pub fn version(self, _v: impl Into<String>) -> Self { self } pub fn environment(self, _v: impl Into<String>) -> Self { self } }
#[derive(Debug)] pub struct InitError;
impl std::fmt::Display for InitError { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
impl std::error::Error for InitError {}
#[must_use] pub struct TelemetryGuard;
impl TelemetryGuard { pub fn shutdown(self, _t: Duration) -> Result<(), InitError> { Ok(()) } }
pub fn init() -> Result<TelemetryGuard, InitError> { Ok(TelemetryGuard) }
pub fn init_with(_c: Config) -> Result<TelemetryGuard, InitError> { Ok(TelemetryGuard) }
#[derive(Debug, Clone, Copy, PartialEq, Eq)] pub enum OutcomeClass { Ok, Rejected, Failed, Cancelled, Panicked }
pub trait Outcome { fn class(&self) -> OutcomeClass; fn code(&self) -> &'static str { "" } }
pub struct Secret<T>(T);
impl<T> Secret<T> { pub fn new(t: T) -> Self { Self(t) } pub fn expose(&self) -> &T { &self.0 } }
#[derive(Clone, Default)] pub struct HttpTelemetryLayer;
impl HttpTelemetryLayer { pub fn new() -> Self { Self } }
#[cfg(feature = "http")]
impl<S> tower_layer::Layer<S> for HttpTelemetryLayer { type Service = S; fn layer(&self, s: S) -> S { s } }
