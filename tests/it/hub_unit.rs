//! The hub as a service of a real machine: its sandbox is tight, and everything works inside it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use support::api::Api;
use support::vps::Vps;
use support::{hub, secrets, wait};

#[tokio::test]
async fn the_hub_works_under_its_hardened_unit() {
    if !Vps::available() {
        return;
    }
    let vps = Vps::start().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    let program = vps.root().join("usr/local/bin/roadstead");
    std::fs::copy(hub::binary(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(units.join("roadstead.service"), vps.root().join("etc/systemd/system/roadstead.service")).unwrap();
    vps.run("useradd --system --home-dir /var/lib/roadstead --shell /usr/sbin/nologin roadstead-hub").unwrap();
    let url = format!("https://{}", vps.address());
    std::fs::create_dir(vps.root().join("etc/roadstead")).unwrap();
    std::fs::write(vps.root().join("etc/roadstead/hub.env"), format!("ROADSTEAD_PUBLIC_URL={url}\n")).unwrap();
    vps.run("systemctl daemon-reload && systemctl enable --now roadstead.service").unwrap();

    // Port 443 without being root, TLS of its own making, a database in its state directory.
    let mut api = Api::new(&url, &url);
    let ready = || async { api.get("/readyz").await.map_err(|error| format!("{error:#}")) };
    let answer = wait::until("the hub to be ready", Duration::from_secs(30), async || match ready().await {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(answer.text),
        Err(error) => Err(format!("{error}\n{}", vps.run("journalctl -u roadstead -n 20 -o cat").unwrap())),
    })
    .await;
    assert_eq!(answer.status, 200);

    // Owner and password through the command line beside the running hub, as its own user.
    let password = secrets::new_password();
    std::fs::write(vps.root().join("root/password"), &password).unwrap();
    vps.run(
        "runuser -u roadstead-hub -- /usr/local/bin/roadstead admin create-owner --email o@example.test --name O \
         --workspace W --data-dir /var/lib/roadstead --password-stdin </root/password",
    )
    .unwrap();
    let answer = api.post("/v1/auth/login", &json!({"email": "o@example.test", "password": password})).await.unwrap();
    answer.expect(200);
    api.keep_session(&answer);
    assert_eq!(api.get("/v1/servers").await.unwrap().expect(200)["data"], json!([]));

    vps.run("systemd-analyze security --no-pager --threshold=19 roadstead.service").unwrap();
    assert_eq!(vps.run("stat -c '%U %a' /var/lib/roadstead").unwrap(), "roadstead-hub 700\n");
    // It stops when asked and is there again after the machine was away.
    vps.run("systemctl restart roadstead.service").unwrap();
    assert_eq!(vps.run("systemctl show -p Result --value roadstead.service").unwrap(), "success\n");
    wait::until("the hub to be ready again", Duration::from_secs(30), async || match api.get("/v1/servers").await {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(vps.run("journalctl -u roadstead -o cat --priority warning").unwrap(), "", "it complains");
}
