//! Texts of one line: names that people give to things.

/// A trimmed line of 1 to `max` characters without control characters.
///
/// # Errors
/// The rest of a sentence that begins with the field's name.
pub fn one_line(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.chars().count() > max {
        return Err(format!("must not be longer than {max} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must be one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_bounded_and_one() {
        assert_eq!(one_line("  Ann  ", 3), Ok("Ann".to_owned()));
        assert_eq!(one_line("äöü", 3), Ok("äöü".to_owned()));
        for bad in ["", "  ", "a\nb", "a\u{7}b", "abcd"] {
            assert!(one_line(bad, 3).is_err(), "{bad:?}");
        }
    }
}
