//! What holds in every run, at any moment and at the end.

use protocol::JobId;
use protocol::job::{EndState, JobState};
use serde_json::json;

use super::run::Run;
use crate::jobs::model::Job;
use crate::jobs::{JobView, log, store};

impl Run<'_> {
    async fn hub_jobs(&self) -> Vec<Job> {
        let mut jobs = {
            let mut session = self.world.hub.db.read().await.unwrap();
            store::by_ids(&mut session.conn(), &self.jobs).await.unwrap()
        };
        jobs.sort_by_key(|job| job.position);
        jobs
    }

    /// At any moment.
    pub(super) async fn check(&mut self) {
        let jobs = self.hub_jobs().await;
        assert_eq!(jobs.len(), self.jobs.len(), "the hub has lost a job");
        let out =
            jobs.iter().filter(|job| matches!(job.state, JobState::Sent | JobState::Running | JobState::Reconciling));
        assert!(self.restored || out.count() <= 4, "more than four jobs are out");
        for job in jobs {
            let (id, ended) = (job.id, job.state.is_terminal());
            assert_eq!(job.finished_at.is_some(), ended, "{id} is {:?}", job.state);
            if ended {
                let stored = job.log.bytes;
                let view = json!(JobView::from(job));
                let claimed = self.machine.is_claimed(id);
                let (first, _) = self.ends.entry(id).or_insert_with(|| (view.clone(), claimed));
                assert_eq!(*first, view, "the end of {id} was rewritten");
                self.check_confirmed(id, stored);
            } else {
                let stored = log::size(&self.world.hub, id).await.unwrap().bytes;
                self.check_confirmed(id, stored);
            }
        }
        for (id, marker) in &self.machine.markers {
            assert!(marker.runs <= 1, "{id} ran {} times", marker.runs);
        }
    }

    fn check_confirmed(&self, id: JobId, stored: u64) {
        let confirmed = self.machine.confirmed.get(&id).copied().unwrap_or(0);
        assert!(stored >= confirmed, "{confirmed} bytes of {id} were acknowledged, {stored} are stored");
    }

    /// Once everything had the time to come to its end.
    pub(super) async fn check_ends(&self) {
        for job in self.hub_jobs().await {
            self.check_end(&job);
            self.check_log(&job).await;
        }
    }

    fn check_end(&self, job: &Job) {
        let id = job.id;
        let state = job.state;
        let marker = self.machine.markers.get(&id).cloned().unwrap_or_default();
        let (started, finished) = (job.started_at, job.finished_at);
        assert!(
            started.is_none_or(|at| at >= job.created_at && Some(at) <= finished),
            "{id}: {started:?}, {finished:?}"
        );
        if self.settled.contains(&id) {
            // The host was told that everything is safe, by a hub that then was not: nobody knows better than a guess.
            return;
        }
        let claimed_then = self.ends.get(&id).is_some_and(|(_, claimed)| *claimed);
        // Taken for never started, by somebody who could not know better, before the host had its claim, or by a hub
        // that had forgotten that it had sent the job.
        let was_early = !claimed_then || self.forgotten.contains(&id);
        let wanted = self.cancelled.contains(&id);
        let why = format!("{id} is {state:?}; {marker:?}, claimed: {}", self.machine.is_claimed(id));
        match state {
            JobState::Cancelled if marker.end == Some(EndState::Cancelled) => assert!(wanted || was_early, "{why}"),
            JobState::Cancelled => assert!(wanted && (marker.runs == 0 || was_early), "{why}"),
            JobState::Expired => assert!(marker.runs == 0 || self.forgotten.contains(&id), "{why}"),
            // An order that came twice may find no worker first and one later, and the refusal may be the last to arrive.
            JobState::Rejected => assert!(marker.runs == 0 || self.machine.turned_away.contains(&id), "{why}"),
            JobState::Lost => assert!(marker.killed, "{why}"),
            JobState::Interrupted => assert!(marker.went_down || marker.killed, "{why}"),
            JobState::Succeeded | JobState::Failed | JobState::TimedOut => {
                assert_eq!(marker.runs, 1, "{why}");
                assert_eq!(marker.end.map(JobState::from), Some(state), "{why}");
            }
            _ => panic!("{why}"),
        }
        let was_ended_by_force = marker.killed || marker.went_down;
        if marker.runs == 1 && !was_ended_by_force && !was_early && state != JobState::Rejected {
            assert_eq!(marker.end.map(JobState::from), Some(state), "{why}");
        }
    }

    async fn check_log(&self, job: &Job) {
        let id = job.id;
        let marker = self.machine.markers.get(&id).cloned().unwrap_or_default();
        if self.restored && job.log.truncated {
            // The host had freed what an older hub had.
            return;
        }
        assert!(!job.log.truncated, "the log of {id} has a hole");
        let stored = log::bytes(&self.world.hub, id).await;
        assert!(marker.wrote.starts_with(&stored), "the log of {id} is not what it wrote");
        let told_its_end = marker.end.map(JobState::from) == Some(job.state);
        // What was taken for never started had ended here before it wrote.
        let was_early = !self.ends.get(&id).is_some_and(|(_, claimed)| *claimed) || self.forgotten.contains(&id);
        let is_whole = told_its_end && !(was_early && job.state == JobState::Cancelled);
        if is_whole && !marker.killed && !marker.went_down && !self.settled.contains(&id) {
            assert_eq!(stored.len(), marker.wrote.len(), "the log of {id} is not whole");
        }
    }
}
