//! The TLS side of the socket transport.

use llmuses_core::plan::Route;
use llmuses_kernel_io::regular_file::read_regular;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file of certificates that is read.
const MOST_BYTES: u64 = 16 << 20;

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates that this system trusts could not be used.
    #[error("TLS could not be set up with the certificates that this system trusts: {0}")]
    Setup(#[from] rustls::Error),
    /// A file of certificates or keys cannot be used.
    #[error("{flag} {}: {reason}", path.display())]
    File {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Certificates and keys that the user named.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// Certificates that are trusted beside those of the system.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// What this client shows.
    pub(crate) own: Option<Own>,
}

/// What a client shows.
#[derive(Debug)]
pub(crate) struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// Both as they stand in their files.
    pub(crate) pem: Vec<u8>,
}

impl Credentials {
    /// Reads the files of a route.
    ///
    /// # Errors
    /// Where one cannot be read or has not what it should have.
    pub(crate) fn of(route: &Route) -> Result<Self, TlsError> {
        let mut credentials = Self::default();
        if let Some(path) = &route.ca_file {
            let pem = read("--ca-file", path)?;
            credentials.roots = certificates("--ca-file", path, &pem)?;
        }
        if let Some(path) = &route.client_cert {
            let mut pem = read("--client-cert", path)?;
            let chain = certificates("--client-cert", path, &pem)?;
            let (flag, key_path) = match &route.client_key {
                Some(path) => ("--client-key", path),
                None => ("--client-cert", path),
            };
            let key_pem = match &route.client_key {
                Some(path) => read(flag, path)?,
                None => pem.clone(),
            };
            let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| TlsError::File {
                flag,
                path: key_path.to_owned(),
                reason: match error {
                    pem::Error::NoItemsFound => {
                        "it has no private key (PEM, not encrypted)".to_owned()
                    }
                    error => format!("its private key cannot be read: {error}"),
                },
            })?;
            if route.client_key.is_some() {
                pem.push(b'\n');
                pem.extend_from_slice(&key_pem);
            }
            credentials.own = Some(Own { chain, key, pem });
        }
        Ok(credentials)
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    read_regular(path, MOST_BYTES).map_err(|error| TlsError::File {
        flag,
        path: path.to_owned(),
        reason: format!("it cannot be read: {error}"),
    })
}

fn certificates(
    flag: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::File {
        flag,
        path: path.to_owned(),
        reason,
    };
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(format!("it is no PEM file: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong("it has no certificate (PEM)".to_owned()));
    }
    Ok(certificates)
}

/// A client configuration that speaks HTTP/1.1.
///
/// # Errors
/// Where the trusted certificates, or those of the user, cannot be used.
pub(super) fn client_config(route: &Route) -> Result<Arc<ClientConfig>, TlsError> {
    let credentials = Credentials::of(route)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = if route.insecure {
        Arc::new(AnyCertificate(provider))
    } else if credentials.roots.is_empty() {
        Arc::new(Verifier::new(provider)?)
    } else {
        Arc::new(Verifier::new_with_extra_roots(credentials.roots, provider)?)
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match credentials.own {
        Some(own) => {
            let path = route.client_cert.clone().unwrap_or_default();
            builder
                .with_client_auth_cert(own.chain, own.key)
                .map_err(|error| TlsError::File {
                    flag: "--client-cert",
                    path,
                    reason: error.to_string(),
                })?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Takes any certificate, as `--insecure` asks; that the server holds its key is still verified.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
