//! `roadstead audit verify` as people run it: beside a running hub, after it ended, and on a file from it.

use serde_json::json;
use support::hub::{self, Hub};
use support::process;

async fn verify(args: &[&str]) -> (Option<i32>, String) {
    let args: Vec<_> = ["audit", "verify"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    let (status, output) = process::run(&hub::binary(), &args, "").await;
    (status.code(), output)
}

#[tokio::test]
async fn the_log_of_a_hub_is_checked_without_it() {
    let mut hub = Hub::start().await;
    let api = hub.owner().await;
    for n in 0..5 {
        api.post("/v1/projects", &json!({ "name": format!("Project {n}") })).await.unwrap().expect(201);
    }
    let data = hub.data_dir().to_owned();
    let data_dir = data.to_str().unwrap();
    let export = api.get("/v1/audit/export").await.unwrap();
    assert_eq!(export.status, 200);
    let file = data.join("export.jsonl");
    std::fs::write(&file, &export.text).unwrap();
    let last: serde_json::Value = serde_json::from_str(export.text.lines().last().unwrap()).unwrap();
    let fingerprint = last["fingerprint"].as_str().unwrap().to_owned();

    let (code, output) = verify(&["--database", "--data-dir", data_dir]).await;
    assert_eq!(code, Some(0), "beside the running hub: {output}");
    hub.stop().await;
    let database = format!("sqlite:{data_dir}/roadstead.db");
    for args in [vec!["--database", "--data-dir", data_dir], vec!["--database", &database, "--data-dir", data_dir]] {
        let (code, output) = verify(&args).await;
        assert!(code == Some(0) && output.contains("good: "), "{output}");
    }
    let head = data.join("audit-head.json");
    let copy = data.join("copy.json");
    std::fs::copy(&head, &copy).unwrap();
    let copy = copy.to_str().unwrap();
    let (code, output) = verify(&["--database", "--data-dir", data_dir, "--head", copy]).await;
    assert_eq!(code, Some(0), "{output}");

    let file = file.to_str().unwrap();
    let (code, output) = verify(&[file, "--fingerprint", &fingerprint]).await;
    assert!(code == Some(0) && output.contains(&fingerprint), "{output}");
    let (code, output) = verify(&[file, "--fingerprint", &"0".repeat(64)]).await;
    assert!(code == Some(1) && output.contains("bad: "), "{output}");
    std::fs::write(file, export.text.replace("Project 3", "Project 9")).unwrap();
    let (code, output) = verify(&[file]).await;
    assert!(code == Some(1) && output.contains("was changed"), "{output}");

    std::fs::write(&head, std::fs::read_to_string(&head).unwrap().replace("position", "positiom")).unwrap();
    let (code, output) = verify(&["--database", "--data-dir", data_dir]).await;
    assert!(code == Some(1) && output.contains("was not signed by this hub"), "{output}");

    let nowhere = format!("{data_dir}/nowhere");
    for args in [
        vec!["--database", "--data-dir", &nowhere],
        vec![&*nowhere],
        vec![],
        vec![data_dir],
        vec!["--database", "--data-dir", data_dir, "--head", &nowhere],
    ] {
        let (code, output) = verify(&args).await;
        assert_eq!(code, Some(2), "{args:?}: {output}");
    }
}
