//! The stop-watch of one probe: what was seen so far. It outlives a probe that is cut off by its time, and then says how
//! far that came.

use std::time::Duration;

use protocol::probe::{Failure, FailureCode, Phases, ProbeOutcome};
use tokio::time::Instant;

/// The parts that are timed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Phase {
    Dns,
    Connect,
    Tls,
    FirstByte,
}

/// What was seen so far.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    timeout: Duration,
    /// What is going on, as the end of "no answer within 10 s, …".
    stage: String,
    /// The outcome as it grows.
    pub(crate) seen: ProbeOutcome,
    total_ms: Option<f64>,
}

impl Watch {
    pub(crate) fn start(timeout: Duration) -> Self {
        let (started, stage) = (Instant::now(), "before anything was asked".to_owned());
        Self { started, timeout, stage, seen: ProbeOutcome::default(), total_ms: None }
    }

    /// When all must be over.
    pub(crate) fn deadline(&self) -> Instant {
        self.started + self.timeout
    }

    /// Says what begins now.
    pub(crate) fn stage(&mut self, stage: String) {
        self.stage = stage;
    }

    /// A part ended that began at `since`; parts that happen more than once add up.
    pub(crate) fn ended(&mut self, phase: Phase, since: Instant) {
        let phases = &mut self.seen.phases;
        let slot = match phase {
            Phase::Dns => &mut phases.dns_ms,
            Phase::Connect => &mut phases.connect_ms,
            Phase::Tls => &mut phases.tls_ms,
            Phase::FirstByte => &mut phases.first_byte_ms,
        };
        *slot = Some(rounded(slot.unwrap_or(0.0) + millis(since.elapsed())));
    }

    /// Milliseconds since the start.
    pub(crate) fn total_ms(&self) -> f64 {
        rounded(millis(self.started.elapsed()))
    }

    /// Another total than the time since the start.
    pub(crate) fn set_total_ms(&mut self, total_ms: f64) {
        self.total_ms = Some(rounded(total_ms));
    }

    /// Fails where it took longer than somebody wishes.
    pub(crate) fn judge_latency(&self, max_latency_ms: Option<u32>) -> Result<(), Failure> {
        let took = self.total_ms.unwrap_or_else(|| self.total_ms());
        match max_latency_ms {
            Some(limit) if took > f64::from(limit) => Err(fail(
                FailureCode::Latency,
                format!("it answered as expected, but in {took:.0} ms instead of {limit} ms"),
            )),
            _ => Ok(()),
        }
    }

    /// The end: of a probe that ended by itself, or was cut off (none).
    pub(crate) fn outcome(self, ended: Option<Result<(), Failure>>) -> ProbeOutcome {
        let total_ms = self.total_ms.unwrap_or_else(|| self.total_ms());
        let (timeout, stage) = (self.timeout.as_secs_f64(), self.stage);
        let result = ended.unwrap_or_else(|| {
            Err(fail(FailureCode::Timeout, format!("not done within {timeout} s: the time ended {stage}")))
        });
        let phases = Phases { total_ms, ..self.seen.phases };
        ProbeOutcome { ok: result.is_ok(), failure: result.err(), phases, ..self.seen }.bounded()
    }
}

/// A failure; the text says what happened, and what to look at.
pub(crate) fn fail(code: FailureCode, text: impl AsRef<str>) -> Failure {
    Failure::new(code, text)
}

/// `text`, or the beginning of it, for a place in a sentence.
pub(crate) fn short(text: &str, limit: usize) -> String {
    if text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn rounded(millis: f64) -> f64 {
    (millis * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parts_add_up_and_slowness_is_told() {
        let mut watch = Watch::start(Duration::from_secs(10));
        for _ in 0..2 {
            let since = Instant::now();
            tokio::time::sleep(Duration::from_millis(250)).await;
            watch.ended(Phase::Connect, since);
        }
        assert_eq!(watch.judge_latency(Some(500)), Ok(()));
        assert_eq!(watch.judge_latency(Some(499)).map_err(|failure| failure.code), Err(FailureCode::Latency));
        let outcome = watch.outcome(Some(Ok(())));
        assert_eq!((outcome.phases.connect_ms, outcome.phases.total_ms), (Some(500.0), 500.0));
        assert!(outcome.ok);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_cut_off_says_how_far_it_came() {
        let mut watch = Watch::start(Duration::from_millis(1500));
        watch.stage("while the world was waiting".to_owned());
        let failure = watch.outcome(None).failure.unwrap();
        assert_eq!(failure.text, "not done within 1.5 s: the time ended while the world was waiting");
        assert_eq!(failure.code, FailureCode::Timeout);
    }
}
