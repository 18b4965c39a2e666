//! How much one actor can write without changing anything: refusals are recorded up to a number a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);
/// Records of one actor in one window.
pub(super) const PER_WINDOW: u32 = 20;
/// Actors that are remembered; when more come, the one longest quiet is forgotten.
const CAPACITY: usize = 10_000;

/// What each actor has used up.
#[derive(Debug, Default)]
pub(super) struct Budgets(Mutex<HashMap<String, Spent>>);

#[derive(Debug, Clone, Copy)]
struct Spent {
    start: Timestamp,
    used: u32,
    left_out: u64,
}

impl Budgets {
    /// Whether the actor has one left, and how many were left out since the last.
    pub(super) fn spend(&self, now: Timestamp, actor: &str) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(actor) {
            make_room(&mut all, now);
            all.insert(actor.to_owned(), Spent { start: now, used: 0, left_out: 0 });
        }
        let spent = all.get_mut(actor)?;
        if now.since(spent.start) >= WINDOW {
            spent.start = now;
            spent.used = 0;
        }
        if spent.used >= PER_WINDOW {
            spent.left_out += 1;
            return None;
        }
        spent.used += 1;
        Some(std::mem::take(&mut spent.left_out))
    }
}

fn make_room(all: &mut HashMap<String, Spent>, now: Timestamp) {
    if all.len() < CAPACITY {
        return;
    }
    all.retain(|_, spent| now.since(spent.start) < WINDOW || spent.left_out > 0);
    while all.len() >= CAPACITY {
        let quietest = all.iter().min_by_key(|(_, spent)| spent.start).map(|(actor, _)| actor.clone());
        let Some(quietest) = quietest else { return };
        all.remove(&quietest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_actor_has_a_budget_and_what_is_left_out_is_counted() {
        let budgets = Budgets::default();
        let at = |seconds: i64| Timestamp::from_ms(seconds * 1000);
        for _ in 0..PER_WINDOW {
            assert_eq!(budgets.spend(at(0), "ann"), Some(0));
        }
        assert_eq!((budgets.spend(at(1), "ann"), budgets.spend(at(59), "ann")), (None, None));
        assert_eq!(budgets.spend(at(59), "bob"), Some(0));
        assert_eq!(budgets.spend(at(60), "ann"), Some(2));
        assert_eq!(budgets.spend(at(60), "ann"), Some(0));
    }

    #[test]
    fn memory_is_bounded() {
        let budgets = Budgets::default();
        for n in 0..CAPACITY + 50 {
            budgets.spend(Timestamp::from_ms(i64::try_from(n).unwrap()), &n.to_string());
        }
        let all = budgets.0.lock().unwrap();
        assert!(all.len() == CAPACITY && !all.contains_key("0"));
    }
}
