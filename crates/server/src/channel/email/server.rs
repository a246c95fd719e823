//! Which mail server, and how: what the address in the settings says.

use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

/// The port for mail that programs hand in (RFC 6409).
const SUBMISSION: u16 = 587;
/// The same, encrypted from the first byte (RFC 8314).
const SUBMISSIONS: u16 = 465;

/// The mail server.
#[derive(Clone)]
pub struct MailServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: MailSecurity,
    /// Name and password.
    pub(super) login: Option<(String, SecretString)>,
}

/// How the connection is kept from others' eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MailSecurity {
    /// Not at all.
    None,
    /// By STARTTLS: where the server does not offer it nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
}

/// Why an address names no mail server. None of it shows the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    #[error("is no address that begins with smtp:// or smtps://")]
    Address,
    #[error("has a path or a fragment")]
    Path,
    #[error("has something behind the ? that is neither tls=none nor tls=required")]
    Query,
    #[error("has a name without a password, or a password without a name")]
    Login,
    #[error("asks for a connection without TLS, over which anybody on the way could read the password")]
    Bare,
}

impl ServerError {
    /// What to change.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Address => "write it like smtp://user:password@mail.example.com:587",
            Self::Path => "end it behind the port: smtp://user:password@mail.example.com:587",
            Self::Query => "leave it away (TLS is then required but on this machine), or write one of the two",
            Self::Login => {
                "write both, as user:password@, with the characters : / ? # [ ] @ % written as %3A %2F %3F %23 %5B %5D \
                 %40 %25; or leave both away"
            }
            Self::Bare => "leave ?tls=none away, or leave the name and the password away",
        }
    }
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("security", &self.security).finish_non_exhaustive()
    }
}

impl MailServer {
    /// Reads the address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(address: &SecretString) -> Result<Self, ServerError> {
        let url = Url::parse(address.expose_secret()).map_err(|_| ServerError::Address)?;
        // The parser leaves the host of a scheme that it does not know as it stands.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ServerError::Address)?;
        let host = Host::parse(host).map_err(|_| ServerError::Address)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(ServerError::Path);
        }
        let is_here = is_this_machine(&host);
        let login = login(&url)?;
        let security = match (url.scheme(), url.query().filter(|query| !query.is_empty())) {
            ("smtps", None | Some("tls=required")) => MailSecurity::Tls,
            ("smtp", None) if is_here => MailSecurity::None,
            ("smtp", None | Some("tls=required")) => MailSecurity::StartTls,
            ("smtp", Some("tls=none")) if is_here || login.is_none() => MailSecurity::None,
            ("smtp", Some("tls=none")) => return Err(ServerError::Bare),
            ("smtp" | "smtps", Some(_)) => return Err(ServerError::Query),
            _ => return Err(ServerError::Address),
        };
        let usual = if security == MailSecurity::Tls { SUBMISSIONS } else { SUBMISSION };
        // As it is looked up: an IPv6 address without its brackets.
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port: url.port().unwrap_or(usual), security, login })
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn login(url: &Url) -> Result<Option<(String, SecretString)>, ServerError> {
    let text = |part: &str| percent_decode_str(part).decode_utf8().map(|text| text.into_owned());
    match (url.username(), url.password().filter(|password| !password.is_empty())) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(ServerError::Login),
        (name, Some(password)) => {
            let name = text(name).map_err(|_| ServerError::Login)?;
            let password = text(password).map_err(|_| ServerError::Login)?;
            Ok(Some((name, password.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (String, u16, MailSecurity, Option<(String, String)>);

    fn read(address: &str) -> Result<Read, ServerError> {
        let server = MailServer::read(&address.into())?;
        let login = server.login.map(|(name, password)| (name, password.expose_secret().to_owned()));
        Ok((server.host, server.port, server.security, login))
    }

    #[test]
    fn an_address_says_where_how_and_as_whom() {
        let login = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        for (address, expected) in [
            ("smtp://mail.example.com", ("mail.example.com", 587, MailSecurity::StartTls, None)),
            ("smtp://u:p@mail.example.com:25/", ("mail.example.com", 25, MailSecurity::StartTls, login("u", "p"))),
            (
                "smtps://a%40b.c:p%2Fq@Mail.Example.com",
                ("mail.example.com", 465, MailSecurity::Tls, login("a@b.c", "p/q")),
            ),
            ("smtps://mail.example.com:4650", ("mail.example.com", 4650, MailSecurity::Tls, None)),
            ("smtp://localhost:1025", ("localhost", 1025, MailSecurity::None, None)),
            ("smtp://u:p@127.0.0.1:1025", ("127.0.0.1", 1025, MailSecurity::None, login("u", "p"))),
            ("smtp://[::1]:1025", ("::1", 1025, MailSecurity::None, None)),
            ("smtp://localhost?tls=required", ("localhost", 587, MailSecurity::StartTls, None)),
            ("smtp://relay.internal?tls=none", ("relay.internal", 587, MailSecurity::None, None)),
        ] {
            let (host, port, security, login) = expected;
            assert_eq!(read(address), Ok((host.to_owned(), port, security, login)), "{address}");
        }
    }

    #[test]
    fn what_is_no_mail_server_is_refused() {
        for (address, error) in [
            ("mail.example.com", ServerError::Address),
            ("http://mail.example.com", ServerError::Address),
            ("smtp://", ServerError::Address),
            ("smtp://u:p@/", ServerError::Address),
            ("smtp://mail.example.com/inbox", ServerError::Path),
            ("smtp://mail.example.com?tls=maybe", ServerError::Query),
            ("smtps://mail.example.com?tls=none", ServerError::Query),
            ("smtp://u@mail.example.com", ServerError::Login),
            ("smtp://:p@mail.example.com", ServerError::Login),
            ("smtp://u:p@mail.example.com?tls=none", ServerError::Bare),
        ] {
            assert_eq!(read(address), Err(error), "{address}");
        }
    }
}
