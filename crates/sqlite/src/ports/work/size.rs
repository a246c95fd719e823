//! How large a commit of chunks is: what is small is packed at once, and written with other small things.

use alertcast_core::store::ChunkCommit;

use crate::engine::queue::JobPriority;

/// Chunks with more documents together are packed on threads of their own, and written by themselves.
const SMALL_DOCUMENTS_MAX: usize = 100;

/// How many trades and deliveries there are to be written.
fn count_documents(chunk: &ChunkCommit) -> usize {
    chunk.plan.deliveries.len() + chunk.plan.opened.len() + chunk.plan.ended.len()
}

pub(super) fn is_small(chunks: &[ChunkCommit]) -> bool {
    chunks.iter().map(count_documents).sum::<usize>() <= SMALL_DOCUMENTS_MAX
}

/// What is small shares its COMMIT with other small writes.
pub(super) fn lane_of(chunks: &[ChunkCommit]) -> JobPriority {
    if is_small(chunks) { JobPriority::Short } else { JobPriority::Bulk }
}
