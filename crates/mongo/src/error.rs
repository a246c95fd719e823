//! What can go wrong, and as what the callers see it. The driver's types do not leave this crate, nor does the
//! connection string, which may hold a password.

use alertcast_core::store::{Collection, StoreError};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

/// The server's code for a value that a unique index holds already.
pub(crate) const DUPLICATE_KEY: i32 = 11_000;

/// A document that a validator refuses.
const BAD_DOCUMENT: i32 = 121;

/// What a document holds does not bear the change (2: a list that is none), or it would become too large.
const UNFIT: [i32; 5] = [2, 14, 28, 10_334, 17_419];

/// A user name or password that is not right.
const BAD_LOGIN: i32 = 18;
const LOGIN_REFUSED: &str = "MongoDB does not accept the user name or the password; where the user was made in another \
                             database than the one that is used, write &authSource=THAT_DATABASE";

/// A user who may not do that.
const UNAUTHORIZED: i32 = 13;
const NOT_ALLOWED: &str = "MongoDB does not let this user do that: it needs the roles readWrite and dbAdmin on the \
                           database, or no user is named where one is needed";

/// Every server takes documents of this size.
const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// So much of a server's words is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The connection string cannot be read. It is not repeated: it may hold a password.
    #[error(
        "ALERTCAST_STORE is no MongoDB connection string{0}; \
         write mongodb://user:password@host:27017/database?replicaSet=rs0 (a password's special characters as %XX)"
    )]
    BadUri(String),
    /// The server is on its own and has no transactions.
    #[error(
        "the MongoDB that ALERTCAST_STORE names is a standalone server, which has no transactions. Make it a replica set \
         of one node: add `replication: {{ replSetName: rs0 }}` to its mongod.conf (or start it with --replSet rs0), \
         restart it, run `mongosh --eval 'rs.initiate()'` once, and write ?replicaSet=rs0 at the end of ALERTCAST_STORE"
    )]
    Standalone,
    /// The server belongs to another replica set than the connection string says.
    #[error(
        "the MongoDB that ALERTCAST_STORE names belongs to the replica set {found}, not {wanted}: \
         write ?replicaSet={found} at its end"
    )]
    OtherSet { found: String, wanted: String },
    /// The server is too old.
    #[error("the MongoDB that ALERTCAST_STORE names is too old: version 6.0 or later is needed")]
    TooOld,
    /// It cannot be reached, or does not let us in.
    #[error("the MongoDB that ALERTCAST_STORE names cannot be used: {0}")]
    Store(#[from] StoreError),
}

/// An operation's failure inside this crate.
#[derive(Debug)]
pub(crate) enum MongoError {
    /// For the caller, as it is.
    Store(StoreError),
    /// From the driver; perhaps worth another attempt.
    Driver(Box<Error>),
    /// What a document holds does not bear the change: what the server said.
    Unfit(String),
    /// The transaction has seen a state that is over: worth another attempt.
    Again,
}

/// The result of a step of an operation.
pub(crate) type MongoResult<T> = std::result::Result<T, MongoError>;

