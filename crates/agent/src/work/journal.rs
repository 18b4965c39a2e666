//! What the hub had done here, in the host's own journal, where whoever owns the server finds it without the hub: who, what,
//! and how it ended. One line each, bounded and escaped; values of the environment and standard input never.

use protocol::JobId;
use protocol::job::{Actor, Cmd, CmdBody, JobDone, Rejected};
use protocol::kinds::JobKind;
use protocol::signing;

use crate::trust::Trust;
use crate::verify::Order;
use crate::{ops, text};

/// Longest command line, characters.
const MAX_COMMAND: usize = 400;
/// Longest name of anything, characters.
const MAX_NAME: usize = 64;
/// Longest path, and longest reason, characters.
const MAX_TEXT: usize = 256;

/// A job begins.
pub(super) fn started(order: &Order) {
    log::info!("job {}: started {}", order.job_id, of_order(order));
}

/// A job has ended.
pub(super) fn ended(done: &JobDone) {
    let why = done.error.as_ref().map(|error| format!(": {}", text::bounded(&error.message, MAX_TEXT)));
    log::info!("job {}: {}{}", done.job_id, text::outcome(done), why.unwrap_or_default());
}

/// An order was refused. `what` it was is only said where the hub has signed it.
pub(super) fn refused(job_id: Option<JobId>, rejected: &Rejected, what: Option<&str>) {
    let job = job_id.map_or_else(|| "an order".to_owned(), |job_id| format!("job {job_id}"));
    let what = what.map(|what| format!("; it was {what}")).unwrap_or_default();
    let why = text::bounded(&rejected.message, MAX_TEXT);
    log::warn!("{job}: refused ({:?}): {why}{what}", rejected.code);
}

/// What a verified order is.
pub(super) fn of_order(order: &Order) -> String {
    describe(order.kind.name(), &order.actor, Some(&order.kind))
}

/// What an order is, if the hub has signed it: anything else could be the relay's invention.
pub(super) fn of_cmd(cmd: &Cmd, trust: &Trust) -> Option<String> {
    trust.verify(signing::CMD, &cmd.signed).ok()?;
    let body: CmdBody = serde_json::from_str(&cmd.signed.body).ok()?;
    Some(describe(&body.kind, &body.actor, JobKind::parse(&body.kind, &body.args).ok().as_ref()))
}

fn describe(name: &str, actor: &Actor, kind: Option<&JobKind>) -> String {
    let short = |text: &str| text::bounded(text, MAX_NAME);
    let whose = format!("{} for {} {} \"{}\"", short(name), short(&actor.kind), short(&actor.id), short(&actor.name));
    let Some(ops::Summary { command, user, cwd }) = kind.map(ops::summary) else { return whose };
    let place = cwd.map(|cwd| format!(" in {}", text::bounded(&cwd, MAX_TEXT))).unwrap_or_default();
    format!("{whose} as {}{place}: {}", short(&user), text::bounded(&command, MAX_COMMAND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::exec::ExecArgs;

    #[test]
    fn a_line_says_who_and_what_and_nothing_secret() {
        let actor = Actor { kind: "user".to_owned(), id: "0198".to_owned(), name: "Ann\n<3>forged".to_owned() };
        let kind = JobKind::Exec(ExecArgs {
            command: Some(format!("echo \u{1b}[2J {}", "x".repeat(1000))),
            user: Some("www-data".to_owned()),
            cwd: Some("/srv".to_owned()),
            stdin: Some("sesame".to_owned()),
            env: [("A".to_owned(), "sesame".to_owned())].into(),
            ..ExecArgs::default()
        });
        let line = describe("exec", &actor, Some(&kind));
        let start = "exec for user 0198 \"Ann\\n<3>forged\" as www-data in /srv: echo \\x1b[2J xxx";
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("x…") && line.chars().count() < 480 && !line.contains("sesame"), "{line}");
        assert_eq!(describe("of_a_newer_hub", &actor, None), "of_a_newer_hub for user 0198 \"Ann\\n<3>forged\"");
    }
}
