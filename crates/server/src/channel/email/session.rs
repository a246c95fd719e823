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
use super::bounded::Bounded;
use super::server::{Security, Server};
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

/// The line to the mail server.
pub(super) struct Line {
    server: Server,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    /// How we greet: the domain of the sender.
    hello: ClientId,
    sender: Address,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    shelf: Arc<Mutex<Shelf>>,
}

/// Connections that nobody uses.
#[derive(Default)]
struct Shelf {
    kept: Vec<Kept>,
    /// Somebody closes what stands here for too long.
    is_watched: bool,
}

struct Kept {
    open: Open,
    since: Duration,
}

/// A connection, logged in.
struct Open {
    smtp: AsyncSmtpConnection,
    mails: u32,
}

/// How far it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
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
pub(super) enum Cause {
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
pub(super) struct Trouble {
    pub(super) step: Step,
    pub(super) cause: Cause,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("server", &self.server).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.step, &self.cause) {
            (Step::Connecting, Cause::TimedOut | Cause::Lost(_)) => "the mail server cannot be reached",
            (_, Cause::TimedOut) => "the mail server did not answer in time",
            (_, Cause::Lost(_)) => "the connection to the mail server was lost",
            (Step::LoggingIn, _) => "the mail server does not accept the log-in",
            (Step::Sender, _) => "the mail server does not accept the sender's address",
            (Step::Recipient, _) => "the mail server does not accept the recipient",
            (Step::Asking | Step::Mail, _) => "the mail server does not accept the mail",
            (Step::Connecting, _) => "the mail server does not let us in",
        };
        f.write_str(what)?;
        match &self.cause {
            Cause::Reply { code, text } => write!(f, ": {code} {text}"),
            Cause::Lost(why) | Cause::Unable(why) => write!(f, ": {why}"),
            Cause::TimedOut => Ok(()),
        }
    }
}

type Result<T> = std::result::Result<T, Trouble>;

impl Line {
    pub(super) fn new(
        server: Server,
        sender: Address,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> std::result::Result<Self, EmailError> {
        let tls = match server.security {
            Security::None => None,
            Security::StartTls | Security::Tls => {
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
    pub(super) async fn send(&self, to: &Address, mail: &[u8]) -> Result<()> {
        let mut step = Step::Connecting;
        let ready = timeout(self.timeout, self.prepare(to, &mut step)).await;
        let mut open = ready.unwrap_or(Err(Cause::TimedOut)).map_err(|cause| Trouble { step, cause })?;
        let answer = match timeout(self.timeout, open.smtp.message(mail)).await {
            Ok(answer) => answer.map(drop).map_err(Cause::from),
            Err(_) => Err(Cause::TimedOut),
        };
        open.mails += 1;
        // Where it is not known what the server heard last, nothing more can be said to it.
        if matches!(answer, Ok(()) | Err(Cause::Reply { .. })) {
            self.keep(open);
        }
        answer.map_err(|cause| Trouble { step: Step::Mail, cause })
    }

    /// Whether the server lets us in, and takes mail from our sender.
    pub(super) async fn check(&self) -> Result<()> {
        let mut step = Step::Connecting;
        let checked = async {
            let mut open = self.connect(&mut step).await?;
            step = Step::Sender;
            let asked = open.smtp.command(self.from()).await.map(drop).map_err(Cause::from);
            self.keep(open);
            asked
        };
        let checked = timeout(self.timeout, checked).await;
        checked.unwrap_or(Err(Cause::TimedOut)).map_err(|cause| Trouble { step, cause })
    }

    /// Says everything that goes before the mail. `step` tells how far it came.
    async fn prepare(&self, to: &Address, step: &mut Step) -> std::result::Result<Open, Cause> {
        let mut open = match self.kept().await {
            Some(open) => open,
            None => self.connect(step).await?,
        };
        match self.address(&mut open.smtp, to, step).await {
            Ok(()) => Ok(open),
            Err(cause) => {
                // After an orderly refusal the next mail can use the connection.
                if matches!(cause, Cause::Reply { .. }) {
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
        step: &mut Step,
    ) -> std::result::Result<(), Cause> {
        *step = Step::Sender;
        smtp.command(self.from()).await?;
        *step = Step::Recipient;
        smtp.command(Rcpt::new(to.clone(), Vec::new())).await?;
        *step = Step::Asking;
        smtp.command(Data).await?;
        Ok(())
    }

    fn from(&self) -> Mail {
        Mail::new(Some(self.sender.clone()), Vec::new())
    }

    async fn connect(&self, step: &mut Step) -> std::result::Result<Open, Cause> {
        *step = Step::Connecting;
        let (host, patience) = (self.server.host.as_str(), self.timeout.min(CONNECT_TIMEOUT));
        let at_once = self.tls.clone().filter(|_| self.server.security == Security::Tls);
        let address = (host, self.server.port);
        let mut smtp = match at_once {
            // Who speaks there has shown a certificate; lettre's own bound is enough.
            Some(tls) => {
                AsyncSmtpConnection::connect_tokio1(address, Some(patience), &self.hello, Some(tls), None).await?
            }
            None => {
                let most = if self.tls.is_some() { ENCRYPTED_BYTES_MAX } else { ANSWER_BYTES_MAX };
                let stream = Box::new(Bounded::new(reach(address, patience).await?, most));
                AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?
            }
        };
        if let Some(tls) = self.tls.clone().filter(|_| self.server.security == Security::StartTls) {
            smtp.starttls(tls, &self.hello).await?;
        }
        if let Some(login) = &self.login {
            *step = Step::LoggingIn;
            smtp.auth(DEFAULT_MECHANISMS, login).await?;
        }
        Ok(Open { smtp, mails: 0 })
    }

    /// A kept connection that still answers.
    async fn kept(&self) -> Option<Open> {
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

    fn keep(&self, open: Open) {
        let since = self.clock.monotonic();
        let mut shelf = lock(&self.shelf);
        shelf.kept.push(Kept { open, since });
        if !std::mem::replace(&mut shelf.is_watched, true) {
            tokio::spawn(close_idle(Arc::downgrade(&self.shelf), Arc::clone(&self.clock)));
        }
    }
}

/// A connection to the first of the server's addresses that has one.
async fn reach(server: (&str, u16), patience: Duration) -> std::result::Result<TcpStream, Cause> {
    let mut cause = Cause::Lost("it has no address".to_owned());
    for address in lookup_host(server).await.map_err(|error| Cause::Lost(error.to_string()))? {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => cause = Cause::Lost(error.to_string()),
            Err(_) => cause = Cause::TimedOut,
        }
    }
    Err(cause)
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says goodbye on connections that were not used for a while, until none is left.
async fn close_idle(shelf: Weak<Mutex<Shelf>>, clock: Arc<dyn Clock>) {
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
fn take_idle(shelf: &mut Shelf, now: Duration) -> (Vec<Kept>, bool) {
    let idle = shelf.kept.extract_if(.., |one| one.since + IDLE_TIMEOUT <= now).collect();
    shelf.is_watched = !shelf.kept.is_empty();
    (idle, !shelf.is_watched)
}

impl From<SmtpError> for Cause {
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
