//! Markdown to HTML. Raw HTML in a page is shown, not interpreted.

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Title and HTML body.
pub(super) fn render(text: &str) -> (String, String) {
    let mut events: Vec<Event<'_>> = Vec::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        events.push(match event {
            Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                Event::Start(Tag::Link { link_type, dest_url: CowStr::from(page_link(&dest_url)), title, id })
            }
            other => other,
        });
    }
    name_headings(&mut events);
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    // Wide tables scroll by themselves instead of the page.
    let html =
        html.replace("<table>", "<div class=\"wide\" tabindex=\"0\"><table>").replace("</table>", "</table></div>");
    (title(text), html)
}

/// The first heading.
pub(super) fn title(text: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("User guide").trim().to_owned()
}

/// For HTML text and attribute values.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
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

/// Pages link to each other as files, so that they also work where the sources are read.
fn page_link(target: &str) -> String {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
    match file.strip_suffix(".md") {
        Some("index") => format!("/docs{anchor}"),
        Some(name) if !name.contains('/') => format!("/docs/{name}{anchor}"),
        _ => target.to_owned(),
    }
}

/// Gives headings ids, so that one can link to them.
fn name_headings(events: &mut [Event<'_>]) {
    for start in 0..events.len() {
        let (before, after) = events.split_at_mut(start + 1);
        let Some(Event::Start(Tag::Heading { level, id, .. })) = before.last_mut() else { continue };
        if *level == HeadingLevel::H1 {
            continue;
        }
        let inside = after.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let words: String = inside
            .filter_map(|event| match event {
                Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect();
        *id = Some(CowStr::from(slug(&words)));
    }
}

fn slug(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_rendered_and_html_is_not_interpreted() {
        let (title, html) = render(
            "# A <b>\n\n## What `x` does\n\n[jobs](jobs.md#logs) [out](https://a.example/b.md)\n\n<script>1</script>\n\n|a|b|\n|-|-|\n|1|2|\n",
        );
        assert_eq!(title, "A <b>");
        assert!(html.contains("<h2 id=\"what-x-does\">"), "{html}");
        assert!(html.contains("href=\"/docs/jobs#logs\""), "{html}");
        assert!(html.contains("href=\"https://a.example/b.md\""), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        assert!(html.contains("<div class=\"wide\""), "{html}");
    }
}
