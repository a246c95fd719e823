//! Which library does the cryptography of TLS: `ring`, so that no further C has to be built; and whom to believe.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;

/// Chooses it for the process. Where another part has chosen already, that choice stays.
pub fn choose_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Servers prove who they are by the machine's certificates. Sessions are taken up again.
pub(crate) fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    choose_provider();
    ClientConfig::with_platform_verifier().map(Arc::new)
}
