//! Samples from heartbeat to chart: in memory, in the journal, in blocks, after a restart, without a disk.

use std::time::Duration;

use protocol::heartbeat::{Cpu, Filesystem, Heartbeat, Interface, Memory};
use serde_json::{Value, json};

use super::ring::minute_of;
use super::series::{EMPTY, Row, Series, set};
use super::tier::{self, Tier};
use super::{agent, block, store, write};
use crate::gateway::scripted::{Enrolled, enroll};
use crate::gateway::test_link::TestLink;
use crate::hub::App;
use crate::servers::{self, AgentIdentity};
use crate::testing::{Client, OWNER_EMAIL, OWNER_PASSWORD, START, TestHub};

/// A hub with an owner and one server whose samples a test sends.
struct World {
    test: TestHub,
    owner: Client,
    server: Enrolled,
    identity: AgentIdentity,
}

impl World {
    async fn new(test: TestHub) -> Self {
        let owner = test.owner().await;
        let session = owner.get("/v1/auth/session").await.json();
        let workspace_id = session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap();
        let server = enroll(&test.hub, workspace_id, "web").await;
        let identity = AgentIdentity { server_id: server.server_id, workspace_id, server_name: "web".into() };
        Self { test, owner, server, identity }
    }

    /// Samples every 30 seconds for so many minutes; processor use is the minute of the day, bytes come at 1000 a second.
    async fn beat(&self, hub: &App, minutes: u32) {
        let link = TestLink::new(hub, self.identity.clone());
        for _ in 0..minutes * 2 {
            let seconds = u64::try_from(hub.now().as_s() - START.as_s()).unwrap();
            agent::heartbeat(hub, &link.link, sample(seconds));
            self.test.clock.advance(Duration::from_secs(30));
            if hub.now().as_s() % 600 == 0 {
                write(hub).await.unwrap();
            }
        }
        write(hub).await.unwrap();
    }

    async fn chart(&self, hub: &App, query: &str) -> Value {
        let path = format!("/v1/servers/{}/metrics?{query}", self.server.server_id);
        let answer = self.owner.at(App::clone(hub)).get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn sample(seconds: u64) -> Heartbeat {
    Heartbeat {
        cpu: Cpu { percent: (seconds / 60 % 100) as f64, per_core_percent: vec![50.0; 2], ..Cpu::default() },
        load: [1.5, 1.0, 0.5],
        memory: Memory { total_bytes: 8 << 30, used_bytes: 2 << 30, ..Memory::default() },
        filesystems: vec![Filesystem { mount: "/".into(), total_bytes: 100, used_bytes: 40, ..Filesystem::default() }],
        network: vec![Interface { name: "eth0".into(), rx_bytes: seconds * 1000, ..Interface::default() }],
        uptime_s: seconds + 1000,
        processes: 99,
        ..Heartbeat::default()
    }
}

fn values(chart: &Value, series: &str) -> Vec<Option<f64>> {
    chart["series"][series].as_array().unwrap().iter().map(Value::as_f64).collect()
}

#[tokio::test]
async fn the_last_hour_is_charted_by_the_minute_with_gaps() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        world.beat(hub, 10).await;
        world.test.clock.advance(Duration::from_secs(600));
        world.beat(hub, 10).await;
        let chart = world.chart(hub, "series=cpu.percent,network.rx_bytes_per_s,memory.percent").await;
        assert_eq!(chart["step_s"], 60);
        assert_eq!(chart["series"].as_object().unwrap().len(), 3);
        let cpu = values(&chart, "cpu.percent");
        assert_eq!(cpu.len(), chart["t"].as_array().unwrap().len());
        let known: Vec<_> = cpu.iter().flatten().copied().collect();
        let expected: Vec<_> = (0..10).chain(20..30).map(f64::from).collect();
        assert_eq!(known, expected);
        assert!(values(&chart, "network.rx_bytes_per_s").iter().flatten().all(|rate| (rate - 1000.0).abs() < 5.0));
        assert!(values(&chart, "memory.percent").iter().flatten().all(|percent| (percent - 25.0).abs() < 0.1));
        let t: Vec<_> = chart["t"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
        assert!(t.is_sorted() && t.iter().all(|t| t % 60 == 0));
    }
}

#[tokio::test]
async fn hours_are_packed_and_read_back_after_a_restart() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        world.beat(hub, 150).await;
        let range = format!("from={}&to={}&step=60", START.as_s(), START.as_s() + 150 * 60);
        let before = world.chart(hub, &range).await;
        assert_eq!(values(&before, "cpu.percent").iter().flatten().count(), 150);

