//! A network that changes what a server answers: every answer may be replaced, cut off, or kept back. What is asked always
//! arrives as it was sent, so that the server has done what the answer is about.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Bson, Document, RawDocument};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::free_address;

/// Length, id, the id that is answered, the kind of message.
const HEADER_BYTES: usize = 16;
/// The kinds of messages: an answer and a question of the older form, and both of the newer one.
const REPLY: i32 = 1;
const QUERY: i32 = 2004;
const MESSAGE: i32 = 2013;
/// Where an answer says where the server is reached.
const OWN_ADDRESS: [&str; 3] = ["hosts", "me", "primary"];

/// An answer of the server on its way.
#[derive(Debug, Clone)]
pub struct ServerAnswer {
    /// The name of the command that it answers; `hello` for what the server tells unasked.
    pub command: String,
    /// What it says.
    pub body: Document,
    head: FrameHead,
}

/// What stands before an answer's document.
#[derive(Debug, Clone)]
struct FrameHead {
    id: i32,
    answers: i32,
    kind: i32,
    /// Flags and what else the kind has there.
    before: Vec<u8>,
}

impl ServerAnswer {
    /// The bytes of the answer as it is.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_with(&self.body.to_vec().unwrap_or_default())
    }

    /// The bytes of an answer of this form that says something else.
    #[must_use]
    pub fn bytes_with(&self, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(HEADER_BYTES + self.head.before.len() + body.len()).unwrap_or(i32::MAX);
        let numbers = [length, self.head.id, self.head.answers, self.head.kind].map(i32::to_le_bytes).concat();
        [numbers.as_slice(), &self.head.before, body].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let kind = number(bytes, 12)?;
        let before = HEADER_BYTES + if kind == REPLY { 20 } else { 5 };
        let body = Document::from_reader(bytes.get(before..)?).ok()?;
        let head = FrameHead {
            id: number(bytes, 4)?,
            answers: number(bytes, 8)?,
            kind,
            before: bytes.get(HEADER_BYTES..before)?.to_vec(),
        };
        Some(Self { command: String::new(), body, head })
    }
}

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerFate {
    /// It arrives as it is.
    Pass,
    /// These bytes arrive instead.
    Replace(Vec<u8>),
    /// These bytes arrive, and the connection ends.
    End(Vec<u8>),
    /// These bytes arrive, and then nothing more on this connection, which stays open.
    Hang(Vec<u8>),
}

type TamperChoice = Box<dyn FnMut(&ServerAnswer) -> AnswerFate + Send>;

/// The network before one server. It runs by itself: whoever waits for an answer may hold up everything else.
#[derive(Debug)]
pub struct TamperingProxy {
    address: SocketAddr,
    line: Arc<ProxyLine>,
    runtime: Option<Runtime>,
}

struct ProxyLine {
    /// Where the server is, and where it is reached through here.
    server: SocketAddr,
    public: SocketAddr,
    decide: Mutex<Option<TamperChoice>>,
    tampered: AtomicU64,
}

impl fmt::Debug for ProxyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("server", &self.server).finish_non_exhaustive()
    }
}

impl TamperingProxy {
    /// Listens before the server at this address, a set of one node, and lets everything pass.
    ///
    /// # Errors
    /// The machine has no port or no thread left.
    pub fn before(server: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind(free_address()?)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let line = ProxyLine { server, public: address, decide: Mutex::default(), tampered: AtomicU64::new(0) };
        let line = Arc::new(line);
        runtime.spawn(Arc::clone(&line).accept(listener));
        Ok(Self { address, line, runtime: Some(runtime) })
    }

    /// Where the server is reached through here.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this decides about every answer.
    pub fn tamper(&self, decide: impl FnMut(&ServerAnswer) -> AnswerFate + Send + 'static) {
        *self.line.decide.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(decide));
    }

    /// From now on everything passes.
    pub fn be_honest(&self) {
        *self.line.decide.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many answers did not arrive as they were.
    #[must_use]
    pub fn count_tampered(&self) -> u64 {
        self.line.tampered.load(Ordering::SeqCst)
    }
}

