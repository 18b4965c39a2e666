//! What workers answer to the hub's orders, and what the hub is told.

use protocol::job::{Already, CmdAck, CmdOutcome, RejectCode, Rejected};
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
        match &ack.outcome {
            CmdOutcome::Accepted(_) => self.outbox.start(ack.job_id, 0, reference, None),
            CmdOutcome::Already(_) => self.resend(ack.job_id, reference, relay),
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
    fn resend(&mut self, job_id: JobId, reference: Option<MessageId>, relay: &mut Relay) {
        if self.outbox.contains(job_id) {
            return;
        }
        if let Ok(Some(job)) = relay.spool.job(job_id) {
            let done = end_of(job.phase);
            if done.is_none() {
                relay.followers.attach(job_id);
            }
            self.outbox.start(job_id, 0, reference, done);
        }
    }
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

    use protocol::job::SpoolState;
    use uuid::Uuid;

    use super::*;
    use crate::fixture::Machine;
    use crate::host::files::Dir;
    use crate::spool::writer::SpoolWriter;
    use crate::spool::{Limits, Meta};

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
