//! A MongoDB of a test's own, to be killed, stopped and cut off, with its data on the disk: `./test` brings the program.

use std::io;
use std::sync::PoisonError;

use mongodb_rig::{ReplicaSet, ServerProgram};
use tokio::process::{Child, Command};

use super::child::FORKS;

/// A replica set of one node, running.
pub(crate) async fn one_node() -> ReplicaSet {
    let program = ServerProgram::from_environment().unwrap();
    ReplicaSet::start(&program, &std::env::temp_dir(), spawn).await.unwrap()
}

/// A replica set of three nodes, running; none where the program forms no such set.
pub(crate) async fn three_nodes() -> Option<ReplicaSet> {
    let program = ServerProgram::from_environment().unwrap();
    if !program.is_mongod() {
        return None;
    }
    Some(ReplicaSet::start_three(&program, &std::env::temp_dir(), spawn).await.unwrap())
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}
