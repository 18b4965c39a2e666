//! What workers answer to the hub's orders, and what the hub is told.

use protocol::job::{Already, CmdAck, CmdOutcome, EndState, JobDone, JobError, RejectCode, Rejected, SpoolState};
use protocol::{JobId, Message, MessageId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::handover::HandoverError;
use crate::link::followers::Answer;
use crate::link::outbox::end_of;
use crate::link::session::Session;
use crate::relay::Relay;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn take_answer(&mut self, answer: Answer, relay: &mut Relay) {
        let Answer { session, reference, job_id, ack } = answer;
        let reference = (session == self.number).then_some(reference);
        let ack = match ack {
            Ok(ack) => ack,
            Err(error) => match known_or_not_run(job_id, &error, relay) {
                Some(ack) => ack,
                // The hub asks again after a while: nothing is said of a job that may yet begin.
                None => return,
            },
        };
        if !self.outbox.contains(job_id) && is_premature(&ack, relay) {
            return;
        }
        match &ack.outcome {
            CmdOutcome::Accepted(_) => self.outbox.start(ack.job_id, 0, reference, None),
            CmdOutcome::Already(already) => self.resend(ack.job_id, already.state, reference, relay),
            CmdOutcome::Rejected(rejected) => {
                log::warn!("job {} was refused: {}", ack.job_id, rejected.message);
                relay.report_rejection(ack.job_id, rejected.code, &rejected.message);
            }
        }
        // A hub that has reconnected asks again; an answer to an order of another connection would mean nothing to it.
        if reference.is_some() {
            self.answer(Message::CmdAck(CmdAck { ..ack }), reference);
        }
    }

    /// The hub asks again for a job that it had before: it is told everything again.
    fn resend(&mut self, job_id: JobId, state: SpoolState, reference: Option<MessageId>, relay: &mut Relay) {
        if self.outbox.contains(job_id) {
            return;
        }
        match relay.spool.job(job_id) {
            Ok(Some(job)) => {
                let done = end_of(job.phase);
                if done.is_none() {
                    relay.followers.attach(job_id);
                }
                self.outbox.start(job_id, 0, reference, done);
            }
            Ok(None) => {
                if let Some(done) = end_without_place(job_id, state, relay.clock.now_ms()) {
                    self.outbox.start(job_id, 0, reference, Some(done));
                }
            }
            Err(error) => log::error!("job {job_id} cannot be read from the spool: {error}"),
        }
    }
}

/// Whether an answer may soon be another one. Then nothing is said: the hub asks again after a while.
fn is_premature(ack: &CmdAck, relay: &Relay) -> bool {
    let job_id = ack.job_id;
    match &ack.outcome {
        // It means that the job has not run and will not. Another worker has the same order and may yet run it.
        CmdOutcome::Rejected(rejected) if relay.followers.is_starting(job_id) => {
            log::warn!("job {job_id} was refused ({}), but another worker has the order too", rejected.message);
            true
        }
        // Its worker has the claim and makes a place for the log, or dies before: there is nothing to follow yet.
        CmdOutcome::Already(Already { state: SpoolState::Running, .. }) => {
            matches!(relay.spool.job(job_id), Ok(None))
        }
        _ => false,
    }
}

/// The end of a job whose worker died when it had its claim and no place in the spool yet: nobody else will tell it.
fn end_without_place(job_id: JobId, state: SpoolState, now_ms: i64) -> Option<JobDone> {
    let (state, code, message) = match state {
        SpoolState::Lost => {
            let message = "the worker of this job was killed before there was a log; whether the command had begun cannot \
                           be known";
            (EndState::Lost, "worker_killed", message)
        }
        SpoolState::Interrupted => {
            (EndState::Interrupted, "machine_restarted", "the server went down when the job was about to begin")
        }
        // The hub had all of it, and this host has forgotten the rest.
        _ => return None,
    };
    Some(JobDone {
        job_id,
        state,
        exit_code: None,
        signal: None,
        started_at_ms: now_ms,
        duration_ms: 0,
        next_offset: 0,
        result: None,
        error: Some(JobError { code: code.to_owned(), message: message.to_owned() }),
    })
}

