//! What somebody with only a shell on the server can do, against a real hub.

use std::time::Duration;

use serde_json::Value;
use support::agent::{Agent, binary};
use support::hub::Hub;
use support::process::{self, Process};
use support::wait;

const LIMIT: Duration = Duration::from_secs(20);

/// Runs a command of the agent; its exit code and what it said.
async fn agent(agent: &Agent, arguments: &[&str]) -> (Option<i32>, String) {
    let state = agent.state_dir().display().to_string();
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--state-dir", &state]).collect();
    let (status, output) = process::run(&binary(), &arguments, "").await;
    (status.code(), output)
}

async fn listed(on: &Agent, job: &str) -> Value {
    let (code, output) = agent(on, &["jobs", "--json"]).await;
    assert_eq!(code, Some(0), "{output}");
    let jobs: Value = serde_json::from_str(&output).unwrap();
    jobs.as_array().unwrap().iter().find(|listed| listed["job_id"] == job).unwrap_or_else(|| panic!("{jobs:#}")).clone()
}

#[tokio::test]
async fn a_job_that_the_server_itself_cancels_says_so_at_the_hub() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let on = Agent::online(&hub, &owner).await;
    let job = owner.exec(on.server_id(), "echo started; (setsid sleep 600 &); sleep 600").await;
    let id = job["id"].as_str().unwrap();
    wait::until("the first line", LIMIT, async || match owner.log_text(id).await {
        log if log.contains("started") => Ok(()),
        log => Err(log),
    })
    .await;

    let running = listed(&on, id).await;
    assert_eq!((&running["state"], &running["order"]["kind"]), (&"running".into(), &"exec".into()));
    assert_eq!(running["order"]["command"], "echo started; (setsid sleep 600 &); sleep 600");
    assert_eq!(running["order"]["actor"]["type"], "user");
    let (code, output) = agent(&on, &["doctor"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("ok       hub TLS") && output.contains("ok       connection: connected"), "{output}");

    let state = on.state_dir().display().to_string();
    let followed = on.log_file().with_file_name("followed.log");
    let arguments = ["logs", "-f", &id[28..], "--state-dir", &state];
    let mut follow = Process::start(&binary(), &arguments, &[], &followed);
    wait::until("the follower's first line", LIMIT, async || {
        if follow.log().contains("started") { Ok(()) } else { Err(follow.log()) }
    })
    .await;

    let (code, output) = agent(&on, &["cancel", &id[28..]]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("cancelled"), "{output}");
    let end = owner.job_end(id, LIMIT).await;
    assert_eq!((&end["state"], &end["error"]["code"]), (&"cancelled".into(), &"cancelled_on_server".into()), "{end}");
    let message = end["error"]["message"].as_str().unwrap();
    assert!(message.contains("on the server itself"), "{message}");

    assert!(follow.ended(LIMIT).await.success(), "{}", follow.log());
    assert!(follow.log().contains("[cancelled by ") && follow.log().contains(message), "{}", follow.log());
    wait::until("the hub to have all of it", LIMIT, async || {
        let ended = listed(&on, id).await;
        if ended["hub"]["has_all"] == true && ended["state"] == "cancelled" { Ok(()) } else { Err(ended) }
    })
    .await;
    let (code, output) = agent(&on, &["logs", id]).await;
    assert!(code == Some(0) && output.contains("started"), "{output}");
    assert_eq!(agent(&on, &["cancel", id]).await.0, Some(3));

    // The workers' own log, which is the journal where systemd runs, names person and command.
    let journal = on.process().log();
    for part in [format!("job {id}: started exec for user "), format!("job {id}: cancelled, signal 15")] {
        assert!(journal.contains(&part), "{part} is missing in:\n{journal}");
    }
    assert!(journal.contains(": echo started; (setsid sleep 600 &); sleep 600\n"), "{journal}");
}

#[tokio::test]
async fn what_the_policy_refuses_is_in_the_servers_own_log() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let on = Agent::online(&hub, &owner).await;
    std::fs::write(on.state_dir().join("policy.toml"), "users = [\"www-data\"]\n").unwrap();
    let (code, output) = agent(&on, &["policy", "show"]).await;
    assert!(code == Some(0) && output.contains("may not run commands as root"), "{output}");
    let job = owner.exec(on.server_id(), "printf '\u{1b}[2J'; id").await;
    let id = job["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, LIMIT).await["state"], "rejected");
    let journal = on.process().log();
    let line = journal.lines().find(|line| line.contains(&format!("job {id}: refused (PolicyDenied)")));
    let line = line.unwrap_or_else(|| panic!("no refusal in:\n{journal}"));
    assert!(line.ends_with("printf '\\x1b[2J'; id") && line.contains("exec for user"), "{line}");
}
