//! Numbers that look random and are the same in every run; and the cutting off of operations.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A sequence of numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct RandomSequence(u64);

impl RandomSequence {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap()
    }

    /// True in one of `of` cases.
    pub fn one_in(&mut self, of: u32) -> bool {
        self.below(of) == 0
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(u32::try_from(from.len()).unwrap()) as usize)
    }

    /// Some of these, in another order.
    pub fn some<T: Clone>(&mut self, from: &[T], at_most: u32) -> Vec<T> {
        let mut all = from.to_vec();
        let count = self.below(at_most + 1);
        let mut some = Vec::new();
        while !all.is_empty() && some.len() < count as usize {
            let at = self.below(u32::try_from(all.len()).unwrap()) as usize;
            some.push(all.swap_remove(at));
        }
        some
    }
}

/// Runs an operation and drops it somewhere on its way: after a number of polls, after a tiny time, or not at all.
/// None where it was dropped.
pub async fn cut_off<T>(sequence: &mut RandomSequence, operation: impl Future<Output = T>) -> Option<T> {
    match sequence.below(4) {
        0 => Some(operation.await),
        1 => PolledFuture { inner: Box::pin(operation), left: sequence.below(4) }.await,
        _ => {
            let micros = u64::from(sequence.below(3_000));
            tokio::time::timeout(Duration::from_micros(micros), operation).await.ok()
        }
    }
}

/// Polls a future so many times, and gives up.
#[derive(Debug)]
struct PolledFuture<F> {
    inner: Pin<Box<F>>,
    left: u32,
}

impl<F: Future> Future for PolledFuture<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.inner.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
