//! Which library does the cryptography of TLS: `ring`, so that no further C has to be built.

/// Chooses it for the process. Where another part has chosen already, that choice stays.
pub fn choose_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
