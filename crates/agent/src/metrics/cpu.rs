//! Processor use from /proc/stat.

use protocol::heartbeat::Cpu;

/// Most processors reported one by one.
const MAX_CORES: usize = 1024;

/// Times of one processor, in ticks since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Times {
    busy: u64,
    idle: u64,
    iowait: u64,
    steal: u64,
}

/// Remembers the sample before.
#[derive(Debug, Default)]
pub(super) struct Usage {
    all: Times,
    cores: Vec<Times>,
}

impl Usage {
    /// Shares of the time since the call before; the first call covers the time since boot.
    pub(super) fn advance(&mut self, stat: &str) -> Cpu {
        let mut cpu = Cpu::default();
        let mut seen = 0;
        // The processors come first; thousands of bytes about interrupts follow.
        for line in stat.lines().take_while(|line| line.starts_with("cpu")) {
            let Some((name, fields)) = line.split_once(' ') else { continue };
            let now = Times::parse(fields);
            if name == "cpu" {
                let spent = now.since(self.all);
                cpu.percent = spent.percent(spent.busy);
                cpu.iowait_percent = spent.percent(spent.iowait);
                cpu.steal_percent = spent.percent(spent.steal);
                self.all = now;
            } else if seen < MAX_CORES {
                let before = self.cores.get(seen).copied().unwrap_or_default();
                let spent = now.since(before);
                cpu.per_core_percent.push(single(spent.percent(spent.busy)));
                match self.cores.get_mut(seen) {
                    Some(core) => *core = now,
                    None => self.cores.push(now),
                }
                seen += 1;
            }
        }
        // A processor was taken offline: the others have moved up.
        self.cores.truncate(seen);
        cpu
    }
}

impl Times {
    /// `user nice system idle iowait irq softirq steal guest guest_nice`; guests are part of user and nice.
    fn parse(fields: &str) -> Self {
        let mut fields = fields.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        let [user, nice, system, idle, iowait, irq, softirq, steal] =
            std::array::from_fn(|_| fields.next().unwrap_or(0));
        let busy = [user, nice, system, irq, softirq, steal].into_iter().fold(0, u64::saturating_add);
        Self { busy, idle, iowait, steal }
    }

    /// The kernel lets idle and iowait run backwards now and then; that counts as nothing.
    fn since(self, before: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(before.busy),
            idle: self.idle.saturating_sub(before.idle),
            iowait: self.iowait.saturating_sub(before.iowait),
            steal: self.steal.saturating_sub(before.steal),
        }
    }

    fn percent(self, part: u64) -> f64 {
        let whole = self.busy.saturating_add(self.idle).saturating_add(self.iowait);
        if whole == 0 { 0.0 } else { rounded(ratio(part, whole) * 100.0) }
    }
}

/// Ticks between two samples are far below 2⁵³, where a float is exact.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn ratio(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).min(1.0)
}

/// Two decimals: more are noise and cost bytes in every sample.
fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

#[expect(clippy::cast_possible_truncation, reason = "0 to 100 with two decimals")]
fn single(percent: f64) -> f32 {
    percent as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 50 0 50 350 50 0 0 0 0 0\n\
                          cpu1 50 0 50 350 50 0 0 0 0 0\nintr 12345 0 0\nctxt 5\n";
    const AFTER: &str = "cpu  150 0 120 770 120 0 0 40 0 0\ncpu0 100 0 70 350 50 0 0 30 0 0\n\
                         cpu1 50 0 50 420 70 0 0 10 0 0\nintr 12399 0 0\nctxt 9\n";

    #[test]
    fn shares_cover_the_time_between_samples() {
        let mut usage = Usage::default();
        usage.advance(BEFORE);
        let cpu = usage.advance(AFTER);
        assert_eq!((cpu.percent, cpu.iowait_percent, cpu.steal_percent), (55.0, 10.0, 20.0));
        assert_eq!(cpu.per_core_percent, [100.0, 10.0]);
        let idle = usage.advance(AFTER);
        assert_eq!((idle.percent, idle.per_core_percent), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn counters_that_run_backwards_and_lost_processors_do_no_harm() {
        let mut usage = Usage::default();
        usage.advance(AFTER);
        let cpu = usage.advance("cpu  150 0 120 700 90 0 0 40 0 0\ncpu0 1 0 1 1 1 0 0 0 0 0\n");
        assert_eq!((cpu.percent, cpu.per_core_percent), (0.0, vec![0.0]));
        assert_eq!(usage.cores.len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_gives_percentages(one in "(cpu[0-9]? [0-9 ]{0,60}\n){0,4}", other in ".{0,200}") {
            let mut usage = Usage::default();
            for text in [&one, &other, &one] {
                let cpu = usage.advance(text);
                prop_assert!((0.0..=100.0).contains(&cpu.percent));
                prop_assert!(cpu.per_core_percent.iter().all(|core| (0.0..=100.0).contains(core)));
            }
        }
    }
}