        let restarted = world.test.restarted();
        write(&restarted).await.unwrap();
        let after = world.chart(&restarted, &range).await;
        assert_eq!(values(&after, "cpu.percent"), values(&before, "cpu.percent"), "nothing that was over is lost");

        // Two hours are in blocks of every tier; the journal holds what is newer.
        let mut session = hub.history.read().await.unwrap();
        for (tier, blocks) in [(Tier::Minute, 2), (Tier::FiveMinutes, 1), (Tier::Hour, 1)] {
            let stored = store::blocks(&mut session.conn(), world.server.server_id, tier.step_s(), 0, i64::MAX).await;
            assert_eq!(stored.unwrap().len(), blocks, "{tier:?}");
        }
        let mut oldest = None;
        store::read_journal(&mut session.conn(), |minute, _| oldest = oldest.or(Some(minute))).await.unwrap();
        assert_eq!(oldest, Some(minute_of(START) + 120));
        drop(session);

        world.beat(&restarted, 60).await;
        let range = format!("from={}&to={}&step=300", START.as_s(), START.as_s() + 210 * 60);
        let sparse = values(&world.chart(&restarted, &range).await, "cpu.percent");
        let expected: Vec<_> = (0..42).map(|point| Some(mean_of(point * 5, 5))).collect();
        assert_eq!(sparse, expected);
    }
}

/// Mean of the processor use that [`World::beat`] sends in these minutes.
fn mean_of(first: u32, count: u32) -> f64 {
    let sum: u32 = (first..first + count).map(|minute| minute % 100).sum();
    let mean = f64::from(sum) / f64::from(count);
    // As it is stored: to a tenth.
    (mean * 10.0).round() / 10.0
}

#[tokio::test]
async fn sparks_are_the_last_half_hour() {
    let world = World::new(TestHub::sqlite().await).await;
    world.beat(&world.test.hub, 40).await;
    let list = world.owner.get("/v1/servers?include=spark").await.json();
    let spark = &list["data"][0]["spark"];
    assert_eq!(spark["step_s"], 60);
    let cpu: Vec<_> = spark["cpu_percent"].as_array().unwrap().iter().map(Value::as_f64).collect();
    // The minute that has just begun has no sample yet.
    let expected: Vec<_> = (11..40).map(|minute| Some(f64::from(minute))).chain([None]).collect();
    assert_eq!(cpu, expected);
    assert_eq!(spark["memory_percent"].as_array().unwrap().len(), 30);
    assert!(world.owner.get("/v1/servers").await.json()["data"][0].get("spark").is_none());
}

#[tokio::test]
async fn the_detail_shows_the_newest_sample_in_full() {
    let world = World::new(TestHub::sqlite().await).await;
    world.beat(&world.test.hub, 1).await;
    let shown = world.owner.get(&format!("/v1/servers/{}", world.server.server_id)).await.json();
    assert_eq!(shown["filesystems"][0]["mount"], "/");
    assert_eq!(shown["interfaces"][0]["name"], "eth0");
    assert_eq!(shown["cpu"]["per_core_percent"], json!([50.0, 50.0]));
    assert_eq!(shown["memory"]["total_bytes"], 8_u64 << 30);
    assert_eq!(shown["processes"], 99);
    assert_eq!(shown["live"]["disk_percent"], 40.0);
}

