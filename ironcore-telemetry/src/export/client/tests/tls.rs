//! TLS: who is trusted, who is not, and what is said about it.

use super::super::Client;
use super::server::{Server, accepted};
use super::{PROTOCOLS, TempFile, WHOLE, otlp};
use crate::config::{Otlp, Protocol, Signal};
use crate::export::answer::{Answer, Cause};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// An authority, and its certificate in PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// An identity for this name.
    fn identity(&self, name: &str) -> Identity {
        self.sign(&CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

impl Identity {
    /// The side of a server, which asks for certificates of `clients` if there is such an authority.
    fn server(&self, protocol: Protocol, clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            Some(authority) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![match protocol {
            Protocol::Grpc => b"h2".to_vec(),
            Protocol::HttpProtobuf => b"http/1.1".to_vec(),
        }];
        config
    }
}

/// A server with TLS by this configuration.
async fn server(protocol: Protocol, config: ServerConfig) -> Server {
    let server = Server::new(protocol, move |_| async move { accepted(protocol) }).await;
    server.set_tls(config);
    server
}

/// The settings of a client that calls the server `localhost` and trusts this authority.
fn trusting(server: &Server, protocol: Protocol, authority: &TempFile) -> Otlp {
    let mut otlp = otlp(&format!("https://localhost:{}", server.address.port()), protocol);
    otlp.tls.certificate = Some(authority.path().to_owned());
    otlp
}

async fn send(otlp: &Otlp) -> Answer {
    Client::new(otlp, Signal::Traces).unwrap().send(vec![Bytes::from_static(b"spans")]).await
}

/// Why nothing came through.
async fn refusal(otlp: &Otlp) -> (Cause, String) {
    match send(otlp).await {
        Answer::Failed(failure) => (failure.cause, failure.text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_trusted_is_sent_to() {
    let authority = Authority::new();
    let ca = TempFile::new(&authority.pem);
    for protocol in PROTOCOLS {
        let server = server(*protocol, authority.identity("localhost").server(*protocol, None)).await;
        assert_eq!(send(&trusting(&server, *protocol, &ca)).await, WHOLE, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_told_by_its_fault() {
    let authority = Authority::new();
    let ca = TempFile::new(&authority.pem);
    let dated = |from, to| {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        authority.sign(&params)
    };
    for protocol in PROTOCOLS {
        for (identity, part) in [
            (dated(2001, 2002), "the certificate of localhost has expired"),
            (dated(2101, 2102), "the certificate of localhost is not valid yet"),
            (authority.identity("elsewhere.example"), "not valid for the host localhost"),
            (Authority::new().identity("localhost"), "name its authority in OTEL_EXPORTER_OTLP_CERTIFICATE"),
        ] {
            let server = server(*protocol, identity.server(*protocol, None)).await;
            let (cause, text) = refusal(&trusting(&server, *protocol, &ca)).await;
            assert_eq!(cause, Cause::Unreachable);
            assert!(text.contains(part), "{protocol:?}: {text}");
        }
    }
}

#[tokio::test]
async fn the_authorities_of_the_system_do_not_know_ours() {
    let protocol = PROTOCOLS[0];
    let server = server(protocol, Authority::new().identity("localhost").server(protocol, None)).await;
    let otlp = otlp(&format!("https://localhost:{}", server.address.port()), protocol);
    let (cause, text) = refusal(&otlp).await;
    assert_eq!(cause, Cause::Unreachable);
    // There may be none on the machine that runs this.
    assert!(text.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{text}");
}

#[tokio::test]
async fn a_server_with_mutual_tls_knows_us_by_our_certificate() {
    let authority = Authority::new();
    let ca = TempFile::new(&authority.pem);
    for protocol in PROTOCOLS {
        let server = server(*protocol, authority.identity("localhost").server(*protocol, Some(&authority))).await;
        let mut otlp = trusting(&server, *protocol, &ca);
        let (_, text) = refusal(&otlp).await;
        assert!(text.contains("requires a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{text}");

        let show = |otlp: &mut Otlp, identity: &Identity| {
            let (certificate, key) = (TempFile::new(&identity.certificate), TempFile::new(&identity.key));
            otlp.tls.client_certificate = Some(certificate.path().to_owned());
            otlp.tls.client_key = Some(key.path().to_owned());
            (certificate, key)
        };
        let _files = show(&mut otlp, &Authority::new().identity("wallets"));
        let (_, text) = refusal(&otlp).await;
        assert!(text.contains("has refused our certificate"), "{protocol:?}: {text}");
        let _files = show(&mut otlp, &authority.identity("wallets"));
        assert_eq!(send(&otlp).await, WHOLE, "{protocol:?}");
        otlp.tls.client_key = None;
        assert!(refusal(&otlp).await.1.contains("need each other"));
    }
}

#[tokio::test]
async fn files_that_are_renewed_count_for_the_next_connection() {
    let protocol = PROTOCOLS[0];
    let (old, new) = (Authority::new(), Authority::new());
    let ca = TempFile::new(&old.pem);
    let server = server(protocol, old.identity("localhost").server(protocol, None)).await;
    let client = Client::new(&trusting(&server, protocol, &ca), Signal::Traces).unwrap();
    let message = || vec![Bytes::from_static(b"spans")];
    assert_eq!(client.send(message()).await, WHOLE);
    server.set_tls(new.identity("localhost").server(protocol, None));
    server.hang_up().await;
    assert!(matches!(client.send(message()).await, Answer::Failed(_)), "the old authority is still in the file");
    // A file that cannot be used leaves the last one in force.
    ca.write("being written");
    let answer = client.send(message()).await;
    let Answer::Failed(failure) = &answer else { panic!("{answer:?}") };
    assert!(failure.text.contains("is not known"), "{failure:?}");
    ca.write(&new.pem);
    assert_eq!(client.send(message()).await, WHOLE);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let protocol = PROTOCOLS[0];
    let server = server(protocol, authority.identity("localhost").server(protocol, None)).await;
    let cut = format!("{}AA", authority.pem.split_once("-----END").unwrap().0);
    for text in ["", "no PEM", cut.as_str(), authority.identity("x").key.as_str()] {
        let ca = TempFile::new(text);
        let (cause, text) = refusal(&trusting(&server, protocol, &ca)).await;
        assert_eq!(cause, Cause::Unreachable);
        assert!(text.contains(ca.path().to_str().unwrap()), "{text}");
    }
    let ca = TempFile::new(&authority.pem);
    let mut otlp = trusting(&server, protocol, &ca);
    otlp.tls.client_certificate = Some(ca.path().to_owned());
    otlp.tls.client_key = Some(ca.path().to_owned());
    assert!(refusal(&otlp).await.1.contains(ca.path().to_str().unwrap()));
    otlp.tls.certificate = Some("/does/not/exist.pem".into());
    assert!(refusal(&otlp).await.1.contains("/does/not/exist.pem: "));
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_not_trusted() {
    let authority = Authority::new();
    let ca = TempFile::new(&authority.pem);
    for protocol in PROTOCOLS {
        let server = Server::new(*protocol, move |_| async move { accepted(*protocol) }).await;
        let (cause, text) = refusal(&trusting(&server, *protocol, &ca)).await;
        assert_eq!(cause, Cause::Unreachable);
        assert!(text.contains("TLS"), "{protocol:?}: {text}");
    }
}

#[tokio::test]
async fn plain_text_to_a_server_with_tls_is_named() {
    let authority = Authority::new();
    for protocol in PROTOCOLS {
        let server = server(*protocol, authority.identity("localhost").server(*protocol, None)).await;
        let (cause, text) = refusal(&otlp(&server.endpoint(), *protocol)).await;
        assert_eq!(cause, Cause::Broken);
        assert!(text.contains("the server speaks TLS at this port: use https://"), "{protocol:?}: {text}");
    }
}
