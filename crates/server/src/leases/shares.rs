//! Fair shares, worked out by each process from what it sees. Pure.
//!
//! Of what all can do (the partitions, the scheduler) everybody's share is an equal part, rounded up; of the lanes, an
//! equal part of each lane with the others who can serve it, added up and rounded up. Whoever has less may take what is
//! free; whoever has more gives back to those who have less.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use alertcast_core::store::PARTITIONS;

use super::{PARTITION, SCHEDULER};

/// What one process sees.
#[derive(Debug, Default)]
pub(super) struct ClusterPicture<'a> {
    pub(super) me: &'a str,
    /// Who is alive, and the lanes that each can serve.
    pub(super) live: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Which lease is whose, of those whose owner is alive.
    pub(super) owners: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LeaseGroup {
    Partitions,
    Scheduler,
    Lanes,
}

fn group(name: &str) -> LeaseGroup {
    match name {
        SCHEDULER => LeaseGroup::Scheduler,
        _ if name.starts_with(PARTITION) => LeaseGroup::Partitions,
        _ => LeaseGroup::Lanes,
    }
}

impl<'a> ClusterPicture<'a> {
    /// Which of the leases that this process wants and does not have it should take. `neglected`: nobody has taken it for
    /// a while, though it was free.
    pub(super) fn to_take(&self, wanted: &BTreeSet<&'a str>, neglected: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let mut room: BTreeMap<LeaseGroup, usize> = BTreeMap::new();
        let mut take = Vec::new();
        for name in self.in_own_order(wanted) {
            match self.owners.get(name) {
                // It is ours in name only: its taking, or giving back, went wrong.
                Some(owner) if *owner == self.me => take.push(name),
                Some(_) => {}
                None => {
                    let of = group(name);
                    let room = room.entry(of).or_insert_with(|| self.room(self.me, of));
                    if *room > 0 || neglected(name) {
                        *room = room.saturating_sub(1);
                        take.push(name);
                    }
                }
            }
        }
        take
    }

