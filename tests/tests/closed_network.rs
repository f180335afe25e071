//! Evaluation reads the database and nothing else: no remote call is ever made to answer a
//! question (DESIGN section 7).
//!
//! The server and the one who asks it are put where every connection to another machine fails: a
//! network namespace that has nothing but a loopback. The kernel counts there what was tried.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use runledger_tests::ledger_database;
use runledger_tests::process::{ServerProcess, client};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");
/// Set in the closed network; its value is the database's URL, or nothing for SQLite.
const INSIDE: &str = "RUNLEDGER_TEST_CLOSED_NETWORK";
const RUN: &str = "018f0000-0000-7000-8000-000000000001";

#[tokio::test]
async fn every_read_is_answered_where_no_connection_can_be_made_on_sqlite() {
    match std::env::var(INSIDE) {
        Ok(_) => ask_everything(None).await,
        Err(_) => {
            in_a_closed_network(
                "every_read_is_answered_where_no_connection_can_be_made_on_sqlite",
                "",
            );
        }
    }
}

#[tokio::test]
async fn every_read_is_answered_where_no_connection_can_be_made_on_postgresql() {
    match std::env::var(INSIDE) {
        Ok(url) => ask_everything(Some(&url)).await,
        Err(_) => {
            // A socket in the file system reaches into the closed network.
            let url = ledger_database().await;
            assert!(url.contains("%2F"), "the test database must be reached by a Unix socket");
            let name = "every_read_is_answered_where_no_connection_can_be_made_on_postgresql";
            in_a_closed_network(name, &url);
        }
    }
}

/// Runs a test of this file in a network namespace of its own.
fn in_a_closed_network(test: &str, url: &str) {
    let itself = std::env::current_exe().unwrap();
    let script = "ip link set lo up && exec \"$@\"";
    let mut command = Command::new("unshare");
    // Root stays itself, so that it reaches the socket of another user's database.
    if Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        command.arg("--map-root-user");
    }
    let output = command
        .args(["--net", "--", "sh", "-c", script, "sh"])
        .arg(itself)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, url)
        .output()
        .expect("this test needs `unshare` and `ip` (util-linux, iproute2)");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "the test in the closed network failed, or this machine allows no network namespace:\n{said}"
    );
}

async fn ask_everything(database_url: Option<&str>) {
    let begin = tried();
    assert_eq!(begin.values().sum::<u64>(), 0, "a new network has been used: {begin:?}");
    TcpStream::connect("192.0.2.1:9").unwrap_err();
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.send_to(b"x", "192.0.2.1:9").unwrap_err();
    let noticed = tried();
    assert_eq!(noticed.values().sum::<u64>(), 2, "attempts are not noticed: {noticed:?}");

    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(PROGRAM, dir.path(), database_url).await.unwrap();
    let http = client();
    let base = format!("{}/v1/workspaces/main", server.url);
    let send = http.post(format!("{base}/events")).bearer_auth(&server.token).json(&events());
    let taken: Value = send.send().await.unwrap().json().await.unwrap();
    assert_eq!(taken["summary"]["recorded"], events().as_array().unwrap().len(), "{taken}");
    let last = taken["results"].as_array().unwrap().last().unwrap()["position"].clone();

    let get = async |url: String| -> String {
        let answer = http.get(&url).bearer_auth(&server.token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        answer.text().await.unwrap()
    };
    let api: Value =
        serde_json::from_str(&get(format!("{}/openapi.json", server.url)).await).unwrap();
    let items = get(format!("{base}/follow-ups?operation=inventory.sync&after={last}")).await;
    let items: Value = serde_json::from_str(&items).unwrap();
    let item = items["items"][0]["key"].as_str().unwrap();
    let erase = json!({"run": RUN, "reason": "asked for", "legal_basis": "GDPR, article 17"});
    let erase = http.post(format!("{base}/erasures")).bearer_auth(&server.token).json(&erase);
    let erasure: Value = erase.send().await.unwrap().json().await.unwrap();
    let erasure = erasure["id"].as_str().unwrap_or_else(|| panic!("{erasure}")).to_owned();
    let requested = last.as_u64().unwrap() + 1;
    let (pack, ordered) = pack(&server, &base).await;
    let mut asked = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].to_string();
        if !parameters.contains("as_of") {
            continue;
        }
        let path = path.replace("{workspace}", "main").replace("{run}", RUN);
        let path = path.replace("{item}", item).replace("{erasure}", &erasure);
        let path = path.replace("{pack}", &pack);
        // Before they were asked for, there are none, and before something was signed, no checkpoint.
        let later =
            [(erasure.as_str(), requested), (pack.as_str(), ordered), ("log/checkpoint", ordered)];
        if let Some((_, at)) = later.into_iter().find(|(thing, _)| path.contains(thing)) {
            get(format!("{}{path}?as_of={at}", server.url)).await;
            asked += 1;
            continue;
        }
        // At position 3 the first run had failed.
        let after = parameters.contains("\"after\"").then(|| format!("after={last}"));
        let moments = [format!("as_of={last}"), "as_of=3".to_owned()];
        for when in moments.into_iter().chain(after) {
            get(format!("{}{path}?{when}", server.url)).await;
            asked += 1;
        }
    }
    assert!(asked >= 24, "only {asked} questions were asked");
    assert_eq!(tried(), noticed, "a connection to another machine was tried");
}