#[tokio::test]
async fn samples_are_announced_live() {
    let world = World::new(TestHub::sqlite().await).await;
    let mut changes = world.test.hub.bus.subscribe();
    world.beat(&world.test.hub, 1).await;
    let change = changes.recv().await.unwrap();
    assert_eq!((change.id, change.change.kind), (None, "server.live"));
    assert_eq!(change.change.data["load1"], 1.5);
}

#[tokio::test]
async fn bad_questions_name_their_field() {
    let world = World::new(TestHub::sqlite().await).await;
    for (query, status) in [
        ("series=cpu", 422),
        ("series=cpu.percent,nonsense", 422),
        ("from=yesterday", 422),
        ("from=2&to=1", 422),
        ("step=0", 422),
        ("from=0&step=60", 422),
        ("step=-1", 400),
        ("step=many", 400),
        ("steps=60", 400),
    ] {
        let path = format!("/v1/servers/{}/metrics?{query}", world.server.server_id);
        let answer = world.owner.get(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
    }
    let path = format!("/v1/servers/{}/metrics", world.server.server_id);
    assert_eq!(world.test.stranger().await.get(&path).await.status, 404);
    assert_eq!(world.test.anonymous().get(&path).await.status, 401);
}

#[tokio::test]
async fn old_blocks_and_those_of_removed_servers_go() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        let server = world.server.server_id;
        let count = async |tier: Tier| {
            let mut session = hub.history.read().await.unwrap();
            store::blocks(&mut session.conn(), server, tier.step_s(), i64::MIN, i64::MAX).await.unwrap().len()
        };
        world.beat(hub, 62).await;
        assert_eq!((count(Tier::Minute).await, count(Tier::Hour).await), (1, 1));
        world.test.clock.advance(Duration::from_secs(10 * 86_400));
        write(hub).await.unwrap();
        assert_eq!((count(Tier::Minute).await, count(Tier::FiveMinutes).await), (0, 1));

        // Somebody removes the server while history cannot be written: the reconciler finds out.
        let mut tx = hub.history.write().await.unwrap();
        store::put_block(&mut tx.conn(), server, 60, 0, block::encode(&[EMPTY]).unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        let form = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD });
        assert_eq!(world.owner.post("/v1/auth/login", form).await.status, 200, "ten days end a session");
        assert_eq!(world.owner.delete(&format!("/v1/servers/{server}")).await.status, 204);
        assert_eq!(count(Tier::Hour).await, 0, "removed at once");
        let mut tx = hub.history.write().await.unwrap();
        store::put_block(&mut tx.conn(), server, 60, 0, block::encode(&[EMPTY]).unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        world.test.clock.advance(Duration::from_secs(3600));
        write(hub).await.unwrap();
        assert_eq!(count(Tier::Minute).await, 0, "and what was left later");
        assert!(!servers::exists(hub, server).await.unwrap());
    }
}

#[tokio::test]
async fn a_damaged_block_or_journal_costs_only_itself() {
    let world = World::new(TestHub::sqlite().await).await;
    let hub = &world.test.hub;
    let server = world.server.server_id;
    world.beat(hub, 130).await;
    let mut tx = hub.history.write().await.unwrap();
    let start = Tier::Minute.block_start(START.as_s());
    store::put_block(&mut tx.conn(), server, 60, start, b"rubbish".to_vec()).await.unwrap();
    store::add_to_journal(&mut tx.conn(), 1, "damaged".into(), b"rubbish".to_vec()).await.unwrap();
    tx.commit().await.unwrap();
    let restarted = world.test.restarted();
    write(&restarted).await.unwrap();
    let range = format!("from={}&to={}&step=60&series=cpu.percent", START.as_s(), START.as_s() + 130 * 60);
    let cpu = values(&world.chart(&restarted, &range).await, "cpu.percent");
    assert_eq!(cpu.iter().flatten().count(), 70);
}

