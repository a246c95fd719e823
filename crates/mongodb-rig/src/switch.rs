//! The network before the members of a set: every connection to one of them goes through here, and those of a member that
//! is cut off carry nothing, neither what is sent to it nor what it sends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::free_address;

const BUFFER_BYTES: usize = 16 * 1024;

/// The switch. It has a thread of its own: whoever waits for a server may hold up everything else meanwhile.
#[derive(Debug)]
pub(crate) struct NetworkSwitch {
    addresses: Vec<SocketAddr>,
    wiring: SwitchWiring,
    runtime: Option<Runtime>,
}

/// What is known of the members.
#[derive(Debug, Clone)]
struct SwitchWiring {
    /// Of each, whether it is cut off.
    cut: watch::Sender<Vec<bool>>,
    /// Of each, the process that runs it; 0 where none has yet.
    processes: Arc<[AtomicU32]>,
}

impl NetworkSwitch {
    /// Listens in front of these members.
    pub(crate) fn before(members: &[SocketAddr]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let processes = members.iter().map(|_| AtomicU32::new(0)).collect();
        let wiring = SwitchWiring { cut: watch::Sender::new(vec![false; members.len()]), processes };
        let mut addresses = Vec::with_capacity(members.len());
        for (to, own) in members.iter().enumerate() {
            let listener = std::net::TcpListener::bind(free_address()?)?;
            listener.set_nonblocking(true)?;
            addresses.push(listener.local_addr()?);
            runtime.spawn(wiring.clone().accept(listener, to, *own));
        }
        Ok(Self { addresses, wiring, runtime: Some(runtime) })
    }

    /// Where the members are reached.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Notes which process a member is: what it sends is known by that.
    pub(crate) fn is_run_by(&self, n: usize, process: u32) {
        self.wiring.processes[n].store(process, Ordering::SeqCst);
    }

    /// Cuts a member off, or connects it again.
    pub(crate) fn set_cut(&self, n: usize, is_cut: bool) {
        self.wiring.cut.send_modify(|cut| cut[n] = is_cut);
    }
}

impl Drop for NetworkSwitch {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl SwitchWiring {
    async fn accept(self, listener: std::net::TcpListener, to: usize, own: SocketAddr) {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        while let Ok((stream, peer)) = listener.accept().await {
            let link = SwitchLink { from: self.opened_by(peer), to, cut: self.cut.subscribe() };
            tokio::spawn(link.carry(stream, own));
        }
    }

    /// The member that opened the connection which comes from there; none where a client did.
    fn opened_by(&self, peer: SocketAddr) -> Option<usize> {
        let socket = socket_at(peer)?;
        self.processes.iter().position(|id| holds(id.load(Ordering::SeqCst), &socket))
    }
}

/// The kernel's name for the socket that is bound to this address. Only Linux tells: elsewhere every connection is taken for
/// a client's, and a member that is cut off still sends.
fn socket_at(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    let here = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").ok()?;
    let mut fields = table.lines().map(str::split_whitespace).find(|line| line.clone().nth(1) == Some(&here))?;
    Some(format!("socket:[{}]", fields.nth(9)?))
}

/// Whether the process has this socket open.
fn holds(process: u32, socket: &str) -> bool {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|target| target.as_os_str() == socket)
}

/// One connection.
#[derive(Debug, Clone)]
struct SwitchLink {
    from: Option<usize>,
    to: usize,
    cut: watch::Receiver<Vec<bool>>,
}

impl SwitchLink {
    /// Carries what is sent either way for as long as both ends have it open.
    async fn carry(mut self, near: TcpStream, own: SocketAddr) {
        self.is_whole().await;
        // Where nothing listens, the connection is closed.
        let Ok(far) = TcpStream::connect(own).await else { return };
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let there = tokio::spawn(self.clone().pump(near_in, far_out));
        self.pump(far_in, near_out).await;
        // What is to be sent to somebody who has gone is lost.
        there.abort();
    }

    async fn pump(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            self.is_whole().await;
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
        self.is_whole().await;
    }

    /// Waits until neither end is cut off.
    async fn is_whole(&mut self) {
        let (from, to) = (self.from, self.to);
        // The switch has gone where this fails: there is nothing to wait for.
        let _ = self.cut.wait_for(|cut| !cut[to] && from.is_none_or(|from| !cut[from])).await;
    }
}
