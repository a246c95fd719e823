//! MongoDB servers to test and to measure on: a replica set of one node or of several, each a process that can be
//! killed, stopped, cut off from everybody, and brought back over the same data, and a network that changes their answers. Nothing here is part of the program.

mod program;
mod replica_set;
mod switch;
mod tampering;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

pub use self::program::{ServerProgram, VARIABLE};
pub use self::replica_set::{ReplicaSet, SpawnFunction};
pub use self::tampering::{AnswerFate, ServerAnswer, TamperingProxy};

/// An address on the loopback that no other process of this machine binds: ports alone are given out again and again.
///
/// # Errors
/// The machine has no port left.
pub fn free_address() -> std::io::Result<SocketAddr> {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let host = IpAddr::V4(Ipv4Addr::new(127, a.wrapping_add(1), b, c.max(1)));
    TcpListener::bind((host, 0))?.local_addr()
}