#[tokio::test]
async fn without_a_disk_minutes_wait_in_memory() {
    let world = World::new(TestHub::sqlite().await).await;
    let hub = &world.test.hub;
    let link = TestLink::new(hub, world.identity.clone());
    write(hub).await.unwrap();
    // A writer that nobody gets: every attempt to write fails, as on a full disk.
    let blocker = hub.history.write().await.unwrap();
    for _ in 0..10 {
        agent::heartbeat(hub, &link.link, sample(0));
        world.test.clock.advance(Duration::from_secs(60));
    }
    tokio::time::pause();
    assert!(write(hub).await.is_err(), "the writer says so");
    tokio::time::resume();
    assert_eq!(hub.metrics.health().unwritten, 10);
    drop(blocker);
    write(hub).await.unwrap();
    assert_eq!(hub.metrics.health().unwritten, 0);
    assert_eq!(hub.metrics.health().dropped, 0);
}

/// A day as monitoring sees one: noise, daily rhythm, random walks, bursts, constants.
fn real_looking_day() -> Vec<(i64, Row)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut memory = 3.1e9;
    let mut processes = 140.0;
    let mut disk = 21.0e9;
    let mut load = 0.4;
    (0..1440_i64)
        .map(|minute| {
            let day = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin() + 1.2;
            let burst: f64 = if random() > 0.97 { 8.0 } else { 1.0 };
            memory += (random() - 0.5) * 2.0e7;
            processes += if random() > 0.8 { (random() * 5.0 - 2.5_f64).round() } else { 0.0 };
            disk += random() * 60_000.0;
            load = load * 0.8 + random() * 0.4 * day * burst.min(3.0);
            let mut row = EMPTY;
            set(&mut row, Series::CpuPercent, 4.0 * day * burst + random() * 3.0);
            set(&mut row, Series::CpuIowait, random() * 0.4 * burst);
            set(&mut row, Series::CpuSteal, if random() > 0.9 { 0.1 } else { 0.0 });
            set(&mut row, Series::Load1, load);
            set(&mut row, Series::Load5, load * 0.9 + 0.05);
            set(&mut row, Series::Load15, load * 0.7 + 0.12);
            set(&mut row, Series::MemoryUsed, memory);
            set(&mut row, Series::MemoryAvailable, 8.3e9 - memory);
            set(&mut row, Series::MemoryCached, 2.0e9 + random() * 4.0e6);
            set(&mut row, Series::MemoryTotal, 8_345_890_816.0);
            set(&mut row, Series::SwapUsed, 12_582_912.0);
            set(&mut row, Series::SwapTotal, 2_147_479_552.0);
            set(&mut row, Series::DiskRead, if random() > 0.7 { random() * 50_000.0 * burst } else { 0.0 });
            set(&mut row, Series::DiskWrite, 40_000.0 * day + random() * 30_000.0 * burst);
            set(&mut row, Series::DiskReadOps, if random() > 0.7 { random() * 4.0 } else { 0.0 });
            set(&mut row, Series::DiskWriteOps, 3.0 * day + random() * 2.0);
            set(&mut row, Series::NetworkRx, 20_000.0 * day * (0.7 + 0.6 * random()) * burst);
            set(&mut row, Series::NetworkTx, 60_000.0 * day * (0.7 + 0.6 * random()) * burst);
            set(&mut row, Series::FilesystemPercent, disk / 40.0e9 * 100.0);
            set(&mut row, Series::FilesystemUsed, disk);
            set(&mut row, Series::Processes, processes);
            set(&mut row, Series::AgentRss, 5_500_000.0 + (random() * 3.0).floor() * 4096.0);
            (minute, row)
        })
        .collect()
}

#[test]
fn a_day_takes_at_most_a_byte_and_a_half_a_sample() {
    // Key columns, row and index headers of one block, rounded up.
    const ROW_BYTES: usize = 120;
    let day = real_looking_day();
    let mut bytes = 0;
    for points in Tier::ALL.into_iter().flat_map(|tier| tier::points(tier, &day).into_values()) {
        let rows: Vec<Row> = points.into_iter().map(|(_, row)| row).collect();
        bytes += block::encode(&rows).unwrap().len() + ROW_BYTES;
    }
    let samples = day.len() * Series::COUNT;
    let each = bytes as f64 / samples as f64;
    assert!(each <= 1.5, "{each:.2} bytes a sample, all tiers together");
}
