//! Makes a letter of a template: a line `Subject: …`, an empty line, paragraphs. Words in braces are replaced.

use serde::{Deserialize, Serialize};

/// What somebody named can be as long as they like; a letter cannot.
const MAX_VALUE_CHARS: usize = 300;

/// A letter without its envelope.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// Writes a template with these values. A word that has none stays as it is; a test sees to it that there is none.
pub(super) fn render(template: &str, values: &[(&'static str, String)]) -> Letter {
    let (subject, body) = template.split_once("\n\n").unwrap_or((template, ""));
    let subject = subject.strip_prefix("Subject: ").unwrap_or(subject);
    let subject = fill(subject, values).text;
    let mut text = String::new();
    let mut html = String::from("<!doctype html><html><body style=\"font-family:sans-serif;max-width:40em\">");
    for paragraph in body.trim().split("\n\n") {
        let Filled { text: words, is_link } = fill(paragraph, values);
        text.push_str(&words);
        text.push_str("\n\n");
        let escaped = escape(&words);
        html.push_str(&if is_link {
            format!("<p><a href=\"{escaped}\">{escaped}</a></p>")
        } else {
            format!("<p>{escaped}</p>")
        });
    }
    html.push_str("</body></html>");
    Letter { subject, text: text.trim_end().to_owned() + "\n", html }
}

struct Filled {
    text: String,
    /// It is nothing but a link of ours.
    is_link: bool,
}

/// In one pass: what a value holds is never taken for a word in braces.
fn fill(template: &str, values: &[(&'static str, String)]) -> Filled {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let known = after.split_once('}').and_then(|(word, after)| {
            let (name, value) = values.iter().find(|(name, _)| *name == word)?;
            Some((*name, value, after))
        });
        match known {
            // Ours, and it must stay as it is.
            Some(("link" | "hub", value, after)) => {
                text.push_str(value);
                rest = after;
            }
            Some((_, value, after)) => {
                text.push_str(&harmless(value));
                rest = after;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Filled { text, is_link: template == "{link}" }
}

/// What people named things, on one line, and not as a link: a workspace called `https://…` must not make the hub
/// advertise it.
fn harmless(value: &str) -> String {
    let line: String = value.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let line: String = line.chars().take(MAX_VALUE_CHARS).collect();
    line.replace("://", " ").replace("www.", "www ")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "Subject: Hello {name}\n\nDear {name}, of {workspace}.\n\n{link}\n";

    fn rendered(name: &str, workspace: &str) -> Letter {
        let link = "https://hub.example/x#a&b".to_owned();
        render(TEMPLATE, &[("name", name.to_owned()), ("workspace", workspace.to_owned()), ("link", link)])
    }

    #[test]
    fn both_parts_say_the_same() {
        let letter = rendered("Ann", "Home");
        assert_eq!(letter.subject, "Hello Ann");
        assert_eq!(letter.text, "Dear Ann, of Home.\n\nhttps://hub.example/x#a&b\n");
        assert!(letter.html.contains("<p>Dear Ann, of Home.</p>"), "{}", letter.html);
        let link = "<a href=\"https://hub.example/x#a&amp;b\">https://hub.example/x#a&amp;b</a>";
        assert!(letter.html.contains(link), "{}", letter.html);
    }

    #[test]
    fn names_cannot_become_headers_links_tags_or_words_in_braces() {
        let letter = rendered("Ann\r\nBcc: all@example.com", "<b>https://evil.example</b> {link} {name}");
        assert_eq!(letter.subject, "Hello Ann  Bcc: all@example.com");
        assert!(!letter.text.contains("://evil") && letter.text.contains("{link} {name}"), "{}", letter.text);
        assert!(!letter.html.contains("<b>") && letter.html.matches("<a ").count() == 1, "{}", letter.html);
        assert!(rendered(&"x".repeat(1 << 20), "y").text.len() < 1000);
    }
}