impl MongoError {
    /// Whether the transaction did not happen, and may if it is tried again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Again => true,
            // Whoever has looked for a server in vain has waited long enough.
            Self::Driver(error) if matches!(&*error.kind, ErrorKind::ServerSelection { .. }) => false,
            Self::Driver(error) => error.contains_label(TRANSIENT_TRANSACTION_ERROR),
            Self::Store(_) | Self::Unfit(_) => false,
        }
    }

    /// Whether the driver has refused by itself what is right to ask: it goes by nonsense that it was told.
    pub(crate) fn is_of_the_client(&self) -> bool {
        match self {
            Self::Driver(error) => match &*error.kind {
                ErrorKind::Internal { .. } => true,
                ErrorKind::InvalidArgument { message, .. } => !is_too_large(message),
                _ => false,
            },
            Self::Store(_) | Self::Unfit(_) | Self::Again => false,
        }
    }

    /// The unique index that refused, where one did.
    pub(crate) fn duplicate(&self) -> Option<(Collection, String)> {
        match self {
            Self::Driver(error) => duplicate(error),
            Self::Store(StoreError::AlreadyExists { collection, field }) => Some((*collection, field.clone())),
            Self::Store(_) | Self::Unfit(_) | Self::Again => None,
        }
    }

    /// The server's code of a failed command or write.
    pub(crate) fn code_of(error: &Error) -> Option<i32> {
        read_code(error).map(|(code, _)| code)
    }

    /// Whether what a document holds does not bear the change.
    pub(crate) fn is_unfit(&self) -> bool {
        match self {
            Self::Unfit(_) => true,
            Self::Driver(error) => Self::code_of(error).is_some_and(|code| UNFIT.contains(&code)),
            Self::Store(_) | Self::Again => false,
        }
    }

    /// Whether a unique index refused, of whichever collection.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Driver(error) if Self::code_of(error) == Some(DUPLICATE_KEY))
    }

    /// Whether the collection's unique field, named by its dotted path, refused.
    pub(crate) fn is_duplicate(&self, collection: Collection, field: &str) -> bool {
        self.duplicate().is_some_and(|(of, found)| of == collection && found == field)
    }
}

impl From<Error> for MongoError {
    fn from(error: Error) -> Self {
        Self::Driver(Box::new(error))
    }
}

impl From<StoreError> for MongoError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<MongoError> for StoreError {
    fn from(fault: MongoError) -> Self {
        match fault {
            MongoError::Store(error) => error,
            MongoError::Unfit(said) => Self::Corrupt(said),
            MongoError::Again => Self::Unavailable("others kept changing the same documents".to_owned()),
            MongoError::Driver(error) => match duplicate(&error) {
                Some((collection, field)) => Self::AlreadyExists { collection, field },
                None => of_driver(&error),
            },
        }
    }
}

fn of_driver(error: &Error) -> StoreError {
    let unavailable = |why: &str| StoreError::Unavailable(why.chars().take(MESSAGE_CHARS_MAX).collect());
    match read_code(error) {
        Some((BAD_LOGIN, _)) => return unavailable(LOGIN_REFUSED),
        Some((UNAUTHORIZED, _)) => return unavailable(NOT_ALLOWED),
        Some((code, message)) => return of_code(code, message).into(),
        None => {}
    }
    match &*error.kind {
        kind if is_unsendable(kind) => StoreError::Corrupt(kind.to_string().chars().take(MESSAGE_CHARS_MAX).collect()),
        kind if is_senseless(kind) => unavailable(&format!("MongoDB's answer makes no sense: {kind}")),
        ErrorKind::Authentication { .. } => unavailable(LOGIN_REFUSED),
        ErrorKind::ServerSelection { message, .. } => unavailable(&no_server(message)),
        ErrorKind::Io(io) => unavailable(&format!("the connection to MongoDB broke: {io}")),
        other => unavailable(&other.to_string()),
    }
}

/// Whether what was to be sent is at fault, so that to try again would not help.
fn is_unsendable(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::BsonSerialization(_) => true,
        ErrorKind::Bson(bson) => is_unwritable(bson),
        ErrorKind::InvalidArgument { message, .. } => is_too_large(message),
        _ => false,
    }
}

fn is_unwritable(error: &bson::error::Error) -> bool {
    use bson::error::ErrorKind as Kind;
    match error.kind {
        Kind::Serialization { .. } | Kind::TooLargeUnsignedInteger { .. } | Kind::DateTime { .. } => true,
        // Of the name of a field. What was read has none.
        Kind::MalformedBytes { .. } => error.message.as_ref().is_some_and(|said| said.contains("interior null")),
        _ => false,
    }
}

/// Whether a document or a message is larger than a server takes: the driver names the limit. One that is lower than any
/// server's is nonsense that it was told.
fn is_too_large(message: &str) -> bool {
    let is_limit = message.starts_with("insert document must be within ") || message.starts_with("Message length ");
    let mut numbers = message.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u64>().ok());
    let limit = if message.starts_with("insert") { numbers.next() } else { numbers.nth(1) };
    is_limit && limit.is_some_and(|limit| limit >= DOCUMENT_BYTES_MAX)
}