/// A failure that is a thing to do, a run that waits in a queue, one whose operation has an
/// adapter, and one that an adapter cares for.
fn events() -> Value {
    let other = RUN.replace("0001", "0002");
    let review = RUN.replace("0001", "0003");
    json!([
        {"type": "run.dispatched", "run_id": RUN,
            "data": {"operation": "inventory.sync", "environment": "prod"}},
        {"type": "run.failed", "run_id": RUN, "data": {"reason_code": "timeout"}},
        {"type": "worker.seen",
            "data": {"worker": "w", "lease_seconds": 60, "queues": ["default"]}},
        {"type": "run.dispatched", "run_id": other,
            "data": {"operation": "restore.execute", "queue": "default"}},
        {"type": "run.dispatched", "run_id": review,
            "data": {"operation": "environment.review.compose", "fingerprint": "f"}},
        {"type": "run.failed", "run_id": review, "data": {"reason_code": "duplicate"}},
    ])
}

/// How often something was sent, or tried to be sent, past the connections between the server and
/// the one who asks it: what had no way out, and what asked a name server.
fn tried() -> BTreeMap<&'static str, u64> {
    let four = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let six = std::fs::read_to_string("/proc/self/net/snmp6").unwrap();
    let of_four = |protocol: &str, name: &str| -> u64 {
        let mut rows = four.lines().filter(|line| line.starts_with(protocol));
        let names = rows.next().unwrap().split_whitespace();
        let place = names.into_iter().position(|column| column == name).unwrap();
        rows.next().unwrap().split_whitespace().nth(place).unwrap().parse().unwrap()
    };
    let of_six = |name: &str| -> u64 {
        let row = six.lines().find(|line| line.starts_with(name)).unwrap();
        row.split_whitespace().last().unwrap().parse().unwrap()
    };
    BTreeMap::from([
        ("without a way, IPv4", of_four("Ip:", "OutNoRoutes")),
        ("without a way, IPv6", of_six("Ip6OutNoRoutes")),
        ("datagrams, IPv4", of_four("Udp:", "OutDatagrams")),
        ("datagrams, IPv6", of_six("Udp6OutDatagrams")),
        ("refused connections", of_four("Tcp:", "AttemptFails")),
    ])
}

#[test]
fn the_read_models_know_no_client_of_any_network_protocol_but_the_databases() {
    const CLIENTS: &[&str] = &[
        "attohttpc",
        "awc",
        "curl",
        "h2",
        "h3",
        "http",
        "hyper",
        "hyper-util",
        "isahc",
        "lettre",
        "minreq",
        "quinn",
        "redis",
        "reqwest",
        "surf",
        "tonic",
        "tungstenite",
        "ureq",
    ];
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let lock: toml::Table = toml::from_str(&std::fs::read_to_string(lock).unwrap()).unwrap();
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
        // `name`, or `name version` where there are several.
        let names = dependencies.into_iter().flatten().map(|of| of.as_str().unwrap());
        let names = names.map(|name| name.split(' ').next().unwrap());
        needs.entry(package["name"].as_str().unwrap()).or_default().extend(names);
    }
    let (mut found, mut next) = (BTreeSet::new(), vec!["runledger-projections"]);
    while let Some(package) = next.pop() {
        if found.insert(package) {
            next.extend(&needs[package]);
        }
    }
    assert!(found.contains("sqlx") && found.contains("runledger-ledger"), "{found:?}");
    assert!(needs["runledger"].contains("reqwest"), "the list of clients is out of date");
    let clients: Vec<_> = CLIENTS.iter().filter(|client| found.contains(*client)).collect();
    assert!(clients.is_empty(), "{clients:?}");
}

/// Asks for an audit pack, once something is signed. Returns its id, and a position at which it was asked for.
async fn pack(server: &ServerProcess, base: &str) -> (String, u64) {
    let http = client();
    let made = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let ask = http.post(format!("{base}/audit-packs")).bearer_auth(&server.token);
            let answer = ask.json(&json!({})).send().await.unwrap();
            if answer.status() == 202 {
                return answer.json::<Value>().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let made = made.await.expect("nothing is signed, so no pack can be made");
    let status = http.get(format!("{base}/log/status")).bearer_auth(&server.token).send().await;
    let status: Value = status.unwrap().json().await.unwrap();
    let size = status["size"].as_u64().unwrap_or_else(|| panic!("{status}"));
    (made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned(), size - 1)
}
