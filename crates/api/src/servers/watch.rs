//! Who looks at which server right now: its agent samples faster for as long.

use std::collections::HashMap;
use std::time::Duration;

use protocol::ServerId;
use protocol::heartbeat::Watch;

use crate::clock::Timestamp;

/// Servers that somebody looks at.
#[derive(Debug, Default)]
pub(super) struct Watches {
    servers: HashMap<ServerId, Active>,
}

#[derive(Debug, Clone, Copy)]
struct Active {
    interval: Duration,
    until: Timestamp,
    /// What the agent was told last.
    told: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    interval: Duration,
    until: Timestamp,
}

impl Watches {
    /// Somebody looks from `now` on. The shortest interval and the latest end win. Returns what the agent must be told,
    /// if it is there.
    pub(super) fn add(
        &mut self,
        server: ServerId,
        now: Timestamp,
        interval: Duration,
        ttl: Duration,
        connected: bool,
    ) -> Option<Watch> {
        self.servers.retain(|_, active| active.until > now);
        let until = now.plus(ttl);
        let active = self.servers.entry(server).or_insert(Active { interval, until, told: None });
        // Whoever wants it slower gets it as fast as the others for a while; nobody gets it slower than asked for.
        active.interval = active.interval.min(interval);
        active.until = active.until.max(until);
        let active = *active;
        let knows = active.told.is_some_and(|told| {
            let left = told.until.since(now);
            told.interval == active.interval && left * 2 > active.until.since(now)
        });
        if knows || !connected { None } else { self.tell(server, now) }
    }

    /// What an agent that connects must be told, if anybody looks at its server.
    pub(super) fn tell(&mut self, server: ServerId, now: Timestamp) -> Option<Watch> {
        let active = self.servers.get_mut(&server).filter(|active| active.until > now)?;
        active.told = Some(Told { interval: active.interval, until: active.until });
        let ttl_s = u32::try_from(active.until.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let interval_ms = u32::try_from(active.interval.as_millis()).unwrap_or(u32::MAX);
        Some(Watch { interval_ms, ttl_s })
    }

    /// The server has no agent any more that was told anything.
    pub(super) fn untell(&mut self, server: ServerId) {
        if let Some(active) = self.servers.get_mut(&server) {
            active.told = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn agents_are_told_what_changes() {
        let server = ServerId::new(Uuid::from_u128(1));
        let (slow, fast, ttl) = (Duration::from_secs(2), Duration::from_millis(500), Duration::from_secs(30));
        let mut watches = Watches::default();
        assert_eq!(watches.add(server, at(0), slow, ttl, true), Some(Watch { interval_ms: 2000, ttl_s: 30 }));
        assert_eq!(watches.add(server, at(1_000), slow, ttl, true), None, "the agent knows");
        assert_eq!(watches.add(server, at(2_000), fast, ttl, true), Some(Watch { interval_ms: 500, ttl_s: 30 }));
        assert_eq!(
            watches.add(server, at(20_000), slow, ttl, true),
            Some(Watch { interval_ms: 500, ttl_s: 30 }),
            "renewed"
        );
        watches.untell(server);
        assert_eq!(watches.tell(server, at(40_000)), Some(Watch { interval_ms: 500, ttl_s: 10 }));
        assert_eq!(watches.tell(server, at(50_000)), None, "nobody looks");
        assert_eq!(watches.add(server, at(60_000), slow, ttl, true), Some(Watch { interval_ms: 2000, ttl_s: 30 }));
    }
}
