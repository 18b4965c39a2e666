//! Text for people: what others wrote is shown, never obeyed by a terminal; times, sizes and tables.

use std::fmt::Write as _;

use nix::sys::signal::Signal;
use protocol::job::{JobDone, JobState};

/// The text on one line and harmless: control characters, and those that change the direction or hide in the middle of
/// a line, show as escapes.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Writing to a String does not fail.
            c if c.is_ascii_control() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c if is_treacherous(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// As [`one_line`], at most `limit` characters; a longer text says that it goes on.
#[must_use]
pub fn bounded(text: &str, limit: usize) -> String {
    // An escape is never shorter than what it stands for: more than this is not looked at.
    let head: String = text.chars().take(limit.saturating_add(1)).collect();
    let shown = one_line(&head);
    if shown.chars().count() <= limit {
        return shown;
    }
    shown.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// JSON in which nothing is left that a terminal could obey. It means the same: such characters stand in strings only.
#[must_use]
pub fn json(value: &serde_json::Value) -> String {
    let mut shown = String::new();
    for character in value.to_string().chars() {
        if character.is_control() || is_treacherous(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Not ASCII, and not seen for what it is: C1 controls, marks of direction, characters without width, tags.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// An argument as a shell would have to be given it.
#[must_use]
pub fn shell_word(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// A moment, such as `2026-11-21 15:21:36Z`.
#[must_use]
pub fn utc(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days are counted from 1 March of the year 0, so that a leap day is the last of its year; an era has 400 years.
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year + 400 * era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day_of_month:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// A span of time, roughly.
#[must_use]
pub fn span(ms: i64) -> String {
    match ms.max(0) {
        ms @ 0..2_000 => format!("{ms} ms"),
        ms => seconds(ms / 1000),
    }
}

/// A span of time in whole seconds, roughly.
#[must_use]
pub fn seconds(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A size, roughly.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, next);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// How a job ended, such as `failed, exit code 7, after 12 s`.
#[must_use]
pub fn outcome(done: &JobDone) -> String {
    let code = done.exit_code.map(|code| format!(", exit code {code}"));
    let signal = done.signal.map(|number| {
        let name = Signal::try_from(number).map(|signal| format!(" ({signal})")).unwrap_or_default();
        format!(", signal {number}{name}")
    });
    let took = span(i64::try_from(done.duration_ms).unwrap_or(i64::MAX));
    let state = JobState::from(done.state).as_str().replace('_', " ");
    format!("{state}{}{}, after {took}", code.unwrap_or_default(), signal.unwrap_or_default())
}

/// Columns below each other, two spaces between them; the last one is not padded.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        for (text, shown) in [
            ("echo \u{1b}[2J\u{7}\u{7f}", "echo \\x1b[2J\\x07\\x7f"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("rm \u{202e}txt.\u{2066}\u{200b}\u{e0041}", "rm \\u{202e}txt.\\u{2066}\\u{200b}\\u{e0041}"),
            ("grüße 'ß' \\n 日本", "grüße 'ß' \\n 日本"),
        ] {
            assert_eq!(one_line(text), shown);
        }
    }

    #[test]
    fn long_text_says_that_it_goes_on() {
        assert_eq!(bounded("abcd", 4), "abcd");
        assert_eq!(bounded("abcde", 4), "abc…");
        assert_eq!(bounded("\u{1b}\u{1b}", 6), "\\x1b\\…");
    }

    proptest! {
        #[test]
        fn json_stays_the_same_value_and_harmless(text in any::<String>(), tail in "[\u{7f}-\u{9f}\u{2066}\u{e0041}]{0,4}") {
            let value = serde_json::Value::from(text + &tail);
            let shown = json(&value);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_treacherous(c)));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }

        #[test]
        fn no_line_is_longer_than_allowed(text in any::<String>(), limit in 1_usize..50) {
            let shown = bounded(&text, limit);
            prop_assert!(shown.chars().count() <= limit);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_treacherous(c)));
        }
    }

    #[test]
    fn words_that_a_shell_would_take_apart_are_quoted() {
        for (argument, word) in [("ls", "ls"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")] {
            assert_eq!(shell_word(argument), word);
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (ms, shown) in [
            (0, "1970-01-01 00:00:00Z"),
            (-1, "1969-12-31 23:59:59Z"),
            (951_782_399_000, "2000-02-28 23:59:59Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_709_251_199_999, "2024-02-29 23:59:59Z"),
            (1_709_251_200_000, "2024-03-01 00:00:00Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
            (1_763_738_496_000, "2025-11-21 15:21:36Z"),
        ] {
            assert_eq!(utc(ms), shown);
        }
    }

    #[test]
    fn sizes_and_spans_are_read_at_a_glance() {
        for (count, shown) in [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB")] {
            assert_eq!(bytes(count), shown);
        }
        assert_eq!(bytes(256 << 20), "256.0 MiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        for (ms, shown) in [(-5, "0 ms"), (1_999, "1999 ms"), (2_000, "2 s"), (600_000, "10 min"), (86_400_000, "24 h")]
        {
            assert_eq!(span(ms), shown);
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(table(&[row(&["ID", "X"]), row(&["abc", "y z"])]), "ID   X\nabc  y z\n");
    }
}
