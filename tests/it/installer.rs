//! The pasted line, on fresh machines: online in seconds, hardened, there again after every restart, gone without a trace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::Api;
use support::hub::{Hub, HubOptions};
use support::vps::{Init, Ran, Vps};
use support::wait;

const SOON: Duration = Duration::from_secs(10);

/// A hub at the outer end of the machine's network, as a hub on the Internet would be: with TLS of its own making.
async fn hub_for(vps: &Vps) -> Hub {
    let options = HubOptions { address: vps.hub_address(), agents_dir: agents_dir(), ..HubOptions::default() };
    Hub::start_with(options).await
}

fn agents_dir() -> Option<PathBuf> {
    std::env::var_os("ROADSTEAD_TEST_AGENTS_DIR").map(PathBuf::from)
}

async fn line(owner: &Api, request: &Value) -> Value {
    owner.install_token(request).await
}

fn command(token: &Value) -> &str {
    token["command"].as_str().unwrap()
}

fn installs(vps: &Vps, line: &str) -> Ran {
    let ran = vps.paste(line).unwrap();
    assert!(ran.status.success(), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// The line fails and says `reason`; nothing of the agent is on the machine.
fn refuses(vps: &Vps, line: &str, reason: &str) {
    let ran = vps.paste(line).unwrap();
    assert!(!ran.status.success(), "{}", ran.stdout);
    assert!(ran.stderr.contains(reason), "{:?} does not say {reason:?}", ran.stderr);
    assert!(!vps.root().join("usr/local/bin/roadstead-agent").exists());
    assert!(!vps.root().join("etc/systemd/system/roadstead-agent.service").exists());
}

async fn server_of(owner: &Api, token: &Value) -> String {
    let path = format!("/v1/servers/install-tokens/{}", token["id"].as_str().unwrap());
    let token = owner.get(&path).await.unwrap().expect(200);
    assert_eq!(token["status"], "used");
    token["server_id"].as_str().unwrap().to_owned()
}

async fn is_online(owner: &Api, server: &str, limit: Duration) {
    wait::until("the server to be online", limit, async || {
        // The hub may be down for a moment, in the middle of a test about just that.
        let answer = owner.get(&format!("/v1/servers/{server}")).await.map_err(|error| json!(format!("{error:#}")))?;
        let server = answer.expect(200);
        if server["status"] == "online" { Ok(()) } else { Err(server) }
    })
    .await;
}

async fn is_not_online(owner: &Api, server: &str) {
    wait::until("the server to be away", SOON, async || {
        let server = owner.get(&format!("/v1/servers/{server}")).await.unwrap().expect(200);
        if server["status"] == "online" { Err(server) } else { Ok(()) }
    })
    .await;
}

async fn succeeds(owner: &Api, server: &str, command: &str) -> String {
    let job = owner.exec(server, command).await;
    let id = job["id"].as_str().unwrap();
    let end = owner.job_end(id, Duration::from_secs(30)).await;
    let log = owner.log_text(id).await;
    assert_eq!(end["state"], "succeeded", "{end:#}\n{log}");
    log
}

#[tokio::test]
async fn a_pasted_line_makes_a_fresh_vps_a_server_for_good() {
    if !Vps::available() {
        return;
    }
    let mut vps = Vps::start().unwrap();
    let mut hub = hub_for(&vps).await;
    let owner = hub.owner().await;
    let token = line(&owner, &json!({"name": "web-1"})).await;

    let pasted = Instant::now();
    let ran = no_process_shows(token["token"].as_str().unwrap(), || installs(&vps, command(&token)));
    let server = server_of(&owner, &token).await;
    is_online(&owner, &server, SOON).await;
    let took = pasted.elapsed();
    assert!(took <= SOON, "online after {took:?}:\n{}", ran.stdout);
    assert!(ran.stdout.contains(&server) && ran.stdout.contains("Online"), "{}", ran.stdout);

    the_units_are_hardened(&vps);
    a_second_run_changes_nothing(&vps, &owner, &token, &server).await;
    a_job_manages_the_machine(&vps, &owner, &server).await;
    a_restart_of_the_agent_ends_no_job(&vps, &owner, &server).await;

    hub.stop().await;
    hub.start_again().await;
    let owner = hub.owner().await;
    is_online(&owner, &server, Duration::from_secs(30)).await;

    vps.reboot().unwrap();
    is_online(&owner, &server, Duration::from_secs(30)).await;
    assert_eq!(succeeds(&owner, &server, "hostname").await.trim(), vps.name());
}

/// While `work` runs, no process on this machine (the VPS's are among them) has `secret` among its arguments.
fn no_process_shows<T>(secret: &str, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut looked = 0_u32;
            while !done.load(Ordering::SeqCst) {
                for process in std::fs::read_dir("/proc").unwrap().flatten() {
                    let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let arguments = String::from_utf8_lossy(&arguments).into_owned();
                    assert!(!arguments.contains(secret), "a process shows the token: {arguments:?}");
                }
                looked += 1;
            }
            looked
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        assert!(watcher.join().unwrap() > 1);
        result
    })
}