impl Drop for TamperingProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The commands that wait for their answers, by the ids of the questions.
type AskedCommand = Arc<Mutex<HashMap<i32, String>>>;

impl ProxyLine {
    async fn accept(self: Arc<Self>, listener: std::net::TcpListener) {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&self).carry(stream));
        }
    }

    async fn carry(self: Arc<Self>, near: TcpStream) {
        let Ok(far) = TcpStream::connect(self.server).await else { return };
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let asked = AskedCommand::default();
        let mut there = tokio::spawn(ask(near_in, far_out, Arc::clone(&asked)));
        tokio::select! {
            () = self.answer(far_in, near_out, &asked) => {}
            // Nobody is there to be answered.
            _ = &mut there => {}
        }
        there.abort();
    }

    async fn answer(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: &AskedCommand) {
        while let Some(bytes) = message(&mut from).await {
            let (bytes, is_last, hangs) = match self.fate(&bytes, asked) {
                AnswerFate::Pass => (bytes, false, false),
                AnswerFate::Replace(bytes) => (bytes, false, false),
                AnswerFate::End(bytes) => (bytes, true, false),
                AnswerFate::Hang(bytes) => (bytes, false, true),
            };
            if to.write_all(&bytes).await.is_err() || is_last {
                return;
            }
            if hangs {
                std::future::pending::<()>().await;
            }
        }
    }

    fn fate(&self, bytes: &[u8], asked: &AskedCommand) -> AnswerFate {
        let Some(mut answer) = ServerAnswer::read(bytes) else { return AnswerFate::Pass };
        let command = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&answer.head.answers);
        answer.command = command.unwrap_or_else(|| "hello".to_owned());
        let is_moved = self.moves(&mut answer.body);
        let fate = match &mut *self.decide.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(decide) => decide(&answer),
            None => AnswerFate::Pass,
        };
        if fate != AnswerFate::Pass {
            self.tampered.fetch_add(1, Ordering::SeqCst);
        } else if is_moved {
            return AnswerFate::Replace(answer.bytes());
        }
        fate
    }

    /// The server is where it is reached through here.
    fn moves(&self, body: &mut Document) -> bool {
        if !body.contains_key("setName") {
            return false;
        }
        let public = self.public.to_string();
        for name in OWN_ADDRESS {
            match body.get_mut(name) {
                Some(Bson::String(own)) => own.clone_from(&public),
                Some(Bson::Array(all)) => *all = vec![public.clone().into()],
                _ => {}
            }
        }
        true
    }
}

/// Passes on what is asked, and notes what it is.
async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: AskedCommand) {
    while let Some(bytes) = message(&mut from).await {
        if let (Some(id), Some(name)) = (number(&bytes, 4), command(&bytes)) {
            asked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, name);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The next message, whole.
async fn message(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    from.read_exact(&mut bytes).await.ok()?;
    let length = usize::try_from(number(&bytes, 0)?).ok()?;
    bytes.resize(length.max(HEADER_BYTES), 0);
    from.read_exact(&mut bytes[HEADER_BYTES..]).await.ok()?;
    Some(bytes)
}

/// The name of what is asked: that of the document's first field.
fn command(bytes: &[u8]) -> Option<String> {
    let at = match number(bytes, 12)? {
        MESSAGE => HEADER_BYTES + 5,
        // Flags, a name that ends with a zero, two numbers.
        QUERY => HEADER_BYTES + 4 + bytes.get(HEADER_BYTES + 4..)?.iter().position(|byte| *byte == 0)? + 1 + 8,
        _ => return None,
    };
    let length = usize::try_from(number(bytes, at)?).ok()?;
    let document = RawDocument::from_bytes(bytes.get(at..at.checked_add(length)?)?).ok()?;
    let (name, _) = document.iter().next()?.ok()?;
    Some(name.as_str().to_owned())
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(i32::from_le_bytes(four.try_into().ok()?))
}