/// Whether the answer is at fault: it is not what was asked for, or nothing at all. What was asked may have been done.
pub(crate) fn is_senseless(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::BsonDeserialization(_) | ErrorKind::InvalidResponse { .. } | ErrorKind::Internal { .. } => true,
        ErrorKind::Bson(_) | ErrorKind::InvalidArgument { .. } => !is_unsendable(kind),
        _ => false,
    }
}

/// An answer that can be read, and does not say what it must.
pub(crate) fn senseless(what: &str) -> MongoError {
    MongoError::Store(StoreError::Unavailable(format!("MongoDB's answer makes no sense: {what}")))
}

/// What the driver says when it finds no server to use: it describes all that it knows of each. What is of use to people is
/// where it looked, and why that server does not do.
fn no_server(message: &str) -> String {
    let mut servers = Vec::new();
    for part in message.split("Address: ").skip(1) {
        let address = part.split([',', ' ', '}']).next().unwrap_or_default();
        let why = part.split_once("Error: ").map(|(_, error)| reason(error));
        let kind =
            part.split_once("Type: ").map_or("", |(_, kind)| kind.split([',', ' ', '}']).next().unwrap_or_default());
        servers.push(match why {
            Some(why) => format!("{address} ({why})"),
            None if kind.is_empty() || kind == "Unknown" => format!("{address} (no answer)"),
            None => format!("{address} ({kind})"),
        });
    }
    if servers.is_empty() {
        let first = message.split(['{', '\n']).next().unwrap_or_default().trim();
        return format!("no MongoDB server answers: {}", first.trim_end_matches("Topology:").trim());
    }
    format!("no MongoDB server answers as one that can be written to: {}", servers.join(", "))
}

/// An error of the driver without its frame: `Kind: I/O error: Connection refused (os error 111), labels: {}`.
fn reason(error: &str) -> &str {
    let error = error.strip_prefix("Kind: ").unwrap_or(error);
    let end = [", labels:", ", source:", " }"].iter().filter_map(|mark| error.find(mark)).min().unwrap_or(error.len());
    let error = &error[..end];
    error.strip_prefix("I/O error: ").unwrap_or(error)
}

/// What a statement of several updates says of a unique index, in its own answer.
pub(crate) fn of_write_error(code: i32, message: &str) -> MongoError {
    if code == DUPLICATE_KEY
        && let Some((collection, field)) = index_in(message)
    {
        return MongoError::Store(StoreError::AlreadyExists { collection, field });
    }
    of_code(code, message)
}

fn of_code(code: i32, message: &str) -> MongoError {
    if code == BAD_DOCUMENT {
        let why = "a document is not what its collection's validator asks for";
        return MongoError::Store(StoreError::Corrupt(why.to_owned()));
    }
    let said = format!("{message} ({code})").chars().take(MESSAGE_CHARS_MAX).collect();
    if UNFIT.contains(&code) { MongoError::Unfit(said) } else { MongoError::Store(StoreError::Unavailable(said)) }
}

fn duplicate(error: &Error) -> Option<(Collection, String)> {
    let (code, message) = read_code(error)?;
    if code == DUPLICATE_KEY { index_in(message) } else { None }
}

/// The server's code and words.
fn read_code(error: &Error) -> Option<(i32, &str)> {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some((write.code, &write.message)),
        ErrorKind::Command(command) => Some((command.code, &command.message)),
        ErrorKind::InsertMany(many) => {
            let first = many.write_errors.as_ref()?.first()?;
            Some((first.code, &first.message))
        }
        _ => None,
    }
}

/// The server says `E11000 duplicate key error collection: DATABASE.COLLECTION index: NAME dup key: {…}`. The name alone
/// tells the field: answers to inserts carry nothing else.
fn index_in(message: &str) -> Option<(Collection, String)> {
    let (_, rest) = message.split_once("collection: ")?;
    let (namespace, rest) = rest.split_once(" index: ")?;
    let (name, _) = rest.split_once(" dup key").unwrap_or((rest, ""));
    let (_, collection) = namespace.split_once('.')?;
    let collection = Collection::from_name(collection)?;
    Some((collection, field_of(collection, name)))
}

