//! TLS: whom to trust, who we are, and what a handshake that fails means.

use super::Protocol;
use super::endpoint::Place;
use super::stamp::Stamp;
use super::transport::Transport;
use crate::config::{Otlp, TlsFiles};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The side of TLS of one client.
pub(super) struct Tls {
    host: String,
    name: ServerName<'static>,
    files: TlsFiles,
    protocol: &'static [u8],
    /// From the files as they were read the last time.
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// # Errors
    /// The host cannot be the name of a server.
    pub(super) fn new(place: &Place, otlp: &Otlp) -> Result<Self, String> {
        let host = match place {
            Place::Tcp { host, .. } => host.clone(),
            #[cfg(unix)]
            Place::Unix(_) => return Err("a socket of this machine has no TLS".to_owned()),
        };
        let name = ServerName::try_from(host.clone()).map_err(|error| format!("{host}: {error}"))?;
        let protocol: &[u8] = match otlp.protocol {
            Protocol::Grpc => b"h2",
            Protocol::HttpProtobuf => b"http/1.1",
        };
        Ok(Self { host, name, files: otlp.tls.clone(), protocol, loaded: Mutex::new(None) })
    }

    /// The handshake on a connection.
    ///
    /// # Errors
    /// What keeps the two sides from trusting each other, or a file that cannot be used.
    pub(super) async fn handshake(&self, stream: TcpStream, protocol: Protocol) -> Result<Transport, String> {
        let connector = TlsConnector::from(self.config()?);
        let meaning = Meaning { host: self.host.clone(), is_known: self.files.client_certificate.is_some() };
        match connector.connect(self.name.clone(), stream).await {
            Ok(stream) => Ok(Transport::new(stream, protocol, move |error| meaning.of(error))),
            Err(error) => Err(meaning.of(&error).unwrap_or_else(|| format!("the TLS handshake failed: {error}"))),
        }
    }

    /// The configuration. Its files are read again when they have changed; while they cannot be used, the last one that
    /// could be is in force.
    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let stamps: Vec<_> = self.files.all().map(Stamp::of).collect();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.as_ref().filter(|known| known.stamps == stamps) {
            return Ok(Arc::clone(&known.config));
        }
        match config(&self.files, self.protocol) {
            Ok(config) => {
                let config = Arc::new(config);
                *loaded = Some(Loaded { stamps, config: Arc::clone(&config) });
                Ok(config)
            }
            Err(error) => loaded.as_ref().map(|known| Arc::clone(&known.config)).ok_or(error),
        }
    }
}

fn config(files: &TlsFiles, protocol: &[u8]) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots(files)?);
    let mut config = match (&files.client_certificate, &files.client_key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let unusable = |error: &dyn std::fmt::Display| format!("{}: {error}", key.display());
            let bytes = read(key)?;
            let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| unusable(&error))?;
            builder.with_client_auth_cert(chain, private).map_err(|error| unusable(&error))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other".to_owned()
            );
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// The authorities of the file, else those of the system.
fn roots(files: &TlsFiles) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &files.certificate {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    // Some systems have ones that are too old to be read.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!(
            "the system has no certificates of authorities{why}; install ca-certificates, or set OTEL_EXPORTER_OTLP_CERTIFICATE"
        ));
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(&"no certificate in PEM is in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(&error)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What errors of TLS mean to whoever has set it up.
struct Meaning {
    host: String,
    /// Whether we have a certificate to show.
    is_known: bool,
}

impl Meaning {
    fn of(&self, error: &io::Error) -> Option<String> {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            let is_closed = error.kind() == io::ErrorKind::UnexpectedEof;
            return is_closed.then(|| "the server has closed the connection within TLS: does it speak TLS?".to_owned());
        };
        Some(match tls {
            rustls::Error::InvalidCertificate(error) => self.of_certificate(error),
            rustls::Error::AlertReceived(alert) => self.of_alert(*alert),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "the server does not speak TLS at this port: use http://, or OTEL_EXPORTER_OTLP_INSECURE=true without a scheme"
                    .to_owned()
            }
            other => format!("TLS: {other}"),
        })
    }

    fn of_certificate(&self, error: &CertificateError) -> String {
        let host = &self.host;
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate of the server is not valid for the host {host}: {error}")
            }
            // A signature of another authority of the same name is none of the one that is trusted.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the issuer of the certificate of {host} is not known: name its authority in OTEL_EXPORTER_OTLP_CERTIFICATE"
            ),
            other => format!("the certificate of {host} cannot be used: {other}"),
        }
    }

    fn of_alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError => self.of_our_certificate(alert),
            Alert::NoApplicationProtocol => {
                format!("{} does not speak the protocol of OTEL_EXPORTER_OTLP_PROTOCOL at this port", self.host)
            }
            other => format!("{} has refused the TLS handshake: {other:?}", self.host),
        }
    }

    fn of_our_certificate(&self, alert: AlertDescription) -> String {
        let host = &self.host;
        if self.is_known {
            return format!("{host} has refused our certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE): {alert:?}");
        }
        format!(
            "{host} requires a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
             OTEL_EXPORTER_OTLP_CLIENT_KEY"
        )
    }
}
