//! Which records a list or an export shows.

use super::model::Outcome;
use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// Longest text to search for, characters.
const MAX_TEXT: usize = 100;
/// Longest value of another filter, bytes.
const MAX_VALUE: usize = 200;
/// Ids hold the time that they were made at, and run ahead of it when the clock was put back; never by so much.
const AHEAD_MS: i64 = 60_000;

/// What is asked for; what is none is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) action: Option<String>,
    pub(super) actor_id: Option<String>,
    pub(super) subject_id: Option<String>,
    pub(super) server_id: Option<String>,
    pub(super) result: Option<Outcome>,
    /// From then on.
    pub(super) since: Option<Timestamp>,
    /// Before then.
    pub(super) until: Option<Timestamp>,
    /// Folded; empty when none is looked for.
    pub(super) text: String,
}

impl Filter {
    /// The same, checked.
    ///
    /// # Errors
    /// 400 when a value is too long.
    pub(super) fn checked(mut self, text: Option<&str>) -> Result<Self> {
        let text = text.unwrap_or_default().trim();
        if text.chars().count() > MAX_TEXT {
            return Err(Error::bad_request(format!("the query parameter q takes {MAX_TEXT} characters at most")));
        }
        let values = [
            ("action", &self.action),
            ("actor_id", &self.actor_id),
            ("subject_id", &self.subject_id),
            ("server_id", &self.server_id),
        ];
        for (name, value) in values {
            if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
                return Err(Error::bad_request(format!("the query parameter {name} takes {MAX_VALUE} bytes at most")));
            }
        }
        self.text = text.to_lowercase();
        Ok(self)
    }

    /// Whether it lets everything through.
    pub(super) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn from(&self) -> Timestamp {
        self.since.unwrap_or(Timestamp::from_ms(i64::MIN))
    }

    pub(super) fn to(&self) -> Timestamp {
        self.until.unwrap_or(Timestamp::from_ms(i64::MAX))
    }

    /// No record before the period has an id as high: an index leads to the period.
    pub(super) fn first_id(&self) -> String {
        first_id_at(self.since.map_or(0, Timestamp::as_ms))
    }

    /// No record of the period has an id as high as this, nor has one that is shown before `before`.
    pub(super) fn end_id(&self, before: Option<String>) -> String {
        let end = self.until.map_or(i64::MAX, |until| until.as_ms().saturating_add(AHEAD_MS));
        let end = first_id_at(end);
        before.filter(|before| *before < end).unwrap_or(end)
    }
}

/// The lowest UUID v7 of a millisecond.
fn first_id_at(ms: i64) -> String {
    let ms = u64::try_from(ms).unwrap_or(0).min((1 << 48) - 1);
    format!("{:08x}-{:04x}-0000-0000-000000000000", ms >> 16, ms & 0xffff)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::ids::Ids;
    use crate::random::SeededRandom;
    use crate::testing::START;

    #[test]
    fn ids_bound_a_period() {
        let filter = Filter { since: Some(START), until: Some(START), ..Filter::default() };
        let ids = Ids::new(Arc::new(ManualClock::new(START)), Arc::new(SeededRandom::new(1)));
        let id = ids.uuid().to_string();
        assert!(filter.first_id() <= id && id < filter.end_id(None), "{id}");
        assert_eq!(filter.end_id(Some("01".to_owned())), "01");
        let open = Filter::default();
        assert!(open.first_id() <= id && id < open.end_id(None) && open.is_open());
        assert_eq!(first_id_at(-1), first_id_at(0));
    }

    #[test]
    fn texts_are_folded_and_bounded() {
        assert_eq!(Filter::default().checked(Some("  ÄNN ")).unwrap().text, "änn");
        assert!(Filter::default().checked(Some(&"x".repeat(MAX_TEXT + 1))).is_err());
        let long = Filter { action: Some("x".repeat(MAX_VALUE + 1)), ..Filter::default() };
        assert!(long.checked(None).is_err());
    }
}
