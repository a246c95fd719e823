//! How many requests strangers may send from one address: those with a wrong secret, and those to the API with a token that
//! has not been seen to be right. Who has a right secret is not counted here, and cannot be slowed down by others at the
//! same address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

/// Addresses remembered at once. Where more send within a minute, the further ones share one allowance.
const ADDRESSES_MAX: usize = 10_000;

/// An allowance for each address.
pub(super) struct AddressLimiter {
    clock: ClockTicks,
    by_address: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, ClockTicks, NoOpMiddleware<Duration>>,
    others: RateLimiter<NotKeyed, InMemoryState, ClockTicks, NoOpMiddleware<Duration>>,
}

impl AddressLimiter {
    pub(super) fn new(a_minute: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        let (quota, clock) = (Quota::per_minute(a_minute), ClockTicks(clock));
        Self {
            by_address: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()),
            others: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Counts a request; else how long to wait.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Duration> {
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.retain_recent();
        }
        let refused = if self.by_address.len() < ADDRESSES_MAX {
            self.by_address.check_key(&network(address)).err()
        } else {
            self.others.check().err()
        };
        refused.map_or(Ok(()), |refused| Err(refused.wait_time_from(self.clock.now())))
    }
}

impl fmt::Debug for AddressLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressLimiter").field("addresses", &self.by_address.len()).finish_non_exhaustive()
    }
}

/// Who has one IPv6 address mostly has the 64 bits behind it too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Our clock, as the limiter reads it.
#[derive(Debug, Clone)]
pub(super) struct ClockTicks(pub(super) Arc<dyn Clock>);

impl governor::clock::Clock for ClockTicks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use alertcast_core::time::Time;

    use super::*;
    use crate::clock::ManualClock;

    fn limiter(a_minute: u32) -> (AddressLimiter, Arc<ManualClock>) {
        let clock = ManualClock::at(Time::from_millis(0));
        (AddressLimiter::new(NonZeroU32::new(a_minute).unwrap(), clock.clone()), clock)
    }

    fn v4(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn each_address_has_its_allowance_and_gets_it_back_with_time() {
        let (limiter, clock) = limiter(3);
        for _ in 0..3 {
            assert_eq!(limiter.check(v4(1)), Ok(()));
        }
        assert_eq!(limiter.check(v4(1)), Err(Duration::from_secs(20)));
        assert_eq!(limiter.check(v4(2)), Ok(()));
        clock.advance(Duration::from_secs(20));
        assert_eq!(limiter.check(v4(1)), Ok(()));
        assert!(limiter.check(v4(1)).is_err());
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let (limiter, _) = limiter(1);
        assert_eq!(limiter.check("2001:db8::1".parse().unwrap()), Ok(()));
        assert!(limiter.check("2001:db8::ffff:1".parse().unwrap()).is_err());
        assert_eq!(limiter.check("2001:db8:0:1::1".parse().unwrap()), Ok(()));
    }

    #[test]
    fn the_memory_is_bounded_and_is_freed_with_time() {
        let (limiter, clock) = limiter(1);
        for n in 0..20_000 {
            let _ = limiter.check(v4(n));
        }
        assert_eq!(limiter.by_address.len(), ADDRESSES_MAX);
        assert!(limiter.check(v4(30_000)).is_err(), "the others share one allowance");
        clock.advance(Duration::from_secs(120));
        assert_eq!(limiter.check(v4(30_000)), Ok(()));
        assert_eq!(limiter.by_address.len(), 1);
    }
}