fn the_units_are_hardened(vps: &Vps) {
    vps.run("systemd-analyze security --no-pager --threshold=19 roadstead-agent.service").unwrap();
    assert_eq!(vps.run("stat -c '%U:%G %a' /run/roadstead/work.sock").unwrap().trim(), "root:roadstead 660");
    // The worker's unit is open by nature, and says so to whoever looks.
    assert!(
        !vps.shell("systemd-analyze security --no-pager --threshold=50 roadstead-work@1.service")
            .unwrap()
            .status
            .success()
    );
    assert!(vps.run("systemctl cat roadstead-work@1.service").unwrap().contains("Open by nature"));
    let trust =
        vps.run("stat -c '%U %a' /var/lib/roadstead-agent/trust /var/lib/roadstead-agent/trust/hub.json").unwrap();
    assert_eq!(trust, "root 755\nroot 644\n");
    let relay = "runuser -u roadstead -- sh -c 'cd / && for f in /var/lib/roadstead-agent/trust/hub.json \
                 /var/lib/roadstead-agent/claims /usr/local/bin/roadstead-agent; do test -w $f && echo writable $f; done; :'";
    assert_eq!(vps.run(relay).unwrap(), "", "the relay's user can change what workers believe");
}

async fn a_second_run_changes_nothing(vps: &Vps, owner: &Api, token: &Value, server: &str) {
    let before = vps
        .run("find /usr/local /etc/systemd /var/lib/roadstead-agent/trust -type f | xargs sha256sum | sort")
        .unwrap();
    let ran = installs(vps, command(token));
    assert!(ran.stdout.contains("already registered"), "{}", ran.stdout);
    let after = vps
        .run("find /usr/local /etc/systemd /var/lib/roadstead-agent/trust -type f | xargs sha256sum | sort")
        .unwrap();
    assert_eq!(before, after);
    is_online(owner, server, SOON).await;
    let servers = owner.get("/v1/servers").await.unwrap().expect(200);
    assert_eq!(servers["data"].as_array().unwrap().len(), 1);
}

async fn a_job_manages_the_machine(vps: &Vps, owner: &Api, server: &str) {
    let package = "set -e; d=$(mktemp -d); mkdir -p $d/p/DEBIAN $d/p/opt; echo hello >$d/p/opt/greeting; \
                   printf 'Package: greeting\\nVersion: 1\\nArchitecture: all\\nMaintainer: nobody\\nDescription: greets\\n' >$d/p/DEBIAN/control; \
                   dpkg-deb --build $d/p $d/greeting.deb; dpkg -i $d/greeting.deb; \
                   useradd --create-home visitor; echo visitor:secret | chpasswd; sysctl -n kernel.hostname";
    succeeds(owner, server, package).await;
    assert_eq!(
        vps.run("cat /opt/greeting; dpkg-query -W -f '${Status}' greeting").unwrap(),
        "hello\ninstall ok installed"
    );
    vps.run("id visitor && test -d /home/visitor").unwrap();
}

