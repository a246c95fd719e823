//! Requests to one server over connections that are kept: what is sent to Telegram goes this way. It tells of each
//! failure whether the request may have been read.
//!
//! A server is asked by no more connections at once than it is given places; nobody is followed elsewhere; and neither
//! errors nor debug prints show what was asked for: the path may hold a secret.

mod connecting;
mod failure;
mod idle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use self::connecting::ServerConnector;
pub(crate) use self::connecting::{ConnectorError, ProxyMatcher};
pub(crate) use self::failure::HttpFailure;
use self::idle::IdleSenders;

/// Answers are a few kilobytes; what is longer than this is none.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Asks one server.
pub(crate) struct HttpClient {
    connector: ServerConnector,
    idle: Arc<IdleSenders>,
    places: Semaphore,
    timeout: Duration,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// What a server answered. Its body is whole.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestStage {
    /// Nothing of it was written.
    Waiting,
    /// It may have been read.
    HandedOver,
}

impl HttpClient {
    /// Asks the server at this address, over so many connections at once, and waits for no answer longer than `timeout`.
    /// The machine's environment may name a proxy for `https` (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// The address cannot be asked, or the machine's certificates cannot be read.
    pub(crate) fn new(base: &Url, places: usize, timeout: Duration) -> Result<Self, ConnectorError> {
        let connector = ServerConnector::new(base, &ProxyMatcher::from_env(), crate::tls::client_config)?;
        Ok(Self::over(connector, places, timeout))
    }

    fn over(connector: ServerConnector, places: usize, timeout: Duration) -> Self {
        Self { connector, idle: Arc::default(), places: Semaphore::new(places.max(1)), timeout }
    }

    /// Posts JSON once. `path`: what follows the server's name, with the base's own path.
    pub(crate) async fn post(&self, path: &Uri, json: Bytes) -> Result<HttpAnswer, HttpFailure> {
        let mut stage = RequestStage::Waiting;
        let request = self.request(path, json);
        match timeout(self.timeout, self.exchange(request, &mut stage)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpFailure::TimedOut { in_doubt: stage == RequestStage::HandedOver }),
        }
    }

    fn request(&self, path: &Uri, json: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(json));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.connector.host());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("alertcast/", env!("CARGO_PKG_VERSION"))));
        if let Some(login) = self.connector.login() {
            headers.insert(header::AUTHORIZATION, login);
        }
        request
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        stage: &mut RequestStage,
    ) -> Result<HttpAnswer, HttpFailure> {
        let _place = self.places.acquire().await.map_err(|error| HttpFailure::Unreachable(Box::new(error)))?;
        loop {
            let (mut sender, is_fresh) = match self.idle.take().await {
                Some(sender) => (sender, false),
                None => (self.connector.connect().await?, true),
            };
            *stage = RequestStage::HandedOver;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = read_answer(response).await?;
                    self.idle.put(sender);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    // The server closed the connection before anything was written: another will do.
                    Some(unsent) if !is_fresh => request = unsent,
                    unsent => return Err(HttpFailure::lost(error.into_error(), unsent.is_none())),
                },
            }
            *stage = RequestStage::Waiting;
        }
    }
}

async fn read_answer(response: Response<Incoming>) -> Result<HttpAnswer, HttpFailure> {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok(HttpAnswer { status, headers: head.headers, body: body.to_bytes() }),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpFailure::TooLong { status }),
        Err(cause) => Err(HttpFailure::Lost { cause, in_doubt: true }),
    }
}

#[cfg(test)]
mod tests;
