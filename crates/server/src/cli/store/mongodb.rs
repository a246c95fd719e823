//! MongoDB as the store.

use alertcast_mongo::{ConnectError, MongoStore};
use secrecy::{ExposeSecret as _, SecretString};

use super::CommandFailure;

/// Reaches the MongoDB.
///
/// # Errors
/// See [`ConnectError`]; what a better configuration would mend is a mistake of usage.
pub(super) async fn connect(uri: &SecretString) -> anyhow::Result<MongoStore> {
    let connected = MongoStore::connect(uri.expose_secret(), &alertcast_mongo::MongoOptions::default()).await;
    connected.map_err(|error| {
        let fix = "mend that, then run the command again; `alertcast doctor` looks at the store alone";
        match error {
            ConnectError::Store(_) => CommandFailure::new(error.to_string(), fix).into(),
            _ => CommandFailure::of_usage(error.to_string(), fix).into(),
        }
    })
}