fn field_of(collection: Collection, index: &str) -> String {
    if index.starts_with("_id_") {
        return "_id".to_owned();
    }
    let declared = collection.indexes().iter().find(|declared| crate::engine::setup::name(declared) == index);
    match declared {
        Some(declared) => declared.keys.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", "),
        // Somebody else's index; the name is the best that is known.
        None => index.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Option<(Collection, String)> {
        of_write_error(DUPLICATE_KEY, message).duplicate()
    }

    #[test]
    fn a_unique_index_that_refuses_names_the_dotted_fields() {
        let said = |collection: &str, index: &str| {
            found(&format!(
                "E11000 duplicate key error collection: trading_alerts.{collection} index: {index} dup key: {{ x: 1 }}"
            ))
        };
        assert_eq!(
            said("user_alert_preferences", "userId_1_alertConfigId_1"),
            Some((Collection::UserAlertPreferences, "userId, alertConfigId".to_owned()))
        );
        assert_eq!(said("users", "telegram.userId_1"), Some((Collection::Users, "telegram.userId".to_owned())));
        assert_eq!(said("users", "_id_"), Some((Collection::Users, "_id".to_owned())));
        assert_eq!(said("users", "theirs"), Some((Collection::Users, "theirs".to_owned())));
        assert_eq!(said("strangers", "x_1"), None);
    }

    #[test]
    fn what_a_document_does_not_bear_is_no_failure_of_the_server() {
        let fault = of_write_error(14, "Cannot apply $inc to a value of non-numeric type");
        assert!(
            matches!(StoreError::from(fault), StoreError::Corrupt(why) if why.contains("$inc") && why.contains("14"))
        );
        assert!(of_code(28, "Cannot create field").is_unfit());
        assert!(matches!(of_code(10_107, "not primary"), MongoError::Store(StoreError::Unavailable(_))));
    }

    #[test]
    fn of_what_the_driver_knows_of_a_server_that_is_away_its_address_and_the_cause_are_told() {
        let dump = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                    127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {} }, { \
                    Address: db.example.com:27017, Type: RsSecondary, Average RTT: 1ms }, { Address: c:2, Type: Unknown } ] \
                    }";
        assert_eq!(
            no_server(dump),
            "no MongoDB server answers as one that can be written to: 127.0.0.1:1 (Connection refused (os error 111)), \
             db.example.com:27017 (RsSecondary), c:2 (no answer)"
        );
        assert_eq!(
            no_server("Server selection timeout: No available servers. Topology: { Type: Unknown }"),
            "no MongoDB server answers: Server selection timeout: No available servers."
        );
    }

    #[test]
    fn an_answer_that_makes_no_sense_may_have_been_a_success_and_what_cannot_be_sent_was_none() {
        let of = |kind: ErrorKind| StoreError::from(MongoError::from(Error::from(kind)));
        let read = bson::Document::from_reader(&[1, 2, 3][..]).unwrap_err();
        assert!(matches!(of(ErrorKind::Bson(read)), StoreError::Unavailable(_)));
        let name = bson::raw::CString::try_from("a\0b").unwrap_err();
        assert!(matches!(of(ErrorKind::Bson(name)), StoreError::Corrupt(_)));
    }

    #[test]
    fn a_limit_that_no_server_has_does_not_make_a_document_too_large() {
        let document =
            |limit: u64| format!("insert document must be within {limit} bytes, but document provided is 9 bytes");
        let message = |limit: u64| format!("Message length 99999999 over maximum {limit}");
        assert!(is_too_large(&document(16_777_216)) && is_too_large(&message(48_000_000)));
        assert!(!is_too_large(&document(0)) && !is_too_large(&message(16)));
        assert!(!is_too_large("checked arithmetic failure") && !is_too_large("out of range 99999999 99999999"));
    }

    #[test]
    fn other_write_errors_are_no_duplicates() {
        let fault = of_write_error(121, "Document failed validation");
        assert!(fault.duplicate().is_none() && !fault.is_transient());
        assert!(matches!(StoreError::from(fault), StoreError::Corrupt(_)), "to try again would not help");
    }
}
