//! Ten thousand jobs for one server that was away.

use protocol::job::{Ack, EndState};
use protocol::{JobId, Message};

use super::support::{Agent, World};
use crate::jobs::{queue, store};
use crate::testing::TestHub;

const JOBS: usize = 10_000;

/// Whatever a job costs must not grow with those that wait: with a cost per job that does, this takes an hour.
#[tokio::test]
async fn ten_thousand_waiting_jobs_run_in_order_four_at_a_time_and_end_once() {
    let world = World::new(TestHub::sqlite().await).await;
    let mut queue = Vec::with_capacity(JOBS);
    for _ in 0..JOBS {
        queue.push(world.create_directly(86_400).await);
    }
    let mut agent = Agent::new(&world);
    agent.connect(&world.hub).await;

    let (mut delivered, mut out) = (Vec::with_capacity(JOBS), Vec::<JobId>::new());
    let mut forgotten = Vec::with_capacity(JOBS);
    while forgotten.len() < JOBS {
        for message in agent.drain() {
            match message {
                Message::Cmd(_) => {
                    let id = super::faults::job_of(&message).unwrap();
                    delivered.push(id);
                    out.push(id);
                    agent.accept(&world.hub, id).await;
                }
                Message::Ack(Ack::Job { job_id, done: true, .. }) => forgotten.push(job_id),
                _ => {}
            }
        }
        assert!(out.len() <= queue::MAX_IN_FLIGHT, "{} at once", out.len());
        // Not always the oldest first.
        if !out.is_empty() {
            let id = out.remove(delivered.len() % out.len());
            agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        }
    }
    assert!(delivered == queue, "not in the order of the queue");
    forgotten.sort_unstable();
    assert!(forgotten == queue, "an end was not acknowledged exactly once");
    let mut session = world.hub.db.read().await.unwrap();
    assert_eq!(store::count_unfinished(&mut session.conn()).await.unwrap(), []);
    let jobs = store::by_ids(&mut session.conn(), &queue).await.unwrap();
    assert!(jobs.iter().all(|job| job.state == protocol::job::JobState::Succeeded && job.finished_at.is_some()));
}
