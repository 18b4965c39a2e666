//! Records as a table for spreadsheets. Nothing in it is run: what a spreadsheet would take for a formula is text.

use super::model::Entry;

/// The first line.
pub(super) const HEADER: &str = "position,at,action,result,actor_type,actor_id,actor_name,subject_type,subject_id,\
    subject_name,server_id,ip,user_agent,request_id,details,redacted_at,id,prev_hash,hash\r\n";

/// Writes the line of a record.
pub(super) fn write(out: &mut String, entry: &Entry) {
    let position = entry.position.map(|position| position.to_string()).unwrap_or_default();
    let redacted_at = entry.redacted_at.map(|at| at.to_string()).unwrap_or_default();
    let cells = [
        position.as_str(),
        &entry.at.to_string(),
        &entry.action,
        entry.result.as_str(),
        &entry.actor_type,
        &entry.actor_id,
        &entry.actor_name,
        &entry.subject_type,
        &entry.subject_id,
        &entry.subject_name,
        entry.server_id.as_deref().unwrap_or_default(),
        &entry.ip,
        &entry.user_agent,
        &entry.request_id,
        &entry.details,
        &redacted_at,
        &entry.id,
        entry.prev_hash.as_deref().unwrap_or_default(),
        entry.hash.as_deref().unwrap_or_default(),
    ];
    for (index, text) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        cell(out, text);
    }
    out.push_str("\r\n");
}

fn cell(out: &mut String, text: &str) {
    out.push('"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        out.push('\'');
    }
    for character in text.chars() {
        if character == '"' {
            out.push('"');
        }
        out.push(character);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula_and_none_breaks_out() {
        let written = |text: &str| {
            let mut out = String::new();
            cell(&mut out, text);
            out
        };
        for start in ["=", "+", "-", "@", "\t", "\r", "\n"] {
            assert_eq!(written(&format!("{start}1+1")), format!("\"'{start}1+1\""));
        }
        assert_eq!(written("a,b\r\n\"c\""), "\"a,b\r\n\"\"c\"\"\"");
        assert_eq!(written(""), "\"\"");
    }
}