/// What is certain of a job whose worker gave no answer: the spool knows it, or nobody will run it.
fn known_or_not_run(job_id: JobId, error: &HandoverError, relay: &Relay) -> Option<CmdAck> {
    log::warn!("job {job_id}: {error}");
    let outcome = match relay.spool.job(job_id) {
        Ok(Some(job)) => CmdOutcome::Already(Already { state: job.state(), next_offset: job.next_offset }),
        Ok(None) if !error.may_yet_act() => CmdOutcome::Rejected(Rejected {
            code: RejectCode::Unavailable,
            message: format!("{error}; the job has not run. Look at `journalctl -u 'roadstead-work@*'` on the server"),
        }),
        Ok(None) | Err(_) => return None,
    };
    Some(CmdAck { job_id, outcome })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::job::Cmd;
    use protocol::signing;
    use uuid::Uuid;

    use super::*;
    use crate::fixture::Machine;
    use crate::host::files::Dir;
    use crate::spool::writer::SpoolWriter;
    use crate::spool::{Limits, Meta};

    #[test]
    fn an_answer_that_may_soon_be_another_one_is_kept_back() {
        let machine = Machine::new(7);
        let mut relay = machine.relay();
        let job_id = JobId::new(Uuid::from_u128(5));
        let refused = CmdOutcome::Rejected(Rejected { code: RejectCode::Unavailable, message: "no worker".to_owned() });
        let already = |state| CmdOutcome::Already(Already { state, next_offset: 0 });
        let kept_back =
            |outcome: &CmdOutcome, relay: &Relay| is_premature(&CmdAck { job_id, outcome: outcome.clone() }, relay);
        assert!(!kept_back(&refused, &relay));
        assert!(!kept_back(&already(SpoolState::Lost), &relay));
        assert!(kept_back(&already(SpoolState::Running), &relay), "it has a claim and no place");
        let meta = Meta { job_id, started_at_ms: 1, expires_at_ms: 2, boot_id: "boot".to_owned() };
        let spool = Dir::open(&machine.paths.spool_dir()).unwrap();
        let _writer = SpoolWriter::create(spool, &meta, Limits::default()).unwrap();
        assert!(!kept_back(&already(SpoolState::Running), &relay));

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _in_runtime = runtime.enter();
        let cmd = Cmd { signed: machine.sign(signing::CMD, "{}".to_owned()), op_body: None, op_sigs: vec![] };
        let welcome = machine.sign(signing::WELCOME, "{}".to_owned());
        relay.followers.start(1, MessageId::new(Uuid::from_u128(6)), job_id, cmd, welcome);
        assert!(kept_back(&refused, &relay), "another worker has the order");
    }

    #[test]
    fn a_job_that_has_a_claim_and_no_place_has_an_end_of_its_own() {
        let job_id = JobId::new(Uuid::from_u128(5));
        let end = |state| end_without_place(job_id, state, 1).map(|done| (done.state, done.next_offset));
        assert_eq!(end(SpoolState::Lost), Some((EndState::Lost, 0)));
        assert_eq!(end(SpoolState::Interrupted), Some((EndState::Interrupted, 0)));
        assert_eq!((end(SpoolState::Running), end(SpoolState::Succeeded)), (None, None));
    }

    #[test]
    fn only_a_job_that_nobody_will_run_is_said_not_to_have_run() {
        let machine = Machine::new(7);
        let relay = machine.relay();
        let job_id = JobId::new(Uuid::from_u128(5));
        let silent = HandoverError::Silent(Duration::from_secs(60));
        let dead = HandoverError::NoAnswer("it ended at once".to_owned());

        let unclear = HandoverError::Unclear("a line that is too long".to_owned());
        for error in [&silent, &unclear] {
            assert_eq!(known_or_not_run(job_id, error, &relay), None, "it may yet begin");
        }
        let outcome = known_or_not_run(job_id, &dead, &relay).unwrap().outcome;
        assert!(matches!(outcome, CmdOutcome::Rejected(Rejected { code: RejectCode::Unavailable, .. })), "{outcome:?}");

        // The worker had made the job's place before it fell silent.
        let meta = Meta { job_id, started_at_ms: 1, expires_at_ms: 2, boot_id: "of another boot".to_owned() };
        let spool = Dir::open(&machine.paths.spool_dir()).unwrap();
        let writer = SpoolWriter::create(spool, &meta, Limits::default()).unwrap();
        for error in [&silent, &dead] {
            let outcome = known_or_not_run(job_id, error, &relay).unwrap().outcome;
            assert_eq!(outcome, CmdOutcome::Already(Already { state: SpoolState::Running, next_offset: 0 }));
        }
        drop(writer);
        let outcome = known_or_not_run(job_id, &silent, &relay).unwrap().outcome;
        assert!(matches!(outcome, CmdOutcome::Already(Already { state: SpoolState::Interrupted, .. })), "{outcome:?}");
    }
}