async fn a_restart_of_the_agent_ends_no_job(vps: &Vps, owner: &Api, server: &str) {
    let job = owner.exec(server, "echo begins; until [ -e /root/go ]; do sleep 0.1; done; echo ends").await;
    let id = job["id"].as_str().unwrap();
    owner.job_in(id, &["running"], SOON).await;
    vps.run("systemctl restart roadstead-agent.service").unwrap();
    is_online(owner, server, SOON).await;
    vps.run("systemctl kill --kill-who=main --signal=KILL roadstead-agent.service").unwrap();
    is_online(owner, server, Duration::from_secs(20)).await;
    owner.job_in(id, &["running"], SOON).await;
    vps.run("touch /root/go").unwrap();
    assert_eq!(owner.job_end(id, SOON).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, "begins\nends\n");
}

/// The two lists hold the same lines; says which do not.
fn nothing_differs(before: &str, after: &str) {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
    let differing: Vec<_> = before
        .difference(&after)
        .map(|line| format!("- {line}"))
        .chain(after.difference(&before).map(|line| format!("+ {line}")))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[tokio::test]
async fn uninstalling_waits_for_jobs_and_leaves_nothing_but_the_users_own() {
    if !Vps::available() {
        return;
    }
    let vps = Vps::start().unwrap();
    let hub = hub_for(&vps).await;
    let owner = hub.owner().await;
    let state = "cat /etc/passwd /etc/group /etc/shadow; find / -xdev -path /proc -prune -o -path /var/log -prune -o -type f -print \
                 | grep -v -e '^/run' -e '^/tmp' -e '^/var/lib/systemd' -e '^/etc/passwd-' -e '^/etc/group-' -e 'shadow-$' -e 'sub[ug]id' \
                 -e '^/etc/.pwd.lock' | sort; systemctl list-unit-files --no-legend; systemctl list-units --no-legend '*roadstead*'";
    let before = vps.run(state).unwrap();
    let token = line(&owner, &json!({})).await;
    installs(&vps, command(&token));
    let server = server_of(&owner, &token).await;
    is_online(&owner, &server, SOON).await;
    assert_ne!(vps.run(state).unwrap(), before);

    let job = owner.exec(&server, "until [ -e /root/go ]; do sleep 0.1; done; rm /root/go; echo delivered").await;
    let id = job["id"].as_str().unwrap();
    owner.job_in(id, &["running"], SOON).await;
    let mut uninstall = vps.enter();
    uninstall.args(["/bin/sh", "-c", "sh /usr/local/share/roadstead/install.sh --uninstall >/run/said 2>&1"]);
    let mut uninstall = uninstall.spawn().unwrap();
    let said = || vps.run("cat /run/said").unwrap_or_default();
    wait::until("the script to name the job", SOON, async || if said().contains(id) { Ok(()) } else { Err(said()) })
        .await;
    assert!(uninstall.try_wait().unwrap().is_none(), "it waits for the job");
    is_online(&owner, &server, SOON).await;
    vps.run("touch /root/go").unwrap();
    assert_eq!(owner.job_end(id, SOON).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, "delivered\n");
    wait::until("the script to end", Duration::from_secs(30), async || uninstall.try_wait().unwrap().ok_or_else(said))
        .await;
    vps.run("rm /run/said").unwrap();
    nothing_differs(&before, &vps.run(state).unwrap());
    is_not_online(&owner, &server).await;

    // Again, with a job that must not wait and a policy that is not ours.
    let token = line(&owner, &json!({})).await;
    installs(&vps, command(&token));
    let server = server_of(&owner, &token).await;
    is_online(&owner, &server, SOON).await;
    let job = owner.exec(&server, "sleep 1000").await;
    owner.job_in(job["id"].as_str().unwrap(), &["running"], SOON).await;
    vps.run("mkdir -p /etc/roadstead && echo 'kinds = [\"exec\"]' >/etc/roadstead/policy.toml").unwrap();
    let said = vps.run("sh /usr/local/share/roadstead/install.sh --uninstall --force").unwrap();
    assert!(said.contains(job["id"].as_str().unwrap()) && said.contains("/etc/roadstead/policy.toml"), "{said}");
    assert_eq!(vps.shell("pgrep -x sleep").unwrap().stdout, "", "the job was ended");
    vps.run("rm -r /etc/roadstead").unwrap();
    nothing_differs(&before, &vps.run(state).unwrap());
    let again = vps
        .run("curl -fsSk $URL".replace("$URL", &format!("{}/install.sh | sh -s -- --uninstall", hub.url())).as_str())
        .unwrap();
    assert!(again.contains("no Roadstead agent"), "{again}");
}

#[tokio::test]
async fn what_is_wrong_with_a_line_is_said_before_anything_is_installed() {
    if !Vps::available() {
        return;
    }
    let vps = Vps::start().unwrap();
    let hub = hub_for(&vps).await;
    let owner = hub.owner().await;
    let token = line(&owner, &json!({})).await;
    let good = command(&token).to_owned();
    let secret = token["token"].as_str().unwrap();
    let fingerprint = token["hub_fingerprint"].as_str().unwrap();

    refuses(&vps, &good.replace(secret, "rsi_damaged-in-the-mail"), "token is damaged");
    refuses(&vps, &good.replace(fingerprint, &"0".repeat(64)), "does not come from the hub");
    refuses(&vps, &good.replace(&format!("RS_TOKEN={secret}"), ""), "no install token");
    refuses(&vps, &good.replace(" sh", " sh -s -- --surprise"), "unknown argument");
    refuses(&vps, &format!("runuser -u nobody -- sh -c \"{}\"", good.replace('"', "\\\"")), "needs root");
    // Somebody between: curl refuses the key, sh gets nothing to run.
    let pin = good.split_once("sha256//").unwrap().1.split('\'').next().unwrap();
    let other_pin = "A".repeat(43) + "=";
    let ran = vps.paste(&good.replace(pin, &other_pin)).unwrap();
    assert!(ran.stderr.contains("curl"), "{}", ran.stderr);

    // A download that breaks off anywhere runs nothing.
    let script = owner.get("/install.sh").await.unwrap();
    assert_eq!(script.status, 200);
    for part in 1..20 {
        let cut = script.text.len() * part / 20;
        let cut = (0..=cut).rev().find(|at| script.text.is_char_boundary(*at)).unwrap();
        std::fs::write(vps.root().join("root/part.sh"), &script.text[..cut]).unwrap();
        let ran = vps.shell(&format!("RS_TOKEN={secret} RS_HUB_KEY={fingerprint} sh </root/part.sh")).unwrap();
        assert_eq!(ran.stdout, "", "cut at {cut}");
    }
    assert!(!vps.root().join("usr/local/bin/roadstead-agent").exists());

    // A used token is refused by the hub, in words.
    installs(&vps, &good);
    let other = Vps::start().unwrap();
    let ran = other.paste(&good).unwrap();
    assert!(!ran.status.success());
    assert!(ran.stderr.contains("used") && ran.stderr.contains("Add server"), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn without_systemd_the_script_says_how_to_run_the_agent() {
    if !Vps::available() {
        return;
    }
    let vps = Vps::start_with(Init::Stub).unwrap();
    let hub = hub_for(&vps).await;
    let owner = hub.owner().await;
    let token = line(&owner, &json!({})).await;
    let ran = installs(&vps, command(&token));
    let run = ran.stdout.lines().map(str::trim).find(|line| line.starts_with("/usr/local/bin/roadstead-agent run"));
    let run = run.unwrap_or_else(|| panic!("it does not say how to run the agent: {}", ran.stdout));
    let mut agent =
        vps.enter().args(["/bin/sh", "-c", &format!("exec {run} >/var/log/agent.log 2>&1")]).spawn().unwrap();
    let server = server_of(&owner, &token).await;
    is_online(&owner, &server, SOON).await;
    assert_eq!(succeeds(&owner, &server, "id -un").await, "root\n");
    let removed = vps.run("sh /usr/local/share/roadstead/install.sh --uninstall").unwrap();
    assert!(removed.contains("removed"), "{removed}");
    wait::until("the agent to end", SOON, async || agent.try_wait().unwrap().ok_or("still running")).await;
    assert!(!Path::new(&vps.root().join("var/lib/roadstead-agent")).exists());
}
