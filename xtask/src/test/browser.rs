//! The dashboard in Chromium: the whole way of a person on a real hub with a real agent, everything else on a mock hub.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Run;
use crate::http::Client;
use crate::service::{self, Service};
use crate::tally::Tally;
use crate::{paths, proc, web};

#[path = "../../../tests/support/tokens.rs"]
#[expect(unreachable_pub, reason = "the end-to-end tests have it as a public module")]
mod tokens;

/// Runs `tests/browser`.
pub(super) fn tests(run: &mut Run, agent: &Path) -> Result<()> {
    run.tests("browser tests", || {
        let browser = paths::root().join("tests/browser");
        web::install_packages(&browser)?;
        let mut hub = FreshHub::start()?;
        let mut node = proc::command("node");
        node.arg(browser.join("run.mjs")).env("ROADSTEAD_URL", &hub.url).env("ROADSTEAD_SETUP_CODE", &hub.setup_code);
        let seen = proc::tee(node.env("ROADSTEAD_AGENT_BIN", agent), LIMIT)?;
        if !seen.status.success() {
            println!("The hub's last words:\n{}", hub.service.tail());
        }
        hub.service.stop(Duration::from_secs(15));
        let tally = Tally::of_closing_line(&seen.output).context("the browser tests did not say what they ran")?;
        // All that a person does was done on it: nothing of that may lie about in the clear.
        let found = tokens::find(&paths::cache().join("browser"))?;
        for (file, token) in &found {
            println!("{}: holds the token {token}", file.display());
        }
        Ok(tally.with_status(seen.status.success() && found.is_empty()))
    })
}

/// Several times what a slow machine needs.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// A hub that nobody owns yet.
struct FreshHub {
    service: Service,
    url: String,
    setup_code: String,
}

impl FreshHub {
    fn start() -> Result<Self> {
        // It stays until the next run, for whoever wants to see what happened.
        let dir = paths::cache().join("browser");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir)?;
        let port = service::free_port()?;
        // By name: browsers know passkeys for names only.
        let url = format!("http://localhost:{port}");
        let mut command = proc::command(paths::dev_binary("roadstead"));
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--public-url", &url, "--data-dir"]);
        let log = dir.join("hub.log");
        let mut service = Service::start("hub", command.arg(dir.join("data")), &log)?;
        let client = Client::new(port);
        let mut setup_code = None;
        service.wait_until("ready", Duration::from_secs(60), || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            setup_code = setup_code_in(&text);
            setup_code.is_some() && client.request("GET", "/readyz", None).is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Self { service, url, setup_code: setup_code.context("the hub printed no set-up code")? })
    }
}

/// The hub prints it for the person who started it.
fn setup_code_in(log: &str) -> Option<String> {
    let after = log.rsplit_once("set-up code ")?.1;
    // The line must be complete.
    let line = after.split_once('\n')?.0;
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_up_code_is_found() {
        let log =
            "INFO ready\n  Nobody owns this hub yet.\n  Open http://x/setup and enter the set-up code  ab12-cd34\n";
        assert_eq!(setup_code_in(log).as_deref(), Some("ab12-cd34"));
        assert_eq!(setup_code_in("enter the set-up code ab1"), None);
        assert_eq!(setup_code_in("ready\n"), None);
    }
}
