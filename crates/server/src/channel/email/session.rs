//! The conversation with the mail server, step by step, over connections that are kept for the next mail.
//!
//! A mail goes under two time-outs: one until the server is ready to be given it, and one for its answer to it.
//!
//! A kept connection may be dead without our knowing. It is asked first (RSET, as Postfix does); one that does not answer
//! well is given up for a new one, and no mail was at risk.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::EmailError;
use super::bounded::BoundedStream;
use super::server::{MailSecurity, MailServer};
use crate::clock::Clock;

/// How long to wait for a connection to one of the server's addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers are a few lines.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// The same where certificates come with it.
const ENCRYPTED_BYTES_MAX: usize = 64 * 1024;
/// Unused connections are closed before the server does so.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a kept connection may take to say that it is well, or to say goodbye.
const WORD_TIMEOUT: Duration = Duration::from_secs(5);
/// Servers end a connection after so many mails; ours ends before.
const MAILS_MAX: u32 = 50;

/// The session with the mail server.
pub(super) struct MailSession {
    server: MailServer,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    /// How we greet: the domain of the sender.
    hello: ClientId,
    sender: Address,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    shelf: Arc<Mutex<IdleConnections>>,
}

/// Connections that nobody uses.
#[derive(Default)]
struct IdleConnections {
    kept: Vec<IdleConnection>,
    /// Somebody closes what stands here for too long.
    is_watched: bool,
}

struct IdleConnection {
    open: OpenConnection,
    since: Duration,
}

/// A connection, logged in.
struct OpenConnection {
    smtp: AsyncSmtpConnection,
    mails: u32,
}

/// How far it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionStep {
    Connecting,
    LoggingIn,
    /// Told who it is from.
    Sender,
    /// Told who it is for.
    Recipient,
    /// Asked to take the mail.
    Asking,
    /// Given the mail.
    Mail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SessionFailure {
    /// The server refused.
    Reply {
        code: u16,
        text: String,
    },
    /// The connection failed, or what came was no SMTP.
    Lost(String),
    /// The server offers no way to do it.
    Unable(String),
    TimedOut,
}

/// What went wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionTrouble {
    pub(super) step: SessionStep,
    pub(super) cause: SessionFailure,
}

impl fmt::Debug for MailSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("server", &self.server).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl fmt::Display for SessionTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.step, &self.cause) {
            (SessionStep::Connecting, SessionFailure::TimedOut | SessionFailure::Lost(_)) => {
                "the mail server cannot be reached"
            }
            (_, SessionFailure::TimedOut) => "the mail server did not answer in time",
            (_, SessionFailure::Lost(_)) => "the connection to the mail server was lost",
            (SessionStep::LoggingIn, _) => "the mail server does not accept the log-in",
            (SessionStep::Sender, _) => "the mail server does not accept the sender's address",
            (SessionStep::Recipient, _) => "the mail server does not accept the recipient",
            (SessionStep::Asking | SessionStep::Mail, _) => "the mail server does not accept the mail",
            (SessionStep::Connecting, _) => "the mail server does not let us in",
        };
        f.write_str(what)?;
        match &self.cause {
            SessionFailure::Reply { code, text } => write!(f, ": {code} {text}"),
            SessionFailure::Lost(why) | SessionFailure::Unable(why) => write!(f, ": {why}"),
            SessionFailure::TimedOut => Ok(()),
        }
    }
}

type SessionResult<T> = std::result::Result<T, SessionTrouble>;

