//! No secret of the run lies where it can be stolen from.

use std::path::Path;
use std::time::Duration;

use support::agent::Agent;
use support::api::Api;
use support::hub::Hub;
use support::secrets;

async fn hub_answer(api: &Api, path: &str) -> String {
    api.get(path).await.unwrap().expect(200).to_string()
}

#[tokio::test]
async fn no_secret_lies_in_database_log_or_data_dir() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "echo hello").await;
    owner.job_end(job["id"].as_str().unwrap(), Duration::from_secs(10)).await;
    // A job that is told a secret and tells it to everybody, and one that waits with its own.
    let told = secrets::new_password();
    let script = "echo \"in the clear: $TOKEN\"; printf %s \"$TOKEN\" >&2; test -n \"$TOKEN\"";
    let job = owner.exec_with_secret(agent.server_id(), script, "TOKEN", &told).await;
    let id = job["id"].as_str().unwrap();
    let ended = owner.job_end(id, Duration::from_secs(10)).await;
    assert_eq!((&ended["state"], &ended["args"]["secret_env"]["TOKEN"]), (&"succeeded".into(), &"***".into()));
    let log = owner.log_text(id).await;
    assert!(log.contains("in the clear: ***\n") && log.matches("***").count() == 2, "{log}");
    let waiting = secrets::new_password();
    let sleeping = owner.exec_with_secret(agent.server_id(), "sleep 600", "TOKEN", &waiting).await;
    owner.job_in(sleeping["id"].as_str().unwrap(), &["running"], Duration::from_secs(10)).await;
    for path in ["/v1/jobs".to_owned(), format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/log"), "/v1/audit".to_owned()]
    {
        let shown = hub_answer(&owner, &path).await;
        assert!(!shown.contains(&told) && !shown.contains(&waiting), "{path}: {shown}");
    }
    // A wrong password and a wrong token must not end up in a log either.
    let wrong = secrets::new_password();
    let body = serde_json::json!({ "email": support::hub::OWNER_EMAIL, "password": wrong });
    assert_eq!(hub.api().post("/v1/auth/login", &body).await.unwrap().status, 401);

    let hub_files = hub.data_dir().to_owned();
    let hub_log = hub.log_file();
    let agent_files = agent.state_dir();
    let agent_log = agent.log_file();
    // The agent's own credential file is where its token belongs.
    // So is the order as evidence, which only root can read.
    let allowed = |file: &Path| {
        file.ends_with("relay/agent.json") || file.parent().is_some_and(|parent| parent.ends_with("claims"))
    };
    let everywhere = [hub_files.as_path(), &hub_log, &agent_files, &agent_log];
    assert_eq!(secrets::scan(&everywhere, allowed), [], "while running, write-ahead log included");
    agent.stop().await;
    hub.stop().await;
    assert_eq!(secrets::scan(&everywhere, allowed), [], "after an orderly stop");

    let planted = hub_files.join("planted");
    for (form, content) in [("raw", wrong.clone()), ("hex", protocol::hex::encode(wrong.as_bytes()))] {
        std::fs::write(&planted, format!("noise {content} noise")).unwrap();
        let leaks = secrets::scan(&everywhere, allowed);
        assert!(leaks.len() == 1 && leaks[0].file == planted && leaks[0].form == form, "{leaks:?}");
    }
}
