//! Reaching the server: how, for how long, and whether it is one that can keep what the ports promise.

use std::time::Duration;

use alertcast_core::store::StoreError;
use bson::{Document, doc};
use mongodb::Client;
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress};
use tokio::time::timeout;

use crate::engine::interruption::InterruptionCount;
use crate::engine::query::whole;
use crate::error::{ConnectError, MongoError, MongoResult};
use crate::store::{DATABASE, MongoOptions, MongoStore, durable};

/// The wire version of MongoDB 6.0, the first whose partial indexes know `$in`.
const WIRE_VERSION_MIN: i64 = 17;

/// So many commands are under way at once, unless `maxPoolSize` in the connection string says otherwise. With the driver's
/// own 10, what comes in would wait for a connection behind the commits of eight configurations.
const CONNECTIONS_MAX: u32 = 32;

impl MongoStore {
    /// Reaches the server, and makes sure that it has transactions.
    ///
    /// # Errors
    /// See [`ConnectError`]. None of them holds the connection string.
    pub async fn connect(uri: &str, options: &MongoOptions) -> std::result::Result<Self, ConnectError> {
        let mut client_options = client_options(uri, options).await?;
        let interruptions = InterruptionCount::default();
        interruptions.listen(&mut client_options);
        let name = options.database.clone().or_else(|| client_options.default_database.clone());
        let client = client(client_options.clone())?;
        match timeout(options.server_selection_timeout * 3, hello(&client)).await {
            Ok(Ok(answer)) => judge(&answer)?,
            Ok(Err(MongoError::Driver(error))) if is_too_old_to_speak_with(&error.kind) => {
                return Err(ConnectError::TooOld);
            }
            Ok(Err(MongoError::Driver(error))) if matches!(&*error.kind, ErrorKind::ServerSelection { .. }) => {
                // A server that was found, but not taken for a member of the set, says more when it is asked itself.
                ask_each(&client_options).await?;
                return Err(StoreError::from(MongoError::Driver(error)).into());
            }
            Ok(Err(fault)) => return Err(StoreError::from(fault).into()),
            Err(_) => {
                return Err(StoreError::Unavailable("it accepts connections, but does not answer".to_owned()).into());
            }
        }
        let hosts: Vec<String> = client_options.hosts.iter().map(ToString::to_string).collect();
        let store = Self::over(client, name.as_deref().unwrap_or(DATABASE), &hosts.join(","));
        store.link.keep(client_options);
        Ok(Self { interruptions, ..store })
    }
}

async fn client_options(uri: &str, options: &MongoOptions) -> std::result::Result<ClientOptions, ConnectError> {
    let mut parsed = ClientOptions::parse(uri).await.map_err(|error| {
        // What the driver says may quote the string, and so a password.
        let why = if uri.contains('@') { String::new() } else { format!(" ({})", error.kind) };
        ConnectError::BadUri(why)
    })?;
    parsed.app_name.get_or_insert_with(|| "alertcast".to_owned());
    parsed.max_pool_size.get_or_insert(CONNECTIONS_MAX);
    parsed.write_concern = Some(durable());
    parsed.read_concern = Some(ReadConcern::majority());
    parsed.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    parsed.server_selection_timeout = Some(options.server_selection_timeout);
    parsed.connect_timeout = Some(options.server_selection_timeout);
    parsed.heartbeat_freq = Some(options.heartbeat);
    Ok(parsed)
}

fn client(options: ClientOptions) -> std::result::Result<Client, ConnectError> {
    Client::with_options(options).map_err(|error| StoreError::from(MongoError::from(error)).into())
}

async fn hello(client: &Client) -> MongoResult<Document> {
    Ok(client.database("admin").run_command(doc! { "hello": 1 }).await?)
}

/// Whether a server can keep what the ports promise. To begin a transaction would tell nothing: a server on its own
/// refuses only the first statement in it.
fn judge(hello: &Document) -> std::result::Result<(), ConnectError> {
    if !hello.contains_key("setName") && hello.get_str("msg").ok() != Some("isdbgrid") {
        return Err(ConnectError::Standalone);
    }
    if hello.get("maxWireVersion").and_then(whole).is_some_and(|version| version < WIRE_VERSION_MIN) {
        return Err(ConnectError::TooOld);
    }
    Ok(())
}

/// The driver does not choose a server that is older than it knows, and says so in words alone.
fn is_too_old_to_speak_with(error: &ErrorKind) -> bool {
    matches!(error, ErrorKind::ServerSelection { message, .. }
        if message.contains("reports wire version") && message.contains("requires at least"))
}

/// Asks each server directly what it is. An error: what is wrong with the first that answers.
async fn ask_each(options: &ClientOptions) -> std::result::Result<(), ConnectError> {
    for host in &options.hosts {
        let Some(answer) = ask(options, host.clone()).await else { continue };
        judge(&answer)?;
        if let (Ok(found), Some(wanted)) = (answer.get_str("setName"), &options.repl_set_name)
            && found != wanted
        {
            return Err(ConnectError::OtherSet { found: found.to_owned(), wanted: wanted.clone() });
        }
    }
    Ok(())
}

async fn ask(options: &ClientOptions, host: ServerAddress) -> Option<Document> {
    let mut direct = options.clone();
    direct.hosts = vec![host];
    direct.direct_connection = Some(true);
    direct.repl_set_name = None;
    direct.server_selection_timeout = Some(Duration::from_secs(1));
    let client = Client::with_options(direct).ok()?;
    timeout(Duration::from_secs(2), hello(&client)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use bson::Bson;

    use super::*;

    #[test]
    fn a_replica_set_and_a_sharded_cluster_will_do() {
        assert!(judge(&doc! { "setName": "rs0", "maxWireVersion": 25 }).is_ok());
        assert!(judge(&doc! { "msg": "isdbgrid", "maxWireVersion": 25 }).is_ok());
        for odd in [Bson::Int64(i64::MAX), Bson::Double(1e300), Bson::Double(f64::INFINITY), "25".into(), Bson::Null] {
            assert!(judge(&doc! { "setName": "rs0", "maxWireVersion": odd }).is_ok());
        }
    }

    #[test]
    fn a_standalone_or_an_old_server_will_not() {
        assert!(matches!(judge(&doc! { "maxWireVersion": 25 }), Err(ConnectError::Standalone)));
        for old in [Bson::Int32(13), Bson::Int64(i64::MIN), Bson::Double(13.0), Bson::Double(f64::NEG_INFINITY)] {
            assert!(matches!(judge(&doc! { "setName": "rs0", "maxWireVersion": old }), Err(ConnectError::TooOld)));
        }
    }
}