impl MailSession {
    pub(super) fn new(
        server: MailServer,
        sender: Address,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> std::result::Result<Self, EmailError> {
        let tls = match server.security {
            MailSecurity::None => None,
            MailSecurity::StartTls | MailSecurity::Tls => {
                let tls = TlsParameters::new_rustls(server.host.clone());
                Some(tls.map_err(|error| EmailError::Tls(innermost(&error)))?)
            }
        };
        let login = server.login.as_ref();
        let login = login.map(|(name, password)| Credentials::new(name.clone(), password.expose_secret().to_owned()));
        let hello = ClientId::Domain(sender.domain().to_owned());
        Ok(Self { server, tls, login, hello, sender, timeout, clock, shelf: Arc::default() })
    }

    /// Gives the server a mail.
    pub(super) async fn send(&self, to: &Address, mail: &[u8]) -> SessionResult<()> {
        let mut step = SessionStep::Connecting;
        let ready = timeout(self.timeout, self.prepare(to, &mut step)).await;
        let mut open =
            ready.unwrap_or(Err(SessionFailure::TimedOut)).map_err(|cause| SessionTrouble { step, cause })?;
        let answer = match timeout(self.timeout, open.smtp.message(mail)).await {
            Ok(answer) => answer.map(drop).map_err(SessionFailure::from),
            Err(_) => Err(SessionFailure::TimedOut),
        };
        open.mails += 1;
        // Where it is not known what the server heard last, nothing more can be said to it.
        if matches!(answer, Ok(()) | Err(SessionFailure::Reply { .. })) {
            self.keep(open);
        }
        answer.map_err(|cause| SessionTrouble { step: SessionStep::Mail, cause })
    }

    /// Whether the server lets us in, and takes mail from our sender.
    pub(super) async fn check(&self) -> SessionResult<()> {
        let mut step = SessionStep::Connecting;
        let checked = async {
            let mut open = self.connect(&mut step).await?;
            step = SessionStep::Sender;
            let asked = open.smtp.command(self.from()).await.map(drop).map_err(SessionFailure::from);
            self.keep(open);
            asked
        };
        let checked = timeout(self.timeout, checked).await;
        checked.unwrap_or(Err(SessionFailure::TimedOut)).map_err(|cause| SessionTrouble { step, cause })
    }

    /// Says everything that goes before the mail. `step` tells how far it came.
    async fn prepare(
        &self,
        to: &Address,
        step: &mut SessionStep,
    ) -> std::result::Result<OpenConnection, SessionFailure> {
        let mut open = match self.take_kept().await {
            Some(open) => open,
            None => self.connect(step).await?,
        };
        match self.address(&mut open.smtp, to, step).await {
            Ok(()) => Ok(open),
            Err(cause) => {
                // After an orderly refusal the next mail can use the connection.
                if matches!(cause, SessionFailure::Reply { .. }) {
                    self.keep(open);
                }
                Err(cause)
            }
        }
    }

    async fn address(
        &self,
        smtp: &mut AsyncSmtpConnection,
        to: &Address,
        step: &mut SessionStep,
    ) -> std::result::Result<(), SessionFailure> {
        *step = SessionStep::Sender;
        smtp.command(self.from()).await?;
        *step = SessionStep::Recipient;
        smtp.command(Rcpt::new(to.clone(), Vec::new())).await?;
        *step = SessionStep::Asking;
        smtp.command(Data).await?;
        Ok(())
    }

    fn from(&self) -> Mail {
        Mail::new(Some(self.sender.clone()), Vec::new())
    }

    async fn connect(&self, step: &mut SessionStep) -> std::result::Result<OpenConnection, SessionFailure> {
        *step = SessionStep::Connecting;
        let (host, patience) = (self.server.host.as_str(), self.timeout.min(CONNECT_TIMEOUT));
        let at_once = self.tls.clone().filter(|_| self.server.security == MailSecurity::Tls);
        let address = (host, self.server.port);
        let mut smtp = match at_once {
            // Who speaks there has shown a certificate; lettre's own bound is enough.
            Some(tls) => {
                AsyncSmtpConnection::connect_tokio1(address, Some(patience), &self.hello, Some(tls), None).await?
            }
            None => {
                let most = if self.tls.is_some() { ENCRYPTED_BYTES_MAX } else { ANSWER_BYTES_MAX };
                let stream = Box::new(BoundedStream::new(reach(address, patience).await?, most));
                AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?
            }
        };
        if let Some(tls) = self.tls.clone().filter(|_| self.server.security == MailSecurity::StartTls) {
            smtp.starttls(tls, &self.hello).await?;
        }
        if let Some(login) = &self.login {
            *step = SessionStep::LoggingIn;
            smtp.auth(DEFAULT_MECHANISMS, login).await?;
        }
        Ok(OpenConnection { smtp, mails: 0 })
    }

    /// A kept connection that still answers.
    async fn take_kept(&self) -> Option<OpenConnection> {
        loop {
            let now = self.clock.monotonic();
            let mut one = lock(&self.shelf).kept.pop()?;
            if one.since + IDLE_TIMEOUT <= now || one.open.mails >= MAILS_MAX {
                continue;
            }
            match timeout(WORD_TIMEOUT, one.open.smtp.command(Rset)).await {
                Ok(Ok(_)) => return Some(one.open),
                Ok(Err(_)) => {}
                // What does not even hear that the connection is gone: the others will fare no better.
                Err(_) => lock(&self.shelf).kept.clear(),
            }
        }
    }

    fn keep(&self, open: OpenConnection) {
        let since = self.clock.monotonic();
        let mut shelf = lock(&self.shelf);
        shelf.kept.push(IdleConnection { open, since });
        if !std::mem::replace(&mut shelf.is_watched, true) {
            tokio::spawn(close_idle(Arc::downgrade(&self.shelf), Arc::clone(&self.clock)));
        }
    }
}

/// A connection to the first of the server's addresses that has one.
async fn reach(server: (&str, u16), patience: Duration) -> std::result::Result<TcpStream, SessionFailure> {
    let mut cause = SessionFailure::Lost("it has no address".to_owned());
    for address in lookup_host(server).await.map_err(|error| SessionFailure::Lost(error.to_string()))? {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => cause = SessionFailure::Lost(error.to_string()),
            Err(_) => cause = SessionFailure::TimedOut,
        }
    }
    Err(cause)
}

fn lock(shelf: &Mutex<IdleConnections>) -> MutexGuard<'_, IdleConnections> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says goodbye on connections that were not used for a while, until none is left.
async fn close_idle(shelf: Weak<Mutex<IdleConnections>>, clock: Arc<dyn Clock>) {
    loop {
        clock.sleep(IDLE_TIMEOUT).await;
        let Some(shelf) = shelf.upgrade() else { return };
        let (idle, none_left) = take_idle(&mut lock(&shelf), clock.monotonic());
        for mut one in idle {
            // Whether it hears us does not matter any more.
            let _ = timeout(WORD_TIMEOUT, one.open.smtp.quit()).await;
        }
        if none_left {
            return;
        }
    }
}

/// What has stood there for too long, and whether nothing is left.
fn take_idle(shelf: &mut IdleConnections, now: Duration) -> (Vec<IdleConnection>, bool) {
    let idle = shelf.kept.extract_if(.., |one| one.since + IDLE_TIMEOUT <= now).collect();
    shelf.is_watched = !shelf.kept.is_empty();
    (idle, !shelf.is_watched)
}

impl From<SmtpError> for SessionFailure {
    fn from(error: SmtpError) -> Self {
        if let Some(code) = error.status() {
            return Self::Reply { code: code.into(), text: innermost(&error) };
        }
        if error.is_timeout() {
            return Self::TimedOut;
        }
        if error.is_client() {
            return Self::Unable(innermost(&error));
        }
        Self::Lost(innermost(&error))
    }
}

/// What was wrong in the end: the outer layers only say that something was.
fn innermost(error: &SmtpError) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.last().map_or_else(|| error.to_string(), ToString::to_string)
}