    /// Which of the leases in its hands this process should give back.
    pub(super) fn to_give_back(&self, in_hand: &BTreeSet<&'a str>) -> Vec<&'a str> {
        let mut more_than_share: BTreeMap<LeaseGroup, usize> = BTreeMap::new();
        for name in in_hand {
            *more_than_share.entry(group(name)).or_default() += 1;
        }
        for (of, count) in &mut more_than_share {
            *count = count.saturating_sub(self.share(self.me, *of));
        }
        let mut rooms: BTreeMap<(&str, LeaseGroup), usize> = BTreeMap::new();
        let mut back = Vec::new();
        for name in in_hand.iter().rev() {
            let of = group(name);
            let Some(count @ 1..) = more_than_share.get_mut(&of) else { continue };
            let taker =
                self.live.keys().copied().filter(|other| *other != self.me && self.can_serve(other, name)).find(
                    |other| {
                        let room = rooms.entry((*other, of)).or_insert_with(|| self.room(other, of));
                        *room > 0
                    },
                );
            let Some(taker) = taker else { continue };
            if let Some(room) = rooms.get_mut(&(taker, of)) {
                *room -= 1;
            }
            *count -= 1;
            back.push(*name);
        }
        back
    }

    /// Each process begins elsewhere, so that they do not all reach for the same.
    fn in_own_order(&self, wanted: &BTreeSet<&'a str>) -> impl Iterator<Item = &'a str> {
        let mut names: Vec<&str> = wanted.iter().copied().collect();
        names.sort_by_key(|name| {
            let mut hasher = DefaultHasher::new();
            (self.me, name).hash(&mut hasher);
            hasher.finish()
        });
        names.into_iter()
    }

    /// How many more it should have.
    fn room(&self, who: &str, of: LeaseGroup) -> usize {
        let has = self.owners.iter().filter(|(name, owner)| **owner == who && group(name) == of).count();
        self.share(who, of).saturating_sub(has)
    }

    fn share(&self, who: &str, of: LeaseGroup) -> usize {
        let all = self.live.len().max(1);
        match of {
            LeaseGroup::Partitions => usize::try_from(PARTITIONS).unwrap_or(0).div_ceil(all),
            LeaseGroup::Scheduler => 1,
            LeaseGroup::Lanes => self.share_of_lanes(who),
        }
    }

    fn share_of_lanes(&self, who: &str) -> usize {
        let Some(lanes) = self.live.get(who) else { return 0 };
        let mut with: BTreeMap<usize, usize> = BTreeMap::new();
        for lane in lanes {
            *with.entry(self.live.values().filter(|other| other.contains(lane)).count().max(1)).or_default() += 1;
        }
        // The whole lanes first: in numbers with a point, three thirds are not sure to be one.
        let whole: usize = with.iter().map(|(among, count)| count / among).sum();
        let parts: f64 = with.iter().map(|(among, count)| ratio(count % among, *among)).sum();
        (0..).find(|more| ratio(*more, 1) + 1e-9 >= parts).map_or(whole, |more| whole + more)
    }

    fn can_serve(&self, who: &str, name: &str) -> bool {
        group(name) != LeaseGroup::Lanes || self.live.get(who).is_some_and(|lanes| lanes.contains(name))
    }
}

fn ratio(count: usize, among: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(u32::try_from(among).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::of_partition;
    use super::*;

    /// Processes that look in turn, take and give back, until nobody changes anything.
    fn settle(lanes: &[(&str, &[&str])], owners: &mut BTreeMap<String, String>) {
        for _ in 0..20 {
            let before = owners.clone();
            for (me, mine) in lanes {
                look(me, mine, lanes, owners);
            }
            if *owners == before {
                return;
            }
        }
        panic!("the shares never come to rest: {owners:?}");
    }

    fn look(me: &str, mine: &[&str], lanes: &[(&str, &[&str])], owners: &mut BTreeMap<String, String>) {
        let seen = owners.clone();
        let picture = ClusterPicture {
            me,
            live: lanes.iter().map(|(id, lanes)| (*id, lanes.iter().copied().collect())).collect(),
            owners: seen.iter().map(|(name, owner)| (name.as_str(), owner.as_str())).collect(),
        };
        let all: Vec<String> = (0..PARTITIONS).map(of_partition).chain([SCHEDULER.to_owned()]).collect();
        let all = all.iter().map(String::as_str).chain(mine.iter().copied());
        let (in_hand, wanted): (BTreeSet<&str>, BTreeSet<&str>) =
            all.partition(|name| seen.get(*name).is_some_and(|owner| owner == me));
        for name in picture.to_give_back(&in_hand) {
            owners.remove(name);
        }
        for name in picture.to_take(&wanted, |_| false) {
            owners.insert(name.to_owned(), me.to_owned());
        }
    }

    fn count(owners: &BTreeMap<String, String>, who: &str, prefix: &str) -> usize {
        owners.iter().filter(|(name, owner)| *owner == who && name.starts_with(prefix)).count()
    }

    #[test]
    fn one_has_everything_and_a_second_and_third_get_their_share() {
        let lanes: &[&str] = &["tg:1", "tg:2", "tg:3", "mail:0"];
        let mut owners = BTreeMap::new();
        settle(&[("a", lanes)], &mut owners);
        assert_eq!((count(&owners, "a", PARTITION), owners.len()), (64, 69));
        settle(&[("a", lanes), ("b", lanes)], &mut owners);
        for who in ["a", "b"] {
            assert_eq!(
                (count(&owners, who, PARTITION), count(&owners, who, "tg:") + count(&owners, who, "mail:")),
                (32, 2)
            );
        }
        settle(&[("a", lanes), ("b", lanes), ("c", lanes)], &mut owners);
        let mut parts: Vec<usize> = ["a", "b", "c"].iter().map(|who| count(&owners, who, PARTITION)).collect();
        parts.sort_unstable();
        assert_eq!(parts, [20, 22, 22]);
        assert_eq!(owners.len(), 69, "nothing is left lying");
    }

    #[test]
    fn a_lane_goes_only_to_who_can_serve_it_and_none_is_left_lying() {
        let mut owners = BTreeMap::new();
        let processes: [(&str, &[&str]); 3] = [("a", &["tg:1", "tg:2", "tg:3"]), ("b", &["tg:1"]), ("c", &[])];
        settle(&processes, &mut owners);
        assert_eq!(owners.get("tg:2").map(String::as_str), Some("a"));
        assert_eq!(owners.get("tg:3").map(String::as_str), Some("a"));
        assert!(owners.contains_key("tg:1"));
        assert_eq!(count(&owners, "c", "tg:"), 0);
    }

    #[test]
    fn what_nobody_else_takes_is_taken_beyond_the_share_and_kept() {
        let live = [("a", BTreeSet::new()), ("b", BTreeSet::new())];
        let partitions: Vec<String> = (0..PARTITIONS).map(of_partition).collect();
        let owned = partitions.iter().skip(1).map(|name| (name.as_str(), "a"));
        let picture = ClusterPicture { me: "a", live: live.into(), owners: owned.collect() };
        let wanted = BTreeSet::from([partitions[0].as_str()]);
        assert!(picture.to_take(&wanted, |_| false).is_empty());
        assert_eq!(picture.to_take(&wanted, |_| true), [partitions[0].as_str()]);
    }

    #[test]
    fn thirds_of_three_lanes_are_one_lane() {
        let lanes = BTreeSet::from(["tg:1", "tg:2", "tg:3"]);
        let live = ["a", "b", "c"].map(|who| (who, lanes.clone()));
        let picture = ClusterPicture { me: "a", live: live.into(), owners: BTreeMap::new() };
        assert_eq!(picture.share("a", LeaseGroup::Lanes), 1);
    }
}
