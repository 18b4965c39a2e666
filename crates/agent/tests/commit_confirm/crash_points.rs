//! The power goes at any step, again and again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use agent::commit_confirm::journal::{Journal, State};
use agent::commit_confirm::revert::{self, Reach};
use agent::commit_confirm::{self, Change, Guard, Reached, Step};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

use crate::{HOUR, World, after_reboot, hasty};

thread_local! {
    static STEPS_LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// The power goes after so many steps: nothing of this process runs any more, its locks are gone.
fn fail(_: Step) {
    let left = STEPS_LEFT.get();
    STEPS_LEFT.set(left.saturating_sub(1));
    if left == 0 {
        resume_unwind(Box::new("power cut"));
    }
}

fn until_power_cut(steps: u32, work: impl FnOnce()) {
    STEPS_LEFT.set(steps);
    let _ = catch_unwind(AssertUnwindSafe(work));
    STEPS_LEFT.set(u32::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whenever_the_power_goes_the_state_is_the_old_or_the_confirmed_new_one(
        applying in 0_u32..24, is_confirmed in any::<bool>(), reverting in prop::collection::vec(0_u32..9, 0..3),
    ) {
        let world = World::new();
        let (old, plan) = (world.snapshot(), world.plan(HOUR));
        let journal = Journal::open(&world.paths).unwrap().with(hasty(), Reached::tell(fail));
        let confirmed = Cell::new(false);
        until_power_cut(applying, || {
            let mut change = Change::prepare(&journal, world.id, &plan, Guard::Sweep).unwrap();
            change.apply().unwrap();
            if is_confirmed {
                confirmed.set(commit_confirm::confirm(&journal, world.id).is_ok());
            }
        });
        let is_on_disk = journal.state(world.id).is_none_or(|state| state == State::Confirmed);
        for steps in reverting {
            until_power_cut(steps, || drop(revert::pending(&journal, &after_reboot(), Reach::Due)));
        }
        let left = revert::pending(&journal, &after_reboot(), Reach::Due);
        prop_assert!(left.stuck.is_empty() && left.waiting.is_empty(), "{left:?}");
        let new = world.snapshot();
        if new != old {
            prop_assert!(is_confirmed && is_on_disk, "changed and not confirmed");
            prop_assert_eq!(new.keys().collect::<Vec<_>>(), ["added.conf", "changed.conf", "link"]);
            prop_assert_eq!(&new["changed.conf"].1, "new\n");
        } else {
            prop_assert!(!confirmed.get(), "confirmed and reverted");
        }
    }
}
